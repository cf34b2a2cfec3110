"""The end of listening: who has connected is answered, however late the server comes to let them in."""

import asyncio
import socket

import pytest
import uvicorn

from service.commands.listening import LOOPBACK, Server, bound

pytestmark = pytest.mark.anyio
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
CALLERS = 5


async def hello(_scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_those_who_were_not_let_in_yet_are_answered_at_the_end():
    config = uvicorn.Config(hello, loop="none", lifespan="off", ws="none", log_config=None, access_log=False)
    with bound(LOOPBACK, 0) as listener:
        config.load()
        server = Server(config, lambda: None)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        callers = [socket.create_connection(listener.getsockname(), timeout=5) for _ in range(CALLERS)]
        for caller in callers:  # nothing has been awaited: they stand in the kernel's queue
            caller.sendall(REQUEST)
        await server.shutdown(sockets=[listener])
        for caller in callers:
            with caller:
                answer = await asyncio.to_thread(caller.makefile("rb").read)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"hello")
