"""Endpoints in the formats of Meeting BaaS, as their receivers meet them."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from api.conftest import client_of
from flows.stage import Stage
from standardwebhooks import Webhook
from webhook_receivers import Receiver, answers, listening

from service.core.meeting_baas.notices import V1, V2
from service.store.api_keys import find, revoke

pytestmark = pytest.mark.anyio


@pytest.fixture
async def receiver() -> Any:
    async with listening(answers(200, b"thanks")) as receiver:
        yield receiver


async def tested(call: httpx.AsyncClient, receiver: Receiver, **fields: Any) -> tuple[dict[str, Any], Any]:
    """A new endpoint, and the request that its test sends."""
    made = await call.post("/webhooks/endpoints", json={"url": receiver.url, **fields})
    assert made.status_code == 201, made.text
    answer = await call.post(f"/webhooks/endpoints/{made.json()['id']}/test", json={})
    assert answer.status_code == 200, answer.text
    return made.json(), receiver.requests[-1]


async def test_a_receiver_of_v1_knows_the_sender_by_the_api_key(call: httpx.AsyncClient, receiver: Receiver) -> None:
    made, request = await tested(call, receiver, format=V1)
    key = call.headers["authorization"].removeprefix("Bearer ")
    assert request.headers["x-meeting-baas-api-key"] == key
    assert key not in str(made)
    await call.post(f"/webhooks/endpoints/{made['id']}/rotate_secret", json={})
    await call.post(f"/webhooks/endpoints/{made['id']}/test", json={})
    assert receiver.requests[-1].headers["x-meeting-baas-api-key"] == key


async def test_who_gives_an_endpoint_of_v1_another_url_has_his_own_key_sent_there(
    call: httpx.AsyncClient, api: Any, keys: dict[str, str], receiver: Receiver
) -> None:
    made, _ = await tested(call, receiver, format=V1)
    path = f"/webhooks/endpoints/{made['id']}"
    async with listening(answers(200)) as elsewhere, client_of(api, keys["write"]) as writer:
        for change in ({"description": "mine"}, {"url": receiver.url, "rate_limit": 9}):
            assert (await writer.patch(path, json=change)).status_code == 200
        await writer.post(f"{path}/test", json={})
        assert receiver.requests[-1].headers["x-meeting-baas-api-key"] == keys["admin"]
        assert (await writer.patch(path, json={"url": elsewhere.url})).status_code == 200
        await writer.post(f"{path}/test", json={})
        await writer.post(f"{path}/rotate_secret", json={})
        await writer.post(f"{path}/test", json={})
    assert [request.headers["x-meeting-baas-api-key"] for request in elsewhere.requests] == [keys["write"]] * 2


async def test_a_key_that_was_revoked_is_sent_no_longer(
    call: httpx.AsyncClient, api: Any, keys: dict[str, str], stage: Stage, receiver: Receiver
) -> None:
    async with client_of(api, keys["write"]) as writer:
        made, request = await tested(writer, receiver, format=V1)
    assert request.headers["x-meeting-baas-api-key"] == keys["write"]
    async with stage.gateway.database.write() as conn:
        known = await find(conn, keys["write"])
        assert known is not None
        await revoke(conn, known.key_id, stage.clock())
    assert (await call.post(f"/webhooks/endpoints/{made['id']}/test", json={})).json()["status"] == 200
    assert "x-meeting-baas-api-key" not in receiver.requests[-1].headers
    assert "webhook-signature" in receiver.requests[-1].headers


async def test_a_receiver_of_v2_verifies_as_svix_tells_it(call: httpx.AsyncClient, receiver: Receiver) -> None:
    made, request = await tested(call, receiver, format=V2, event_types=["calendar.*"])
    assert not any(name.startswith("webhook-") for name in request.headers)
    moment = datetime.fromtimestamp(int(request.headers["svix-timestamp"]), UTC)
    signature = Webhook(made["secret"]).sign(request.headers["svix-id"], moment, request.body.decode())
    assert request.headers["svix-signature"] == signature


async def test_an_echoed_key_is_not_kept(call: httpx.AsyncClient, stage: Stage) -> None:
    async def echo(request: Any, writer: Any) -> None:
        body = request.headers["x-meeting-baas-api-key"].encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async with listening(echo) as receiver:
        made = await call.post("/webhooks/endpoints", json={"url": receiver.url, "format": V1})
        answer = await call.post(f"/webhooks/endpoints/{made.json()['id']}/test", json={})
    assert call.headers["authorization"].removeprefix("Bearer ") not in answer.text
    assert "[redacted]" in answer.text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"format": "meeting_baas_v3"}, "format", id="no such format"),
        pytest.param({"format": V1, "event_types": ["event.*"]}, "event_types", id="not told in v1"),
        pytest.param({"format": V2, "event_types": ["calendar.sync_events"]}, "event_types", id="not told in v2"),
        pytest.param({"event_types": ["calendar.events_synced"]}, "event_types", id="not told in ours"),
        pytest.param({"headers": {"x": "y"}}, "headers", id="no headers of one's own"),
    ],
)
async def test_what_is_refused(call: httpx.AsyncClient, fields: dict[str, Any], field: str) -> None:
    answer = await call.post("/webhooks/endpoints", json={"url": "http://127.0.0.1:8999/hook", **fields})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("kind", "types", "status"),
    [
        pytest.param("standard", ["calendar.events_synced"], 422, id="v2's in ours"),
        pytest.param("standard", ["event.*", "calendar.event_created"], 422, id="another of v2's in ours"),
        pytest.param(V2, ["event.created"], 422, id="ours in v2"),
        pytest.param(V2, ["calendar.nothing"], 422, id="nobody's"),
        pytest.param(V2, ["calendar.events_synced"], 200, id="v2's in v2"),
        pytest.param(V1, ["calendar.sync_events"], 200, id="v1's in v1"),
        pytest.param(V1, None, 200, id="all of them"),
    ],
)
async def test_a_change_names_types_of_the_endpoints_own_format(
    call: httpx.AsyncClient, kind: str, types: list[str] | None, status: int
) -> None:
    made = (await call.post("/webhooks/endpoints", json={"url": "http://127.0.0.1:8999/hook", "format": kind})).json()
    changed = await call.patch(f"/webhooks/endpoints/{made['id']}", json={"event_types": types})
    assert changed.status_code == status, changed.text
    if status == 422:
        assert [error["field"] for error in changed.json()["errors"]] == ["event_types"]
    shown = (await call.get(f"/webhooks/endpoints/{made['id']}")).json()
    assert shown["event_types"] == (types if status == 200 else None)
