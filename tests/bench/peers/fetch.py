# SPDX-License-Identifier: MIT
"""GETs through aiohttp's client or httpx's AsyncClient, connections kept, on uvloop: nanoseconds
each, by the clock or of processor time.

    fetch.py aiohttp|httpx URL IN-FLIGHT REQUESTS clock|cpu
"""

import asyncio
import sys
import time

try:
    import uvloop

    if sys.argv[1] == "aiohttp":
        import aiohttp
    else:
        import httpx
except ImportError:
    sys.exit(77)

which, url, flight, requests = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
clock = time.process_time_ns if sys.argv[5] == "cpu" else time.monotonic_ns


async def get_aiohttp(client):
    async with client.get(url) as response:
        return response.status, await response.read()


async def get_httpx(client):
    response = await client.get(url)
    return response.status_code, response.content


def make_client():
    if which == "aiohttp":
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=flight))
    limits = httpx.Limits(max_connections=flight, max_keepalive_connections=flight)
    return httpx.AsyncClient(limits=limits, trust_env=False)


async def get_all(client, n):
    get = get_aiohttp if which == "aiohttp" else get_httpx
    left = iter(range(n))

    async def some():
        for _ in left:
            assert await get(client) == (200, b"hello\n")

    await asyncio.gather(*(some() for _ in range(flight)))


async def main():
    async with make_client() as client:
        await get_all(client, flight)
        start = clock()
        await get_all(client, requests)
        print((clock() - start) / requests)


uvloop.install()
asyncio.run(main())
