#!/bin/sh
# SPDX-License-Identifier: MIT
# Configure, build and run programs that find ouro through CMake:
#   consumer_cmake.sh shared|static PREFIX BUILD             find_package(ouro)
#   consumer_cmake.sh shared|static PREFIX BUILD component   find_package(ouro COMPONENTS KIND)
#   consumer_cmake.sh shared|static SOURCE BUILD subdirectory
#   consumer_cmake.sh static PREFIX BUILD bare               an ouro alone
set -eu

here=$(dirname "$0")
kind=$1
build=$3
# shellcheck source-path=SCRIPTDIR
. "$here/linkage.sh"

rm -rf "$build"
pg=$WITH_PG
http=$WITH_HTTP
case ${4-} in
'') set -- "-DCMAKE_PREFIX_PATH=$2" ;;
component) set -- "-DCMAKE_PREFIX_PATH=$2" "-DKIND=$kind" ;;
subdirectory) set -- "-DOURO_SOURCE=$2" ;;
bare)
    for adapter in pg http; do
        pg=OFF
        http=OFF
        eval "$adapter=ON"
        said=$("$CMAKE" -S "$here/consumer" -B "$build" "-DCMAKE_PREFIX_PATH=$2" \
            "-DPG=$pg" "-DHTTP=$http" 2>&1) && {
            echo "an ouro_$adapter was found where there is none: $said" >&2
            exit 1
        }
        echo "$said" | tr -s ' \n' ' ' | grep -q "was installed without ouro_$adapter" || {
            echo "ouro_$adapter is missing, but something else was said: $said" >&2
            exit 1
        }
    done
    pg=OFF
    http=OFF
    set -- "-DCMAKE_PREFIX_PATH=$2"
    ;;
esac
"$CMAKE" -S "$here/consumer" -B "$build" "-DPG=$pg" "-DHTTP=$http" "$@"
"$CMAKE" --build "$build"
programs='consumer_c consumer_cxx'
[ "$pg" = OFF ] || programs="$programs consumer_pg"
[ "$http" = OFF ] || programs="$programs consumer_http"
for program in $programs; do
    check_linkage "$kind" "$build/$program"
    "$build/$program"
done
