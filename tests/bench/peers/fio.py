# SPDX-License-Identifier: MIT
# Random reads of 4 KiB by fio's io_uring engine: fio.py DEPTH DIRECT. The file and the
# milliseconds are in BENCH_FILE and BENCH_MS. Prints microseconds a read.
import json
import os
import shutil
import subprocess
import sys

if not shutil.which("fio"):
    sys.exit(77)
depth, direct = sys.argv[1], sys.argv[2]
out = subprocess.run(
    ["fio", "--name=read", "--filename=" + os.environ["BENCH_FILE"], "--rw=randread", "--bs=4k",
     "--ioengine=io_uring", "--iodepth=" + depth, "--direct=" + direct, "--invalidate=0",
     "--norandommap", "--time_based", "--runtime=" + os.environ["BENCH_MS"] + "ms",
     "--gtod_reduce=1", "--thread", "--output-format=json"],
    check=True, capture_output=True, text=True).stdout
print(1e6 / json.loads(out[out.index("{"):])["jobs"][0]["read"]["iops"])
