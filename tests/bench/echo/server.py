# SPDX-License-Identifier: MIT
"""An echo server on asyncio, with its own loop or with uvloop: a rival of the echo benchmark.

A protocol, the fast way, rather than streams. The listening socket is descriptor 3.
"""

import asyncio
import socket
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def serve():
    loop = asyncio.get_running_loop()
    listener = socket.socket(fileno=3)
    listener.setblocking(False)
    if listener.family == socket.AF_UNIX:
        server = await loop.create_unix_server(Echo, sock=listener, backlog=4096)
    else:
        server = await loop.create_server(Echo, sock=listener, backlog=4096)
    await server.serve_forever()


if sys.argv[1] == "uvloop":
    try:
        import uvloop
    except ImportError:
        sys.exit(77)
    uvloop.install()
asyncio.run(serve())
