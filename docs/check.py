#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Look for what Doxygen lets pass: docs/check.py pages | docs/check.py built FOLDER

In all Markdown pages of the tree: links to files that are not there, and to sections and snippets
that are not in them; functions, types and fields that are in no public header. In what was built,
in FOLDER/html: links to pages and anchors that are not there, Markdown that was not understood, and
whatever a browser would load from elsewhere; in FOLDER/xml: public headers that have no page, and
fields and values of enumerations without a comment.

Each finding is a line "FILE:LINE: what"; exit status 1 if there is any.
"""

import html.parser
import pathlib
import re
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree as tree

root = pathlib.Path(__file__).resolve().parent.parent
found = 0


def tell(path, line, what):
    global found
    found += 1
    place = path.relative_to(root) if path.is_relative_to(root) else path
    print(f"{place}:{line}: {what}", file=sys.stderr)


def public_headers():
    for folder in [root / "core/include", *sorted((root / "adapters").glob("**/include"))]:
        yield from sorted(folder.glob("ouro/*.h"))


# ---- Markdown ------------------------------------------------------------------------------------

LINK = re.compile(r"`[^`]*`|!?\[(?P<words>(?:[^][]|\[[^][]*\])*)\]\((?P<target>[^()\s]*)\)")


def outside_code(text):
    """Its lines with their numbers, those of code left out."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield number, line


def slug(title):
    """As forges name sections in links."""
    title = re.sub(r"[^a-z0-9 _-]", "", title.lower().strip())
    return title.replace(" ", "-")


def sections(path):
    seen = {}
    for _, line in outside_code(path.read_text()):
        if heading := re.match(r"#+ +(.*)", line):
            name = slug(heading[1])
            count = seen[name] = seen.get(name, -1) + 1
            yield f"{name}-{count}" if count else name


def has_part(path, part):
    if path.suffix == ".md":
        return part in sections(path)
    return path.read_text().count(f"[{part}]") == 2  # a snippet, between two comments


def check_markdown_link(page, line, target):
    if re.match(r"[a-z]+:", target):
        return
    path, _, part = target.partition("#")
    path = page.parent / urllib.parse.unquote(path) if path else page
    if not path.exists():
        tell(page, line, f"there is no {target}")
    elif part and not has_part(path, part):
        tell(page, line, f"there is no '{part}' in {path.name}")


NAME = re.compile(r"\b(?P<call>ouro_[a-z0-9][a-z0-9_]*)\("
                  r"|`(?P<type>ouro_[a-z0-9_]+)\.(?P<field>[a-z0-9_]+)[.`]"
                  r"|\b(?P<constant>OURO_[A-Z0-9_]+)")


def check_names(page, number, line, known):
    for name in NAME.finditer(line):
        for word in name.groups():
            if word and word not in known:
                tell(page, number, f"there is no {word}")


def names_of_the_tree():
    """The words of public headers and of the build, and what is named elsewhere."""
    known = {"OURO_DEBUG", "OURO_NAME"}
    sources = [*public_headers(), root / "CMakeLists.txt", *(root / "cmake").glob("*.cmake")]
    for path in sources:
        known.update(re.findall(r"\w+", path.read_text()))
    return known


def pages_of_the_tree():
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "*.md"],
        capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [page for name in listed.stdout.splitlines() if (page := root / name).exists()]
    return [page for page in root.rglob("*.md") if page.relative_to(root).parts[0] != "build"]


def check_markdown():
    known = names_of_the_tree()
    for page in pages_of_the_tree():
        for number, line in outside_code(page.read_text()):
            check_names(page, number, line, known)
            for link in LINK.finditer(line):
                if link["target"] is not None:
                    check_markdown_link(page, number, link["target"])


# ---- HTML ----------------------------------------------------------------------------------------


CODE = {"code", "pre", "script", "style", "fragment"}


class Page(html.parser.HTMLParser):
    """The anchors of a page, where it leads, and Markdown that Doxygen did not understand."""

    def __init__(self, path):
        super().__init__()
        self.anchors = set()
        self.links = []
        self.loads = []
        self.raw = []
        self.inside = []
        self.is_page = path.name.startswith(("page_", "index."))
        text = path.read_text()
        self.has_union = "union {" in text
        self.feed(text)

    def has(self, anchor):
        """Doxygen 1.9.4 links to members of an unnamed union, and makes no anchors for them."""
        return anchor in self.anchors or self.has_union and re.fullmatch("a[0-9a-f]{32}", anchor)

    def handle_starttag(self, tag, attrs):
        line = self.getpos()[0]
        if tag == "div" or tag in CODE:
            self.inside.append(tag if tag in CODE else dict(attrs).get("class"))
        for name, value in attrs:
            if name in ("id", "name"):
                self.anchors.add(value)
            elif name == "href" and tag in ("a", "area"):
                self.links.append((line, value))
            elif name in ("href", "src"):
                self.loads.append((line, value))

    def handle_endtag(self, tag):
        if tag == "div" or tag in CODE:
            self.inside.pop()

    def handle_data(self, data):
        if self.is_page and re.search(r"\*\*|`|\]\(", data) and not CODE & set(self.inside):
            self.raw.append((self.getpos()[0], data.strip()))


def check_html(folder):
    pages = {path: Page(path) for path in sorted(folder.glob("*.html"))}
    if folder / "index.html" not in pages:
        tell(folder, 0, "there is no index.html")
    for path, page in pages.items():
        for line, text in page.raw:
            tell(path, line, f"this was not understood: {text}")
        for line, target in page.loads:
            if re.match(r"([a-z]+:)?//", target):
                tell(path, line, f"{target} is loaded from elsewhere")
        for line, target in page.links + page.loads:
            if re.match(r"([a-z]+:|//)", target):
                continue
            name, _, anchor = target.partition("#")
            other = path.parent / urllib.parse.unquote(name) if name else path
            if not other.exists():
                tell(path, line, f"there is no {target}")
            elif anchor and other in pages and not pages[other].has(anchor):
                tell(path, line, f"there is no #{anchor} in {other.name}")


# ---- The reference -------------------------------------------------------------------------------


def commented(element):
    return any("".join(element.find(name).itertext()).strip()
               for name in ("briefdescription", "detaileddescription"))


def check_reference(folder):
    with_page = set()
    for path in sorted(folder.glob("*.xml")):
        for compound in tree.parse(path).getroot().iter("compounddef"):
            if compound.get("kind") == "file" and commented(compound):
                with_page.add((root / compound.find("location").get("file")).name)
            for part in compound.iter():
                if part.tag in ("enumvalue", "memberdef") and not commented(part):
                    tell(path, 0, f"{part.find('name').text} is not documented")
    for header in public_headers():
        if header.name not in with_page:
            tell(header, 1, "this header has no page: no @file, or not in INPUT of docs/Doxyfile")


# --------------------------------------------------------------------------------------------------


def main(words):
    match words:
        case ["pages"]:
            check_markdown()
        case ["built", folder]:
            check_html(pathlib.Path(folder, "html").resolve())
            check_reference(pathlib.Path(folder, "xml"))
        case _:
            print(__doc__.splitlines()[0], file=sys.stderr)
            return 2
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
