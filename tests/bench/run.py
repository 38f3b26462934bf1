# SPDX-License-Identifier: MIT
"""Runs the benchmarks: one table on stdout, progress on stderr, and one JSON document.

The programs measure and compare; each writes a JSON object a line, and this makes one document of
them all. A figure that misses its budget is shown and is no failure; a program that breaks off is.

Exit status: 0, 1 if a program broke off, 2 if what was asked for cannot be.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time

import machine
import page
import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# The programs, without the bench_ of their names, in the order of the table.
AREAS = {
    "core": ("switch", "task", "future", "timer", "nop", "sync", "queue", "many", "memory",
             "count"),
    "threads": ("post", "cross", "offload", "spin"),
    "sockets": ("echo", "udp", "send"),
    "files": ("file", "copy", "small_files", "routes"),
    "PostgreSQL": ("pg",),
    "HTTP": ("http", "aggregate", "fetch", "http_parser"),
}
SKIPPED = 77


def say(text):
    print("bench: " + text, file=sys.stderr)


def stop(text):
    say(text)
    sys.exit(2)


# ---- Command line --------------------------------------------------------------------------------

def number(low, high, kind):
    def convert(text):
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value
    convert.__name__ = "number"
    return convert


def parse(words):
    p = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n", maxsplit=1)[0],
                                allow_abbrev=False)
    p.add_argument("--case", metavar="PATTERN", action="append", default=[],
                   help="only cases with PATTERN in their name, or matched by it if it has one "
                        "of *?[ in it; may be given several times")
    p.add_argument("--rounds", metavar="N", type=number(1, 1001, int), default=5,
                   help="rounds of each case (default 5)")
    p.add_argument("--seconds", metavar="S", type=number(0.01, 3600, float), default=4,
                   help="about how long a case may take, but for its first three rounds "
                        "(default 4)")
    p.add_argument("--json", metavar="FILE",
                   help="where the document goes (default build/bench.json)")
    p.add_argument("--plot", metavar="FILE", help="draw the figures into a page of HTML")
    p.add_argument("--markdown", metavar="FILE",
                   help="write the tables into FILE, between its marks (docs/performance.md)")
    p.add_argument("--from", metavar="FILE", dest="source",
                   help="measure nothing: show, draw and write what an earlier run has found")
    p.add_argument("--list", action="store_true", help="print the names of the cases")
    p.add_argument("--peers", action="store_true",
                   help="install the rivals that are missing, and measure (a word of ./dev)")
    options = p.parse_args(words)
    if options.source and (options.list or options.json or options.case):
        p.error("--from goes with --plot and --markdown alone")
    return options


# ---- Programs ------------------------------------------------------------------------------------

def programs_in(folder):
    """Pairs of area and program, those that were built."""
    try:
        built = {name[len("bench_"):] for name in os.listdir(folder) if name.startswith("bench_")}
    except OSError:
        built = set()
    if not built:
        stop(f"no programs in {folder}: cmake --preset bench && cmake --build --preset bench")
    known = [(area, name) for area, names in AREAS.items() for name in names if name in built]
    others = sorted(built - {name for _, name in known})
    return known + [("other", name) for name in others]


def words_for(options):
    return [word for pattern in options.case for word in ("--case", pattern)]


def cases_of(path, options):
    """The names of the cases that are asked for, or None if the program cannot run here."""
    # That of PostgreSQL starts a server before it looks at its words, unless it is told of one.
    environment = dict(os.environ, OURO_TEST_PG=os.environ.get("OURO_TEST_PG", "/dev/null"))
    done = subprocess.run([path, "--list"] + words_for(options), env=environment,
                          stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else None


def measure(path, options, first, total):
    """What a program has measured, and its exit status."""
    with tempfile.NamedTemporaryFile(mode="r", suffix=".jsonl", encoding="utf-8") as lines:
        status = subprocess.run(
            [path, "--json", lines.name, "--rounds", str(options.rounds), "--seconds",
             str(options.seconds), "--place", f"{first}/{total}"] + words_for(options),
            stdout=subprocess.DEVNULL, check=False).returncode
        return [json.loads(line) for line in lines], status


def begin(options, folder):
    return {
        "format": 1,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        **machine.describe(ROOT, folder),
        "options": {"rounds": options.rounds, "seconds": options.seconds, "case": options.case},
        "load_average": os.getloadavg()[0],
        "cases": [],
        "failed": [],
    }


def save(document, path):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out, separators=(",", ":"))
        out.write("\n")


def run(options, folder, chosen):
    """Measure what was chosen: (area, program, cases). The document is on the disk after each."""
    document = begin(options, folder)
    path = options.json or os.path.join(ROOT, "build", "bench.json")
    total = sum(len(cases) for _, _, cases in chosen)
    first, started, (stolen, ticks) = 1, time.monotonic(), machine.processor_ticks()
    for area, program, cases in chosen:
        try:
            found, status = measure(os.path.join(folder, "bench_" + program), options, first, total)
        except KeyboardInterrupt:
            say(f"stopped in {program}: what is missing was not measured")
            document["failed"].append(program)
            break
        document["cases"] += [{**case, "area": area, "program": program} for case in found]
        if status == SKIPPED:
            say(f"{program} cannot run here")
        elif status != 0:
            say(f"{program} broke off with status {status}")
            document["failed"].append(program)
        first += len(cases)
        now = machine.processor_ticks()
        document["seconds"] = round(time.monotonic() - started)
        document["stolen"] = round((now[0] - stolen) / max(1, now[1] - ticks), 4)
        save(document, path)
    say(f"wrote {path}")
    return document


# ---- What was asked for --------------------------------------------------------------------------

def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError) as error:
        stop(f"{path}: {error}")
    if not isinstance(document, dict) or document.get("format") != 1:
        stop(f"{path} is no document of ./dev bench, or of another version")
    return document


def choose(options, folder):
    chosen = []
    for area, program in programs_in(folder):
        cases = cases_of(os.path.join(folder, "bench_" + program), options)
        if cases is None:
            say(f"{program} cannot run here")
        elif cases:
            chosen.append((area, program, cases))
    if not chosen:
        stop("no case has such a name: " + " ".join(options.case))
    return chosen


def main():
    options = parse(sys.argv[1:])
    if options.source:
        document = load(options.source)
    else:
        folder = os.environ.get("OURO_BENCH_DIR", os.path.join(ROOT, "build", "bench", "bench"))
        chosen = choose(options, folder)
        if options.list:
            print("\n".join(case for _, _, cases in chosen for case in cases))
            return 0
        document = run(options, folder, chosen)
    print(report.table(document), flush=True)
    try:
        if options.plot:
            with open(options.plot, "w", encoding="utf-8") as out:
                out.write(page.draw(document))
        if options.markdown:
            report.write_markdown(document, options.markdown)
    except (OSError, report.NoMarks) as error:
        stop(str(error))
    return 1 if document["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
