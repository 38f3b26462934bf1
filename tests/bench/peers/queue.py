# SPDX-License-Identifier: MIT
"""Items from one task to another through an asyncio.Queue: nanoseconds of processor time an item.

Arguments: the loop, asyncio or uvloop, and the queue's capacity.
"""

import asyncio
import sys
import time

ITEMS = 100_000


async def produce(queue):
    for i in range(ITEMS):
        await queue.put(i)


async def main():
    queue = asyncio.Queue(int(sys.argv[2]))
    start = time.process_time_ns()
    producer = asyncio.create_task(produce(queue))
    for _ in range(ITEMS):
        await queue.get()
    await producer
    print((time.process_time_ns() - start) / ITEMS)


if sys.argv[1] == "uvloop":
    try:
        import uvloop
    except ImportError:
        sys.exit(77)
    uvloop.install()
asyncio.run(main())
