#!/bin/sh
# SPDX-License-Identifier: MIT
# Configure, build and run programs that find ouro through CMake:
#   consumer_cmake.sh shared|static PREFIX BUILD             find_package(ouro)
#   consumer_cmake.sh shared|static PREFIX BUILD component   find_package(ouro COMPONENTS KIND)
#   consumer_cmake.sh shared|static SOURCE BUILD subdirectory
set -eu

here=$(dirname "$0")
kind=$1
build=$3
# shellcheck source-path=SCRIPTDIR
. "$here/linkage.sh"

rm -rf "$build"
case ${4-} in
'') set -- "-DCMAKE_PREFIX_PATH=$2" ;;
component) set -- "-DCMAKE_PREFIX_PATH=$2" "-DKIND=$kind" ;;
subdirectory) set -- "-DOURO_SOURCE=$2" ;;
esac
"$CMAKE" -S "$here/consumer" -B "$build" "$@"
"$CMAKE" --build "$build"
for program in consumer_c consumer_cxx; do
    check_linkage "$kind" "$build/$program"
    "$build/$program"
done
