# SPDX-License-Identifier: MIT
"""What many asyncio tasks cost: to start and gather ("spawn", nanoseconds each), asleep ("sleep",
resident bytes each). The second argument is how many, the third the loop: asyncio or uvloop."""
import asyncio
import sys
import time


def resident_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


async def one():
    return 1


async def spawn(n):
    start = time.perf_counter_ns()
    got = await asyncio.gather(*[asyncio.create_task(one()) for _ in range(n)])
    assert sum(got) == n
    return (time.perf_counter_ns() - start) / n


async def sleep(n):
    before = resident_bytes()
    tasks = [asyncio.create_task(asyncio.sleep(100000)) for _ in range(n)]
    await asyncio.sleep(0.01)
    grown = resident_bytes() - before
    for task in tasks:
        task.cancel()
    return grown / n


what, count, loop = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if loop == "uvloop":
    try:
        import uvloop
    except ImportError:
        sys.exit(77)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
print(asyncio.run(spawn(count) if what == "spawn" else sleep(count)))
