"""A network in memory: requests of httpx go to ASGI applications by host name, and meet with what the seed has for them."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import httpx
from simulation.chronicle import STORY, Chronicle
from simulation.machines import Machine, this_machine

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

FOR_EVER = 3600.0
"""How long a request that never gets an answer hangs where its sender sets no limit."""

ADDRESS = "93.184.216.34"
"""Of every host, for those who look one up."""


@dataclass
class Weather:
    """What may happen to a request on its way to a host: shares between 0 and 1, and the longest way in seconds.

    refused  nobody listens
    lost     it never arrives, and nobody says so
    broken   it arrives and is dealt with, and the connection breaks before the answer is there
    late     it is dealt with, and the answer takes longer than anybody waits
    failed   something in between answers 503
    twice    something in between sends it a second time
    """

    refused: float = 0.0
    lost: float = 0.0
    broken: float = 0.0
    late: float = 0.0
    failed: float = 0.0
    twice: float = 0.0
    slowest: float = 0.05

    def draw(self, random: Random) -> tuple[str, float, float]:
        """One of the words above, or `fine`; and how long the way there and the way back take."""
        there, back, chance = random.random() * self.slowest, random.random() * self.slowest, random.random()
        for fate in ("refused", "lost", "broken", "late", "failed", "twice"):
            chance -= getattr(self, fate)
            if chance < 0:
                return fate, there, back
        return "fine", there, back


class Host:
    """An application that answers under a name, on machines of its own; one of those that are alive is asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.weather = Weather()
        self.servers: dict[Machine, App] = {}

    def serve(self, machine: Machine, app: App) -> None:
        self.servers[machine] = app

    def choose(self, random: Random) -> tuple[Machine, App] | None:
        alive = [(machine, app) for machine, app in self.servers.items() if machine.is_alive]
        return random.choice(alive) if alive else None


class Sent(NamedTuple):
    """A request that was sent, once it has ended; `status` is 0 where there was no answer."""

    at: float
    sender: str
    method: str
    host: str
    path: str
    status: int


class Network:
    """Every host by its name. `in_flight` counts requests whose senders wait, `sent` has those that have ended."""

    def __init__(self, chronicle: Chronicle, seed: str) -> None:
        self.hosts: dict[str, Host] = {}
        self.in_flight = 0
        self.last_used = 0.0
        self.sent: list[Sent] = []
        self._chronicle = chronicle
        self._random = Random(f"{seed}:network")

    def host(self, name: str) -> Host:
        return self.hosts.setdefault(name, Host(name))

    def addresses(self, name: str) -> list[str]:
        return [ADDRESS] if name in self.hosts else []

    def transport(self, *_: Any) -> httpx.AsyncBaseTransport:
        """A way out into it, for a client."""
        return _Way(self)

    async def carry(self, request: httpx.Request) -> httpx.Response:
        """Send a request and bring its answer, with httpx's own errors for what goes wrong."""
        loop = asyncio.get_running_loop()
        body = await request.aread()
        host = self.host(request.url.host)
        fate, there, back = host.weather.draw(self._random)
        sender, at, status = str(this_machine() or STORY), loop.time(), 0
        said = f"{request.method} {host.name}{request.url.path} {_print(body)}"
        self.in_flight += 1
        try:
            try:
                response = await self._carry(request, body, host, fate, there, back)
            except BaseException as error:
                self._chronicle.tell(sender, f"{said} {fate}: {type(error).__name__}")
                raise
            status = response.status_code
            self._chronicle.tell(sender, f"{said} {fate}: {status}")
            return response
        finally:
            self.sent.append(Sent(at, sender, request.method, host.name, request.url.path, status))
            self.in_flight -= 1
            self.last_used = loop.time()

    async def _carry(
        self, request: httpx.Request, body: bytes, host: Host, fate: str, there: float, back: float
    ) -> httpx.Response:
        patience = (request.extensions.get("timeout") or {}).get("read") or FOR_EVER
        await asyncio.sleep(there)
        if fate == "lost":
            await _be_silent(patience, request)
        chosen = None if fate == "refused" else host.choose(self._random)
        if chosen is None:
            raise httpx.ConnectError("connection refused", request=request)
        if fate == "failed":
            return httpx.Response(503, stream=httpx.ByteStream(b"the way is blocked"), request=request)
        machine, app = chosen
        exchanges = [Exchange(request, body) for _ in range(2 if fate == "twice" else 1)]
        serving = [machine.run(exchange.serve(app)) for exchange in exchanges]
        try:
            async with asyncio.timeout(patience):
                await exchanges[-1].is_answered.wait()
                if fate == "late":
                    await asyncio.sleep(FOR_EVER)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        finally:
            for exchange in exchanges:
                exchange.hang_up()
            del serving
        await asyncio.sleep(back)
        answer = exchanges[-1].answer
        if answer is None or fate == "broken":
            raise httpx.RemoteProtocolError("the connection broke", request=request)
        return answer


class _Way(httpx.AsyncBaseTransport):
    def __init__(self, network: Network) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._network.carry(request)


class Exchange:
    """One request at one application (ASGI 3.0, HTTP); `answer` is None when the connection ended without a whole one."""

    def __init__(self, request: httpx.Request, body: bytes) -> None:
        self.answer: httpx.Response | None = None
        self.is_answered = asyncio.Event()
        self._request = request
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._content = b""

    async def serve(self, app: App) -> None:
        try:
            with suppress(ConnectionResetError):
                await app(self._scope(), self._receive, self._send)
        finally:
            self.is_answered.set()

    def hang_up(self) -> None:
        """The sender is gone."""
        self._gone.set()

    def _scope(self) -> dict[str, Any]:
        url = self._request.url
        raw_path, _, query = url.raw_path.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "client": ("198.51.100.7", 40000),
            "server": (url.host, url.port or 443),
            "state": {},
        }

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", [])]
        elif message["type"] == "http.response.body":
            self._content += message.get("body", b"")
            if not message.get("more_body", False):
                stream = httpx.ByteStream(self._content)
                self.answer = httpx.Response(self._status, headers=self._headers, stream=stream, request=self._request)
                self.is_answered.set()


async def _be_silent(patience: float, request: httpx.Request) -> None:
    await asyncio.sleep(patience)
    raise httpx.ReadTimeout("no answer in time", request=request)


def _print(body: bytes) -> str:
    """Enough of a body to see that it is the same."""
    return hashlib.sha256(body).hexdigest()[:8] if body else "-"
