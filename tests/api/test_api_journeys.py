"""Each route does its work, through the whole application, on both databases."""

import asyncio
import json
import re
from typing import Any
from uuid import UUID

import httpx
import pytest
from flows.stage import Stage

from service.core.announcements import CalendarNotice
from service.flows import push
from service.store import keyring
from webhooks import outbox
from webhooks.message import Notice

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


async def connected(call: httpx.AsyncClient, credentials: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await call.post("/calendars", json=credentials | more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_looking_at_an_account_stores_nothing(call: httpx.AsyncClient, credentials: dict[str, Any]) -> None:
    by_get = await call.request("GET", "/calendars/raw", json=credentials)
    by_post = await call.post("/calendars/raw", json=credentials)

    assert by_get.status_code == by_post.status_code == 200
    assert by_get.json() == by_post.json()
    (raw,) = by_get.json()["calendars"]
    assert raw["id"] == ADA
    assert raw["is_primary"] is True
    assert set(raw) == {"id", "name", "description", "is_primary", "time_zone", "access_role", "color"}
    assert (await call.get("/calendars")).json() == {"data": [], "next_cursor": None}


async def test_a_calendar_is_connected_shown_changed_and_let_go(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    made = await call.post("/calendars", json=credentials | {"name": "Ada", "metadata": {"user": "42", "n": [1, None]}})
    assert made.status_code == 201, made.text
    calendar = made.json()
    assert made.headers["etag"] == '"1"'
    assert calendar["status"] == "syncing"
    assert calendar["raw_calendar_id"] == ADA
    assert calendar["metadata"] == {"user": "42", "n": [1, None]}
    assert credentials["refresh_token"] not in made.text
    assert credentials["client_secret"] not in made.text

    await stage.sync()
    path = f"/calendars/{calendar['id']}"
    shown = (await call.get(path)).json()
    assert shown["status"] == "active"
    assert shown["last_synced_at"] == "2026-03-02T09:00:00Z"
    assert list(shown) == list(calendar)

    changed = await call.patch(
        path, json={"name": None, "horizon_days": 60}, headers={"if-match": made.headers["etag"]}
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["name"], changed.json()["horizon_days"]) == (None, 60)
    assert changed.json()["metadata"] == {"user": "42", "n": [1, None]}
    stale = await call.patch(path, json={"name": "B"}, headers={"if-match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert (await call.delete(path, headers={"if-match": '"1"'})).status_code == 412

    gone = await call.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await call.get(path)).status_code == 404
    assert (await call.delete(path)).status_code == 404


async def test_the_same_calendar_again_keeps_its_id(call: httpx.AsyncClient, credentials: dict[str, Any]) -> None:
    first = await connected(call, credentials)
    again = await call.post("/calendars", json=credentials)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert len((await call.get("/calendars")).json()["data"]) == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        pytest.param({"refresh_token": "1//revoked"}, "credentials_rejected", id="grant"),
        pytest.param({"client_secret": "other"}, "client_rejected", id="client"),
        pytest.param({"raw_calendar_id": "nobody@example.com"}, "calendar_not_found", id="calendar"),
    ],
)
async def test_a_refusal_of_the_provider_is_told_in_the_contracts_codes(
    call: httpx.AsyncClient, credentials: dict[str, Any], wrong: dict[str, str], code: str
) -> None:
    answer = await call.post("/calendars", json=credentials | wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not any(secret in answer.text for secret in ("1//revoked", credentials["refresh_token"]))


async def test_an_outage_of_the_provider_is_503_with_retry_after(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    stage.world.add_fault("backend_503", times=50)
    answer = await call.post("/calendars", json=credentials)
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_calendars_are_listed_by_filters(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    ada = await connected(call, credentials, metadata={"team": "a"})
    given = stage.world.connect("grace@example.com")
    grace = await connected(
        call,
        credentials | {"refresh_token": given["refresh_token"]} | {"metadata": {"team": "b"}},
    )

    async def ids(**filters: str) -> list[str]:
        answer = await call.get("/calendars", params=filters)
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json()["data"]]

    assert await ids() == [ada["id"], grace["id"]]
    assert await ids(provider="google", status="syncing") == [ada["id"], grace["id"]]
    assert await ids(provider="microsoft") == []
    assert await ids(status="active") == []
    assert await ids(email="ADA@example.com") == [ada["id"]]
    assert await ids(**{"metadata.team": "b"}) == [grace["id"]]
    assert await ids(**{"metadata.team": "c"}) == []


async def test_resync_is_due_at_once(call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]) -> None:
    calendar = await connected(call, credentials)
    await stage.sync()
    assert await stage.sync() == 0

    one = await call.post(f"/calendars/{calendar['id']}/resync", json={"full": True})
    assert (one.status_code, one.json()["id"]) == (202, calendar["id"])
    assert await stage.sync() == 1
    everything = await call.post("/calendars/resync")
    assert (everything.status_code, everything.json()) == (202, {"calendars": 1})
    assert await stage.sync() == 1


async def test_sync_says_how_it_stands(call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]) -> None:
    calendar = await connected(call, credentials)
    before = (await call.get(f"/calendars/{calendar['id']}/sync")).json()
    assert (before["status"], before["last_synced_at"], before["lag_seconds"]) == ("syncing", None, None)
    await stage.sync()
    stage.clock.advance(30)
    after = (await call.get(f"/calendars/{calendar['id']}/sync")).json()
    assert (after["status"], after["lag_seconds"], after["consecutive_failures"]) == ("active", 30.0, 0)
    assert after["push"] == {"enabled": False, "expires_at": None, "last_received_at": None}
    assert after["quarantined_events"] == 0


async def test_events_are_listed_shown_and_remembered(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    calendar = await connected(call, credentials)
    event = stage.world.add_meeting(ADA, "plan", in_minutes=60)
    stage.world.add_meeting(ADA, "later", in_minutes=60 * 24 * 20)
    await stage.sync()
    before = stage.clock()
    stage.clock.advance(60)
    stage.world.edit_event(ADA, event["id"], {"summary": "plan B"})
    await stage.sync_again(UUID(calendar["id"]))

    listed = (await call.get("/events")).json()
    assert [row["title"] for row in listed["data"]] == ["plan B", "later"]
    assert (await call.get(f"/calendars/{calendar['id']}/events")).json() == listed
    plan = listed["data"][0]
    soon = await call.get("/events", params={"until": "2026-03-03T00:00:00+00:00", "platform": "google_meet"})
    assert [row["id"] for row in soon.json()["data"]] == [plan["id"]]
    assert (await call.get("/events?attendee=nobody@example.com")).json()["data"] == []

    shown = await call.get(f"/events/{plan['id']}")
    assert shown.json() == plan
    assert shown.headers["etag"] == '"2"'
    assert (await call.get(f"/calendars/{calendar['id']}/events/{plan['id']}")).json() == plan
    raw = (await call.get(f"/events/{plan['id']}?include=raw")).json()
    assert raw.pop("raw")["id"] == event["id"]
    assert raw == plan
    then = await call.get(f"/events/{plan['id']}", params={"as_of": before.isoformat()})
    assert (then.status_code, then.json()["title"], then.json()["version"]) == (200, "plan", 1)
    assert (await call.get(f"/events/{plan['id']}?as_of=2026-01-01T00:00:00Z")).status_code == 404

    history = (await call.get(f"/events/{plan['id']}/history")).json()["data"]
    assert [(change["kind"], change["event"]["title"]) for change in history] == [
        ("updated", "plan B"),
        ("created", "plan"),
    ]


async def test_meetings_answer_the_bot_scheduler(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    calendar = await connected(call, credentials)
    for minutes in (10, 60, 60 * 30):
        stage.world.add_meeting(ADA, f"in {minutes}", in_minutes=minutes)
    await stage.sync()

    async def titles(**query: str) -> list[str]:
        answer = await call.get("/meetings", params=query)
        assert answer.status_code == 200, answer.text
        return [row["title"] for row in answer.json()["data"]]

    assert await titles() == ["in 10", "in 60"]
    assert await titles(within="15m") == ["in 10"]
    assert await titles(until="2026-03-10T00:00:00Z") == ["in 10", "in 60", "in 1800"]
    assert await titles(platform="zoom") == []
    assert await titles(calendar_id=calendar["id"]) == ["in 10", "in 60"]
    (row,) = (await call.get("/meetings?within=15m")).json()["data"]
    assert row["lead"]["calendar_id"] == calendar["id"]
    assert [copy["calendar_status"] for copy in row["copies"]] == ["active"]


async def test_the_change_log_is_read_to_its_end(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    for title in "abc":
        stage.world.add_meeting(ADA, title)
    await stage.sync()

    first = (await call.get("/changes?limit=2")).json()
    assert [change["seq"] for change in first["data"]] == [1, 2]
    assert first["last_seq"] == 2
    rest = (await call.get("/changes", params={"after": first["last_seq"]})).json()
    assert ([change["seq"] for change in rest["data"]], rest["last_seq"]) == ([3], 3)
    assert (await call.get("/changes?after=3")).json() == {"data": [], "last_seq": 3}
    for beyond in ("/changes?after=4000", "/changes?after=4000&type=created", "/changes?after=4000&wait=30"):
        async with asyncio.timeout(30):
            answer = await call.get(beyond)
        assert answer.json() == {"data": [], "last_seq": 3}, "it would stay wrong for ever"
    assert (await call.get("/changes?type=cancelled")).json() == {"data": [], "last_seq": 3}
    assert len((await call.get("/changes?type=created,updated")).json()["data"]) == 3


async def test_endpoints_and_what_was_sent(call: httpx.AsyncClient, stage: Stage) -> None:
    made = await call.post(
        "/webhooks/endpoints", json={"url": "http://127.0.0.1:8999/hook", "event_types": ["calendar.*"]}
    )
    assert made.status_code == 201, made.text
    endpoint = made.json()
    assert endpoint["secret"].startswith("whsec_")
    path = f"/webhooks/endpoints/{endpoint['id']}"
    shown = (await call.get(path)).json()
    assert shown == {name: value for name, value in endpoint.items() if name != "secret"}
    assert (await call.get("/webhooks/endpoints")).json() == {"data": [shown], "next_cursor": None}
    assert (await call.get(f"{path}/secret")).json() == {"secret": endpoint["secret"]}

    notice = CalendarNotice(
        calendar_id=UUID(int=1),
        provider="google",
        email=ADA,
        raw_calendar_id=ADA,
        status="active",
        previous_status=None,
        error_code=None,
        error_message=None,
        metadata={},
    )
    async with stage.gateway.database.write() as conn:
        await outbox.put(conn, [Notice(stage.project, "calendar.active", notice, stage.clock())], now=stage.clock())
    (message,) = (await call.get("/webhooks/messages?type=calendar.active")).json()["data"]
    assert [delivery["status"] for delivery in message["deliveries"]] == ["pending"]
    one = (await call.get(f"/webhooks/messages/{message['id']}")).json()
    assert one["payload"]["data"]["email"] == ADA
    attempts = await call.get(f"/webhooks/messages/{message['id']}/attempts")
    assert attempts.json() == {"data": [], "next_cursor": None}

    assert (await call.delete(path, headers={"if-match": '"7"'})).status_code == 412
    assert (await call.delete(path)).status_code == 204
    assert (await call.get(path)).status_code == 404
    assert (await call.get("/webhooks/endpoints")).json()["data"] == []


async def test_a_push_needs_no_key_but_its_own_proof(
    call: httpx.AsyncClient, anybody: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    await stage.sync()
    await push.renew_due(stage.gateway)
    await stage.sync()
    stage.world.add_meeting(ADA, "plan")
    notices = stage.world.take_pushes()
    assert notices
    for notice in notices:
        lower = {name.lower(): value for name, value in notice.headers.items()}
        path = notice.address.removeprefix("http://127.0.0.1:9")
        told = await anybody.post(path, headers=notice.headers)
        assert (told.status_code, told.content) == (204, b"")
        large = await anybody.post(path, headers=notice.headers, content=b"x" * 300_000)
        assert large.status_code == 413
        wrong = await anybody.post(path, headers={**lower, "x-goog-channel-token": "guess"})
        assert wrong.status_code == 404
    stage.clock.advance(2)
    assert await stage.sync() == 1
    assert [row["title"] for row in (await call.get("/events")).json()["data"]] == ["plan"]

    channel = UUID(int=7)
    forged = await anybody.post(
        f"/push/google/{channel}",
        headers={
            "x-goog-channel-id": str(channel),
            "x-goog-resource-id": "r",
            "x-goog-resource-state": "exists",
            "x-goog-channel-token": "guess",
            "x-goog-message-number": "2",
        },
    )
    assert (forged.status_code, forged.json()["code"]) == (404, "not_found")
    assert (await anybody.post("/push/google/nonsense")).status_code == 404
    assert await stage.sync() == 0


async def test_readiness_gives_its_reasons(
    anybody: httpx.AsyncClient, call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any], seconds: Any
) -> None:
    async def readiness() -> tuple[int, list[str]]:
        seconds.now += 2
        answer = await anybody.get("/health/ready")
        return answer.status_code, answer.json()["reasons"]

    status, reasons = await readiness()
    assert (status, [reason.partition(":")[0] for reason in reasons]) == (503, ["key ring"])
    async with stage.gateway.database.write() as conn:
        await keyring.prove(conn, stage.gateway.cipher)
    assert await readiness() == (200, [])

    await connected(call, credentials)
    stage.clock.advance(minutes=4)
    assert await readiness() == (200, [])
    stage.clock.advance(minutes=2)
    status, reasons = await readiness()
    [reason] = reasons
    assert (status, reason.partition(";")[0]) == (503, "sync: the oldest has been due since 2026-03-02T09:00:00Z")
    await stage.sync()
    assert (await anybody.get("/health/ready")).status_code == 503  # what was found a moment ago
    assert await readiness() == (200, [])


async def test_operations(anybody: httpx.AsyncClient, stage: Stage, draining: Any) -> None:
    assert (await anybody.get("/health/live")).json() == {"status": "live"}
    metrics = await anybody.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    docs = await anybody.get("/docs")
    assert "/openapi.json" in docs.text
    assert "script-src https://cdn.jsdelivr.net;" in docs.headers["content-security-policy"]
    scripts = re.findall(r"<script src=\S+@\d+\.\d+\.\d+/\S+ integrity=\"sha384-[\w+/=]{64}\"", docs.text)
    assert len(scripts) == docs.text.count("<script src"), (
        "what a CDN serves is run only if it is the release that we know"
    )
    assert json.loads((await anybody.get("/openapi.json")).content)["openapi"].startswith("3.1")
    draining.begin()
    ending = await anybody.get("/health/ready")
    assert (ending.status_code, ending.json()["status"]) == (503, "not_ready")
    assert ending.json()["reasons"][0].startswith("draining")
