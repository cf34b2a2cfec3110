"""Routes of bots: what they answer, refuse and keep secret."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from flows.stage import Stage

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
RUNNER = {"kind": "http", "url": "http://127.0.0.1:8999/bots", "headers": {"Authorization": "Bearer canary"}}


async def events_of(call: httpx.AsyncClient, stage: Stage, **event: Any) -> list[dict[str, Any]]:
    """The events of a calendar that was connected and read, with one meeting or series in it."""
    stage.world.connect(ADA)
    stage.world.add_meeting(ADA, "Review", in_minutes=60, **event)
    calendar_id = await stage.connect(ADA)
    await stage.sync()
    answer = await call.get(f"/calendars/{calendar_id}/events", params={"from": "2026-01-01T00:00:00Z"})
    return [event for event in answer.json()["data"] if event["title"] == "Review"]


async def test_a_plan_is_made_shown_replaced_and_dropped(call: httpx.AsyncClient, stage: Stage) -> None:
    (event,) = await events_of(call, stage)
    path = f"/events/{event['id']}/bot"
    assert (await call.get(path)).status_code == 404
    made = await call.put(path, json={"config": {"name": "Notes", "any": [1, None]}})
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    body = made.json()
    assert list(body) == [
        "id",
        "event_id",
        "series_id",
        "config",
        "join_lead_seconds",
        "deduplicate",
        "version",
        "created_at",
        "updated_at",
        "bots",
    ]
    (bot,) = body["bots"]
    assert (bot["status"], bot["meeting_key"], bot["event_id"]) == ("planned", event["meeting_key"], event["id"])
    assert (await call.get(path)).json() == body
    again = await call.put(path, json={"config": {}, "join_lead_seconds": 0, "deduplicate": False})
    assert (again.status_code, again.json()["version"], again.json()["id"]) == (200, 2, body["id"])
    assert (await call.delete(path)).status_code == 204
    assert (await call.get(path)).status_code == (await call.delete(path)).status_code == 404


async def test_a_series_is_planned_by_its_id(call: httpx.AsyncClient, stage: Stage) -> None:
    events = await events_of(call, stage, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    path = f"/series/{events[0]['series_id']}/bot"
    made = await call.put(path, json={"config": {"name": "Notes"}})
    assert made.status_code == 201
    assert [bot["status"] for bot in made.json()["bots"]] == ["planned"] * 3
    shown = await call.get(f"/events/{events[2]['id']}/bot")
    assert shown.json()["id"] == made.json()["id"]
    assert (await call.delete(f"/events/{events[2]['id']}/bot")).status_code == 204
    assert (await call.get(f"/events/{events[2]['id']}/bot")).status_code == 404
    assert (await call.get(path)).status_code == 200
    assert (await call.delete(path)).status_code == 204
    assert (await call.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        pytest.param({}, 422, "config", id="no config"),
        pytest.param({"config": []}, 422, "config", id="no object"),
        pytest.param({"config": {}, "join_lead_seconds": -1}, 422, "join_lead_seconds", id="negative"),
        pytest.param({"config": {}, "join_lead_seconds": 3601}, 422, "join_lead_seconds", id="too long"),
        pytest.param({"config": {}, "join_lead_seconds": 2**70}, 422, None, id="huge number"),
        pytest.param({"config": {}, "deduplicate": "yes"}, 422, "deduplicate", id="no boolean"),
        pytest.param({"config": {}, "bot_id": str(uuid4())}, 422, "bot_id", id="unknown"),
        pytest.param({"config": {"x": "a\0b"}}, 422, "config.x", id="NUL"),
        pytest.param({"config": {"x": "y" * 70_000}}, 422, "config", id="large"),
    ],
)
async def test_what_a_plan_refuses(
    call: httpx.AsyncClient, stage: Stage, body: Any, status: int, field: str | None
) -> None:
    (event,) = await events_of(call, stage)
    for path in (f"/events/{event['id']}/bot", "/series/x/bot"):
        answer = await call.put(path, json=body)
        assert answer.status_code == status, answer.text
        if field is not None:
            assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await call.get(f"/events/{event['id']}/bot")).status_code == 404


async def test_versions_are_honoured_and_one_of_many_wins(call: httpx.AsyncClient, stage: Stage) -> None:
    (event,) = await events_of(call, stage)
    path = f"/events/{event['id']}/bot"
    await call.put(path, json={"config": {}})
    answers = await asyncio.gather(
        *(call.put(path, json={"config": {"n": n}}, headers={"if-match": '"1"'}) for n in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    assert (await call.delete(path, headers={"if-match": '"1"'})).status_code == 412
    assert (await call.delete(path, headers={"if-match": '"2'})).status_code == 412
    assert (await call.delete(path, headers={"if-match": '"2"'})).status_code == 204


async def test_an_event_that_is_over_is_a_conflict(call: httpx.AsyncClient, stage: Stage) -> None:
    (event,) = await events_of(call, stage)
    stage.clock.advance(hours=5)
    answer = await call.put(f"/events/{event['id']}/bot", json={"config": {}})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "is over" in answer.json()["detail"]


async def test_a_runner_shows_the_names_of_its_headers_alone(call: httpx.AsyncClient) -> None:
    assert (await call.get("/bot_runner")).json() == {"kind": "webhook", "url": None, "header_names": [], "version": 0}
    put = await call.put("/bot_runner", json=RUNNER)
    assert put.status_code == 200, put.text
    assert put.json() == {"kind": "http", "url": RUNNER["url"], "header_names": ["Authorization"], "version": 1}
    shown = await call.get("/bot_runner")
    assert shown.json() == put.json()
    assert "canary" not in put.text + shown.text
    assert (await call.delete("/bot_runner")).status_code == 204
    assert (await call.delete("/bot_runner")).status_code == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"kind": "smtp"}, "validation_failed", id="kind"),
        pytest.param({"url": None}, "validation_failed", id="no url"),
        pytest.param({"kind": "webhook"}, "validation_failed", id="a webhook has no url here"),
        pytest.param({"url": "http://169.254.169.254/"}, "blocked_url", id="metadata"),
        pytest.param({"url": "https://user:pass@example.com/"}, "blocked_url", id="userinfo"),
        pytest.param({"url": "file:///etc/passwd"}, "blocked_url", id="scheme"),
        pytest.param({"headers": {"a": "b\r\nc: d"}}, "validation_failed", id="line break in a value"),
        pytest.param({"headers": {"a b": "c"}}, "validation_failed", id="blank in a name"),
        pytest.param({"headers": {"Host": "evil.example"}}, "validation_failed", id="host"),
        pytest.param({"headers": {"Idempotency-Key": "1"}}, "validation_failed", id="our key"),
        pytest.param({"headers": {"a": "é"}}, "validation_failed", id="not ascii"),
        pytest.param({"headers": {"a": ""}}, "validation_failed", id="empty"),
        pytest.param({"headers": {"a": "1", "A": "2"}}, "validation_failed", id="twice"),
        pytest.param({"headers": {f"x-{n}": "1" for n in range(21)}}, "validation_failed", id="many"),
        pytest.param({"headers": {"a": "x" * 5000}}, "validation_failed", id="long"),
    ],
)
async def test_what_a_runner_refuses(call: httpx.AsyncClient, change: dict[str, Any], code: str) -> None:
    answer = await call.put("/bot_runner", json=RUNNER | change)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert (await call.get("/bot_runner")).json()["kind"] == "webhook"
