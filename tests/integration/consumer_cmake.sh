#!/bin/sh
# SPDX-License-Identifier: MIT
# Configure, build and run programs that find ouro through CMake:
#   consumer_cmake.sh shared|static PREFIX BUILD             find_package(ouro)
#   consumer_cmake.sh shared|static PREFIX BUILD component   find_package(ouro COMPONENTS KIND)
#   consumer_cmake.sh shared|static SOURCE BUILD subdirectory
#   consumer_cmake.sh static PREFIX BUILD bare               an ouro without ouro_pg
set -eu

here=$(dirname "$0")
kind=$1
build=$3
# shellcheck source-path=SCRIPTDIR
. "$here/linkage.sh"

rm -rf "$build"
pg=$WITH_PG
case ${4-} in
'') set -- "-DCMAKE_PREFIX_PATH=$2" ;;
component) set -- "-DCMAKE_PREFIX_PATH=$2" "-DKIND=$kind" ;;
subdirectory) set -- "-DOURO_SOURCE=$2" ;;
bare)
    said=$("$CMAKE" -S "$here/consumer" -B "$build" "-DCMAKE_PREFIX_PATH=$2" 2>&1) && {
        echo "an ouro_pg was found where there is none: $said" >&2
        exit 1
    }
    echo "$said" | tr -s ' \n' ' ' | grep -q 'was installed without ouro_pg' || {
        echo "ouro_pg is missing, but something else was said: $said" >&2
        exit 1
    }
    pg=OFF
    set -- "-DCMAKE_PREFIX_PATH=$2"
    ;;
esac
"$CMAKE" -S "$here/consumer" -B "$build" "-DPG=$pg" "$@"
"$CMAKE" --build "$build"
programs='consumer_c consumer_cxx'
[ "$pg" = OFF ] || programs="$programs consumer_pg"
for program in $programs; do
    check_linkage "$kind" "$build/$program"
    "$build/$program"
done
