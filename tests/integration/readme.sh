#!/bin/sh
# SPDX-License-Identifier: MIT
# The programs of README.md do what it says there: readme.sh README PREFIX BUILD
# PREFIX has a static ouro. The first has three tasks that sleep for two seconds at once; the second
# and the third, which needs ouro_http, are servers, here at a port that the kernel chooses, which run
# until they are interrupted.
set -eu

readme=$1
build=$3
PKG_CONFIG_PATH=$2/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH

program() { # NUMBER NAME LIBRARY
    awk -v number="$1" '
        /^```c$/ { count++; inside = 1; next }
        /^```$/ { inside = 0 }
        inside && count == number' "$readme" | sed 's/":[78]000"/"127.0.0.1:0"/' >"$build/$2.c"
    # What pkg-config says is words.
    # shellcheck disable=SC2046
    "$CC" -std=c11 -Wall -Wextra -Wpedantic -Werror -o "$build/$2" "$build/$2.c" $(pkg-config --static --cflags --libs "$3")
}

rm -rf "$build"
mkdir -p "$build"
program 1 gather ouro
program 2 server ouro
[ "$WITH_HTTP" = OFF ] || program 3 web ouro_http

start=$(date +%s)
"$build/gather"
seconds=$(($(date +%s) - start))
echo "took $seconds s"
[ "$seconds" -ge 1 ] && [ "$seconds" -le 4 ]

for server in server web; do
    [ -x "$build/$server" ] || continue
    status=0
    timeout -s INT 1 "$build/$server" || status=$?
    echo "the $server ended with $status; 124: by the signal"
    [ "$status" -eq 124 ]
done
