# SPDX-License-Identifier: MIT
"""asyncpg on uvloop: nanoseconds for a query through its pool, or for a row of a large result, by
the clock or of the client's processor time.

Arguments: the connections, or rows; clock or cpu; and how to connect, as libpq reads it.
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
ROWS = 300_000
ROW_QUERY = f"SELECT i, 'name ' || i, i * 0.5::float8 FROM generate_series(1, {ROWS}) i"


async def ask(pool, queries):
    for i in range(queries):
        await pool.fetchval("SELECT $1::int4", i)


async def ask_all(pool, tasks, queries):
    await asyncio.gather(*(ask(pool, queries // tasks) for _ in range(tasks)))


async def take_rows(clock, where):
    connection = await asyncpg.connect(ssl=False, **where)
    start = clock()
    async with connection.transaction():
        async for row in connection.cursor(ROW_QUERY, prefetch=256):
            row[0]
    print((clock() - start) / ROWS)
    await connection.close()


async def main():
    clock = time.monotonic_ns if sys.argv[2] == "clock" else time.process_time_ns
    where = dict(word.split("=", 1) for word in sys.argv[3].split())
    where["database"] = where.pop("dbname")
    if sys.argv[1] == "rows":
        await take_rows(clock, where)
        return
    tasks = int(sys.argv[1])
    pool = await asyncpg.create_pool(min_size=tasks, max_size=tasks, ssl=False, **where)
    await ask_all(pool, tasks, 20 * tasks)
    start = clock()
    await ask_all(pool, tasks, QUERIES)
    print((clock() - start) / QUERIES)
    await pool.close()


uvloop.install()
asyncio.run(main())
