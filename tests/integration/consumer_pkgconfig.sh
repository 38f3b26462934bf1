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

warnings='-Wall -Wextra -Wpedantic -Werror'
rm -rf "$build"
mkdir -p "$build"
# What pkg-config says is words.
# shellcheck disable=SC2086
"$CC" -std=c99 $warnings -o "$build/consumer_c" "$here/consumer/consumer.c" $flags
# shellcheck disable=SC2086
"$CXX" -std=c++17 $warnings -o "$build/consumer_cxx" "$here/consumer/consumer.cpp" $flags
programs='consumer_c consumer_cxx'
for adapter in pg http; do
    wanted=$WITH_PG
    [ "$adapter" = pg ] || wanted=$WITH_HTTP
    [ "$wanted" = ON ] || continue
    flags=$(pkg-config $static --cflags --libs "ouro_$adapter >= 0.1")
    echo "for ouro_$adapter: $flags"
    # shellcheck disable=SC2086
    "$CC" -std=c99 $warnings -o "$build/consumer_$adapter" "$here/consumer/consumer_$adapter.c" $flags
    programs="$programs consumer_$adapter"
done
for program in $programs; do
    check_linkage "$kind" "$build/$program"
    LD_LIBRARY_PATH=$prefix/lib "$build/$program"
done
