#!/bin/sh
# SPDX-License-Identifier: MIT
# What lies in an install tree: layout.sh shared|static SOURCE PACKAGE
set -eu

kind=$1
source=$2
prefix=$3/$1

{
    echo bin/ouro-doctor
    (cd "$source" && ls core/include/ouro/*.h adapters/include/ouro/*.h \
        adapters/*/include/ouro/*.h) |
        sed 's|.*/include/|include/|'
    for file in config config-version "$kind-targets" "$kind-targets-release"; do
        echo "lib/cmake/ouro/ouro-$file.cmake"
    done
    echo lib/pkgconfig/ouro.pc
    if [ "$kind" = shared ]; then
        printf 'lib/%s\n' libouro.so libouro.so.0.1 libouro.so.0.1.0
    else
        echo lib/libouro.a
    fi
} | sort >"$3/$kind.wanted"
(cd "$prefix" && find . ! -type d | sed 's|^\./||' | sort) >"$3/$kind.found"
diff -u "$3/$kind.wanted" "$3/$kind.found"

# Nothing but debug information may remember where it was built.
if grep -rIl -e "$source" -e "$3" "$prefix"; then
    echo "these installed files name the source or the build folder" >&2
    exit 1
fi

if [ "$kind" = shared ]; then
    "$READELF" -d "$prefix/lib/libouro.so" | grep 'SONAME.*\[libouro\.so\.0\.1\]'
fi
"$prefix/bin/ouro-doctor"
