#!/bin/sh
# SPDX-License-Identifier: MIT
# What lies in an install tree: layout.sh shared|static|bare SOURCE PACKAGE
# Bare is static, without the libraries of adapters.
set -eu

tree=$1
source=$2
prefix=$3/$1
kind=$tree
libraries=ouro
if [ "$tree" = bare ]; then
    kind=static
else
    [ "$WITH_PG" = OFF ] || libraries="$libraries ouro_pg"
    [ "$WITH_HTTP" = OFF ] || libraries="$libraries ouro_http"
fi

# Whether the tree has a folder: all but those that are libraries of their own and not built.
has() { # FOLDER
    case $1 in
    adapters/pg | adapters/http)
        case " $libraries " in
        *" ouro_${1#adapters/} "*) ;;
        *) return 1 ;;
        esac
        ;;
    esac
    [ -d "$1/include" ]
}

{
    echo bin/ouro-doctor
    echo share/man/man1/ouro-doctor.1
    (cd "$source" && for folder in core adapters adapters/*; do
        ! has "$folder" || find "$folder/include" -name '*.h'
    done) | sed 's|.*/include/|include/|'
    printf 'lib/cmake/ouro/ouro-%s.cmake\n' config config-version
    for library in $libraries; do
        export=$kind
        [ "$library" = ouro ] || export=${library#ouro_}-$kind
        printf 'lib/cmake/ouro/ouro-%s.cmake\n' "$export-targets" "$export-targets-release"
        echo "lib/pkgconfig/$library.pc"
        if [ "$kind" = shared ]; then
            for end in so so.0.1 so.0.1.0; do
                echo "lib/lib$library.$end"
            done
        else
            echo "lib/lib$library.a"
        fi
    done
} | sort >"$3/$tree.wanted"
(cd "$prefix" && find . ! -type d | sed 's|^\./||' | sort) >"$3/$tree.found"
diff -u "$3/$tree.wanted" "$3/$tree.found"

# Nothing but debug information may remember where it was built.
if grep -rIl -e "$source" -e "$3" "$prefix"; then
    echo "these installed files name the source or the build folder" >&2
    exit 1
fi

if [ "$kind" = shared ]; then
    if "$READELF" -d "$prefix/lib/libouro.so" | grep 'NEEDED.*lib\(pq\|curl\|jansson\)'; then
        echo "libouro.so has nothing to do with the libraries of adapters" >&2
        exit 1
    fi
    for library in $libraries; do
        "$READELF" -d "$prefix/lib/lib$library.so" | grep "SONAME.*\\[lib$library\\.so\\.0\\.1\\]"
    done
fi
if [ "$kind" = static ]; then
    for library in $libraries; do
        # Archives export what is shared between files, too: no name may be a stranger's.
        strange=$("$NM" -g --defined-only "$prefix/lib/lib$library.a" |
            awk 'NF == 3 && $3 !~ /^ouro_/ { print $3 }')
        if [ -n "$strange" ]; then
            echo "lib$library.a exports names that do not begin with ouro_: $strange" >&2
            exit 1
        fi
    done
fi
# 1: it works, but a newer kernel has more.
"$prefix/bin/ouro-doctor" || [ $? -eq 1 ]
