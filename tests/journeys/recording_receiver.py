"""A receiver of webhooks that writes down what came, under which id, and what came again."""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

import msgspec
import uvicorn

from simulator.server import EmbeddedServer

Arrival = tuple[str, str]
"""The path of an endpoint and a `webhook-id`."""


class Receiver:
    """Takes webhooks on any path, each path an endpoint; answers after up to `pause` seconds.

    `bodies` has the first of each id, `repeated` how often each came again, `altered` those that came again with other bytes.
    """

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.bodies: dict[Arrival, bytes] = {}
        self.repeated: Counter[Arrival] = Counter()
        self.altered: list[Arrival] = []
        self.arrivals = 0
        self.last_at = monotonic()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return  # the sender died halfway: nothing was received
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self._take((scope["path"], headers["webhook-id"]), body)
        if self.pause:
            await asyncio.sleep(random.random() * self.pause)
        with suppress(OSError):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    def _take(self, arrival: Arrival, body: bytes) -> None:
        self.arrivals += 1
        self.last_at = monotonic()
        known = self.bodies.setdefault(arrival, body)
        if known is not body:
            self.repeated[arrival] += 1
            if known != body:
                self.altered.append(arrival)

    async def until_quiet(self, seconds: float) -> None:
        """Wait until nothing has come for so long, from now on."""
        began = monotonic()
        while (left := max(began, self.last_at) + seconds - monotonic()) > 0:
            await asyncio.sleep(left)

    def told(self, prefix: str, path: str = "/hook") -> list[dict[str, Any]]:
        """The data of every message whose type begins so, once each."""
        messages = (msgspec.json.decode(body) for (where, _), body in self.bodies.items() if where == path)
        return [each["data"] for each in messages if each["type"].startswith(prefix)]


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """An ASGI application on a free loopback port; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = uvicorn.Config(app, log_config=None, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = EmbeddedServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
