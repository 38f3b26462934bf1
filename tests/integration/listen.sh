#!/bin/sh
# SPDX-License-Identifier: MIT
# A sample that cannot listen says where and why, in one line, and ends with 1: listen.sh SAMPLES
# The folder has the programs. One of them takes a port of the kernel's choice, at which the others
# are started, as at places that are none.
set -eu

samples=$1
work=$(mktemp -d)
pid=
clean() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || :
    rm -rf "$work"
}
trap clean EXIT

fail() {
    echo "$*" >&2
    exit 1
}

# refused WHERE WHY SAMPLE ARGUMENT...
refused() {
    where=$1 why=$2 name=$3
    shift 3
    status=0
    timeout 20 "$samples/$name" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    [ "$status" -eq 1 ] || fail "$name $*: ends with $status: $(cat "$work/err")"
    [ ! -s "$work/out" ] || fail "$name $*: says $(cat "$work/out")"
    [ "$(cat "$work/err")" = "cannot listen at $where: $why" ] ||
        fail "$name $*: complains: $(cat "$work/err")"
}

"$samples/delay_api" --at 127.0.0.1:0 >"$work/place" 2>&1 &
pid=$!
tries=0
until place=$(sed -n 's/^listening at //p' "$work/place") && [ -n "$place" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail "delay_api does not listen: $(cat "$work/place")"
    sleep 0.1
done
port=${place##*:}

# all WHERE-IF-A-PORT WHERE WHY PORT PLACE
all() {
    refused "$1" "$3" static_server --port "$4"
    refused "$1" "$3" static_server --port "$4" --workers 2
    refused "$1" "$3" sse_clock --port "$4"
    refused "$2" "$3" delay_api --at "$5"
    refused "$2" "$3" aggregate_server "$5" http://localhost:1/users http://localhost:1/posts
    [ ! -x "$samples/users_api" ] || refused "$2" "$3" users_api "$5"
}

taken='Address already in use'
all ":$port" "$place" "$taken" "$port" "$place"
all :80x localhost 'Invalid argument' 80x localhost
kill "$pid"
pid=
