"""The integrator's side of the demo: takes webhooks on a loopback port and verifies each as any receiver would."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.commands.listening import on_loopback

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Received(NamedTuple):
    """A webhook whose signature was right; `arrived` is the loop's time in seconds."""

    type: str
    data: dict[str, Any]
    arrived: float


class Receiver:
    """What came in, in order of arrival. `secret` is known once the endpoint is made; until then nothing is believed."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = ""
        self.verified: list[Received] = []
        self.refused = 0
        self._news = asyncio.Condition()

    async def take(self, body: bytes, headers: dict[str, str]) -> bool:
        """Verify a request and remember what it says; whether it was believed."""
        try:
            payload = Webhook(self.secret).verify(body, headers)
        except (WebhookVerificationError, ValueError):
            self.refused += 1
            return False
        async with self._news:
            self.verified.append(Received(payload["type"], payload["data"], asyncio.get_running_loop().time()))
            self._news.notify_all()
        return True

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request (ASGI): 204 for what was believed, 400 for what was not."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status = 204 if await self.take(body, headers) else 400
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def wait_for(self, event_type: str, matches: Callable[[dict[str, Any]], bool], seconds: float) -> Received:
        """The first webhook of this type and with such data, also one that is here already. Raises TimeoutError."""

        def found() -> Received | None:
            return next((each for each in self.verified if each.type == event_type and matches(each.data)), None)

        async with asyncio.timeout(seconds), self._news:
            result: Received | None = await self._news.wait_for(found)
        if result is None:
            raise TimeoutError
        return result


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free loopback port."""
    receiver = Receiver()
    async with on_loopback(receiver) as url:
        receiver.url = f"{url}/webhooks"
        yield receiver
