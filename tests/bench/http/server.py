# SPDX-License-Identifier: MIT
"""The HTTP benchmarks' servers in Python, one process on uvloop: rivals. The listening socket is
descriptor 3.

    server.py aiohttp hello
    server.py fastapi hello
    server.py fastapi aggregate URL URL
"""

import asyncio
import socket
import sys

import uvloop


def listener():
    s = socket.socket(fileno=3)
    s.setblocking(False)
    return s


async def serve_aiohttp():
    from aiohttp import web

    async def hello(request):
        return web.Response(text="hello world\n")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener(), backlog=4096).start()
    await asyncio.Event().wait()


def make_fastapi(urls):
    import fastapi
    import httpx
    from fastapi.responses import PlainTextResponse

    app = fastapi.FastAPI()
    limits = httpx.Limits(max_connections=2000, max_keepalive_connections=2000)
    client = httpx.AsyncClient(limits=limits, timeout=2.0) if urls else None

    @app.get("/", response_class=PlainTextResponse)
    async def hello():
        return "hello world\n"

    async def ask(url):
        response = await client.get(url)
        response.raise_for_status()
        return response.json()

    @app.get("/aggregate/{id}")
    async def aggregate(id: str):
        users, posts = await asyncio.gather(*(ask(f"{url}/{id}") for url in urls))
        return {"users": users, "posts": posts}

    return app


def serve_fastapi(urls):
    import uvicorn

    # httptools, if it is there, as uvicorn chooses by itself
    config = uvicorn.Config(
        make_fastapi(urls), loop="uvloop", access_log=False, log_level="warning", backlog=4096
    )
    server = uvicorn.Server(config)
    asyncio.run(server.serve(sockets=[listener()]))


uvloop.install()
if sys.argv[1] == "aiohttp":
    asyncio.run(serve_aiohttp())
else:
    serve_fastapi(sys.argv[3:])
