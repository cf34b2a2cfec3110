"""How requests reach a fake and answers leave it: compression as Google does it, and an httpx transport."""

import gzip
from typing import Protocol
from urllib.parse import parse_qs

import anyio
import httpx

from simulator.google.answers import Answer, Request
from simulator.microsoft.answers import resolve
from simulator.microsoft.world import MicrosoftWorld


class Handler(Protocol):
    """Whatever answers requests: a `World` or a `MicrosoftWorld`."""

    def handle(self, request: Request) -> Answer: ...


def encode(answer: Answer, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """Body and headers to send. Google compresses only for a User-Agent that says gzip, too."""
    sent = {"content-type": answer.content_type, **{name.lower(): value for name, value in answer.headers.items()}}
    body = answer.body
    if "gzip" in headers.get("accept-encoding", "") and "gzip" in headers.get("user-agent", "") and body:
        body = gzip.compress(body, compresslevel=1, mtime=0)
        sent["content-encoding"] = "gzip"
    return body, sent


async def ask_url(client: httpx.AsyncClient, url: str) -> tuple[int, str, str]:
    """POST nothing, and give status, content type and text. Raises TimeoutError, or OSError for any other failure."""
    try:
        response = await client.post(url, content=b"", headers={"content-type": "text/plain; charset=utf-8"})
    except httpx.TimeoutException as error:
        raise TimeoutError(str(error)) from error
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
    return response.status_code, response.headers.get("content-type", ""), response.text


class WorldTransport(httpx.AsyncBaseTransport):
    """Carries httpx requests straight into a world, with its delays, hangs and broken connections.

    `client` reaches the notification URLs that Microsoft asks before it makes a subscription.
    """

    def __init__(self, world: Handler, client: httpx.AsyncClient | None = None) -> None:
        self._world = world
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers.setdefault("x-forwarded-proto", request.url.scheme)
        path = request.url.raw_path.decode().partition("?")[0]
        query = parse_qs(request.url.query.decode(), keep_blank_values=True)
        answer = self._world.handle(Request(request.method, path, query, headers, await request.aread()))
        try:
            answer = await resolve(answer, self._ask)
            return await self._carry(request, headers, answer)
        finally:
            if isinstance(self._world, MicrosoftWorld):
                self._world.release(answer)

    async def _ask(self, url: str) -> tuple[int, str, str]:
        if self._client is None:
            raise OSError("this transport reaches no notification URLs")
        return await ask_url(self._client, url)

    async def _carry(self, request: httpx.Request, headers: dict[str, str], answer: Answer) -> httpx.Response:
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
