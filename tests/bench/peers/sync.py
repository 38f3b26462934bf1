# SPDX-License-Identifier: MIT
"""Two asyncio tasks that hand a lock to each other: nanoseconds of processor time for each
time it was taken.

Arguments: the loop, asyncio or uvloop, and mutex or semaphore.
"""

import asyncio
import sys
import time

ROUNDS = 10_000


async def take(lock):
    for _ in range(ROUNDS):
        async with lock:
            await asyncio.sleep(0)


async def main():
    lock = asyncio.Lock() if sys.argv[2] == "mutex" else asyncio.Semaphore(1)
    start = time.process_time_ns()
    await asyncio.gather(take(lock), take(lock))
    print((time.process_time_ns() - start) / (2 * ROUNDS))


if sys.argv[1] == "uvloop":
    try:
        import uvloop
    except ImportError:
        sys.exit(77)
    uvloop.install()
asyncio.run(main())
