"""Events written to a real CalDAV server over the API, and sentences, which no CalDAV server reads itself."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from feed_server import LOOPBACK
from flows.stage import Stage, set_stage
from forked_expander import ForkedExpander
from providers.loopback import response
from radicale_server import PASSWORD, USER, RadicaleServer, serve_radicale

from service.flows.sync_calendar import Syncer
from service.providers.guarded_http import Slots
from service.providers.registry import make_hands, make_providers
from service.store.cipher import Cipher
from service.store.database import Database
from simulator.google.world import World

pytestmark = pytest.mark.anyio

FOLDER = f"/{USER}/work/"
REVIEW = {"title": "Review", "starts_at": "2026-03-03T12:00:00Z", "ends_at": "2026-03-03T13:00:00Z"}


@pytest.fixture
async def stage(database: Database, cipher: Cipher, clock: Any, project: UUID, world: World) -> AsyncIterator[Stage]:
    guarded = Slots(4, LOOPBACK)
    async with (
        ForkedExpander(size=1) as expander,
        set_stage(database, cipher, clock, project, world, allow_networks=LOOPBACK.allow_networks) as stage,
    ):
        real = make_providers(google_api_url="", google_token_url="", clock=clock, policy=LOOPBACK, expander=expander)
        stage.gateway.providers.update(caldav=real["caldav"])  # type: ignore[attr-defined]
        writers = make_hands(real).writers
        stage.gateway = dataclasses.replace(stage.gateway, guarded_slots=guarded, writers=writers, quick_adders={})
        stage.syncer = Syncer(stage.gateway)
        yield stage
        await stage.syncer.drain(1)
        await guarded.aclose()


@pytest.fixture
async def radicale(tmp_path: Path) -> AsyncIterator[RadicaleServer]:
    async with serve_radicale(tmp_path) as server:
        server.add_calendar(FOLDER, "Work")
        yield server


@pytest.fixture
async def calendar(call: httpx.AsyncClient, stage: Stage, radicale: RadicaleServer) -> str:
    account = {"provider": "caldav", "server_url": radicale.url, "username": USER, "password": PASSWORD}
    answer = await call.post("/calendars", json=account)
    assert answer.status_code == 201, answer.text
    await stage.sync()
    return answer.json()["id"]


def texts(radicale: RadicaleServer) -> list[str]:
    """The resources that the server holds."""
    listing = radicale.done("PROPFIND", FOLDER, depth="1")[2].decode()
    paths = [
        part.partition("</href>")[0].replace("%40", "@") for part in listing.split("<href>") if ".ics</href>" in part
    ]
    return [radicale.done("GET", path)[2].decode().replace("\r\n ", "") for path in paths]


async def news(call: httpx.AsyncClient, stage: Stage, event_id: str) -> list[tuple[str, str]]:
    """What the log of changes says of an event, after two more syncs."""
    for _ in range(2):
        stage.clock.advance(600)
        await stage.sync()
    rows = (await call.get("/changes")).json()["data"]
    return [(row["kind"], row["cause"]) for row in rows if row["event_id"] == event_id]


async def test_an_event_is_written_changed_and_deleted_and_is_nobodys_news(
    call: httpx.AsyncClient, calendar: str, stage: Stage, radicale: RadicaleServer
) -> None:
    guests = [{"email": "grace@example.com", "name": "Grace"}]
    made = await call.post(f"/calendars/{calendar}/events", json={**REVIEW, "attendees": guests, "notify": False})
    assert made.status_code == 201, made.text
    event = made.json()
    (text,) = texts(radicale)
    assert "SUMMARY:Review" in text
    assert "SCHEDULE-AGENT=CLIENT" in text
    assert await news(call, stage, event["id"]) == [("created", "write")]
    moved = await call.patch(
        f"/events/{event['id']}", json={"starts_at": "2026-03-03T15:00:00Z"}, headers={"if-match": '"1"'}
    )
    assert moved.status_code == 200, moved.text
    assert (moved.json()["starts_at"], moved.json()["ends_at"]) == ("2026-03-03T15:00:00Z", "2026-03-03T16:00:00Z")
    assert await news(call, stage, event["id"]) == [("created", "write"), ("updated", "write")]
    assert (await call.delete(f"/events/{event['id']}")).status_code == 204
    assert texts(radicale) == []
    assert (await news(call, stage, event["id"]))[-1] == ("cancelled", "write")


async def test_a_series_is_written_and_one_of_it_changed(
    call: httpx.AsyncClient, calendar: str, stage: Stage, radicale: RadicaleServer
) -> None:
    wish = {**REVIEW, "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"], "time_zone": "Europe/Paris"}
    event = (await call.post(f"/calendars/{calendar}/events", json=wish)).json()
    listed = (await call.get("/events", params={"series_id": event["series_id"]})).json()["data"]
    assert len(listed) == 3
    one = await call.patch(f"/events/{listed[1]['id']}", json={"title": "Only this"})
    assert one.status_code == 200, one.text
    assert (await call.delete(f"/events/{listed[2]['id']}")).status_code == 204
    (text,) = texts(radicale)
    assert (text.count("BEGIN:VEVENT"), text.count("RECURRENCE-ID"), text.count("EXDATE")) == (2, 1, 1)
    await stage.sync()
    left = (await call.get("/events", params={"series_id": event["series_id"], "status": "confirmed"})).json()["data"]
    assert [each["title"] for each in left] == ["Review", "Only this"]


async def test_a_lost_answer_makes_no_second_event(
    call: httpx.AsyncClient, calendar: str, radicale: RadicaleServer
) -> None:
    def fault(method: str, path: str, body: bytes, writer: Any) -> bool:
        if method != "PUT":
            return False
        radicale.faults.remove(fault)
        radicale.done("PUT", path.replace("%40", "@"), body.decode(), content_type="text/calendar")
        writer.write(response(b"", 504))
        return True

    radicale.faults.append(fault)
    for _ in range(2):
        answer = await call.post(f"/calendars/{calendar}/events", json=REVIEW, headers={"idempotency-key": "k"})
        if answer.status_code == 201:
            break
    assert answer.status_code == 201, answer.text
    assert len(texts(radicale)) == 1


@pytest.mark.parametrize(
    ("text", "title", "start", "end"),
    [
        pytest.param(
            "Lunch with Sarah tomorrow at 1pm",
            "Lunch with Sarah",
            "2026-03-03T12:00:00Z",
            "2026-03-03T13:00:00Z",
            id="pm",
        ),
        pytest.param(
            "Mittagessen morgen um 13 Uhr für 30 Minuten",
            "Mittagessen",
            "2026-03-03T12:00:00Z",
            "2026-03-03T12:30:00Z",
            id="german",
        ),
    ],
)
async def test_a_sentence_becomes_an_event_in_the_calendars_zone(
    call: httpx.AsyncClient, calendar: str, radicale: RadicaleServer, text: str, title: str, start: str, end: str
) -> None:
    answer = await call.post(f"/calendars/{calendar}/events/quick_add", json={"text": text})
    assert answer.status_code == 201, answer.text
    event = answer.json()
    assert (event["title"], event["starts_at"], event["ends_at"]) == (title, start, end)
    (held,) = texts(radicale)
    assert f"SUMMARY:{title}" in held


async def test_a_sentence_without_a_time_is_refused(
    call: httpx.AsyncClient, calendar: str, radicale: RadicaleServer
) -> None:
    answer = await call.post(f"/calendars/{calendar}/events/quick_add", json={"text": "Buy 3 apples"})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert texts(radicale) == []


async def test_a_conference_that_no_caldav_server_makes_is_refused(
    call: httpx.AsyncClient, calendar: str, radicale: RadicaleServer
) -> None:
    answer = await call.post(f"/calendars/{calendar}/events", json={**REVIEW, "conference": "google_meet"})
    assert answer.status_code == 422, answer.text
    assert "google_meet" in answer.json()["detail"]
    assert texts(radicale) == []
