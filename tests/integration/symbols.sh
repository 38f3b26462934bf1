#!/bin/sh
# SPDX-License-Identifier: MIT
# A shared library exports what its public headers declare, no more and no less:
#   symbols.sh PREFIX ouro|ouro_pg|ouro_http
# The headers are read after the preprocessor, which says by its line markers which text is theirs.
# In that text, outside of braces, a declaration is what ends at a semicolon, and the name of a
# function is the word before its first parenthesis, once attributes are gone.
set -eu

prefix=$1
library=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$prefix/include"
case $library in
ouro_pg)
    headers=$(ls ouro/pg.h ouro/pg_*.h)
    surely=ouro_pg_query
    ;;
ouro_http)
    headers=$(ls ouro/http.h ouro/http_*.h)
    surely=ouro_http_serve
    ;;
*)
    headers=$(find ouro -name '*.h' ! -name 'pg.h' ! -name 'pg_*.h' \
        ! -name 'http.h' ! -name 'http_*.h')
    surely=ouro_run
    ;;
esac
# Names without spaces.
# shellcheck disable=SC2086
printf '#include <%s>\n' $headers >"$work/all.c"

"$CC" -std=c11 -E -I"$prefix/include" "$work/all.c" >"$work/all.i"
awk -v headers=" $(echo "$headers" | tr '\n' ' ')" '
    /^#pragma/ { next }
    /^# [0-9]+ "/ {
        name = $3
        gsub(/^.*\/include\/|"$/, "", name)
        ours = index(headers, " " name " ") > 0
        next
    }
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
    }' "$work/all.i" | sort -u >"$work/declared"

"$NM" -D --defined-only "$prefix/lib/lib$library.so" | awk '{ print $NF }' | sort -u >"$work/exported"

echo "$(wc -l <"$work/declared") functions declared, $(wc -l <"$work/exported") symbols exported"
# An empty list would equal an empty list.
grep -qx "$surely" "$work/declared"
if ! diff -u "$work/declared" "$work/exported"; then
    echo "-: declared but not exported; +: exported but not declared" >&2
    exit 1
fi
