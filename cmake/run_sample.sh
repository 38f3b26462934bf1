#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a sample as a test: run_sample.sh PROGRAM STEM
# STEM.args has its arguments, if it is there, STEM.expected what it must print, exactly.
set -eu

program=$1
stem=$2

set --
if [ -f "$stem.args" ]; then
    # Words are split on purpose, patterns are not expanded.
    set -f
    # shellcheck disable=SC2046
    set -- $(cat "$stem.args")
fi

output=$(mktemp)
trap 'rm -f "$output"' EXIT

status=0
"$program" "$@" >"$output" || status=$?
cat "$output"
[ "$status" -eq 0 ] || exit "$status"

if [ -f "$stem.expected" ]; then
    diff -u "$stem.expected" "$output" >&2 || {
        echo "${program##*/} printed something else than ${stem##*/}.expected" >&2
        exit 1
    }
fi
