# SPDX-License-Identifier: MIT
"""./dev bench, but for the measuring: its words, its table, its page, its Markdown, and what becomes
of programs that break off. On figures that were recorded, on made-up programs, and once on a real
one.

The environment has OURO_SOURCE, and in OURO_BENCH_DIR the programs, if they were built.
"""

import html.parser
import json
import os
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ["OURO_SOURCE"]
PROGRAMS = os.environ.get("OURO_BENCH_DIR", "")
RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded.json")
MARKS = "before\n<!-- figures: core -->old<!-- end -->\nafter\n" \
        "<!-- figures: HTTP -->kept<!-- end -->\n"

# A program that knows two cases, and ends as its case says.
FAKE = """#!/bin/sh
case "$*" in
*--list*) printf 'fake.first\\nfake.second\\n'; exit ;;
esac
while [ $# -gt 0 ]; do
    [ "$1" != --json ] || json=$2
    shift
done
echo '{"case":"fake.first","title":"Fakes","unit":"ns","better":"lower","contestants":[{"name":"ouro",
"figure":{"min":1,"low":1,"median":1,"high":1,"max":1},"rounds":[1]}]}' | tr -d '\\n' >>"$json"
exit STATUS
"""


def bench(*words, programs=PROGRAMS):
    return subprocess.run(
        [sys.executable, "-B", os.path.join(SOURCE, "tests/bench/run.py"), *words],
        env=dict(os.environ, OURO_BENCH_DIR=programs), capture_output=True, text=True, timeout=120,
        check=False)


class Page(html.parser.HTMLParser):
    """Sees that every element is closed, what is asked of other places, and where links lead."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.words = [], [], []
        self.anchors, self.links = set(), set()

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        attrs = dict(attrs)
        inside = attrs.get("href", "#").startswith("#")
        if tag in ("script", "link", "img") or "src" in attrs or not inside:
            self.wrong.append(f"{tag} {attrs}")
        if "id" in attrs:
            self.anchors.add(attrs["id"])
        if "href" in attrs:
            self.links.add(attrs["href"][1:])

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append("/" + tag)

    def handle_data(self, data):
        self.words.append(data)


class Recorded(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def line_of(self, done, *words):
        """The one line of a table with all the words in it."""
        lines = [line for line in done.stdout.splitlines() if all(w in line for w in words)]
        self.assertEqual(1, len(lines), (words, done.stdout, done.stderr))
        return lines[0]

    def test_the_table_tells_figures_ratios_and_who_is_ahead(self):
        done = bench("--from", RECORDED)
        self.assertEqual(0, done.returncode, done.stderr)
        line = self.line_of(done, "swapcontext pair")
        self.assertRegex(line, r"\b201\b.*\b0\.05\b +ahead")
        line = self.line_of(done, "raw liburing", "behind")
        self.assertRegex(line, r"0\.91 +behind")  # more is better there
        self.line_of(done, "libuv", "missing: libuv1-dev")
        self.assertIn("==== sockets ====", done.stdout)

    def test_what_is_behind_missing_or_over_budget_is_summed_up(self):
        done = bench("--from", RECORDED)
        self.line_of(done, "ahead in 2 comparisons, even in 1, behind in 1")
        self.line_of(done, "over budget: size.future (200 of 128 B)")
        self.line_of(done, "missing: Go (golang-go)")
        self.assertNotIn("not quiet", done.stdout)

    def test_a_machine_that_was_busy_is_told_of(self):
        with open(RECORDED, encoding="utf-8") as file:
            document = json.load(file)
        document["load_average"] = 2.5
        self.line_of(bench("--from", self.path("busy.json", json.dumps(document))), "not quiet")

    def test_the_page_is_whole_and_needs_nothing_from_elsewhere(self):
        done = bench("--from", RECORDED, "--plot", self.path("page.html"))
        self.assertEqual(0, done.returncode, done.stderr)
        page = Page()
        page.feed(self.read("page.html"))
        self.assertEqual([], page.wrong)
        self.assertEqual([], page.open)
        self.assertTrue(page.links)
        self.assertLessEqual(page.links, page.anchors)
        for words in ("switch.1", "p99.9", "a < b & c", "raw liburing"):
            self.assertTrue(any(words in text for text in page.words), words)

    def test_tables_of_markdown_go_between_their_marks(self):
        path = self.path("page.md", MARKS)
        done = bench("--from", RECORDED, "--markdown", path)
        self.assertEqual(0, done.returncode, done.stderr)
        text = self.read("page.md")
        self.assertTrue(text.startswith("before\n<!-- figures: core -->\n"), text)
        self.assertNotIn("old", text)
        self.assertIn("| `switch.1` |", text)
        self.assertTrue(text.endswith("<!-- figures: HTTP -->kept<!-- end -->\n"), text)
        bench("--from", RECORDED, "--markdown", path)
        self.assertEqual(text, self.read("page.md"))

    def test_a_file_without_marks_is_left_alone(self):
        path = self.path("page.md", "nothing here\n")
        self.assertEqual(2, bench("--from", RECORDED, "--markdown", path).returncode)
        self.assertEqual("nothing here\n", self.read("page.md"))

    def test_what_cannot_be_is_refused_with_status_2(self):
        broken = self.path("broken.json", "[1, 2")
        other = self.path("other.json", '{"format": 2}')
        for words in (["--rounds", "0"], ["--rounds", "x"], ["--seconds", "0"], ["--colour"],
                      ["word"], ["--from", "/nonexistent"], ["--from", broken], ["--from", other],
                      ["--from", RECORDED, "--case", "switch"],
                      ["--from", RECORDED, "--plot", "/nonexistent/page.html"]):
            done = bench(*words)
            self.assertEqual(2, done.returncode, (words, done.stdout, done.stderr))
            self.assertNotEqual("", done.stderr)

    def test_without_programs_it_says_how_to_build_them(self):
        done = bench(programs=self.folder)
        self.assertEqual(2, done.returncode)
        self.assertIn("cmake --build --preset bench", done.stderr)

    def fake(self, status):
        os.chmod(self.path("bench_fake", FAKE.replace("STATUS", str(status))), 0o755)
        done = bench("--json", self.path("run.json"), programs=self.folder)
        return done, json.loads(self.read("run.json"))

    def test_a_program_that_breaks_off_is_a_failure_and_its_figures_are_kept(self):
        done, document = self.fake(3)
        self.assertEqual(1, done.returncode)
        self.assertEqual(["fake"], document["failed"])
        self.assertEqual(["fake.first"], [case["case"] for case in document["cases"]])
        self.line_of(done, "broke off: fake")

    def test_a_program_that_cannot_run_here_is_none(self):
        done, document = self.fake(77)
        self.assertEqual(0, done.returncode)
        self.assertEqual([], document["failed"])
        self.assertIn("fake cannot run here", done.stderr)


@unittest.skipUnless(os.path.exists(os.path.join(PROGRAMS, "bench_switch")),
                     "the benchmarks were not built")
class Measured(unittest.TestCase):
    def test_one_case_from_end_to_end(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "run.json")
            done = bench("--case", "switch.1", "--rounds", "1", "--json", path)
            self.assertEqual(0, done.returncode, done.stderr)
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
        self.assertIn("[1/1] switch.1 round 1 of 1", done.stderr)
        self.assertIn("switch.1", done.stdout)
        for key in ("machine", "versions", "date", "options", "missing"):
            self.assertIn(key, document)
        [case] = document["cases"]
        self.assertEqual(("switch.1", "core", "ns", "lower"),
                         tuple(case[key] for key in ("case", "area", "unit", "better")))
        ouro, rival = case["contestants"]
        self.assertEqual(("ouro", "swapcontext pair"), (ouro["name"], rival["name"]))
        for contestant in (ouro, rival):
            self.assertEqual(1, len(contestant["rounds"]))
            self.assertGreater(contestant["figure"]["median"], 0)
            self.assertGreater(contestant["cpu_seconds"], 0)
            self.assertGreater(contestant["peak_memory"], 100000)
        self.assertAlmostEqual(ouro["rounds"][0] / rival["rounds"][0], rival["ratio"]["median"],
                               delta=rival["ratio"]["median"] / 1000)

    def test_cases_are_listed_by_a_part_or_a_pattern_of_their_names(self):
        for words, cases in ((["--case", "switch.8"], "switch.8192\n"),
                             (["--case", "switc?.1"], "switch.1\n"),
                             (["--case", "size.s", "--case", "switch.1"],
                              "switch.1\nsize.sleep\n")):
            done = bench("--list", *words)
            self.assertEqual((0, cases), (done.returncode, done.stdout), done.stderr)

    def test_a_name_that_no_case_has_is_refused(self):
        done = bench("--case", "no-such-case")
        self.assertEqual(2, done.returncode)
        self.assertIn("no-such-case", done.stderr)

    def test_programs_refuse_what_they_do_not_know(self):
        for words in (["--rounds", "0"], ["--rounds", "x"], ["--colour"], ["word"]):
            done = subprocess.run([os.path.join(PROGRAMS, "bench_switch"), *words],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual((2, ""), (done.returncode, done.stdout), words)


if __name__ == "__main__":
    unittest.main()
