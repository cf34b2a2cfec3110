"""The fake as an ASGI application: Google's paths, and the control API under /simulator."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from simulator.control import CONTROL_ROOT, control
from simulator.google.answers import Answer, Request
from simulator.google.world import World
from simulator.postman import Postman
from simulator.wire import encode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
LONGEST_HANG = 300.0


class SimulatorApp:
    """Bare ASGI: a poll that finds nothing new must cost next to nothing."""

    def __init__(self, world: World, postman: Postman) -> None:
        self.world = world
        self.postman = postman

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.postman.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.postman.attach(self.world)
        request = await _read_request(scope, receive)
        if request.path.startswith(CONTROL_ROOT):
            answer = control(self.world, request)
        else:
            answer = self.world.handle(request)
            if self.world.push_rules.sync_first and request.path.endswith("/watch"):
                await self.postman.flush()
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.hang:
            await _hang(receive)
        else:
            await _send(answer, request, send)


def create_app(world: World) -> SimulatorApp:
    """The application of a world. Deliveries start with the first request, with or without lifespan events."""
    return SimulatorApp(world, Postman())


async def _read_request(scope: Scope, receive: Receive) -> Request:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
    path = (scope.get("raw_path") or scope["path"].encode()).decode().partition("?")[0]
    return Request(scope["method"], path, query, headers, body)


async def _send(answer: Answer, request: Request, send: Send) -> None:
    body, headers = encode(answer, request.headers)
    if not answer.cut:
        headers["content-length"] = str(len(body))
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    # Leaving with more to come makes the server close the connection, which is what is wanted of a cut.
    await send({"type": "http.response.body", "body": body, "more_body": answer.cut})


async def _hang(receive: Receive) -> None:
    """Say nothing until the client gives up."""
    try:
        async with asyncio.timeout(LONGEST_HANG):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
