"""What four releases of the vendor's client put on the wire, byte by byte but for ids and secrets, answered as it expects.

The recordings were made against a server that accepted everything, so they name things in no sensible order: calls that
delete a calendar are replayed last, and a cursor that was made up is left out.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from flows.stage import Stage, set_stage
from litestar import Litestar
from meeting_baas_schema import judge

from service.api.routes import create_api
from service.store.api_keys import create_key
from service.store.cipher import Cipher
from service.store.database import Database
from simulator.microsoft.world import MicrosoftWorld

pytestmark = pytest.mark.anyio

RECORDED = Path(__file__).parent.parent / "testdata" / "meeting_baas_sdk_requests.jsonl"
CALENDAR, EVENT = "b3f1c2d4-1111-4222-8333-444455556666", "b3f1c2d4-1111-4222-8333-777788889999"
RELEASES = [
    (release, api) for release in ("5.0.10", "6.0.0", "6.0.5", "6.2.4-src") for api in ("v1", "v2") if (release, api) != ("5.0.10", "v2")
]  # fmt: skip
ADA = "ada@example.com"
DAILY = {
    "summary": "Standup",
    "location": "https://meet.google.com/abc-defg-hij",
    "start": {"dateTime": "2026-03-03T09:00:00Z", "timeZone": "UTC"},
    "end": {"dateTime": "2026-03-03T09:15:00Z", "timeZone": "UTC"},
    "recurrence": ["RRULE:FREQ=DAILY;COUNT=4"],
}
_THE_CLIENTS_OWN = {"host", "content-length", "connection", "accept-encoding"}


@cache
def recorded(release: str, api: str) -> list[tuple[str, dict[str, Any]]]:
    """The calls of one release, in order, those that let a calendar go at the end."""
    lines = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    mine = [line for line in lines if (line["sdk"], line["api"]) == (release, api)]
    calls = [(line["call"], request) for line in mine for request in line["requests"]]
    return sorted(calls, key=lambda call: call[0].startswith("deleteCalendar") and not call[0].endswith("Bot"))


class Replay:
    """Sends recorded requests with what they name replaced by what there is."""

    def __init__(self, http: httpx.AsyncClient, key: str, given: dict[str, str]) -> None:
        self.http = http
        self.key = key
        self.names: dict[str, str] = dict(given)
        self.series = ""

    def put(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text.replace("&cursor=abc", "").replace("cursor=abc&", "")

    async def send(self, request: dict[str, Any], body: str | None = None) -> Any:
        path = "/meeting-baas" + self.put(request["path"])
        query = self.put(request["query"])
        headers = {name: value for name, value in request["headers"].items() if name not in _THE_CLIENTS_OWN}
        content = (self.put(request["body"] or "") if body is None else body).encode()
        answer = await self.http.request(
            request["method"],
            f"{path}?{query}" if query else path,
            headers=headers | {"x-meeting-baas-api-key": self.key},
            content=content or None,
        )
        return judge(request["method"], path, answer.status_code, answer.content), answer


def names_of(credentials: dict[str, Any]) -> dict[str, str]:
    return {
        '"cid"': json.dumps(credentials["client_id"]),
        '"sec"': json.dumps(credentials["client_secret"]),
        '"rt"': json.dumps(credentials["refresh_token"]),
    }


@pytest.mark.parametrize(("release", "api_version"), RELEASES)
async def test_a_releases_requests_are_answered(
    api: Litestar, keys: dict[str, str], stage: Stage, credentials: dict[str, Any], release: str, api_version: str
) -> None:
    stage.world.add_event(ADA, DAILY)
    transport = httpx.ASGITransport(api)
    calls = [call for call in recorded(release, api_version) if "AAMk=" not in (call[1]["body"] or "")]
    assert len(calls) >= 17
    async with httpx.AsyncClient(transport=transport, base_url="http://calgate.test") as http:
        replay = Replay(http, keys["admin"], names_of(credentials))
        for name, request in calls:
            body = None
            if request["path"].endswith("/bots"):
                body = with_series(replay, request["body"])
            found, answer = await replay.send(request, body)
            assert answer.status_code < 300, (name, request["path"], answer.text)
            if name.startswith("createCalendar") and not name.endswith("Bot"):
                await stage.sync()
                await learn(replay, found)
    assert await stage.count("calendars") == 0


async def learn(replay: Replay, made: Any) -> None:
    """Take the ids of what was just connected for those of the recording."""
    calendar_id = made.calendar.uuid if hasattr(made, "calendar") else made.data.calendar_id
    listed = await replay.http.get(
        f"/meeting-baas/v2/calendars/{calendar_id}/events", headers={"x-meeting-baas-api-key": replay.key}
    )
    event = listed.json()["data"][0]
    replay.names |= {CALENDAR: calendar_id, EVENT: event["event_id"]}
    replay.series = event["series_id"]


def with_series(replay: Replay, body: str) -> str:
    """A bot's body, in which the recording has the calendar's id for the series'."""
    tree = json.loads(body)
    if tree.get("series_id") == CALENDAR:
        tree["series_id"] = replay.series
    if "event_id" in tree:
        tree["event_id"] = replay.names[EVENT]
    return json.dumps(tree)


@pytest.mark.parametrize("release", ["6.0.0", "6.0.5", "6.2.4-src"])
async def test_microsofts_request_is_answered(
    database: Database, cipher: Cipher, clock: Any, project: Any, release: str
) -> None:
    world = MicrosoftWorld(clock, seed=7)
    (request,) = [call for _, call in recorded(release, "v2") if "AAMk=" in (call["body"] or "")]
    async with set_stage(database, cipher, clock, project, world) as stage:
        given = world.connect("grace@contoso.example")
        app = create_api(stage.gateway)
        key = await made_key(stage)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://calgate.test") as http:
            replay = Replay(http, key, names_of(given) | {"AAMk=": "primary"})
            found, answer = await replay.send(request)
    assert answer.status_code == 201, answer.text
    assert (found.data.calendar_platform, found.data.account_email) == ("microsoft", "grace@contoso.example")


async def made_key(stage: Stage) -> str:
    async with stage.gateway.database.write() as conn:
        return await create_key(conn, stage.project, "write", stage.clock())
