#!/bin/sh
# SPDX-License-Identifier: MIT
# The first program of README.md does what it says there: readme.sh README PREFIX BUILD
# PREFIX has a static ouro. The three tasks sleep for two seconds at once.
set -eu

readme=$1
build=$3
PKG_CONFIG_PATH=$2/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH

rm -rf "$build"
mkdir -p "$build"
awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$readme" >"$build/program.c"
# What pkg-config says is words.
# shellcheck disable=SC2046
"$CC" -std=c11 -o "$build/program" "$build/program.c" $(pkg-config --static --cflags --libs ouro)

start=$(date +%s)
"$build/program"
seconds=$(($(date +%s) - start))
echo "took $seconds s"
[ "$seconds" -ge 1 ] && [ "$seconds" -le 4 ]
