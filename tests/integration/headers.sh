#!/bin/sh
# SPDX-License-Identifier: MIT
# Every public header compiles alone, and twice, without a warning, as C99, C11 and C++17:
#   headers.sh INCLUDE
set -eu

include=$1
warnings="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wundef -Werror"

count=0
for header in "$include"/ouro/*.h; do
    name=ouro/${header##*/}
    for language in c/c99 c/c11 c++/c++17; do
        compiler=$CC
        [ "${language%/*}" = c ] || compiler=$CXX
        # The warnings are words.
        # shellcheck disable=SC2086
        printf '#include <%s>\n#include <%s>\ntypedef int file_is_not_empty;\n' "$name" "$name" |
            "$compiler" -x "${language%/*}" -std="${language#*/}" $warnings -I"$include" \
                -fsyntax-only - || {
            echo "<$name> is not clean as ${language#*/}" >&2
            exit 1
        }
    done
    count=$((count + 1))
done
echo "$count headers"
[ "$count" -gt 0 ]
