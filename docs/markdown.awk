# SPDX-License-Identifier: MIT
# What Doxygen is given of a page: awk -f docs/markdown.awk docs/guide/lock.md, run in the root of
# the project.
#
# Pages are written to be read where they lie, on a forge or in an editor. So a program stands in
# them as a line that is nothing but a link to it, and here becomes the program:
#
#     [samples/lock.c](../../samples/lock.c)                   all of it
#     [samples/lock.c](../../samples/lock.c#taking-it)         what is between two comments with
#                                                              [taking-it] in them
#     [what it prints](../../samples/lock.expected)            as text
#
# Links to pages and to public headers become links to what Doxygen makes of these; of others the
# words are left, since their files are not in the HTML. Names of sections are made as forges do.

# A path without "." and "..", from the root of the project.
function plain(path,    parts, n, i, out, depth) {
    n = split(path, parts, "/")
    depth = 0
    for (i = 1; i <= n; i++) {
        if (parts[i] == "..")
            depth--
        else if (parts[i] != "." && parts[i] != "")
            out[++depth] = parts[i]
    }
    path = out[1]
    for (i = 2; i <= depth; i++)
        path = path "/" out[i]
    return path
}

function page_id(path) {
    sub(/^docs\//, "", path)
    sub(/\.md$/, "", path)
    sub(/\/README$/, "", path)
    gsub(/[^A-Za-z0-9]/, "_", path)
    return "page_" path
}

# As forges name sections in links.
function slug(title) {
    title = tolower(title)
    gsub(/[^a-z0-9 _-]/, "", title)
    gsub(/ /, "-", title)
    return title
}

# What a link to TARGET is here: "@ref ...", an address, or nothing. The contents lead to the pages
# below them.
function target_of(target,    path, section) {
    if (target ~ /^[a-z]+:/)
        return target
    section = ""
    path = self
    if (match(target, /#.*/)) {
        section = substr(target, RSTART + 1)
        target = substr(target, 1, RSTART - 1)
    }
    if (target != "")
        path = plain(folder target)
    if (path ~ /^docs\/.*\.md$/ && self == contents && section == "")
        return "@subpage " page_id(path)
    if (path ~ /^docs\/.*\.md$/)
        return "@ref " page_id(path) (section == "" ? "" : "__" section)
    if (path ~ /\/include\/ouro\/[a-z_]+\.h$/) {
        sub(/.*\//, "", path)
        return "@ref " path
    }
    return ""
}

# A line with its links, but for what is in `code`.
function linked(line,    out, link, words, target, code) {
    out = ""
    while (match(line, /`[^`]*`|\[[^][]*\]\([^)]*\)/)) {
        out = out substr(line, 1, RSTART - 1)
        link = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        if (link ~ /^\[/) {
            words = substr(link, 2, index(link, "](") - 2)
            target = target_of(substr(link, length(words) + 4, length(link) - length(words) - 4))
            if (target ~ /^@subpage/)
                link = target " \"" words "\""
            else if (target != "")
                link = "[" words "](" target ")"
            else
                link = words
        }
        out = out link
    }
    return out line
}

# A line that is a link and nothing else, to a file of a sort that is shown.
function shown(line,    target, part, name) {
    if (line !~ /^\[[^][]*\]\([^)]*\)$/)
        return ""
    target = substr(line, index(line, "](") + 2)
    sub(/\)$/, "", target)
    part = ""
    if (match(target, /#.*/)) {
        part = substr(target, RSTART + 1)
        target = substr(target, 1, RSTART - 1)
    }
    name = plain(folder target)
    sub(/.*\//, "", name)
    if (name !~ /\.(c|expected)$/)
        return ""
    if (name ~ /\.expected$/)
        name = "\\verbinclude " name
    else
        name = part == "" ? "\\include " name : "\\snippet " name " " part
    return "*" substr(line, 2, index(line, "](") - 2) ":*\n\n" name
}

BEGIN { contents = "docs/guide/README.md" }

NR == 1 {
    self = FILENAME
    if (index(self, ENVIRON["PWD"] "/") == 1)
        self = substr(self, length(ENVIRON["PWD"]) + 2)
    folder = self
    sub(/[^\/]*$/, "", folder)
}

/^```/ { fenced = !fenced }

fenced || /^(    |```)/ { print; next }

/^# / { print $0 " {#" page_id(self) "}"; next }

/^##+ / {
    title = $0
    sub(/^#+ /, "", title)
    print $0 " {#" page_id(self) "__" slug(title) "}"
    next
}

{
    program = shown($0)
    print program == "" ? linked($0) : program
}
