"""Routes of endpoints and messages: what they change, refuse, repeat, and answer when two come at once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import jsonschema
import pytest
from flows.stage import Stage
from sqlalchemy import update
from standardwebhooks import Webhook
from webhook_receivers import Receiver, answers, listening

from service.core.catalogue import CATALOGUE
from webhooks import outbox, tables
from webhooks.message import Notice

pytestmark = pytest.mark.anyio
HOOK = "http://127.0.0.1:8999/hook"


@pytest.fixture
async def receiver() -> Any:
    async with listening(answers(200, b"thanks")) as receiver:
        yield receiver


async def made(call: httpx.AsyncClient, url: str = HOOK, **fields: Any) -> dict[str, Any]:
    answer = await call.post("/webhooks/endpoints", json={"url": url, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def path_of(endpoint: dict[str, Any], action: str = "") -> str:
    return f"/webhooks/endpoints/{endpoint['id']}{action}"


async def announced(stage: Stage, count: int = 1, kind: str = "calendar.active", **fields: Any) -> None:
    async with stage.gateway.database.write() as conn:
        notices = [Notice(stage.project, kind, {"n": n}, stage.clock(), **fields) for n in range(count)]
        await outbox.put(conn, notices, now=stage.clock())


async def marked(stage: Stage, state: str) -> None:
    """Every delivery is in this state, as if it had been tried in vain."""
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(tables.deliveries).values(state=state, attempts=10))


async def test_a_change_is_seen_and_null_resets(call: httpx.AsyncClient) -> None:
    endpoint = await made(call, event_types=["event.*"], description="mine", rate_limit=5, ordering="fifo")
    changed = await call.patch(path_of(endpoint), json={"url": HOOK + "2", "rate_limit": 7, "event_types": ["*"]})
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == '"2"'
    assert [changed.json()[name] for name in ("url", "rate_limit", "event_types", "description", "ordering")] == [
        HOOK + "2",
        7,
        ["*"],
        "mine",
        "fifo",
    ]
    reset = dict.fromkeys(("event_types", "description", "rate_limit", "calendar_ids", "ordering"))
    shown = (await call.patch(path_of(endpoint), json=reset)).json()
    assert {name: shown[name] for name in reset} == reset | {"ordering": "best_effort"}
    assert (await call.get(path_of(endpoint))).json() == shown
    for nothing in ({}, {"rate_limit": None}):
        assert (await call.patch(path_of(endpoint), json=nothing)).json() == shown


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        pytest.param({"secret": "whsec_x"}, 422, "secret", id="unknown"),
        pytest.param({"format": "standard"}, 422, "format", id="not to be changed"),
        pytest.param({"url": None}, 422, "url", id="no url"),
        pytest.param({"url": "https://a.example/\0"}, 422, "url", id="NUL"),
        pytest.param({"url": "http://10.0.0.1/"}, 422, "url", id="private"),
        pytest.param({"url": "ftp://a.example/"}, 422, "url", id="scheme"),
        pytest.param({"url": "https://a.example/" + "x" * 4096}, 422, "url", id="long"),
        pytest.param({"event_types": []}, 422, "event_types", id="no types"),
        pytest.param({"event_types": ["calendar.exploded"]}, 422, "event_types", id="no such type"),
        pytest.param({"event_types": ["c*"]}, 422, "event_types", id="no family"),
        pytest.param({"event_types": ["calendar*"]}, 422, "event_types", id="half a family"),
        pytest.param({"event_types": ["calendar.sync_*"]}, 422, "event_types", id="a part of a family"),
        pytest.param({"rate_limit": 0}, 422, "rate_limit", id="rate"),
        pytest.param({"rate_limit": 2**70}, 422, None, id="huge number"),
        pytest.param({"ordering": "lifo"}, 422, "ordering", id="ordering"),
        pytest.param({"state": "deleted"}, 422, "state", id="state"),
        pytest.param({"state": None}, 422, "state", id="no state"),
        pytest.param({"calendar_ids": ["x"]}, 422, "calendar_ids[0]", id="no id"),
        pytest.param({"calendar_ids": [str(UUID(int=1))]}, 422, "calendar_ids", id="foreign calendar"),
        pytest.param({"description": "x" * 501}, 422, "description", id="long description"),
        pytest.param({"description": "x" * 2**20}, 413, None, id="huge"),
        pytest.param([], 422, None, id="no object"),
    ],
)
async def test_what_a_change_refuses(call: httpx.AsyncClient, body: Any, status: int, field: str | None) -> None:
    endpoint = await made(call)
    answer = await call.patch(path_of(endpoint), json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if field is not None and "errors" in answer.json():
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await call.get(path_of(endpoint))).json()["version"] == 1


async def test_calendars_that_an_endpoint_has_are_not_asked_for_again(
    call: httpx.AsyncClient, credentials: dict[str, Any]
) -> None:
    calendar_id = (await call.post("/calendars", json=credentials)).json()["id"]
    endpoint = await made(call, calendar_ids=[calendar_id])
    assert (await call.delete(f"/calendars/{calendar_id}")).status_code == 204
    own = (await call.get(path_of(endpoint))).json()["calendar_ids"]
    answer = await call.patch(path_of(endpoint), json={"calendar_ids": own, "rate_limit": 5})
    assert (answer.status_code, answer.json()["calendar_ids"]) == (200, [calendar_id])
    unknown = [str(UUID(int=1)), calendar_id, str(UUID(int=2))]
    refused = await call.patch(path_of(endpoint), json={"calendar_ids": unknown})
    assert refused.json()["errors"] == [
        {"field": "calendar_ids", "message": "names calendars that do not exist, at [0], [2]"}
    ]


@pytest.mark.parametrize(
    ("method", "action", "body"),
    [
        ("POST", "/rotate_secret", {"grace_seconds": -1}),
        ("POST", "/rotate_secret", {"grace_seconds": 604_801}),
        ("POST", "/rotate_secret", {"grace_seconds": "1"}),
        ("POST", "/rotate_secret", {"grace": 1}),
        ("POST", "/test", {"type": "event.created"}),
        ("POST", "/recover", {}),
        ("POST", "/recover", {"since": "yesterday"}),
        ("POST", "/recover", {"since": "2026-03-01T00:00:00"}),
        ("POST", "/recover", {"since": "0001-01-01T00:00:00Z"}),
        ("POST", "/recover", {"since": "2026-03-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"}),
        ("POST", "/recover", {"since": "2026-03-01T00:00:00Z", "event_types": ["x.y"]}),
        ("POST", "/recover", {"since": "2026-03-01T00:00:00Z", "event_types": ["event.\0"]}),
        ("POST", "/recover", {"since": "2026-03-01T00:00:00Z", "limit": 1}),
    ],
)
async def test_what_the_actions_refuse(call: httpx.AsyncClient, method: str, action: str, body: Any) -> None:
    endpoint = await made(call)
    answer = await call.request(method, path_of(endpoint, action), json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text


async def test_reading_keys_change_nothing(api: Any, call: httpx.AsyncClient, keys: dict[str, str]) -> None:
    endpoint = await made(call)
    reader = {"authorization": f"Bearer {keys['read']}"}
    for method, action in (("PATCH", ""), ("POST", "/rotate_secret"), ("POST", "/test"), ("POST", "/recover")):
        answer = await call.request(method, path_of(endpoint, action), json={}, headers=reader)
        assert (answer.status_code, "`write`" in answer.json()["detail"]) == (403, True)
    writer = {"authorization": f"Bearer {keys['write']}"}
    assert (await call.get(path_of(endpoint, "/secret"), headers=writer)).status_code == 403
    assert (await call.get("/webhooks/event_types", headers=reader)).status_code == 200


async def test_of_changes_at_once_with_one_tag_one_is_made(call: httpx.AsyncClient) -> None:
    endpoint = await made(call)
    racers = [
        call.patch(path_of(endpoint), json={"description": str(n)}, headers={"if-match": '"1"'}) for n in range(50)
    ]
    assert sorted(answer.status_code for answer in await asyncio.gather(*racers)) == [200] + [412] * 49
    assert (await call.get(path_of(endpoint))).json()["version"] == 2
    late = await call.delete(path_of(endpoint), headers={"if-match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")


async def test_disabling_parks_and_any_change_enables_again(call: httpx.AsyncClient, stage: Stage) -> None:
    endpoint = await made(call)
    await announced(stage)
    off = (await call.patch(path_of(endpoint), json={"state": "disabled"})).json()
    assert (off["state"], off["status"], off["disabled_reason"]) == ("disabled", "disabled", "manual")
    assert off["disabled_at"] == stage.clock().isoformat().replace("+00:00", "Z")
    [message] = (await call.get("/webhooks/messages")).json()["data"]
    assert message["deliveries"][0]["status"] == "parked"
    still = (await call.patch(path_of(endpoint), json={"state": "disabled", "description": "x"})).json()
    assert (still["state"], still["description"]) == ("disabled", "x")
    for action, body in (("/test", {}), ("/recover", {"since": "2026-01-01T00:00:00Z"})):
        refused = await call.post(path_of(endpoint, action), json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    refused = await call.post(f"/webhooks/messages/{message['id']}/resend")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    on = (await call.patch(path_of(endpoint))).json()
    assert (on["state"], on["disabled_reason"], on["disabled_at"]) == ("enabled", None, None)
    [message] = (await call.get("/webhooks/messages?state=pending")).json()["data"]
    assert message["deliveries"][0]["next_attempt_at"] == stage.clock().isoformat().replace("+00:00", "Z")


async def test_a_rotation_is_repeatable_and_makes_one_secret(call: httpx.AsyncClient) -> None:
    endpoint = await made(call)
    answers_ = [
        await call.post(path_of(endpoint, "/rotate_secret"), json={}, headers={"idempotency-key": "r"})
        for _ in range(3)
    ]
    assert {answer.status_code for answer in answers_} == {200}
    assert len({answer.content for answer in answers_}) == 1
    secret = answers_[0].json()["secret"]
    assert secret != endpoint["secret"]
    assert (await call.get(path_of(endpoint, "/secret"))).json() == {"secret": secret}
    again = (await call.post(path_of(endpoint, "/rotate_secret"))).json()
    assert again["secret"] != secret
    assert "secret" not in (await call.get(path_of(endpoint))).json()


async def test_a_rotation_says_until_when_the_old_secret_signs(call: httpx.AsyncClient, stage: Stage) -> None:
    endpoint = await made(call)
    for body, seconds in (({}, 86_400), ({"grace_seconds": 0}, 0), ({"grace_seconds": 604_800}, 604_800)):
        answer = (await call.post(path_of(endpoint, "/rotate_secret"), json=body)).json()
        until = stage.clock() + timedelta(seconds=seconds)
        assert answer["old_secrets_sign_until"] == until.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("status", [200, 500])
async def test_a_test_is_sent_at_once_and_only_once(
    call: httpx.AsyncClient, stage: Stage, receiver: Receiver, status: int
) -> None:
    receiver.behaviour = answers(status, b"seen")
    endpoint = await made(call, receiver.url, event_types=["meeting.starting"], rate_limit=1, ordering="fifo")
    attempt = await call.post(path_of(endpoint, "/test"), headers={"idempotency-key": "t"})
    assert attempt.status_code == 200, attempt.text
    assert (attempt.json()["status"], attempt.json()["answer"]) == (status, "seen")
    assert attempt.json()["next_attempt_at"] is None
    again = await call.post(path_of(endpoint, "/test"), headers={"idempotency-key": "t"})
    assert again.content == attempt.content
    [request] = receiver.requests
    assert request.headers["webhook-id"] == attempt.json()["message_id"]
    signed = Webhook(endpoint["secret"]).sign(request.headers["webhook-id"], stage.clock(), request.body.decode())
    assert request.headers["webhook-signature"] == signed
    message = (await call.get(f"/webhooks/messages/{attempt.json()['message_id']}")).json()
    assert message["payload"]["type"] == "webhook.test"
    assert message["payload"]["data"] == {"endpoint_id": endpoint["id"], "reason": "test"}
    assert message["deliveries"][0]["status"] == ("delivered" if status == 200 else "failed")


async def test_a_test_of_nobody_answers_with_the_failure(call: httpx.AsyncClient) -> None:
    attempt = (await call.post(path_of(await made(call), "/test"))).json()
    assert (attempt["status"], attempt["error_kind"]) == (None, "connect")


async def test_health_is_shown(call: httpx.AsyncClient, stage: Stage, receiver: Receiver) -> None:
    endpoint = await made(call, receiver.url)
    health = ("first_failure_at", "last_success_at", "success_rate", "failed_messages", "disabled_reason")
    assert [endpoint[name] for name in health] == [None, None, None, 0, None]
    for status in (200, 500, 500, 500):
        receiver.behaviour = answers(status)
        await call.post(path_of(endpoint, "/test"))
    shown = (await call.get(path_of(endpoint))).json()
    now = stage.clock().isoformat().replace("+00:00", "Z")[:19]
    assert [str(shown[name])[:19] for name in health] == [now, now, "0.25", "1", "None"]
    assert (await call.get("/webhooks/endpoints")).json()["data"] == [shown]
    stage.clock.advance(hours=25)
    later = (await call.get(path_of(endpoint))).json()
    assert (later["success_rate"], later["last_success_at"]) == (None, shown["last_success_at"])


async def test_what_failed_is_due_again(call: httpx.AsyncClient, stage: Stage) -> None:
    endpoint, other = await made(call), await made(call)
    start = stage.clock()
    await announced(stage, 3)
    stage.clock.advance(hours=1)
    await announced(stage, 2, "calendar.error")
    await marked(stage, "failed")

    async def recover(**span: Any) -> int:
        answer = await call.post(path_of(endpoint, "/recover"), json=span)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["deliveries"])

    since, later = start.isoformat(), stage.clock().isoformat()
    assert await recover(since=later, event_types=["event.*"]) == 0
    assert await recover(since=since, until=later, event_types=["calendar.*"]) == 3
    assert await recover(since=since) == 2
    assert await recover(since=since) == 0
    left = (await call.get(f"/webhooks/messages?endpoint_id={other['id']}&state=failed")).json()["data"]
    assert len(left) == 5


async def test_thousands_are_recovered_in_pieces(call: httpx.AsyncClient, stage: Stage) -> None:
    endpoint = await made(call)
    await announced(stage, 2500)
    await marked(stage, "failed")
    headers = {"idempotency-key": "all"}
    body = {"since": "2026-01-01T00:00:00Z"}
    first = await call.post(path_of(endpoint, "/recover"), json=body, headers=headers)
    assert (first.status_code, first.json()) == (202, {"deliveries": 2500})
    again = await call.post(path_of(endpoint, "/recover"), json=body, headers=headers)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")


async def test_a_message_is_sent_again_to_one_or_to_all(call: httpx.AsyncClient, stage: Stage) -> None:
    endpoint, _ = await made(call), await made(call)
    await announced(stage)
    third = await made(call)
    await marked(stage, "delivered")
    [message] = (await call.get("/webhooks/messages")).json()["data"]
    path = f"/webhooks/messages/{message['id']}/resend"
    for body, status, count in (
        ({"endpoint_id": endpoint["id"]}, 202, 1),
        ({}, 202, 2),
        (None, 202, 2),
        ({"endpoint_id": third["id"]}, 409, None),
        ({"endpoint_id": str(uuid4())}, 404, None),
        ({"endpoint_id": "x"}, 422, None),
        ({"to": "x"}, 422, None),
    ):
        answer = await call.post(path, json=body) if body is not None else await call.post(path)
        assert (answer.status_code, answer.json().get("deliveries")) == (status, count), answer.text


async def test_messages_are_found_by_what_became_of_them(call: httpx.AsyncClient, stage: Stage) -> None:
    one = await made(call, event_types=["calendar.active"])
    two = await made(call)
    await announced(stage, 2)
    await marked(stage, "failed")
    stage.clock.advance(hours=1)
    await announced(stage, 1, "calendar.error")

    async def count(**query: str) -> int:
        answer = await call.get("/webhooks/messages", params=query)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["data"])

    moment = stage.clock().isoformat().replace("+00:00", "Z")
    assert await count() == 3
    assert await count(endpoint_id=one["id"]) == 2
    assert await count(endpoint_id=two["id"], state="pending") == 1
    assert await count(endpoint_id=one["id"], state="pending") == 0
    assert await count(state="failed") == 2
    assert await count(since=moment) == 1
    assert await count(until=moment) == 2
    assert await count(type="calendar.error", endpoint_id=str(uuid4())) == 0
    for wrong in ({"state": "lost"}, {"since": "x"}, {"until": "2026"}, {"endpoint_id": "x"}):
        assert (await call.get("/webhooks/messages", params=wrong)).status_code == 422


async def test_the_catalogue_has_a_schema_that_its_example_fits(call: httpx.AsyncClient) -> None:
    listed = (await call.get("/webhooks/event_types")).json()
    assert listed["next_cursor"] is None
    assert [each["type"] for each in listed["data"]] == [each.name for each in CATALOGUE]
    for each in listed["data"]:
        jsonschema.Draft202012Validator.check_schema(each["schema"])
        validator = jsonschema.Draft202012Validator(
            each["schema"], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )
        validator.validate(each["example"])
        assert not validator.is_valid(each["example"] | {"type": "other"})
        assert not validator.is_valid(each["example"] | {"data": {}})
        assert each["on_request"] is not outbox.wants(
            outbox.Subscriber(target=None, event_types=None, calendar_ids=None, fifo=False, format="standard"),  # type: ignore[arg-type]
            Notice(uuid4(), each["type"], {}, None),  # type: ignore[arg-type]
        )
