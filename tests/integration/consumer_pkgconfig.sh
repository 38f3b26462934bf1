#!/bin/sh
# SPDX-License-Identifier: MIT
# Build and run programs that find ouro through pkg-config, with the compiler alone:
#   consumer_pkgconfig.sh shared|static PREFIX BUILD
set -eu

here=$(dirname "$0")
kind=$1
prefix=$2
build=$3
# shellcheck source-path=SCRIPTDIR
. "$here/linkage.sh"

PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
static=
[ "$kind" = shared ] || static=--static
flags=$(pkg-config $static --cflags --libs 'ouro >= 0.1')
echo "pkg-config says: $flags"

rm -rf "$build"
mkdir -p "$build"
# What pkg-config says is words.
# shellcheck disable=SC2086
"$CC" -std=c99 -o "$build/consumer_c" "$here/consumer/consumer.c" $flags
# shellcheck disable=SC2086
"$CXX" -std=c++17 -o "$build/consumer_cxx" "$here/consumer/consumer.cpp" $flags
programs='consumer_c consumer_cxx'
if [ "$WITH_PG" = ON ]; then
    flags=$(pkg-config $static --cflags --libs 'ouro_pg >= 0.1')
    echo "for ouro_pg: $flags"
    # shellcheck disable=SC2086
    "$CC" -std=c99 -o "$build/consumer_pg" "$here/consumer/consumer_pg.c" $flags
    programs="$programs consumer_pg"
fi
for program in $programs; do
    check_linkage "$kind" "$build/$program"
    LD_LIBRARY_PATH=$prefix/lib "$build/$program"
done
