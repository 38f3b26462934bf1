#!/bin/sh
# SPDX-License-Identifier: MIT
# The shared library exports what the public headers declare, no more and no less:
#   symbols.sh PREFIX
# The headers are read after the preprocessor, which says by its line markers which text is theirs.
# In that text, outside of braces, a declaration is what ends at a semicolon, and the name of a
# function is the word before its first parenthesis, once attributes are gone.
set -eu

prefix=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$prefix/include" && ls ouro/*.h) | sed 's/.*/#include <&>/' >"$work/all.c"

"$CC" -std=c11 -E -I"$prefix/include" "$work/all.c" | awk '
    /^#pragma/ { next }
    /^# [0-9]+ "/ { ours = $3 ~ /include\/ouro\/[a-z]+\.h"$/; next }
    ours { text = text " " $0 }
    END {
        while (match(text, /__attribute__ *\(\([^()]*(\([^()]*\))?[^()]*\)\)/))
            text = substr(text, 1, RSTART - 1) " " substr(text, RSTART + RLENGTH)
        while (match(text, /\{[^{}]*\}/)) # a body, of a struct or of an inline function
            text = substr(text, 1, RSTART - 1) " @ " substr(text, RSTART + RLENGTH)
        count = split(text, declarations, ";")
        for (i = 1; i <= count; i++) {
            declaration = declarations[i]
            sub(/^.*static[^@]*@/, "", declaration) # inline: it has a body, and no symbol
            if (declaration ~ /^[ \t]*typedef / || declaration ~ /^[ \t]*static /)
                continue
            if (match(declaration, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
                name = substr(declaration, RSTART, RLENGTH - 1)
                sub(/[ \t]+$/, "", name)
                print name
            }
        }
    }' | sort -u >"$work/declared"

"$NM" -D --defined-only "$prefix/lib/libouro.so" | awk '{ print $NF }' | sort -u >"$work/exported"

echo "$(wc -l <"$work/declared") functions declared, $(wc -l <"$work/exported") symbols exported"
# An empty list would equal an empty list.
grep -qx ouro_run "$work/declared"
if ! diff -u "$work/declared" "$work/exported"; then
    echo "-: declared but not exported; +: exported but not declared" >&2
    exit 1
fi
