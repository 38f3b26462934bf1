# SPDX-License-Identifier: MIT
"""The document of a run as a page of HTML: bars for each case, curves of latencies.

Every bar is a speed beside ouro's, which is 1.0, whatever the unit: longer is better, and a bar
beyond the line is a rival that is ahead. Colours tell apart what is also told by a word, by a name
at the bar, or by the shape of a mark.
"""

from html import escape
from math import log10

import report

STYLE = """
:root { color-scheme: light dark; --page: #fbfaf8; --card: #ffffff; --ink: #1f2328;
  --soft: #626a73; --line: #d9dce0; --ouro: #0072b2; --ahead: #aab2bb; --behind: #d55e00;
  --s1: #0072b2; --s2: #4d5660; --s3: #d55e00; --s4: #008a65; --s5: #a8508a; --s6: #b07d00;
  --s7: #7a4fb5; --s8: #8a6d5a; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1d2126; --ink: #e6e8ea;
  --soft: #9aa3ad; --line: #383f47; --ouro: #56b4e9; --ahead: #6b7580; --behind: #f0883e;
  --s1: #56b4e9; --s2: #c3cad1; --s3: #f0883e; --s4: #2fbf94; --s5: #dd8fc2; --s6: #e8c040;
  --s7: #b79af0; --s8: #c9a892; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 20px 60px; max-width: 1500px; background: var(--page);
  color: var(--ink); font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 0 0 6px; }
h2 { font-size: 20px; margin: 40px 0 12px; }
h2::first-letter { text-transform: uppercase; }
h3 { font-size: 15px; margin: 0; overflow-wrap: anywhere; }
p { margin: 4px 0; }
.soft, .card p { color: var(--soft); font-size: 13px; }
.key { display: flex; flex-wrap: wrap; gap: 6px 22px; margin: 14px 0; font-size: 13px; }
.key i { display: inline-block; width: 14px; height: 14px; border-radius: 3px; margin-right: 7px;
  vertical-align: -2px; }
.cards { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; }
.wide { margin-top: 14px; overflow-x: auto; }
svg { display: block; width: 100%; height: auto; margin-top: 8px; overflow: visible; }
text { fill: var(--ink); font-size: 12px; }
text.soft { fill: var(--soft); font-size: 11px; }
.grid { stroke: var(--line); stroke-width: 1; }
.one { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 4 3; }
.spread { stroke: var(--ink); stroke-width: 1.4; }
.ouro { fill: var(--ouro); } .ahead, .even { fill: var(--ahead); } .behind { fill: var(--behind); }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
td, th { padding: 3px 14px 3px 0; text-align: left; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.over { color: var(--behind); font-weight: 600; }
details > summary { cursor: pointer; margin: 10px 0; }
@media (max-width: 700px) { body { padding: 20px 12px 40px; } .overview text { font-size: 29px; }
  .overview circle { r: 9px; } }
"""


def _text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(words)}</text>")


def _line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _svg(width, height, parts, label):
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
            + "".join(parts) + "</svg>")


def _speeds(case, rival):
    """How fast a rival is beside ouro: low, median, high of the rounds."""
    ratio = rival["ratio"]
    if case["better"] == "lower":
        return ratio["low"], ratio["median"], ratio["high"]
    return 1 / ratio["high"], 1 / ratio["median"], 1 / ratio["low"]


def _anchor(area):
    return area.lower().replace(" ", "-")


def _measured(case):
    return [rival for rival in case["contestants"][1:] if "verdict" in rival]


# ---- All at a glance -----------------------------------------------------------------------------

LEAST, MOST = 0.01, 10


def _overview(document):
    left, width, row = 175, 1000, 34
    span = width - left - 30

    def x(speed):
        held = min(max(speed, LEAST), MOST)
        return left + span * (log10(held) - log10(LEAST)) / (log10(MOST) - log10(LEAST))

    compared = report.comparisons(document)
    rows = [(area, [pair for pair in compared if pair[0]["area"] == area])
            for area, _ in report.areas(document)]
    rows = [(area, pairs) for area, pairs in rows if pairs]
    bottom = 10 + row * len(rows)
    parts = []
    for speed, words in ((0.01, "1/100"), (0.1, "1/10"), (0.5, "1/2"), (1, "1"), (2, "2"),
                         (10, "10")):
        parts.append(_line(x(speed), 4, x(speed), bottom, "one" if speed == 1 else "grid"))
        parts.append(_text(x(speed), bottom + 26, words, "soft", "middle"))
    for i, (area, pairs) in enumerate(rows):
        y = 10 + row * i + row / 2
        parts.append(f'<a href="#{_anchor(area)}">{_text(0, y + 4, area)}</a>')
        for case, rival in pairs:
            speed = _speeds(case, rival)[1]
            words = f"{case['case']}: {rival['name']} is {report.digits(speed)} times as fast"
            parts.append(f'<circle cx="{x(speed):.1f}" cy="{y:.1f}" r="5" fill-opacity="0.65" '
                         f'class="{rival["verdict"]}"><title>{escape(words)}</title></circle>')
    if not rows:
        return ""
    return ('<div class="card overview"><h3>All at a glance</h3>'
            "<p>Each dot is a rival in a case, and where it stands its speed beside ouro's: right "
            "of the dashes it is faster, at 2 twice as fast.</p>"
            + _svg(width, bottom + 34, parts, "speed of each rival in each case, ouro being 1")
            + "</div>")


# ---- Bars ----------------------------------------------------------------------------------------

BAR, NAME, VALUE, ROOM = 22, 192, 126, 460


def _bar(case, contestant, y, scale):
    is_ouro = contestant is case["contestants"][0]
    low, speed, high = (1, 1, 1) if is_ouro else _speeds(case, contestant)
    most = ROOM - NAME - VALUE
    end = NAME + min(most, speed * scale)
    kind = "ouro" if is_ouro else contestant["verdict"]
    words = report.digits(report.median(contestant))
    if not is_ouro:
        words += f"  ({report.digits(speed)}x)"
    parts = [_text(NAME - 8, y + 14, contestant["name"], "", "end"),
             f'<rect x="{NAME}" y="{y + 3}" width="{max(1.5, end - NAME):.1f}" height="15" rx="2" '
             f'class="{kind}"/>']
    if speed * scale > most:  # it goes on beyond the drawing
        parts.append(f'<path d="M{end - 1:.1f} {y + 2} l7 8.5 l-7 8.5 z" class="{kind}"/>')
    elif not is_ouro and high > low:
        a, b = NAME + low * scale, NAME + min(most, high * scale)
        parts.append(_line(a, y + 10.5, b, y + 10.5, "spread"))
    parts.append(_text(ROOM - VALUE + 12, y + 14, words))
    return parts


def _bars(case):
    shown = [case["contestants"][0]] + _measured(case)
    fastest = max(_speeds(case, rival)[1] for rival in shown[1:])
    scale = (ROOM - NAME - VALUE) / min(max(fastest * 1.05, 1.25), 3)
    parts = []
    for i, contestant in enumerate(shown):
        parts += _bar(case, contestant, i * BAR, scale)
    bottom = BAR * len(shown) + 2
    one = NAME + scale
    parts.append(_line(NAME, 0, NAME, bottom, "grid"))
    parts.append(_line(one, 0, one, bottom, "one"))
    parts.append(_text(one, bottom + 12, "1.0", "soft", "middle"))
    return _svg(ROOM, bottom + 16, parts, case["case"] + ": speed beside ouro")


def _missing(case):
    gone = [f"{c['name']} ({c['missing']})" for c in case["contestants"] if "missing" in c]
    return f"<p>Not measured: {escape(', '.join(gone))}</p>" if gone else ""


def _budget(case):
    if "budget" not in case:
        return ""
    words = f"budget {report.digits(case['budget'])} {case['unit']}"
    over = "" if case["met"] else ', <span class="over">missed</span>'
    return f" &middot; {escape(words)}{over}"


def _card(case):
    note = f"<p>{escape(case['note'])}</p>" if case.get("note") else ""
    return (f'<div class="card"><h3>{escape(case["case"])}</h3>'
            f"<p>{escape(case['unit'])}, {case['better']} is better{_budget(case)}</p>"
            f"{_bars(case)}{note}{_missing(case)}</div>")


# ---- Curves of latencies -------------------------------------------------------------------------

PERCENTILES = ("p50", "p90", "p99", "p99.9")
MARKS = (
    "M-4 -4h8v8h-8z", "M0 -5l5 9h-10z", "M0 -5.5l5 5.5l-5 5.5l-5 -5.5z", "M0 5l5 -9h-10z",
    "M-5 -1.5h3.5v-3.5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5z", "M-5 -2.5h10v5h-10z",
    "M-2.5 -5h5v10h-5z",
)


def _ticks(low, high):
    """1, 2 and 5 times the powers of ten from below @low to above @high."""
    ticks = [m * 10.0**e for e in range(-2, 9) for m in (1, 2, 5)]
    first = max(i for i, t in enumerate(ticks) if t <= low)
    last = min(i for i, t in enumerate(ticks) if t >= high)
    return ticks[first:max(last, first + 1) + 1]


def _apart(places, gap):
    """Move labels apart that would lie on each other, as little as can be: those that touch become
    a stack, which stands in the middle of where they belong."""
    stacks = []  # of indices, and where the first of them is
    for i in sorted(range(len(places)), key=lambda i: places[i]):
        members = [i]
        while True:
            first = sum(places[m] - n * gap for n, m in enumerate(members)) / len(members)
            if not stacks or stacks[-1][1] + len(stacks[-1][0]) * gap <= first:
                break
            members = stacks.pop()[0] + members
        stacks.append((members, first))
    moved = dict((m, first + n * gap) for members, first in stacks for n, m in enumerate(members))
    return [moved[i] for i in range(len(places))]


def _time(us):
    if us >= 1e6:
        return f"{us / 1e6:g} s"
    return f"{us / 1e3:g} ms" if us >= 1e3 else f"{us:g} us"


def _colour(series):
    """Ouro's is nobody else's; rivals share theirs where there are more of them than colours."""
    return f"var(--s{1 if series == 0 else 2 + (series - 1) % 7})"


def _mark(series, x, y):
    if series == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{_colour(0)}"/>'
    shape = MARKS[(series - 1) % len(MARKS)]
    return (f'<path d="{shape}" transform="translate({x:.1f} {y:.1f})" '
            f'fill="{_colour(series)}"/>')


def _curves(case, series):
    """@series: the number of each contestant's name, the same on all of the page."""
    shown = [c for c in case["contestants"] if "latency_us" in c]
    values = [v for c in shown for v in c["latency_us"].values()]
    ticks = _ticks(max(0.01, min(values)), max(values))
    left, right, top, height, width = 52, 104, 8, 190, 440
    low, high = log10(ticks[0]), log10(ticks[-1])

    def y(us):
        return top + height * (1 - (log10(max(us, ticks[0])) - low) / (high - low))

    def x(i):
        return left + 12 + (width - left - right - 24) * i / (len(PERCENTILES) - 1)

    parts = []
    for tick in ticks:
        parts.append(_line(left, y(tick), width - right, y(tick), "grid"))
        parts.append(_text(left - 6, y(tick) + 4, _time(tick), "soft", "end"))
    for i, percentile in enumerate(PERCENTILES):
        parts.append(_text(x(i), top + height + 18, percentile, "soft", "middle"))
    ends = _apart([y(list(c["latency_us"].values())[-1]) for c in shown], 14)
    for contestant, end in reversed(list(zip(shown, ends))):  # ouro on top
        n = series[contestant["name"]]
        points = [(x(i), y(contestant["latency_us"][p])) for i, p in enumerate(PERCENTILES)
                  if p in contestant["latency_us"]]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{_colour(n)}" '
                     f'stroke-width="{2.6 if n == 0 else 1.6}"/>')
        parts += [_mark(n, a, b) for a, b in points]
        parts.append(_text(width - right + 18, end + 4, contestant["name"]))
        parts.append(_mark(n, width - right + 9, end))
    return (f'<div class="card"><h3>{escape(case["case"])}</h3>'
            "<p>latency by percentile, lower is better</p>"
            + _svg(width, top + height + 24, parts, case["case"] + ": latency by percentile")
            + "</div>")


# ---- The page ------------------------------------------------------------------------------------

def _alone(cases):
    """What has nobody beside it: a table."""
    if not cases:
        return ""
    rows = []
    for case in cases:
        ouro = case["contestants"][0]
        met = {True: "ok", False: '<span class="over">missed</span>', None: ""}[case.get("met")]
        rows.append(f"<tr><td>{escape(case['case'])}</td>"
                    f'<td class="n">{report.digits(report.median(ouro))}</td>'
                    f"<td>{escape(case['unit'])}</td>"
                    f'<td class="n">{report.digits(case.get("budget"))}</td><td>{met}</td>'
                    f"<td>{escape(case.get('note', ''))}</td></tr>")
    return ('<div class="card wide"><table><tr><th>case</th><th class="n">ouro</th><th>unit</th>'
            '<th class="n">budget</th><th></th><th></th></tr>' + "".join(rows) + "</table></div>")


def _section(area, cases, series):
    compared = [case for case in cases if _measured(case)]
    few = [case for case in compared if case["program"] not in report.LONG]
    many = [case for case in compared if case["program"] in report.LONG]
    curves = [case for case in compared if any("latency_us" in c for c in case["contestants"])]
    out = [f'<h2 id="{_anchor(area)}">{escape(area)}</h2>',
           '<div class="cards">', *map(_card, few), "</div>"]
    if curves:
        out += ["<h2>" + escape(area) + ": latencies</h2>", '<div class="cards">',
                *(_curves(case, series) for case in curves), "</div>"]
    if many:
        out += [f"<details><summary>{len(many)} cases more</summary>", '<div class="cards">',
                *map(_card, many), "</div></details>"]
    out.append(_alone([case for case in cases if case not in compared]))
    return "".join(out)


def _series(document):
    """A number for each name that has latencies, ouro's being 0."""
    names = {"ouro": 0}
    for case in document["cases"]:
        for contestant in case["contestants"]:
            if "latency_us" in contestant:
                names.setdefault(contestant["name"], len(names))
    return names


KEY = """<div class="key"><span><i style="background:var(--ouro)"></i>ouro</span>
<span><i style="background:var(--ahead)"></i>a rival that ouro is ahead of, or even with</span>
<span><i style="background:var(--behind)"></i>a rival that is ahead of ouro</span>
<span>longer is better &middot; dashes: as fast as ouro, 1.0 &middot;
(0.50x): half as fast as ouro &middot; a line across the end: half of the rounds lie there</span></div>"""


def draw(document):
    series = _series(document)
    head = "".join(f'<p class="soft">{escape(line)}</p>' for line in report.describe(document))
    total = "".join(f"<p>{escape(line)}</p>" for line in report.summary(document))
    sections = "".join(_section(area, cases, series) for area, cases in report.areas(document))
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>ouro beside its rivals</title><style>{STYLE}</style></head><body>"
            f"<h1>ouro beside its rivals</h1>{head}{total}{KEY}"
            f"{_overview(document)}{sections}</body></html>\n")
