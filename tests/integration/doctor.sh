#!/bin/sh
# SPDX-License-Identifier: MIT
# ouro-doctor on machines of many kinds: doctor.sh SOURCE DOCTOR REFUSE PROGRAM WORK
# A kernel that refuses is played by REFUSE, limits are set for real, and what /proc and /sys say is
# read from a folder of ours. PROGRAM is one that runs a loop.
set -eu

source=$1
doctor=$2
refuse=$3
program=$4
work=$5

rm -rf "$work"
mkdir -p "$work"

die() {
    echo "$*" >&2
    exit 1
}

# Run a command, expect an exit status, keep what it says, and its text without line breaks.
try() { # STATUS COMMAND...
    wanted=$1
    shift
    status=0
    "$@" >"$work/said" 2>&1 || status=$?
    tr -s ' \n' ' ' <"$work/said" >"$work/text"
    [ "$status" -eq "$wanted" ] || {
        cat "$work/said" >&2
        die "$* ended with $status, expected was $wanted"
    }
}

says() { # TEXT...
    for text in "$@"; do
        grep -qF -e "$text" "$work/text" || {
            cat "$work/said" >&2
            die "it does not say: $text"
        }
    done
}

says_nothing() {
    [ ! -s "$work/said" ] || die "it should be quiet: $(cat "$work/said")"
}

# A machine with nothing to remark, but for this kernel and the limits of this process.
root=$work/root
fresh_root() {
    rm -rf "$root"
    mkdir -p "$root/proc/self" "$root/proc/1" "$root/proc/sys/kernel" "$root/proc/sys/vm" \
        "$root/proc/sys/net/core" "$root/sys/fs/cgroup/a/b" "$root/run/systemd"
    echo 0 >"$root/proc/sys/kernel/io_uring_disabled"
    echo -1 >"$root/proc/sys/kernel/io_uring_group"
    echo 100000 >"$root/proc/sys/kernel/threads-max"
    echo 65530 >"$root/proc/sys/vm/max_map_count"
    echo 4096 >"$root/proc/sys/net/core/somaxconn"
    printf 'Name:\tx\nSeccomp:\t0\n' >"$root/proc/self/status"
    echo '0::/a/b' >"$root/proc/self/cgroup"
    : >"$root/proc/1/environ"
    echo max >"$root/sys/fs/cgroup/a/b/pids.max"
    echo max >"$root/sys/fs/cgroup/a/b/memory.max"
}

# ---- This machine --------------------------------------------------------------------------------

try 0 "$doctor" --help
says '--json' '0 ouro runs here' '2 ouro cannot run here'
try 3 "$doctor" --what
try 3 "$doctor" what
says "what is 'what'?" usage:
[ ! -w /dev/full ] || try 3 sh -c "'$doctor' >/dev/full"

here=0
"$doctor" --quiet || here=$?
if [ "$here" -gt 1 ]; then
    "$doctor" || :
    die "there is no io_uring here, which the tests need"
fi
try "$here" "$doctor" --quiet
says_nothing
try "$here" "$doctor"
says "release $(uname -r)" 'send_msg_ring' 'descriptors' 'ouro runs here'
echo "this machine: $here"

# Every operation of the library is one that the doctor knows to be used, and the other way round.
grep -rhoE --include='*.[ch]' '^.*IORING_OP_[A-Z0-9_]+' "$source/core" "$source/adapters" |
    grep -v '^ *case ' | grep -oE 'IORING_OP_[A-Z0-9_]+' | sort -u >"$work/used"
sed -n '/^const unsigned char ouro__used_ops/,/^}/p' "$source/uring/probe.c" |
    grep -oE 'IORING_OP_[A-Z0-9_]+' | sort -u >"$work/known"
diff -u "$work/used" "$work/known"

# ---- Kernels that refuse -------------------------------------------------------------------------

try 2 "$refuse" eperm "$doctor"
says 'seccomp a filter' 'refused' 'Operation not permitted' 'io_uring_setup' \
    'ouro cannot run here'
try 2 "$refuse" enosys "$doctor"
says 'seccomp' 'Function not implemented' 'ouro cannot run here'
try 2 "$refuse" eperm "$doctor" --quiet
says_nothing
try 2 "$refuse" eperm "$doctor" --json
says '"status":2' '"error":-1' 'io_uring_setup'

fresh_root
echo 2 >"$root/proc/sys/kernel/io_uring_disabled"
try 2 "$refuse" eperm "$doctor" --sysroot "$root"
says '2, io_uring is for nobody' 'sysctl -w kernel.io_uring_disabled=0'
echo 1 >"$root/proc/sys/kernel/io_uring_disabled"
try 2 "$refuse" eperm "$doctor" --sysroot "$root"
says 'io_uring_group is none' 'sysctl -w kernel.io_uring_group=GID'
echo 4711 >"$root/proc/sys/kernel/io_uring_group"
try 2 "$refuse" eperm "$doctor" --sysroot "$root"
says 'group 4711' 'which is 4711. Join that group'
try "$here" "$doctor" --sysroot "$root"
says 'kernel.io_uring_disabled is 1. It works for you'

fresh_root
try 2 "$refuse" eperm "$doctor" --sysroot "$root"
says 'SELinux'
printf 'Name:\tx\nSeccomp:\t2\n' >"$root/proc/self/status"
: >"$root/.dockerenv"
try 2 "$refuse" eperm "$doctor" --sysroot "$root"
says 'container docker' 'docker run --security-opt seccomp=unconfined'

# What an older kernel does not have: it works, with less.
try 1 "$refuse" messages "$doctor" --sysroot "$root"
says 'send_msg_ring no' 'woken by an eventfd' '! No send_msg_ring' 'with less than it could use'
try 1 "$refuse" guards "$doctor" --sysroot "$root"
says 'about 32765 tasks' 'sysctl -w vm.max_map_count=1048576'

# A program that can have no loop says why, and whom to ask.
try 1 "$refuse" eperm "$program"
says 'ouro: ' 'refused' 'seccomp' 'ouro-doctor'

# ---- Limits --------------------------------------------------------------------------------------

limited() { # LIMIT STATUS
    try "$2" prlimit "$1" "$doctor" --sysroot "$root"
}

fresh_root
if command -v prlimit >/dev/null; then
    limited --nofile=64:64 1
    says '64 descriptors are few' 'LimitNOFILE=65536' 'hard limit'
    limited --nofile=1024:4096 "$here"
    says '1024 descriptors are few' 'ulimit -n 4096'
    limited --memlock=921600:921600 "$here"
    says '900 KiB of locked memory' 'LimitMEMLOCK=64M'
    limited --nproc=100:100 1
    says 'ulimit -u 1024'
fi

# Of control groups the least counts; the other version has files of other names.
echo 50 >"$root/sys/fs/cgroup/a/pids.max"
echo 1073741824 >"$root/sys/fs/cgroup/a/b/memory.max"
try 1 "$doctor" --sysroot "$root"
says '50 of the control group' '--pids-limit 1024' '1024 MiB of the control group'
mkdir -p "$root/sys/fs/cgroup/memory/c" "$root/sys/fs/cgroup/pids"
printf '2:pids:/d\n1:memory:/c\n0::/\n' >"$root/proc/self/cgroup"
echo 33554432 >"$root/sys/fs/cgroup/memory/c/memory.limit_in_bytes"
echo 60 >"$root/sys/fs/cgroup/pids/pids.max"
try 1 "$doctor" --sysroot "$root"
says '60 of the control group' '32 MiB of the control group'

fresh_root
echo 128 >"$root/proc/sys/net/core/somaxconn"
echo 500 >"$root/proc/sys/kernel/threads-max"
try 1 "$doctor" --sysroot "$root"
says 'sysctl -w net.core.somaxconn=4096' 'sysctl -w kernel.threads-max=32768'

# ---- Containers ----------------------------------------------------------------------------------

fresh_root
printf 'PATH=/bin\0container=lxc\0' >"$root/proc/1/environ"
try "$here" "$doctor" --sysroot "$root"
says 'container lxc'
echo 'systemd-nspawn' >"$root/run/systemd/container"
try "$here" "$doctor" --sysroot "$root"
says 'container systemd-nspawn'
: >"$root/run/.containerenv"
try "$here" "$doctor" --sysroot "$root"
says 'container podman'

# Where there is no /proc, it still says what it can.
try "$here" "$doctor" --sysroot /nowhere
says 'seccomp unknown' 'memory maps unknown' 'ouro runs here'

# ---- For scripts ---------------------------------------------------------------------------------

try "$here" "$doctor" --json
says "\"status\":$here" '"features":{' '"send_msg_ring":' '"limits":{' '"advice":['
[ "$(wc -l <"$work/said")" -eq 1 ]
if command -v python3 >/dev/null; then
    printf 'strange"\\\n' >"$root/run/systemd/container"
    rm "$root/run/.containerenv"
    for arguments in "$doctor" "$refuse guards $doctor" "$refuse eperm $doctor"; do
        # The arguments are words.
        # shellcheck disable=SC2086
        $arguments --json --sysroot "$root" >"$work/json" || [ $? -le 2 ]
        python3 - "$work/json" <<'END'
import json, sys
found = json.load(open(sys.argv[1]))
assert found["container"] == 'strange"\\', found["container"]
assert found["limits"]["listen_queue"] == 4096
assert (found["status"] == 2) == ("ring" not in found)
END
    done
fi
