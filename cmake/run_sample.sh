#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a sample as a test: run_sample.sh PROGRAM STEM
# STEM.args has its arguments, if it is there, STEM.expected what it must print, exactly.
# A sample that needs PostgreSQL (OURO_TEST_PG is set) gets the server of the test run by the
# standard variables, PGHOST and so on; without a server it is skipped.
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

if [ -n "${OURO_TEST_PG-}" ]; then
    environment=${OURO_TEST_PG%/*}/environment
    if [ ! -f "$environment" ]; then
        echo "skipped: there is no PostgreSQL, or pg.start has failed: no $environment" >&2
        exit 77
    fi
    set -a
    # shellcheck source=/dev/null
    . "$environment"
    set +a
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
