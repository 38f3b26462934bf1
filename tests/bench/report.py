# SPDX-License-Identifier: MIT
"""The document of a run as text: one table for the terminal, and tables of Markdown."""

import re


class NoMarks(Exception):
    """A file has no place for tables."""


# ---- Figures as people read them -----------------------------------------------------------------

def digits(value):
    """Three digits that matter, thousands apart."""
    if value is None:
        return "-"
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{places}f}".replace(",", " ")


def median(contestant):
    return contestant.get("figure", {}).get("median")


def mebibytes(contestant):
    memory = contestant.get("peak_memory")
    return None if memory is None else memory / 2**20


LATENCIES = ("p50", "p99", "p99.9")


def latencies(contestant):
    """In microseconds, in that order; empty if none were measured."""
    found = contestant.get("latency_us", {})
    return [digits(found.get(name)) for name in LATENCIES] if found else []


def spread(quartiles):
    return f"{digits(quartiles['low'])} .. {digits(quartiles['high'])}" if quartiles else "-"


def areas(document):
    """Pairs of an area and its cases, in the order of the run."""
    found = {}
    for case in document["cases"]:
        found.setdefault(case["area"], []).append(case)
    return found.items()


# Ways that an operation could take, beside the plain call: too many for a page to read, and no
# rivals of what ouro does. They are in the document and in the terminal's table all the same.
LONG = ("routes",)


def comparisons(document):
    """Each case with each of its rivals that was measured."""
    return [(case, rival) for case in document["cases"] if case["program"] not in LONG
            for rival in case["contestants"][1:] if "verdict" in rival]


def rivals(document, word):
    return [(case, rival) for case, rival in comparisons(document) if rival["verdict"] == word]


def over_budget(document):
    return [case for case in document["cases"] if case.get("met") is False]


def describe(document):
    """A few lines on what has been measured where."""
    m, rounds = document["machine"], document["options"]["rounds"]
    memory = f", {m['memory'] / 2**30:.0f} GiB" if m["memory"] else ""
    lines = [
        f"{document['date']}, commit {document['commit'] or 'unknown'}, "
        f"{rounds} round{'' if rounds == 1 else 's'}, {document.get('seconds', 0)} s; "
        f"load when it began {document['load_average']:.2f}, "
        f"{document.get('stolen', 0):.1%} of the processors taken by other machines",
        f"{m['processor']}, {m['processors']} {'virtual ' if m['virtual'] else ''}processors"
        f"{memory}, Linux {m['kernel']}, {m['system']}",
        ", ".join(f"{name} {version}" for name, version in document["versions"].items()
                  if version),
    ]
    if document["missing"]:
        lines.append("missing: " + ", ".join(f"{m['rival']} ({m['package']})"
                                             for m in document["missing"]))
    return lines


QUIET = 0.5  # load average up to which a machine is said to be quiet


def summary(document):
    lines = []
    counts = {word: len(rivals(document, word)) for word in ("ahead", "even", "behind")}
    if any(counts.values()):
        lines.append("ouro is ahead in {ahead} comparisons, even in {even}, behind in {behind}"
                     .format(**counts))
    misses = [f"{c['case']} ({digits(median(c['contestants'][0]))} of {digits(c['budget'])} "
              f"{c['unit']})" for c in over_budget(document)]
    if misses:
        lines.append("over budget: " + ", ".join(misses))
    if document["load_average"] > QUIET:
        lines.append("the machine was not quiet when the run began: medians are not to go by, and "
                     "ratios with care")
    if document["failed"]:
        lines.append("broke off: " + " ".join(document["failed"]))
    return lines


# ---- The table -----------------------------------------------------------------------------------

HEAD = ("case", "contestant", "median", "quartiles", "ouro/it", "", "CPU s", "MiB", "")
LEFT = (0, 1, 5, 8)


def _last(case, contestant, is_ouro):
    if "missing" in contestant:
        return "missing: " + contestant["missing"]
    if is_ouro and "budget" in case:
        return f"budget {digits(case['budget'])} {'ok' if case['met'] else 'MISS'}"
    words = []
    if latencies(contestant):
        words.append("/".join(LATENCIES) + " " + " / ".join(latencies(contestant)) + " us")
    if (contestant.get("busy") or 1) < 0.9:
        words.append(f"busy for {contestant['busy']:.0%} of the time")
    return ", ".join(words)


def _rows(case):
    labels = [case["case"], f"  {case['unit']}, {case['better']} is better"]
    for i, contestant in enumerate(case["contestants"]):
        yield (labels[i] if i < len(labels) else "", contestant["name"],
               digits(median(contestant)), spread(contestant.get("figure")),
               digits(contestant.get("ratio", {}).get("median")), contestant.get("verdict", ""),
               digits(contestant.get("cpu_seconds")), digits(mebibytes(contestant)),
               _last(case, contestant, i == 0))
    if len(case["contestants"]) == 1:
        yield (labels[1],) + ("",) * 8


def table(document):
    """All of the run, for a terminal."""
    sections = [(area, [row for case in cases for row in _rows(case)])
                for area, cases in areas(document)]
    rows = [HEAD] + [row for _, section in sections for row in section]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]

    def line(row):
        cells = (text.ljust(width) if column in LEFT else text.rjust(width)
                 for column, (text, width) in enumerate(zip(row, widths)))
        return "  ".join(cells).rstrip()

    out = list(describe(document))
    out.append("medians of the rounds; ouro/it: of the rounds' own ratios; CPU s and MiB: a "
               "round's processor time and peak")
    for area, section in sections:
        out += ["", f"==== {area} ====", line(HEAD)] + [line(row) for row in section]
    return "\n".join(out + [""] + summary(document))


# ---- Markdown ------------------------------------------------------------------------------------

def _markdown_table(head, rows):
    lines = ["| " + " | ".join(cells) + " |" for cells in [head] + rows]
    ruler = "|" + "|".join("---" if i in (0, 2) else "---:" for i in range(len(head))) + "|"
    return "\n".join([lines[0], ruler] + lines[1:])


def _code(text):
    return "`" + text + "`"


def _both(first, second, key):
    return " / ".join(digits(key(contestant)) for contestant in (first, second))


def _ratio(rival):
    text = digits(rival["ratio"]["median"])
    return {"ahead": text, "even": text + " =", "behind": f"**{text}**"}[rival["verdict"]]


def _area_tables(cases):
    compared, alone, delays = [], [], []
    for case in cases:
        ouro, *others = case["contestants"]
        figure = f"{digits(median(ouro))} {case['unit']}"
        measured = [rival for rival in others if "verdict" in rival]
        if "budget" in case or not measured:
            alone.append([_code(case["case"]), figure, digits(case.get("budget")),
                          {True: "", False: "over", None: ""}[case.get("met")]])
        for rival in measured:
            compared.append([_code(case["case"]), figure, rival["name"], digits(median(rival)),
                             _ratio(rival), spread(rival["ratio"]),
                             _both(ouro, rival, lambda c: c.get("cpu_seconds")),
                             _both(ouro, rival, mebibytes)])
        for contestant in case["contestants"]:
            if latencies(contestant):
                delays.append([_code(case["case"]), digits(median(contestant)),
                               contestant["name"]] + latencies(contestant))
    out = []
    if compared:
        out.append(_markdown_table(["case", "ouro", "beside", "median", "ouro/it", "quartiles",
                                    "CPU s", "MiB"], compared))
    if alone:
        out.append(_markdown_table(["case", "ouro", "budget", ""], alone))
    if delays:
        out.append(_markdown_table(["case", "median", "latencies, us"] + list(LATENCIES), delays))
    return "\n\n".join(out)


def _behind_table(document):
    rows = []
    for case, rival in rivals(document, "behind"):
        rows.append([_code(case["case"]), digits(median(case["contestants"][0])),
                     f"{rival['name']}: {digits(median(rival))} {case['unit']}",
                     _ratio(rival), case["better"]])
    if not rows:
        return "None."
    return _markdown_table(["case", "ouro", "rival", "ouro/it", "better is"], rows)


def markdown(document):
    """The tables, by the name of the place where each belongs."""
    parts = {"machine": "\n".join("- " + line for line in describe(document)),
             "summary": "\n".join("- " + line for line in summary(document)) or "None.",
             "behind": _behind_table(document)}
    for area, cases in areas(document):
        shown = [case for case in cases if case["program"] not in LONG]
        parts[area.lower()] = _area_tables(shown) or "None."
    return parts


def write_markdown(document, path):
    """Put each table between the marks that a file has for it. A part that was not measured stays
    as it is."""
    parts = markdown(document)
    with open(path, encoding="utf-8") as file:
        text = file.read()

    def fill(found):
        begin, name, old, end = found.groups()
        return begin + (f"\n\n{parts[name]}\n\n" if name in parts else old) + end

    text, marks = re.subn(r"(<!-- figures: ([^\n]*?) -->)(.*?)(<!-- end -->)", fill, text,
                          flags=re.S)
    if not marks:
        raise NoMarks(f"{path} has no marks: <!-- figures: core --> ... <!-- end -->")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
