#!/bin/sh
# SPDX-License-Identifier: MIT
# What postgres.sh promises of its servers' ends: postgres.sh SCRIPT
set -eu

script=$1
work=$(mktemp -d)
dir=$work/server
owner=
finish() {
    sh "$script" stop "$dir" || :
    [ -z "$owner" ] || kill "$owner" 2>/dev/null || :
    rm -rf "$work"
}
trap finish EXIT

fail() {
    echo "$*" >&2
    exit 1
}

start() { # ARGUMENT...
    status=0
    sh "$script" start "$dir" "$@" || status=$?
    [ "$status" -eq 0 ] || exit "$status"
    read -r home <"$dir/home"
}

pid_of() { # HOME
    read -r number <"$1/data/postmaster.pid"
    echo "$number"
}

# Wait for a command to fail, for five seconds at most.
until_not() { # COMMAND...
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        "$@" 2>/dev/null || return 0
        sleep 0.5
    done
    fail "after five seconds, still: $*"
}

# A process that is no more, or is one only until somebody asks how it ended.
lives() { # PID
    [ -n "$(tr -d '\0' <"/proc/$1/cmdline")" ]
}

echo "-- in good order"
start
server=$(pid_of "$home")
lives "$server" || fail "it does not run"
sh "$script" stop "$dir"
! lives "$server" 2>/dev/null || fail "it still runs"
for left in "$dir" "$home"; do
    [ ! -e "$left" ] || fail "$left is left"
done

echo "-- after its owner"
sleep 60 &
owner=$!
start --owner "$owner"
server=$(pid_of "$home")
kill "$owner"
until_not lives "$server"
until_not [ -e "$home" ]
[ ! -e "$dir" ] || fail "files are left"

echo "-- after its time"
start
sh "$script" watch "$dir" '' 1 # what start leaves behind, with less time
for left in "$dir" "$home"; do
    [ ! -e "$left" ] || fail "$left is left"
done

echo "-- by a crash; the next takes the folder over"
start
kill -KILL "$(pid_of "$home")"
crashed=$home
start --like="$dir"
[ ! -e "$crashed" ] || fail "files are left of the crashed one"
lives "$(pid_of "$home")" || fail "it does not run"

echo "-- by a crash, and another process has its number"
sh "$script" halt "$dir"
sleep 60 &
owner=$!
echo "$owner" >"$home/data/postmaster.pid"
sh "$script" restart "$dir"
echo "$owner" >"$home/data/postmaster.pid"
sh "$script" stop "$dir"
lives "$owner" || fail "an innocent process was killed"
