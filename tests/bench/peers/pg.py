# SPDX-License-Identifier: MIT
"""Queries of asyncpg on uvloop, through its pool: nanoseconds for each, by the clock or of the
client's processor time.

Arguments: the connections, clock or cpu, and how to connect, as libpq reads it.
"""

import asyncio
import sys
import time

try:
    import asyncpg
    import uvloop
except ImportError:
    sys.exit(77)

QUERIES = 6000


async def ask(pool, queries):
    for i in range(queries):
        await pool.fetchval("SELECT $1::int4", i)


async def ask_all(pool, tasks, queries):
    await asyncio.gather(*(ask(pool, queries // tasks) for _ in range(tasks)))


async def main():
    tasks = int(sys.argv[1])
    clock = time.monotonic_ns if sys.argv[2] == "clock" else time.process_time_ns
    where = dict(word.split("=", 1) for word in sys.argv[3].split())
    where["database"] = where.pop("dbname")
    pool = await asyncpg.create_pool(min_size=tasks, max_size=tasks, ssl=False, **where)
    await ask_all(pool, tasks, 20 * tasks)
    start = clock()
    await ask_all(pool, tasks, QUERIES)
    print((clock() - start) / QUERIES)
    await pool.close()


uvloop.install()
asyncio.run(main())
