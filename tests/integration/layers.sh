#!/bin/sh
# SPDX-License-Identifier: MIT
# Samples and tests stand on adapters, adapters on core, core on uring, uring on liburing; of the
# adapters, sockets stand on names, and files beside both. PostgreSQL and HTTP are libraries of their
# own, which see of all of them the public headers alone, and nothing of each other:
#   layers.sh SOURCE "URING INCLUDE ROOTS" CORE... FILE... DNS... SOCKET... PG... HTTP...
# A dash stands for a library that is not built. The roots are those that the build compiles each
# folder with. What must not compile stands beside what must, or a broken command would pass for a
# border.
set -eu

source=$1
uring=$2
core=$3
file=$4
dns=$5
socket=$6
pg=$7
http=$8

compiles() { # ROOTS HEADER
    roots=
    for root in $1; do
        roots="$roots -I$root"
    done
    # The roots are words.
    # shellcheck disable=SC2086
    printf '#include %s\ntypedef int file_is_not_empty;\n' "$2" |
        "$CC" -x c -std=c11 $roots -fsyntax-only -
}

must_compile() { # FOLDER ROOTS HEADER
    compiles "$2" "$3" || {
        echo "$1 cannot include $3" >&2
        exit 1
    }
}

must_not_compile() { # FOLDER ROOTS HEADER
    if said=$(compiles "$2" "$3" 2>&1); then
        echo "$1 can include $3, which is not below it" >&2
        exit 1
    fi
    case $said in
    *"No such file"* | *"file not found"*) echo "$1 cannot include $3" ;;
    *)
        echo "$3 failed to compile in $1, but for another reason: $said" >&2
        exit 1
        ;;
    esac
}

must_compile uring "$uring" '"driver.h"'
must_not_compile uring "$uring" '<ouro/ouro.h>'
must_not_compile uring "$uring" '<ouro/base.h>'
must_not_compile core "$core" '<ouro/ouro.h>'
for header in "$source"/core/*/*.h; do
    must_not_compile uring "$uring" "\"${header##*/}\""
done
must_compile core "$core" '<ouro/loop.h>'
must_compile core "$core" '"driver.h"'

# No header of ADAPTER, public or inner, can be included there.
hidden_from() { # FOLDER ROOTS ADAPTER
    count=0
    for header in "$source/adapters/$3"/include/ouro/*.h; do
        must_not_compile "$1" "$2" "<ouro/${header##*/}>"
        count=$((count + 1))
    done
    for header in "$source/adapters/$3"/*.h "$source/adapters/$3"/*/*.h; do
        [ -f "$header" ] || continue
        must_not_compile "$1" "$2" "\"${header##*/}\""
        count=$((count + 1))
    done
    [ "$count" -gt 1 ] || {
        echo "adapters/$3 has no headers" >&2
        exit 1
    }
}

for adapter in file dns socket; do
    hidden_from uring "$uring" "$adapter"
    hidden_from core "$core" "$adapter"
done
hidden_from dns "$dns" socket
hidden_from dns "$dns" file
hidden_from file "$file" socket
hidden_from file "$file" dns
hidden_from socket "$socket" file
must_compile file "$file" '<ouro/file.h>'
must_compile file "$file" '"future_int.h"'
must_compile dns "$dns" '<ouro/address.h>'
must_compile dns "$dns" '"future_int.h"'
must_compile socket "$socket" '<ouro/stream.h>'
must_compile socket "$socket" '<ouro/address.h>'
must_compile socket "$socket" '"future_int.h"'
must_not_compile file "$file" '<ouro/ouro.h>'
must_not_compile dns "$dns" '<ouro/ouro.h>'
must_not_compile socket "$socket" '<ouro/ouro.h>'

for library in pg http; do
    mine=$pg
    [ "$library" = pg ] || mine=$http
    [ "$mine" != - ] || continue
    for folder in uring core file dns socket pg http; do
        eval "roots=\$$folder"
        [ "$folder" = "$library" ] || [ "$roots" = - ] || hidden_from "$folder" "$roots" "$library"
    done
    must_compile "$library" "$mine" '<ouro/ouro.h>'
    must_compile "$library" "$mine" "<ouro/$library.h>"
    for header in "$source"/uring/*.h "$source"/core/*/*.h "$source"/adapters/file/*/*.h \
        "$source"/adapters/dns/*.h "$source"/adapters/socket/*/*.h; do
        must_not_compile "$library" "$mine" "\"${header##*/}\""
    done
done

# System headers are found from everywhere, so what core may not have of them is looked for:
# liburing, and of uring/ anything but the driver seam, the kernel's numbers, and the way to spin,
# which threads of pools do like rings.
must_not_say() { # HEADER
    cd "$source"
    said=$(find core adapters -name '*.[chS]' -exec \
        grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$1" {} + 2>/dev/null || :)
    if [ -n "$said" ]; then
        echo "core and adapters know uring/ by driver.h, spin.h and uapi.h alone: $said" >&2
        exit 1
    fi
}

must_not_say liburing
for header in "$source"/uring/*.h; do
    case ${header##*/} in
    driver.h | spin.h | uapi.h) ;;
    *) must_not_say "${header##*/}" ;;
    esac
done
