#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs the benchmark programs one after the other: tables on stdout, progress on stderr, and a
# JSON object a line in build/bench.json. A figure that misses its budget is shown and is no
# failure; a program that breaks off is.
#
# usage: tests/bench/run.sh [JSON-FILE] [OPTION...]      options go to every program: --rounds 25
#
# The programs are looked for in $OURO_BENCH_DIR, else where the `bench` preset builds them.

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
programs=${OURO_BENCH_DIR:-$root/build/bench/bench}
json=$root/build/bench.json
case ${1:-} in
'' | -*) ;;
*)
    json=$1
    shift
    ;;
esac

say() {
    printf 'bench: %s\n' "$*" >&2
}

# Every thing that a figure may depend on, above the tables.
describe_machine() {
    printf 'ouro benchmarks: Linux %s, %s processors, %s\n' "$(uname -r)" "$(nproc)" \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    printf 'Medians; lower is better; ratio = ouro / rival, median of the rounds'\'' own ratios.\n'
}

if [ ! -d "$programs" ]; then
    say "no programs in $programs: cmake --preset bench && cmake --build --preset bench"
    exit 2
fi

all='switch task future timer nop post spin memory many sync queue offload cross count echo pg http_parser fetch http aggregate'
case " $* " in
*' --list '* | *' --help '*)
    for program in $all; do
        "$programs/bench_$program" "$@"
    done
    exit
    ;;
esac

mkdir -p "$(dirname -- "$json")"
: >"$json"
describe_machine
failed=''
for program in $all; do
    say "$program"
    "$programs/bench_$program" --json "$json" "$@" || failed="$failed $program"
done

missing=$(sed -n 's/.*"missing":"\([^"]*\)".*/\1/p' "$json" | sort -u | tr '\n' ' ')
if [ -n "$missing" ]; then
    say "rivals were left out, for want of the package: $missing"
fi
misses=$(sed -n 's/^{"case":"\([^"]*\)".*"verdict":"MISS".*/\1/p' "$json" | tr '\n' ' ')
say "wrote $json"
if [ -n "$misses" ]; then
    say "over budget: $misses"
fi
if [ -n "$failed" ]; then
    say "broke off:$failed"
    exit 1
fi
