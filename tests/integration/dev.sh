#!/bin/sh
# SPDX-License-Identifier: MIT
# What ./dev says on machines that lack what it needs: dev.sh SOURCE WORK
# Its path is a folder that has what every Debian has, and apt-get, which here only says that it ran.
set -eu

source=$1
work=$2

rm -rf "$work"
mkdir -p "$work/bin"
for tool in sh dirname basename id cat sed head mktemp rm sort env; do
    ln -s "$(command -v $tool)" "$work/bin/$tool"
done

# Run it, expect an exit status, and a text.
try() { # STATUS TEXT ARGUMENT...
    wanted=$1
    text=$2
    shift 2
    status=0
    PATH=$work/bin sh "$source/dev" "$@" >"$work/said" 2>&1 || status=$?
    if [ "$status" -ne "$wanted" ] || ! grep -qF -e "$text" "$work/said"; then
        cat "$work/said" >&2
        echo "dev $* ended with $status, expected were $wanted and: $text" >&2
        exit 1
    fi
}

try 0 'usage: ./dev' help
try 2 'no such word: what' what
try 2 'say what to do'
try 1 'no apt-get here' --no-install demo
try 1 'dev: missing: gcc libc6-dev cmake ninja-build pkgconf liburing-dev' demo

printf '#!/bin/sh\necho "apt-get was asked: $*"\nexit 100\n' >"$work/bin/apt-get"
chmod +x "$work/bin/apt-get"
try 1 'that would be: apt-get install --no-install-recommends gcc libc6-dev' --no-install demo
try 1 'libcriterion-dev' --no-install test
try 1 'python3' bench --no-install
try 1 'libuv1-dev golang-go' bench --no-install --peers
if [ "$(id -u)" -eq 0 ]; then
    try 1 'apt-get was asked: update' demo
    try 1 'apt-get update failed' demo
else
    try 1 'no sudo: have someone run apt-get install --no-install-recommends gcc' demo
fi

# A PostgreSQL is only needed by samples, and may be somebody's.
if ! PATH=$work/bin sh "$source/tests/support/postgres.sh" programs >"$work/said" 2>&1; then
    try 1 'curl postgresql' demo
    PGHOST=nowhere
    export PGHOST
    try 1 'curl' demo
    if grep -q postgresql "$work/said"; then
        echo "it wants a PostgreSQL of its own, though PGHOST names one" >&2
        exit 1
    fi
fi
