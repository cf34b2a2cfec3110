"""The fakes as an ASGI application: Google's paths, Microsoft's, Zoom's, and the control API under /simulator."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import httpx

from simulator.control import CONTROL_ROOT, MICROSOFT_ROOT, ZOOM_ROOT, control
from simulator.google.answers import Answer, Request
from simulator.google.world import World
from simulator.microsoft.answers import resolve
from simulator.microsoft.routes import API_ROOT, CONSENT_PATH, TOKEN_PATH
from simulator.microsoft.world import MicrosoftWorld
from simulator.postman import Postman
from simulator.wire import encode
from simulator.zoom.routes import PREFIXES
from simulator.zoom.world import ZoomWorld

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
LONGEST_HANG = 300.0


class SimulatorApp:
    """Bare ASGI: a poll that finds nothing new must cost next to nothing."""

    def __init__(
        self,
        world: World | None,
        microsoft: MicrosoftWorld | None,
        zoom: ZoomWorld | None,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.world = world
        self.microsoft = microsoft
        self.zoom = zoom
        self.postman = Postman(transport)
        self.microsoft_postman = Postman(transport)

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
                await self.microsoft_postman.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await _read_request(scope, receive)
        if self.zoom is not None and ((self.world or self.microsoft) is None or _is_for_zoom(request.path)):
            await _deliver(_answer_zoom(self.zoom, request), request, receive, send)
        elif self.microsoft is not None and (self.world is None or _is_for_microsoft(request.path)):
            await self._answer_microsoft(self.microsoft, request, receive, send)
        elif self.world is not None:
            await self._answer_google(self.world, request, receive, send)

    async def _answer_google(self, world: World, request: Request, receive: Receive, send: Send) -> None:
        self.postman.attach(world)
        if request.path.startswith(CONTROL_ROOT):
            answer = control(world, request)
        else:
            answer = world.handle(request)
            if world.push_rules.sync_first and request.path.endswith("/watch"):
                await self.postman.flush()
        await _deliver(answer, request, receive, send)

    async def _answer_microsoft(self, world: MicrosoftWorld, request: Request, receive: Receive, send: Send) -> None:
        self.microsoft_postman.attach(world)
        if request.path.startswith(CONTROL_ROOT):
            await _deliver(control(world, request), request, receive, send)
            return
        answer = world.handle(request)
        try:
            answer = await resolve(answer, self.microsoft_postman.ask)
            await _deliver(answer, request, receive, send)
        finally:
            world.release(answer)


def create_app(
    world: World | MicrosoftWorld | ZoomWorld,
    microsoft: MicrosoftWorld | None = None,
    zoom: ZoomWorld | None = None,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> SimulatorApp:
    """The application of a Google world, of a Microsoft world, of a Zoom world, or of several of them.

    Deliveries start with the first request, with or without lifespan events; they go out by `transport`, where one is
    given, else by the network.
    """
    if isinstance(world, ZoomWorld):
        return SimulatorApp(None, microsoft, world, transport)
    if isinstance(world, MicrosoftWorld):
        return SimulatorApp(None, world, zoom, transport)
    return SimulatorApp(world, microsoft, zoom, transport)


def _is_for_zoom(path: str) -> bool:
    return path.startswith((*PREFIXES, f"{ZOOM_ROOT}/")) or path == ZOOM_ROOT


def _answer_zoom(world: ZoomWorld, request: Request) -> Answer:
    return control(world, request) if request.path.startswith(CONTROL_ROOT) else world.handle(request)


def _is_for_microsoft(path: str) -> bool:
    return path.startswith((API_ROOT, MICROSOFT_ROOT)) or bool(
        TOKEN_PATH.fullmatch(path) or CONSENT_PATH.fullmatch(path)
    )


async def _deliver(answer: Answer, request: Request, receive: Receive, send: Send) -> None:
    if answer.delay:
        await asyncio.sleep(answer.delay)
    if answer.hang:
        await _hang(receive)
    else:
        await _send(answer, request, send)


async def _read_request(scope: Scope, receive: Receive) -> Request:
    headers = {"x-forwarded-proto": scope.get("scheme", "http")}
    seen: set[str] = set()
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        # A preference may come in several headers, which are as good as one.
        headers[name] = f"{headers[name]}, {value}" if name in seen else value
        seen.add(name)
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
