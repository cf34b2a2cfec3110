"""Whatever a server answers to a write or to a question for busy times, it is a result or an error of the port's."""

import contextlib
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from contracts.provider_contract import NOW, WINDOW

from service.core.drafts import Draft, Guest, Patch
from service.errors import ProviderError
from service.providers.google.busy import GoogleBusy
from service.providers.google.client import GoogleCalendar
from service.providers.google.writing import GoogleWriter
from service.providers.microsoft.busy import MicrosoftBusy
from service.providers.microsoft.client import MicrosoftCalendar
from service.providers.microsoft.writing import MicrosoftWriter
from service.providers.protocol import Access
from service.providers.writing import Place, Target, Written
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld
from simulator.wire import WorldTransport

KEY = UUID(int=7).hex
TIMED = Draft(
    title="Planning", starts_at=NOW, ends_at=NOW + timedelta(hours=1), attendees=[Guest(email="a@example.org")]
)
TARGET = Target(provider_event_id="abcdef", raw=b'{"id": 5}')
PATCH = Patch(title="x", description="y", starts_at=NOW, ends_at=NOW, attendees=[Guest(email="b@example.org")])
BODIES = [
    pytest.param("", id="empty"),
    pytest.param("null", id="null"),
    pytest.param("[]", id="array"),
    pytest.param("{}", id="object"),
    pytest.param("<!doctype html>", id="page"),
    pytest.param("[" * 20_000, id="deep"),
    pytest.param('{"id": 5, "start": []}', id="types"),
    pytest.param('{"id": "e", "status": "cancelled"}', id="cancelled"),
    pytest.param('{"id": "e", "start": {"dateTime": "soon"}, "end": {"dateTime": "late"}}', id="times"),
    pytest.param('{"id": "e", "summary": "\\ud800", "start": {"date": "2026-03-02"}, "attendees": [null, {"email": 7}]}', id="surrogate"),
    pytest.param('{"id": "e", "start": {"date": "2026-03-02"}, "attendees": [{"email": 7}], "etag": "\\r\\nx: y"}', id="header"),
    pytest.param('{"id": "..", "start": {"dateTime": "2026-03-02T09:00:00.0000000"}, "isOnlineMeeting": true}', id="dots"),
    pytest.param('{"id": "e", "start": {"dateTime": "2026-03-02T09:00:00"}, "recurrence": {"pattern": 5}}', id="pattern"),
    pytest.param('{"value": [{"scheduleId": 5}], "calendars": {"ada@example.com": 5}, "items": [5]}', id="schedules"),
    pytest.param('{"value": [null, 5, {"id": 5}], "id": "e", "timeZone": "Mars/Olympus", "items": [null]}', id="rows"),
    pytest.param('{"error": "invalid"}', id="error-as-text"),
    pytest.param('{"error": {"code": 5, "message": 5, "errors": [null]}}', id="error-of-types"),
]  # fmt: skip
STATUSES = [200, 201, 204, 302, 400, 403, 404, 409, 410, 412, 500]


def writers_of_google(url: str, world: World):
    calendar = GoogleCalendar(f"{url}/calendar/v3", f"{url}/token", clock=world.now)
    return GoogleWriter(calendar.api, waits=(0,)), GoogleBusy(calendar.api), "google_meet"


def writers_of_graph(url: str, world: MicrosoftWorld):
    calendar = MicrosoftCalendar(f"{url}/v1.0", url, clock=world.now)
    return MicrosoftWriter(calendar.graph, waits=(0,)), MicrosoftBusy(calendar.graph), "microsoft_teams"


@pytest.mark.anyio
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("make_world", "make"), [pytest.param(World, writers_of_google, id="google"), pytest.param(MicrosoftWorld, writers_of_graph, id="graph")]
)  # fmt: skip
async def test_no_answer_is_a_fault_of_ours(make_world, make, body):
    world = make_world(lambda: NOW, seed=7)
    world.connect("ada@example.com")
    writer, busy, conference = make("http://simulator", world)
    place = Place(raw_calendar_id="ada@example.com", time_zone="UTC")
    draft = Draft(starts_at=NOW, ends_at=NOW + timedelta(hours=1), conference=conference)
    async with httpx.AsyncClient(transport=WorldTransport(world)) as http:
        access = Access(http=http, token="t", client_key="c", user_key="u", email="ada@example.com")
        calls = [
            lambda: writer.create(access, place, TIMED, key=KEY),
            lambda: writer.create(access, place, draft, key=KEY),
            lambda: writer.withdraw(access, place, TIMED, key=KEY),
            lambda: writer.change(access, place, TARGET, PATCH, strict=True),
            lambda: writer.remove(access, place, TARGET, notify=False, strict=True),
            lambda: writer.read(access, place, TARGET),
            lambda: busy.busy(access, ["ada@example.com", "other"], WINDOW),
        ]
        if isinstance(writer, GoogleWriter):
            nowhere = Place(raw_calendar_id="ada@example.com")
            calls.append(lambda: writer.quick_add(access, nowhere, "Lunch", notify=True, now=NOW))
        for status in STATUSES:
            world.clear_faults()
            world.add_fault("custom", status=status, body=body, times=None)
            for call in calls:
                with contextlib.suppress(ProviderError):
                    answer = await call()
                    assert answer is None or isinstance(answer, Written | dict)
