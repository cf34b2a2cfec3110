"""A gateway, the simulated providers, a calendar server, a feed and an integrator's site, each on a port of loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from feed_server import FeedServer, serve_feed
from providers.loopback import response, serve_script
from radicale_server import USER, RadicaleServer, serve_radicale
from standing_routes import standing_routes

from service.app import create_app
from service.settings import Settings
from service.store.api_keys import create_key
from service.store.cipher import generate_key
from service.store.database import Database
from service.store.projects import create_project
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld
from simulator.server import EmbeddedServer, serve
from simulator.zoom.world import ZoomWorld

ADA = "ada@example.com"
BEN = "ben@example.com"
PROVIDERS = ("google", "microsoft", "zoom")


def listen() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    return listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


@asynccontextmanager
async def serve_app(app: Any, listener: socket.socket, **tls: Any) -> AsyncIterator[None]:
    """An ASGI application, already open, on a socket."""
    config = uvicorn.Config(app, log_config=None, log_level="critical", access_log=False, lifespan="off", **tls)
    config.timeout_graceful_shutdown = 1
    server = EmbeddedServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
            if task.done():
                task.result()
        yield
    finally:
        server.should_exit = True
        await task
        listener.close()


class Shop:
    """Any address is a page that remembers what other windows have told it; two of them send browsers elsewhere first.

    `/moved` is where the shop used to be, on another origin than where it is now; `/sso` is the door that people of a
    firm go through to get to `beyond`, a consent page, on another origin than the door. With `isolates` they cut windows
    off from those that have opened them.
    """

    PAGE = (
        b"<!doctype html><meta charset=utf-8><link rel=icon href='data:,'><title>Shop</title><h1>Shop</h1>"
        b"<script>window.heard = []; addEventListener('message', (event) =>"
        b" heard.push({origin: event.origin, data: event.data}));</script>"
    )

    def __init__(self) -> None:
        self.url = ""
        self.address = ""
        self.beyond = ""
        self.isolates = False

    async def answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        path, _, query = request.split(b" ")[1].decode().partition("?")
        aims = {"/moved": f"{self.address}/connected", "/sso": self.beyond}
        if path in aims:
            own = {"cross_origin_opener_policy": "same-origin"} if self.isolates else {}
            writer.write(response(b"", 302, location=f"{aims[path]}?{query}", **own))
        else:
            writer.write(response(self.PAGE, content_type="text/html"))


@asynccontextmanager
async def serve_shop() -> AsyncIterator[Shop]:
    """`url` has another name for this machine than `address`, so that to a browser they are different sites."""
    shop = Shop()
    async with serve_script(shop.answer) as served:
        shop.address, shop.url = served.url, named(served.url)
        yield shop


def named(url: str) -> str:
    return url.replace("127.0.0.1", "localhost")


@dataclass
class Neighbourhood:
    """`gateway` is an origin; the shop stands for the integrator, and is another site than the gateway."""

    gateway: str
    shop: Shop
    worlds: dict[str, Any]
    radicale: RadicaleServer
    feeds: FeedServer
    api: httpx.AsyncClient
    project: UUID
    key: str

    @property
    def back(self) -> str:
        """Where the shop wants its users back."""
        return f"{self.shop.url}/connected"

    async def register(self, *providers: str, back: Sequence[str] = ()) -> None:
        """The shop registers its app of these providers, or of all; `back` is where its users may be sent back to."""
        urls = [*back] or [self.back, f"{self.shop.url}/moved"]
        for provider in providers or PROVIDERS:
            (client,) = self.worlds[provider].clients.values()
            given = {"client_id": client.client_id, "client_secret": client.client_secret}
            answer = await self.api.post(
                "/oauth_clients",
                json={"provider": provider, **given, "redirect_urls": urls},
            )
            assert answer.status_code == 201, answer.text

    async def link(self, **wish: Any) -> str:
        answer = await self.api.post("/connect/links", json=wish)
        assert answer.status_code == 201, answer.text
        url: str = answer.json()["url"]
        return url

    async def connections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.api.get("/connections")).json()["data"]
        return found


def _worlds(clock: Any, gateway: str) -> dict[str, Any]:
    worlds: dict[str, Any] = {
        "google": World(clock, seed=7),
        "microsoft": MicrosoftWorld(clock, seed=7),
        "zoom": ZoomWorld(clock, seed=7),
    }
    for provider, world in worlds.items():
        world.add_client(redirect_uris=[f"{gateway}/connect/{provider}/callback"])
        for email in (ADA, BEN):
            world.add_account(email)
    return worlds


@asynccontextmanager
async def open_neighbourhood(
    database_url: str, clock: Any, folder: Path, *, tls: dict[str, str] | None = None
) -> AsyncIterator[Neighbourhood]:
    """Ada and Ben have accounts everywhere; with `tls`, uvicorn's settings, browsers reach the gateway by https."""
    listener = listen()
    gateway = f"{'https' if tls else 'http'}://127.0.0.1:{port_of(listener)}"
    worlds = _worlds(clock, gateway)
    (folder / "radicale").mkdir()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(worlds["google"], 0, worlds["microsoft"], worlds["zoom"]))
        providers = named(url)
        radicale = await stack.enter_async_context(serve_radicale(folder / "radicale"))
        radicale.add_calendar(f"/{USER}/work/", "Work")
        feeds = await stack.enter_async_context(serve_feed())
        shop = await stack.enter_async_context(serve_shop())
        shop.beyond = f"{url}/oauth/authorize"
        settings = Settings(
            database_url=database_url,
            public_url=gateway,
            secret_keys=generate_key(),
            allow_networks=(ip_network("127.0.0.0/8"),),
            google_api_url=f"{url}/calendar/v3",
            google_token_url=f"{url}/token",
            google_auth_url=f"{providers}/o/oauth2/v2/auth",
            microsoft_graph_url=f"{url}/v1.0",
            microsoft_login_url=providers,
            zoom_api_url=f"{url}/v2",
            zoom_token_url=f"{url}/oauth/token",
            zoom_auth_url=f"{shop.url}/sso",
        )
        database = await stack.enter_async_context(Database.connect(database_url))
        async with database.write() as conn:
            project = await create_project(conn, "Shop & Sons", clock())
            key = await create_key(conn, project, "admin", clock())
        with standing_routes():
            app = await stack.enter_async_context(create_app(settings, role="api", clock=clock))
        await stack.enter_async_context(serve_app(app, listener, **(tls or {})))
        api = await stack.enter_async_context(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url=gateway, headers={"authorization": f"Bearer {key}"}
            )
        )
        yield Neighbourhood(gateway, shop, worlds, radicale, feeds, api, project, key)
