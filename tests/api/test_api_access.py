"""Who may ask what: keys, scopes, rates, and that another project's objects are as good as none."""

import dataclasses
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from flows.stage import Stage
from litestar import Litestar

from service.api.limits import MOST_CALLERS, RateLimiter
from service.api.routes import create_api
from service.settings import RateLimit
from service.store import api_keys

pytestmark = pytest.mark.anyio
CREDENTIALS = {"provider": "google", "client_id": "c", "client_secret": "s", "refresh_token": "t"}

WITH_ID = [
    ("GET", "/calendars/{id}", None),
    ("PATCH", "/calendars/{id}", {"name": "x"}),
    ("DELETE", "/calendars/{id}", None),
    ("POST", "/calendars/{id}/resync", {}),
    ("GET", "/calendars/{id}/sync", None),
    ("GET", "/calendars/{id}/events", None),
    ("GET", "/calendars/{id}/events/{event}", None),
    ("GET", "/events/{event}", None),
    ("GET", "/events/{event}?include=raw", None),
    ("GET", "/events/{event}?as_of=2026-03-02T09:00:00Z", None),
    ("GET", "/events/{event}/history", None),
    (
        "POST",
        "/calendars/{id}/events",
        {"title": "x", "starts_at": "2026-03-02T10:00:00Z", "ends_at": "2026-03-02T11:00:00Z"},
    ),
    (
        "POST",
        "/connections/{connection}/events",
        {"title": "x", "starts_at": "2026-03-02T10:00:00Z", "ends_at": "2026-03-02T11:00:00Z"},
    ),
    ("POST", "/calendars/{id}/events/quick_add", {"text": "Lunch tomorrow at 1pm"}),
    ("PATCH", "/events/{event}", {"title": "x"}),
    ("DELETE", "/events/{event}", None),
    ("PUT", "/events/{event}/bot", {"config": {}}),
    ("GET", "/events/{event}/bot", None),
    ("DELETE", "/events/{event}/bot", None),
    ("PUT", "/series/{series}/bot", {"config": {}}),
    ("GET", "/series/{series}/bot", None),
    ("DELETE", "/series/{series}/bot", None),
    ("GET", "/webhooks/endpoints/{endpoint}", None),
    ("PATCH", "/webhooks/endpoints/{endpoint}", {"description": "x"}),
    ("DELETE", "/webhooks/endpoints/{endpoint}", None),
    ("POST", "/webhooks/endpoints/{endpoint}/rotate_secret", {}),
    ("POST", "/webhooks/endpoints/{endpoint}/test", {}),
    ("POST", "/webhooks/endpoints/{endpoint}/recover", {"since": "2026-03-01T00:00:00Z"}),
    ("GET", "/webhooks/endpoints/{endpoint}/secret", None),
    ("GET", "/webhooks/messages/{message}", None),
    ("GET", "/webhooks/messages/{message}/attempts", None),
    ("POST", "/webhooks/messages/{message}/resend", {}),
    ("GET", "/connections/{connection}", None),
    ("PATCH", "/connections/{connection}", {"sync_frequency": 5}),
    ("GET", "/connections/{connection}/calendars", None),
    ("GET", "/connections/{connection}/sync", None),
    ("POST", "/connections/{connection}/refresh", {}),
    ("POST", "/connections/{connection}/resync", {}),
    ("POST", "/connections/{connection}/set_primary", {}),
    ("DELETE", "/connections/{connection}", None),
    ("GET", "/oauth_clients/{client}", None),
    ("PATCH", "/oauth_clients/{client}", {"redirect_urls": []}),
    ("DELETE", "/oauth_clients/{client}", None),
]


@pytest.fixture
async def objects(call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]) -> dict[str, str]:
    """One object of each kind, by kind."""
    endpoint = (await call.post("/webhooks/endpoints", json={"url": "http://127.0.0.1:8999/"})).json()
    calendar = (await call.post("/calendars", json=credentials)).json()
    app = {"provider": "zoom", "client_id": "app", "client_secret": "secret"}
    client = (await call.post("/oauth_clients", json=app)).json()
    (connection,) = (await call.get("/connections")).json()["data"]
    stage.world.add_meeting("ada@example.com", "plan", in_minutes=60)
    stage.world.add_meeting("ada@example.com", "daily", in_minutes=90, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    await stage.sync()
    events = (await call.get("/events")).json()["data"]
    event = next(event for event in events if event["series_id"] is None)
    series = next(event["series_id"] for event in events if event["series_id"] is not None)
    for path in (f"/events/{event['id']}/bot", f"/series/{series}/bot"):
        assert (await call.put(path, json={"config": {}})).is_success
    message = (await call.get("/webhooks/messages")).json()["data"][0]
    return {
        "id": calendar["id"],
        "event": event["id"],
        "series": series,
        "endpoint": endpoint["id"],
        "message": message["id"],
        "client": client["id"],
        "connection": connection["id"],
    }


@pytest.mark.parametrize(("method", "path", "body"), WITH_ID)
async def test_a_foreign_id_is_answered_as_an_unknown_one(
    call: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    objects: dict[str, str],
    method: str,
    path: str,
    body: Any,
) -> None:
    def same(answer: httpx.Response) -> dict[str, Any]:
        return {name: value for name, value in answer.json().items() if name != "request_id"}

    foreign = await stranger.request(method, path.format(**objects), json=body)
    unknown = await stranger.request(method, path.format(**{kind: uuid4() for kind in objects}), json=body)

    assert foreign.status_code == unknown.status_code == 404
    assert same(foreign) == same(unknown)
    assert set(foreign.headers) == set(unknown.headers)
    still = await call.request(method, path.format(**objects), json=body)
    assert still.status_code < 300, still.text


ELSEWHERE = ("/push", "/connect/", "/meeting-baas/")
"""Routes that are anybody's or name no object, and those of which `test_meeting_baas_hostile.py` has a matrix of its own."""


def test_the_matrix_has_every_route_with_an_id(api: Litestar) -> None:
    known = {(method, path.partition("?")[0].replace("{id}", "{}")) for method, path, _ in WITH_ID}
    known = {(method, "/".join("{}" if "{" in part else part for part in path.split("/"))) for method, path in known}
    routes = {
        (method, "/".join("{}" if "{" in part else part for part in route.path.split("/")))
        for route in api.routes
        for method in route.methods  # type: ignore[union-attr]
        if "{" in route.path and method != "OPTIONS" and not route.path.startswith(ELSEWHERE)
    }
    assert known == routes


async def test_lists_show_nothing_of_another_project(stranger: httpx.AsyncClient, objects: dict[str, str]) -> None:
    for path in ("/calendars", "/events", "/meetings", "/webhooks/endpoints", "/webhooks/messages"):
        assert (await stranger.get(path)).json() == {"data": [], "next_cursor": None}
    assert (await stranger.get("/changes")).json() == {"data": [], "last_seq": 0}
    assert (await stranger.post("/calendars/resync")).json() == {"calendars": 0}
    assert (await stranger.get(f"/meetings?calendar_id={objects['id']}")).json()["data"] == []
    assert (await stranger.get(f"/webhooks/messages?calendar_id={objects['id']}")).json()["data"] == []
    aimed = await stranger.post(
        "/webhooks/endpoints", json={"url": "http://127.0.0.1:8999/", "calendar_ids": [objects["id"]]}
    )
    assert (aimed.status_code, aimed.json()["errors"][0]["field"]) == (422, "calendar_ids")


async def test_a_cursor_of_another_project_or_list_is_forged(
    call: httpx.AsyncClient, stranger: httpx.AsyncClient, objects: dict[str, str]
) -> None:
    await call.post("/webhooks/endpoints", json={"url": "http://127.0.0.1:8999/"})
    cursor = (await call.get("/webhooks/endpoints?limit=1")).json()["next_cursor"]
    assert (await call.get("/webhooks/endpoints", params={"cursor": cursor})).status_code == 200
    flipped = cursor[:40] + ("A" if cursor[40] != "A" else "B") + cursor[41:]
    for client, path, text in (
        (stranger, "/webhooks/endpoints", cursor),
        (call, "/calendars", cursor),
        (call, "/webhooks/endpoints", flipped),
        (call, "/webhooks/endpoints", "é"),
        (call, "/webhooks/endpoints", ""),
        (call, "/webhooks/endpoints", "A" * 5000),
    ):
        answer = await client.get(path, params={"cursor": text})
        assert answer.status_code == 422, text
        assert answer.json()["errors"] == [{"field": "cursor", "message": "is not a cursor of this list"}]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="none"),
        pytest.param([("authorization", "Bearer nonsense")], id="nonsense"),
        pytest.param([("authorization", "Basic Zm9vOmJhcg==")], id="basic"),
        pytest.param([("authorization", "Bearer")], id="empty"),
        pytest.param([("x-api-key", "cgk_aaaaaaaa_" + "a" * 43)], id="unknown"),
        pytest.param([("x-api-key", "k\xe9y")], id="not-ascii"),
        pytest.param([("authorization", "Bearer " + "a" * 10_000)], id="10-kB"),
    ],
)
async def test_without_a_right_key_it_is_401(anybody: httpx.AsyncClient, headers: list[tuple[str, str]]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    answer = await anybody.get("/calendars", headers=raw)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="calgate"'


async def test_both_headers_carry_a_key_and_twice_is_400(anybody: httpx.AsyncClient, keys: dict[str, str]) -> None:
    key = keys["read"]
    assert (await anybody.get("/calendars", headers={"x-api-key": key})).status_code == 200
    assert (await anybody.get("/calendars", headers={"authorization": f"bearer {key}"})).status_code == 200
    twice = [("authorization", f"Bearer {key}"), ("authorization", "Bearer other")]
    assert (await anybody.get("/calendars", headers=twice)).status_code == 400


async def test_a_revoked_key_is_refused_at_once(call: httpx.AsyncClient, stage: Stage, keys: dict[str, str]) -> None:
    assert (await call.get("/calendars")).status_code == 200
    async with stage.gateway.database.write() as conn:
        principal = await api_keys.find(conn, keys["admin"])
        assert principal is not None
        await api_keys.revoke(conn, principal.key_id, stage.clock())
    assert (await call.get("/calendars")).status_code == 401


ID = "01890000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        pytest.param("GET", "/calendars", "read", id="list"),
        pytest.param("POST", "/calendars/raw", "read", id="look"),
        pytest.param("GET", "/changes", "read", id="changes"),
        pytest.param("POST", "/calendars", "write", id="connect"),
        pytest.param("PATCH", f"/calendars/{ID}", "write", id="change"),
        pytest.param("DELETE", f"/calendars/{ID}", "write", id="delete"),
        pytest.param("POST", f"/calendars/{ID}/resync", "write", id="resync"),
        pytest.param("POST", "/webhooks/endpoints", "write", id="endpoint"),
        pytest.param("GET", f"/webhooks/endpoints/{ID}/secret", "admin", id="secret"),
    ],
)
async def test_scopes(anybody: httpx.AsyncClient, keys: dict[str, str], method: str, path: str, scope: str) -> None:
    scopes = list(api_keys.Scope.__args__)  # type: ignore[attr-defined]
    for held in scopes:
        answer = await anybody.request(method, path, headers={"x-api-key": keys[held]})
        is_allowed = scopes.index(held) >= scopes.index(scope)
        assert (answer.status_code != 403) is is_allowed, (held, answer.text)
        if not is_allowed:
            assert f"`{scope}`" in answer.json()["detail"]


async def test_a_key_has_its_rate(stage: Stage, keys: dict[str, str], seconds: Any) -> None:
    settings = msgspec.structs.replace(stage.gateway.settings, rate_limit=RateLimit(per_second=100, burst=20))
    api = create_api(dataclasses.replace(stage.gateway, settings=settings), clock=seconds)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://x") as client:

        async def ask(scope: str) -> httpx.Response:
            return await client.get("/webhooks/endpoints", headers={"x-api-key": keys[scope]})

        assert {(await ask("admin")).status_code for _ in range(20)} == {200}
        refused = await ask("admin")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        assert (await ask("read")).status_code == 200
        assert (await ask("stranger")).status_code == 200
        seconds.now += 0.01
        assert [(await ask("admin")).status_code for _ in range(2)] == [200, 429]


async def test_wrong_keys_use_up_the_address_and_nobody_elses_rate(
    anybody: httpx.AsyncClient, call: httpx.AsyncClient
) -> None:
    statuses = [(await anybody.get("/calendars")).status_code for _ in range(120)]
    assert statuses == [401] * 100 + [429] * 20
    refused = await anybody.get("/calendars", headers={"x-api-key": "wrong"})
    assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (429, True)
    assert (await call.get("/calendars")).status_code == 200


def test_the_rate_is_exact_and_the_table_is_bounded(seconds: Any) -> None:
    limiter = RateLimiter(10, 5, seconds)
    assert [limiter.take("a") for _ in range(5)] == [0.0] * 5
    assert limiter.take("a") == pytest.approx(0.1)
    seconds.now += 0.35
    assert [bool(limiter.take("a")) for _ in range(4)] == [False, False, False, True]
    for caller in range(MOST_CALLERS + 10):
        limiter.take(caller)
    assert len(limiter._arrivals) <= MOST_CALLERS


async def test_ids_that_are_none_are_404_without_an_echo(call: httpx.AsyncClient) -> None:
    for part in ("%00", "..%2f..%2fetc", "٣", "9" * 5000, "-1", "evil'--"):
        answer = await call.get(f"/calendars/{part}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), part
        assert "evil" not in answer.text
        assert "9999" not in answer.text
