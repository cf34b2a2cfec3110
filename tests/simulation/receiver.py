"""A receiver of webhooks as somebody writes one: proves each, keeps what it got, and answers as its mood is."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from simulation.chronicle import Chronicle
from standardwebhooks import Webhook, WebhookVerificationError

Mood = Callable[["Arrival"], int | None]
"""The status to answer with; None to leave the sender without an answer."""


class Arrival(NamedTuple):
    """A webhook that came, whole and genuine."""

    at: datetime
    id: str
    type: str
    body: bytes

    @property
    def data(self) -> Any:
        return msgspec.json.decode(self.body)["data"]


class Receiver:
    """An ASGI application. `accepted` are those that it has answered with 2xx, `arrivals` all."""

    def __init__(self, name: str, clock: Callable[[], datetime], chronicle: Chronicle) -> None:
        self.name = name
        self.url = f"https://{name}/hook"
        self.id = self.secret = ""
        self.mood: Mood = lambda _: 200
        self.minds_the_time = True
        self.arrivals: list[Arrival] = []
        self.accepted: dict[str, Arrival] = {}
        self.times_accepted: Counter[str] = Counter()
        self._clock = clock
        self._chronicle = chronicle
        self._bodies: dict[str, bytes] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        try:
            self._verify(body, headers)
        except WebhookVerificationError as error:
            self._chronicle.blame(f"{self.name} cannot verify {headers.get('webhook-id')}: {error}")
        arrival = Arrival(self._clock(), headers["webhook-id"], msgspec.json.decode(body)["type"], body)
        if self._bodies.setdefault(arrival.id, body) != body:
            self._chronicle.blame(f"{self.name} got other bytes under {arrival.id}")
        self.arrivals.append(arrival)
        status = self.mood(arrival)
        self._chronicle.tell(self.name, f"{status} to {arrival.type} {arrival.id}")
        if status is None:
            await asyncio.sleep(3600)
            return
        if 200 <= status < 300:
            self.accepted.setdefault(arrival.id, arrival)
            self.times_accepted[arrival.id] += 1
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def _verify(self, body: bytes, headers: dict[str, str]) -> None:
        hook = Webhook(self.secret)
        if self.minds_the_time:
            hook.verify(body, headers)
            return
        moment = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        if hook.sign(headers["webhook-id"], moment, body.decode()) not in headers["webhook-signature"].split(" "):
            raise WebhookVerificationError("the signature is another")

    def told(self, *types: str) -> list[Arrival]:
        """What was accepted of these types, each message once, in the order in which it came."""
        return [arrival for arrival in self.accepted.values() if arrival.type in types]
