# SPDX-License-Identifier: MIT
"""What a figure may depend on: this machine, versions, which rivals are there.

A rival is there if it tells its version. One that does not is named with the Debian package that
brings it.
"""

import os
import platform
import re
import subprocess

PYTHON = "/usr/bin/python3"  # the one whose packages a Debian machine can have


def _module(name):
    return [PYTHON, "-I", "-c", f"import {name}; print({name}.__version__)"]


# What a rival is called, its package, and how to ask for its version.
RIVALS = (
    ("libuv", "libuv1-dev", ["pkg-config", "--modversion", "libuv"]),
    ("Python", "python3", [PYTHON, "--version"]),
    ("uvloop", "python3-uvloop", _module("uvloop")),
    ("asyncpg", "python3-asyncpg", _module("asyncpg")),
    ("aiohttp", "python3-aiohttp", _module("aiohttp")),
    ("FastAPI", "python3-fastapi", _module("fastapi")),
    ("uvicorn", "python3-uvicorn", _module("uvicorn")),
    ("httpx", "python3-httpx", _module("httpx")),
    ("Go", "golang-go", ["go", "version"]),
    ("nginx", "nginx-light", ["/usr/sbin/nginx", "-v"]),
    ("PostgreSQL", "postgresql",
     ["sh", "-c", '"$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)/postgres" -V']),
    ("fio", "fio", ["fio", "--version"]),
    ("wrk", "wrk", ["wrk", "-v"]),
    ("strace", "strace", ["strace", "-V"]),
    ("cp", "coreutils", ["cp", "--version"]),
    ("llhttp", "libllhttp-dev or node-llhttp",
     ["sh", "-c", "dpkg-query -W -f '${Version}' libllhttp-dev 2>&- ||"
                  " dpkg-query -W -f '${Version}' node-llhttp"]),
    ("http_parser", "libhttp-parser-dev",
     ["dpkg-query", "-W", "-f", "${Version}", "libhttp-parser-dev"]),
)

LIBRARIES = (("liburing", "liburing"), ("libpq", "libpq"), ("libcurl", "libcurl"))


def _version(command):
    """The first version number that a command prints, on either output, or None."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 and "wrk" not in command[0]:  # which tells, and fails
        return None
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found.group() if found else None


def _compiler(programs):
    """What the programs themselves say they were compiled by."""
    for name in sorted(os.listdir(programs)):
        if name.startswith("bench_"):
            with open(os.path.join(programs, name), "rb") as program:
                found = re.search(rb"(GCC: \([^)]*\) |clang version )[\d.]+", program.read())
            return found.group().decode().replace("GCC: ", "gcc ") if found else None
    return None


def _field(path, pattern):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.search(pattern, file.read(), re.M)
    except OSError:
        return None
    return found.group(1).strip() if found else None


def _commit(root):
    """The commit that is checked out, with a plus if there is more than that."""
    git = ["git", "-C", root]
    try:
        commit = subprocess.run(git + ["rev-parse", "--short=12", "HEAD"], capture_output=True,
                                text=True, check=True).stdout.strip()
        changed = subprocess.run(git + ["status", "--porcelain", "--untracked-files=no"],
                                 capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changed else "")


def describe(root, programs):
    """The head of a run's document."""
    versions = {name: _version(command) for name, _, command in RIVALS}
    libraries = {name: _version(["pkg-config", "--modversion", module])
                 for name, module in LIBRARIES}
    memory = _field("/proc/meminfo", r"^MemTotal:\s*(\d+)")
    return {
        "commit": _commit(root),
        "machine": {
            "processor": _field("/proc/cpuinfo", r"^model name\s*:\s*(.*)") or platform.machine(),
            "processors": os.cpu_count(),
            "virtual": bool(_field("/proc/cpuinfo", r"^flags\s*:.*\b(hypervisor)\b")),
            "memory": int(memory) * 1024 if memory else None,
            "kernel": platform.release(),
            "system": _field("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
        },
        "versions": {"compiler": _compiler(programs), **libraries,
                     **{name: v for name, v in versions.items() if v}},
        "missing": [{"rival": name, "package": package} for name, package, _ in RIVALS
                    if not versions[name]],
    }


def processor_ticks():
    """Ticks of all processors since the start: those that others took from us, and all."""
    line = _field("/proc/stat", r"^cpu +(.*)")
    ticks = [int(word) for word in line.split()] if line else [0] * 8
    return ticks[7], sum(ticks[:8])
