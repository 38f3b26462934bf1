#!/bin/sh
# SPDX-License-Identifier: MIT
# The program of README.md builds by what it says there, and serves until it is interrupted:
# readme.sh README PREFIX BUILD
# PREFIX has a static ouro. The port is one that the kernel chooses.
set -eu

readme=$1
build=$3
PKG_CONFIG_PATH=$2/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH

rm -rf "$build"
mkdir -p "$build"
awk '
    /^```c$/ { count++; inside = 1; next }
    /^```$/ { inside = 0 }
    inside { print }
    END { exit count != 1 }' "$readme" | sed 's/":7000"/"127.0.0.1:0"/' >"$build/server.c"
# What pkg-config says is words.
# shellcheck disable=SC2046
"$CC" -std=c11 -Wall -Wextra -Wpedantic -Werror -o "$build/server" "$build/server.c" \
    $(pkg-config --static --cflags --libs ouro)

status=0
timeout -s INT 1 "$build/server" || status=$?
echo "the server ended with $status; 124: by the signal"
[ "$status" -eq 124 ]
