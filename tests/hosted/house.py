"""A gateway, three simulated providers and browsers in one process: everything reached by host name, nothing by a network."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx
from standing_routes import standing_routes

from service.app import create_app
from service.settings import Settings
from service.store.api_keys import create_key
from service.store.cipher import generate_key
from service.store.database import Database
from service.store.projects import create_project
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld
from simulator.wire import WorldTransport
from simulator.zoom.world import ZoomWorld

GATEWAY = "https://calgate.test"
SHOP = "https://shop.test/connected"
"""Where the integrator wants its users back."""

ADA = "ada@example.com"
BEN = "ben@example.com"


class Streets(httpx.AsyncBaseTransport):
    """Takes each request to who lives at its host."""

    def __init__(self) -> None:
        self.hosts: dict[str, httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        found = self.hosts.get(request.url.host)
        if found is None:
            # The integrator's own pages, and wherever else a browser may end up.
            return httpx.Response(200, text="You have arrived.", request=request)
        return await found.handle_async_request(request)


class _Form(HTMLParser):
    """The first form of a page: its fields as a browser would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self.choices: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag != "input" or given.get("name") is None:
            return
        name, value = str(given["name"]), given.get("value") or ""
        if given.get("type") == "radio":
            self.choices.append(value)
        if given.get("type") not in {"radio", "checkbox"} or "checked" in given:
            self.fields.append((name, value))


@dataclass
class House:
    """`api` has a key of the project, `urls` of each provider's app are where its users may be sent back to."""

    app: Any
    streets: Streets
    google: World
    microsoft: MicrosoftWorld
    zoom: ZoomWorld
    api: httpx.AsyncClient
    project: UUID
    database: Database
    apps: dict[str, dict[str, Any]] = field(default_factory=dict)

    def browser(self) -> httpx.AsyncClient:
        """Somebody's browser, with cookies of its own and no key."""
        return httpx.AsyncClient(transport=self.streets, follow_redirects=True)

    async def register(self, provider: str, **more: Any) -> dict[str, Any]:
        """The integrator registers its app of a provider, which the provider knows."""
        given = {"provider": provider, **self.app_of(provider), "redirect_urls": [SHOP], **more}
        answer = await self.api.post("/oauth_clients", json=given)
        assert answer.status_code == 201, answer.text
        self.apps[provider] = answer.json()
        return self.apps[provider]

    def app_of(self, provider: str) -> dict[str, str]:
        """The client id and secret of the provider's only app."""
        worlds: dict[str, Any] = {"google": self.google, "microsoft": self.microsoft, "zoom": self.zoom}
        (client,) = worlds[provider].clients.values()
        return {"client_id": client.client_id, "client_secret": client.client_secret}

    async def url(self, provider: str, **query: Any) -> str:
        """The address of the consent page."""
        answer = await self.api.get(f"/connect/{provider}/url", params=query)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["auth_url"]
        return found

    async def connections(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.api.get("/connections", params=query)).json()["data"]
        return found


async def decide(
    browser: httpx.AsyncClient, auth_url: str, email: str = ADA, *, decision: str = "allow", untick: str = ""
) -> httpx.Response:
    """Open a consent page, choose the account, untick what has `untick` in it, press the button, follow the browser."""
    page = await browser.get(auth_url)
    assert page.status_code == 200, page.text
    form = _Form()
    form.feed(page.text)
    fields = [
        (name, value)
        for name, value in form.fields
        if name != "account" and not (untick and name == "granted" and untick in value)
    ]
    body = httpx.QueryParams([*fields, ("account", email), ("decision", decision)])
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return await browser.post(str(page.url), content=str(body), headers=kind)


async def come_back(browser: httpx.AsyncClient, auth_url: str, email: str = ADA, **more: Any) -> str:
    """The same, and stop where the provider sends the browser: the callback's address, not yet asked."""
    browser.follow_redirects = False
    answer = await decide(browser, auth_url, email, **more)
    browser.follow_redirects = True
    assert answer.status_code in {302, 303}, answer.text
    return answer.headers["location"]


def told(answer: httpx.Response) -> dict[str, str]:
    """What the integrator's page is told by its address."""
    url = str(answer.url)
    assert url.startswith(SHOP), url
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def state_of(url: str) -> str:
    """The state in an address."""
    found = re.search(r"[?&]state=([^&]+)", url)
    assert found is not None
    return found[1]


@asynccontextmanager
async def open_house(
    database_url: str, clock: Any, *, public_url: str | None = GATEWAY, **settings: Any
) -> AsyncIterator[House]:
    """A house with Ada and Ben in it, who have accounts everywhere, and one app at each provider."""
    streets = Streets()
    google, microsoft, zoom = World(clock, seed=7), MicrosoftWorld(clock, seed=7), ZoomWorld(clock, seed=7)
    callback = f"{public_url or 'http://127.0.0.1:8420'}/connect/{{}}/callback"
    google.add_client(redirect_uris=[callback.format("google"), f"{SHOP}/own"])
    microsoft.add_client(redirect_uris=[callback.format("microsoft"), f"{SHOP}/own"])
    zoom.add_client(redirect_uris=[callback.format("zoom"), f"{SHOP}/own"])
    for world in (google, microsoft, zoom):
        for email in (ADA, BEN):
            world.add_account(email)
    streets.hosts |= {
        "google.test": WorldTransport(google),
        "microsoft.test": WorldTransport(microsoft),
        "zoom.test": WorldTransport(zoom),
    }
    chosen = Settings(
        **{
            "database_url": database_url,
            "public_url": public_url,
            "secret_keys": generate_key(),
            "google_api_url": "https://google.test/calendar/v3",
            "google_token_url": "https://google.test/token",
            "google_auth_url": "https://google.test/o/oauth2/v2/auth",
            "microsoft_graph_url": "https://microsoft.test/v1.0",
            "microsoft_login_url": "https://microsoft.test",
            "zoom_api_url": "https://zoom.test/v2",
            "zoom_token_url": "https://zoom.test/oauth/token",
            "zoom_auth_url": "https://zoom.test/oauth/authorize",
            **settings,
        }
    )
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.connect(database_url))
        async with database.write() as conn:
            project = await create_project(conn, "shop", clock())
            key = await create_key(conn, project, "admin", clock())
        with standing_routes():
            app = await stack.enter_async_context(
                create_app(chosen, role="api", clock=clock, transport=lambda *_: streets)
            )
        streets.hosts[urlsplit(public_url or "http://127.0.0.1").hostname or ""] = httpx.ASGITransport(app)
        api = await stack.enter_async_context(
            httpx.AsyncClient(
                transport=streets,
                base_url=public_url or "http://127.0.0.1:8420",
                headers={"authorization": f"Bearer {key}"},
            )
        )
        yield House(app, streets, google, microsoft, zoom, api, project, database)
