"""Each provider through the API as its users meet it: a fake Microsoft, a real CalDAV server and a feed, over real flows."""

import asyncio
import contextlib
import dataclasses
from asyncio import StreamWriter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from feed_server import LOOPBACK, PATH, SECRET, FeedServer, event, feed, serve_feed
from flows.stage import Stage, set_stage
from forked_expander import ForkedExpander
from providers.loopback import response
from radicale_server import PASSWORD, USER, Hand, RadicaleServer, serve_radicale

from service.flows.connect import admission
from service.flows.sync_calendar import Syncer
from service.providers.guarded_http import Slots
from service.providers.registry import make_providers
from service.store.cipher import Cipher
from service.store.database import Database
from simulator.microsoft.world import MicrosoftWorld

pytestmark = pytest.mark.anyio

ROOM = "https://meet.google.com/abc-defg-hij"
GRACE = "grace@contoso.example"


@pytest.fixture
def world(clock: Any) -> MicrosoftWorld:
    return MicrosoftWorld(clock, seed=7)


@pytest.fixture
async def stage(
    database: Database, cipher: Cipher, clock: Any, project: UUID, world: MicrosoftWorld
) -> AsyncIterator[Stage]:
    guarded = Slots(4, LOOPBACK)
    async with (
        ForkedExpander(size=1) as expander,
        set_stage(database, cipher, clock, project, world, allow_networks=LOOPBACK.allow_networks) as stage,
    ):
        real = make_providers(google_api_url="", google_token_url="", clock=clock, policy=LOOPBACK, expander=expander)
        stage.gateway.providers.update(caldav=real["caldav"], ics=real["ics"])  # type: ignore[attr-defined]
        stage.gateway = dataclasses.replace(stage.gateway, guarded_slots=guarded)
        stage.syncer = Syncer(stage.gateway)
        yield stage
        await stage.syncer.drain(1)
        await guarded.aclose()


@pytest.fixture
async def radicale(tmp_path: Path, clock: Any) -> AsyncIterator[RadicaleServer]:
    async with serve_radicale(tmp_path) as server:
        server.add_calendar(f"/{USER}/work/", "Work")
        Hand(server, f"/{USER}/work/").add("Planning", clock() + timedelta(hours=2), lines=[f"LOCATION:{ROOM}"])
        yield server


@pytest.fixture
async def publisher(clock: Any) -> AsyncIterator[FeedServer]:
    async with serve_feed() as server:
        server.text = feed(event("a", "Planning", clock() + timedelta(hours=2), f"LOCATION:{ROOM}"))
        yield server


@pytest.fixture
def bodies(world: MicrosoftWorld, radicale: RadicaleServer, publisher: FeedServer) -> dict[str, dict[str, Any]]:
    """What connects a calendar of each provider."""
    given = world.connect(GRACE)
    world.add_meeting(GRACE, "Planning", in_minutes=120)
    oauth = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
    account = {"server_url": radicale.url, "username": USER, "password": PASSWORD}
    return {
        "microsoft": {"provider": "microsoft", **oauth, "tenant_id": given["tenant"]},
        "outlook": {"provider": "outlook", **oauth},
        "caldav": {"provider": "caldav", **account},
        "ics": {"provider": "ics", "url": publisher.url},
    }


@pytest.mark.parametrize(
    ("spelt", "provider", "name", "email", "renewed"),
    [
        pytest.param("microsoft", "microsoft", "Calendar", GRACE, "refresh_token", id="microsoft"),
        pytest.param("outlook", "microsoft", "Calendar", GRACE, "refresh_token", id="outlook"),
        pytest.param("caldav", "caldav", "Work", USER, "password", id="caldav"),
        pytest.param("ics", "ics", "Team", None, "url", id="ics"),
    ],
)
async def test_a_calendar_is_looked_at_connected_read_renewed_and_let_go(
    call: httpx.AsyncClient,
    stage: Stage,
    bodies: dict[str, dict[str, Any]],
    spelt: str,
    provider: str,
    name: str,
    email: str | None,
    renewed: str,
) -> None:
    body = bodies[spelt]
    said: list[str] = []

    async def get(path: str) -> Any:
        answer = await call.get(path)
        assert answer.status_code == 200, answer.text
        said.append(answer.text)
        return answer.json()

    looked = await call.request("GET", "/calendars/raw", json=body)
    assert looked.status_code == 200, looked.text
    (raw,) = (each for each in looked.json()["calendars"] if each["is_primary"])
    assert raw["name"] == name
    made = await call.post("/calendars", json=body | {"metadata": {"user": "42"}})
    assert made.status_code == 201, made.text
    calendar = made.json()
    shown = {key: calendar[key] for key in ("provider", "status", "calendar_name", "email", "raw_calendar_id")}
    assert shown == {
        "provider": provider,
        "status": "syncing",
        "calendar_name": name,
        "email": email,
        "raw_calendar_id": raw["id"],
    }
    path = f"/calendars/{calendar['id']}"
    await stage.sync()
    assert (await get(path))["status"] == "active"
    assert [row["title"] for row in (await get("/meetings"))["data"]] == ["Planning"]
    (listed,) = (await get("/events?from=2026-03-01T00:00:00Z"))["data"]
    await get(f"/events/{listed['id']}?include=raw")
    await get(f"{path}/sync")
    assert [row["id"] for row in (await get(f"/calendars?provider={spelt}"))["data"]] == [calendar["id"]]

    again = await call.post("/calendars", json=body)
    assert (again.status_code, again.json()["id"]) == (200, calendar["id"])
    value = stage.world.connect(GRACE)["refresh_token"] if renewed == "refresh_token" else body[renewed]
    patched = await call.patch(path, json={renewed: value})
    assert (patched.status_code, patched.json().get("status")) == (200, "syncing"), patched.text
    await stage.sync()
    assert (await get(path))["status"] == "active"
    said += [looked.text, made.text, again.text, patched.text]
    hidden = {body[renewed], body.get("client_secret", body[renewed]), SECRET}
    assert not [secret for secret in hidden for text in said if secret in text]

    assert (await call.delete(path)).status_code == 204
    assert (await stage.count("connections"), await stage.count("oauth_clients")) == (0, 0)


def web_page(_headers: Any) -> bytes:
    return response(b"<!doctype html><title>Calendar</title>", content_type="text/html")


@pytest.mark.parametrize("path", ["/calendars", "/calendars/raw"])
@pytest.mark.parametrize(
    ("provider", "wrong", "code", "field"),
    [
        pytest.param("microsoft", {"refresh_token": "x"}, "credentials_rejected", "refresh_token", id="m-token"),
        pytest.param("microsoft", {"client_secret": "x"}, "client_rejected", "client_secret", id="m-secret"),
        pytest.param("microsoft", {"client_id": "x"}, "client_rejected", "client_secret", id="m-client"),
        pytest.param("microsoft", {"raw_calendar_id": "x"}, "calendar_not_found", "raw_calendar_id", id="m-calendar"),
        pytest.param("caldav", {"password": "x"}, "credentials_rejected", "password", id="c-password"),
        pytest.param("caldav", {"username": "x"}, "credentials_rejected", "password", id="c-username"),
        pytest.param("caldav", {"server_url": "FEEDS"}, "validation_failed", "server_url", id="c-no-caldav"),
        pytest.param("caldav", {"server_url": "http://10.0.0.1/"}, "blocked_url", "server_url", id="c-private"),
        pytest.param("caldav", {"server_url": "https://nowhere.invalid"}, "blocked_url", "server_url", id="c-nowhere"),
        pytest.param("caldav", {"server_url": "caldav.icloud.com"}, "blocked_url", "server_url", id="c-no-scheme"),
        pytest.param("caldav", {"server_url": "http://127.0.0.1:1"}, "provider_unavailable", None, id="c-nobody"),
        pytest.param("caldav", {"raw_calendar_id": "x"}, "calendar_not_found", "raw_calendar_id", id="c-calendar"),
        pytest.param("ics", {"url": "FEEDS/gone"}, "credentials_rejected", "url", id="i-404"),
        pytest.param("ics", {"url": "FEEDS/page"}, "validation_failed", "url", id="i-web-page"),
        pytest.param("ics", {"url": "FEEDS/busy"}, "provider_throttled", None, id="i-429"),
        pytest.param("ics", {"url": "FEEDS/broken"}, "provider_unavailable", None, id="i-500"),
        pytest.param("ics", {"url": "FEEDS/away"}, "blocked_url", "url", id="i-redirected-inside"),
        pytest.param("ics", {"url": "https://192.168.0.1/a.ics"}, "blocked_url", "url", id="i-private"),
        pytest.param("ics", {"url": "https://nowhere.invalid/a.ics"}, "blocked_url", "url", id="i-nowhere"),
        pytest.param("ics", {"url": "https://localhost/a.ics"}, "blocked_url", "url", id="i-localhost"),
        pytest.param("ics", {"url": "file:///etc/passwd"}, "blocked_url", "url", id="i-file"),
        pytest.param("ics", {"raw_calendar_id": "x"}, "calendar_not_found", "raw_calendar_id", id="i-calendar"),
    ],
)
async def test_a_refusal_names_the_field(
    call: httpx.AsyncClient,
    stage: Stage,
    publisher: FeedServer,
    bodies: dict[str, dict[str, Any]],
    path: str,
    provider: str,
    wrong: dict[str, str],
    code: str,
    field: str | None,
) -> None:
    if path == "/calendars/raw" and "raw_calendar_id" in wrong:
        field, code = "raw_calendar_id", "validation_failed"
    publisher.routes = {
        "/page": web_page,
        "/busy": lambda _: response(b"", 429),
        "/broken": lambda _: response(b"", 500),
        "/away": lambda _: response(b"", 302, location="http://169.254.169.254/latest/"),
    }
    given = {name: value.replace("FEEDS", publisher.loopback.url) for name, value in wrong.items()}
    answer = await call.post(path, json=bodies[provider] | given)
    problem = answer.json()
    assert problem["code"] == code, answer.text
    assert answer.status_code == (503 if code.startswith("provider_") else 422)
    assert [error["field"] for error in problem.get("errors", [])] == ([field] if field else [])
    assert ("retry-after" in answer.headers) is (answer.status_code == 503)
    secrets = {bodies[provider].get(name) for name in ("refresh_token", "client_secret", "password")} | {SECRET}
    assert not [secret for secret in secrets if secret and secret in answer.text]
    assert (await stage.count("connections"), await stage.count("calendars")) == (0, 0)


async def test_a_server_that_takes_its_time_keeps_nobody_waiting(
    call: httpx.AsyncClient,
    stage: Stage,
    publisher: FeedServer,
    bodies: dict[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def dawdle(writer: StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x-more: 1\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)

    publisher.script = dawdle
    monkeypatch.setattr(admission, "PATIENCE", 0.3)
    for body in (bodies["ics"], bodies["caldav"] | {"server_url": publisher.loopback.url}):
        async with asyncio.timeout(30):
            answer = await call.post("/calendars", json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable"), answer.text
        assert answer.headers["retry-after"] == "30"
    assert await stage.count("connections") == 0


async def test_a_feed_whose_address_was_reset_gets_the_new_one(
    call: httpx.AsyncClient, stage: Stage, publisher: FeedServer, bodies: dict[str, dict[str, Any]]
) -> None:
    calendar = (await call.post("/calendars", json=bodies["ics"])).json()
    path = f"/calendars/{calendar['id']}"
    await stage.sync()
    fresh = f"{publisher.loopback.url}/private-two/basic.ics"
    publisher.routes = {
        PATH: lambda _: response(b"", 404),
        "/private-two/basic.ics": lambda _: response(publisher.text),
    }
    for _ in range(4):
        stage.clock.advance(hours=9)
        await stage.sync()
    lost = (await call.get(path)).json()
    assert (lost["status"], lost["error_code"]) == ("disconnected", "feed_refused")
    assert "PATCH the calendar with the new url" in lost["error_message"]
    other = (await call.post("/calendars", json={"provider": "ics", "url": fresh})).json()
    taken = await call.patch(path, json={"url": fresh})
    assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
    await call.delete(f"/calendars/{other['id']}")

    moved = await call.patch(path, json={"url": fresh})

    assert (moved.status_code, moved.json()["status"]) == (200, "syncing"), moved.text
    await stage.sync()
    assert (await call.get(path)).json()["status"] == "active"
    assert "private" not in moved.text
    assert (await stage.count("connections"), await stage.count("oauth_clients")) == (1, 1)


async def test_a_servers_calendars_are_selected_by_its_connection(
    call: httpx.AsyncClient, stage: Stage, radicale: RadicaleServer, bodies: dict[str, dict[str, Any]], clock: Any
) -> None:
    """With the stored password alone: nobody posts credentials again."""
    radicale.add_calendar(f"/{USER}/home/", "Home")
    Hand(radicale, f"/{USER}/home/").add("Dinner", clock() + timedelta(hours=9))
    made = (await call.post("/calendars", json=bodies["caldav"])).json()
    [connection] = (await call.get("/connections")).json()["data"]
    path = f"/connections/{connection['id']}"
    listed = {each["name"]: each for each in (await call.get(f"{path}/calendars")).json()["data"]}
    assert {name: (each["can_edit"], each["selected"]) for name, each in listed.items()} == {
        "Work": (True, listed["Work"]["id"] == made["raw_calendar_id"]),
        "Home": (True, listed["Home"]["id"] == made["raw_calendar_id"]),
    }

    chosen = await call.patch(path, json={"selected_calendars": [listed["Work"]["id"], listed["Home"]["id"]]})
    assert chosen.status_code == 200, chosen.text
    await stage.sync()
    titles = {row["title"] for row in (await call.get("/events?from=2026-03-01T00:00:00Z")).json()["data"]}
    assert titles == {"Planning", "Dinner"}
    assert (await call.post(f"{path}/refresh")).json()["status"] == "active"
    assert await stage.sync() == 2, "where there is no token to renew, the calendars are read"

    left = (await call.patch(path, json={"selected_calendars": [listed["Home"]["id"]]})).json()
    assert [each["name"] for each in left["calendars"]] == ["Home"]
    unknown = await call.patch(path, json={"selected_calendars": [f"/{USER}/nowhere/"]})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "calendar_not_found")
    assert PASSWORD not in (await call.get("/connections")).text


async def test_a_feed_is_a_connection_of_one_calendar(
    call: httpx.AsyncClient, stage: Stage, publisher: FeedServer, bodies: dict[str, dict[str, Any]]
) -> None:
    made = (await call.post("/calendars", json=bodies["ics"])).json()
    await stage.sync()
    [connection] = (await call.get("/connections?provider=ics")).json()["data"]
    path = f"/connections/{connection['id']}"
    [listed] = (await call.get(f"{path}/calendars")).json()["data"]
    assert (listed["id"], listed["can_edit"], listed["selected"]) == (made["raw_calendar_id"], False, True)
    refused = await call.patch(path, json={"primary_calendar": listed["id"]})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "primary_calendar")
    assert SECRET not in (await call.get(path)).text
    await call.patch(path, json={"sync_frequency": 60})
    await call.post(f"{path}/set_primary")
    publisher.routes["/other.ics"] = lambda _: response(publisher.text)
    other = f"{publisher.loopback.url}/other.ics"
    moved = await call.patch(f"/calendars/{made['id']}", json={"url": other})
    assert moved.status_code == 200, moved.text
    [successor] = (await call.get("/connections")).json()["data"]
    assert (successor["settings"]["sync_frequency"], successor["is_primary"]) == (60, True), "its wishes move along"
    path = f"/connections/{successor['id']}"
    assert (await call.delete(path)).status_code == 204
    assert (await call.get("/calendars")).json()["data"] == []
