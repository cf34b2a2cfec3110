"""How an answer leaves the fake: compression as Google does it, and an httpx transport without a network."""

import gzip
from typing import Protocol
from urllib.parse import parse_qs

import anyio
import httpx

from simulator.google.answers import Answer, Request


class Handler(Protocol):
    """Whatever answers requests: a `World`."""

    def handle(self, request: Request) -> Answer: ...


def encode(answer: Answer, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """Body and headers to send. Google compresses only for a User-Agent that says gzip, too."""
    sent = {"content-type": answer.content_type, **{name.lower(): value for name, value in answer.headers.items()}}
    body = answer.body
    if "gzip" in headers.get("accept-encoding", "") and "gzip" in headers.get("user-agent", "") and body:
        body = gzip.compress(body, compresslevel=1, mtime=0)
        sent["content-encoding"] = "gzip"
    return body, sent


class WorldTransport(httpx.AsyncBaseTransport):
    """Carries httpx requests straight into a world, with its delays, hangs and broken connections."""

    def __init__(self, world: Handler) -> None:
        self._world = world

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.url.raw_path.decode().partition("?")[0]
        query = parse_qs(request.url.query.decode(), keep_blank_values=True)
        answer = self._world.handle(Request(request.method, path, query, headers, await request.aread()))
        if answer.hang:
            raise httpx.ReadTimeout("the simulator hangs", request=request)
        if answer.delay:
            await anyio.sleep(answer.delay)
        if answer.cut:
            raise httpx.RemoteProtocolError("the simulator closed the connection", request=request)
        body, sent = encode(answer, headers)
        sent["content-length"] = str(len(body))
        # Unread, as from a network: whoever asked decides how to read it.
        return httpx.Response(answer.status, headers=sent, stream=httpx.ByteStream(body), request=request)
