"""Whatever is sent under /meeting-baas, the answer is in the dialect, says no secret, and is never a fault of ours."""

import json
from typing import Any

import pytest
from api.judged_client import JudgedClient
from flows.stage import Stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from meeting_baas_schema import judge

from service.api.meeting_baas.routes import ROUTES
from service.flows import connect
from service.store.database import DatabaseUnavailable

pytestmark = pytest.mark.anyio

UNKNOWN = "b3f1c2d4-1111-4222-8333-444455556666"
PREFIX = "/meeting-baas"
EVERY = sorted(
    {
        (str(getattr(method, "value", method)), path)
        for handler in ROUTES
        for path in handler.paths
        for method in handler.http_methods
    }
)
WITH_ID = [(method, path) for method, path in EVERY if "{" in path]
WRITING = [(method, path) for method, path in EVERY if method in {"POST", "PATCH"} and path.count("{") < 2]
NEEDS_BODY = [
    (method, path)
    for method, path in WRITING
    if not path.endswith(("/sync", "/resubscribe", "/resync_all")) and "{" not in path
]


def filled(path: str, identity: str = UNKNOWN) -> str:
    parts = path.removeprefix(PREFIX).split("/")
    return "/".join(identity if part.startswith("{") else part for part in parts)


def wants_calendar(path: str) -> str:
    return f"?calendar_id={UNKNOWN}" if path.endswith("/calendar_events") else ""


def route_id(value: Any) -> str:
    return str(value)


@pytest.mark.parametrize(("method", "path"), EVERY, ids=route_id)
async def test_without_a_key_and_with_a_wrong_one_nothing_is_said(
    api: Litestar, stage: Stage, method: str, path: str
) -> None:
    for key in (None, "cgk_wrong", "x" * 5000, "k\xe9y"):
        client = JudgedClient(api, None)
        headers = {} if key is None else {b"x-meeting-baas-api-key": key.encode("latin-1")}
        async with client.http:
            refused = await client.ask(method, filled(path), {}, headers=headers)
        expected = (403, "FST_ERR_FORBIDDEN") if "/v2/" in path else (401, "InvalidApiKey")
        assert (client.last.status_code, refused.code) == expected
        assert ("www-authenticate" in client.last.headers) == (expected[0] == 401)


@pytest.mark.parametrize(("method", "path"), EVERY, ids=route_id)
async def test_a_key_of_less_scope_is_told_so(
    api: Litestar, keys: dict[str, str], stage: Stage, method: str, path: str
) -> None:
    client = JudgedClient(api, keys["read"])
    async with client.http:
        refused = await client.ask(method, filled(path) + wants_calendar(path), {})
    reads = method == "GET" or path.endswith(("/raw", "/list-raw"))
    assert (client.last.status_code == 403) is not reads
    if not reads:
        assert refused.code == ("FST_ERR_FORBIDDEN" if "/v2/" in path else "Forbidden")


@pytest.mark.parametrize(("method", "path"), WITH_ID, ids=route_id)
async def test_a_foreign_id_is_answered_as_an_unknown_one(
    api: Litestar,
    keys: dict[str, str],
    vendor: JudgedClient,
    stage: Stage,
    given_v2: dict[str, Any],
    method: str,
    path: str,
) -> None:
    made = (await vendor.ask("POST", "/v2/calendars", given_v2)).data
    stage.world.add_meeting("ada@example.com", "secret", in_minutes=30)
    await stage.sync()
    (event,) = (await vendor.ask("GET", f"/v2/calendars/{made.calendar_id}/events")).data
    body = given_v2 | {"platform": "Google", "bot_name": "B", "event_id": event.event_id}
    stranger = JudgedClient(api, keys["stranger"])
    foreign = path.replace("{calendar_id:str}", made.calendar_id).replace("{event_id:str}", event.event_id)
    foreign = foreign.replace("{event:str}", event.event_id)
    foreign = foreign.replace("{uuid:str}", event.event_id if "calendar_events" in path else made.calendar_id)
    async with stranger.http:
        await stranger.ask(method, foreign.removeprefix(PREFIX), body)
        told = stranger.last.status_code, stranger.last.text.replace(made.calendar_id, UNKNOWN)
        await stranger.ask(method, filled(path), body)
        assert told == (stranger.last.status_code, stranger.last.text)
    assert told[0] in {200, 404}
    assert "secret" not in told[1]
    assert (await vendor.ask("GET", f"/v2/calendars/{made.calendar_id}")).data.status == "active"


NO_IDS = ["x", "1", "%2e%2e", "{}", "0" * 3000, "%FF", "null", UNKNOWN + "0", "%F0%9F%98%80"]


@pytest.mark.parametrize(("method", "path"), WITH_ID, ids=route_id)
async def test_what_is_no_id_is_refused(vendor: JudgedClient, method: str, path: str) -> None:
    body = {"calendar_platform": "google", "platform": "Google", "bot_name": "B", "event_id": UNKNOWN}
    is_v2 = "/v2/" in path
    for identity in NO_IDS:
        answer = await vendor.http.request(method, filled(path, identity), json=body)
        assert answer.status_code in ({400} if is_v2 else {404, 422}), (identity, answer.text)
        judge(method, "/v2/" if is_v2 else "/v1", answer.status_code, answer.content)


UNREADABLE = [
    b"",
    b"{",
    b"\xff\xfe",
    b'{"a":1,"a":2}',
    b"[" * 100_000,
    b'{"x":' * 70 + b"1" + b"}" * 70,
    b"[]",
    b"null",
    b'"text"',
    b'{"n":1e999}',
    b'{"n":1180591620717411303424}',
    b'{"t":"a\\u0000b"}',
    b'{"t":"\\ud800"}',
    b'{"calendar_platform":"google","platform":"Google"}',
    b'{"calendar_platform":{},"platform":[]}',
    b'{"platform":"Google","calendar_platform":"google","oauth_client_id":"' + b"x" * 5000 + b'"}',
]


@pytest.mark.parametrize(("method", "path"), NEEDS_BODY, ids=route_id)
async def test_a_body_that_cannot_be_read_is_refused(
    vendor: JudgedClient, stage: Stage, method: str, path: str
) -> None:
    for body in UNREADABLE:
        await vendor.ask(method, filled(path), content=body, headers={"content-type": "application/json"})
        assert vendor.last.status_code in ({400} if "/v2/" in path else {400, 422}), body[:40]
    assert await stage.count("calendars") == 0


@pytest.mark.parametrize(("method", "path"), NEEDS_BODY, ids=route_id)
async def test_the_frameworks_refusals_are_in_the_dialect(
    vendor: JudgedClient, stage: Stage, method: str, path: str
) -> None:
    where, is_v2 = filled(path), "/v2/" in path
    code = await vendor.refused(413, method, where, content=b"x" * (1024 * 1024 + 1), headers={"content-type": "application/json"})  # fmt: skip
    assert code == ("FST_ERR_CTP_BODY_TOO_LARGE" if is_v2 else "BodyTooLarge")
    code = await vendor.refused(415, method, where, content=b"{}", headers={"content-type": "text/plain"})
    assert code == ("FST_ERR_CTP_INVALID_MEDIA_TYPE" if is_v2 else "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        pytest.param("GET", "/v2", 404, "FST_ERR_NOT_FOUND", id="v2-root"),
        pytest.param("POST", "/v2/bots", 404, "FST_ERR_NOT_FOUND", id="v2-bots"),
        pytest.param("PUT", "/v2/calendars", 405, "FST_ERR_METHOD_NOT_ALLOWED", id="v2-method"),
        pytest.param("POST", "/bots", 404, "NotFound", id="v1-bots"),
        pytest.param("POST", "/bots/", 404, "NotFound", id="v1-bots-slash"),
        pytest.param("PUT", "/calendars", 405, "MethodNotAllowed", id="v1-method"),
        pytest.param("GET", "/v2x", 404, "NotFound", id="not-quite-v2"),
    ],
)
async def test_what_is_not_there_is_told_in_the_dialect(
    vendor: JudgedClient, method: str, path: str, status: int, code: str
) -> None:
    assert await vendor.refused(status, method, path) == code


async def test_our_own_routes_go_on_in_problem_documents(vendor: JudgedClient) -> None:
    answer = await vendor.http.get("http://calgate.test/meeting-baasx")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_the_edge_refuses_is_in_the_dialect(vendor: JudgedClient) -> None:
    headers = {"x-filler": "x" * 70_000}
    assert await vendor.refused(431, "GET", "/v2/calendars", headers=headers) == "FST_ERR_HEADERS_TOO_LARGE"
    assert await vendor.refused(400, "GET", "/v2/calendars?cursor=%00") == "FST_ERR_VALIDATION"
    assert await vendor.refused(422, "GET", "/calendars/?x=%00") == "ValidationFailed"


async def test_too_many_requests_say_when_to_come_back(vendor: JudgedClient, stage: Stage, seconds: Any) -> None:
    for _ in range(stage.gateway.settings.rate_limit.burst):
        await vendor.http.get("/calendars")
    refused = await vendor.ask("GET", "/v2/calendars")
    assert (refused.status_code, refused.code) == (429, "FST_ERR_TOO_MANY_REQUESTS")
    assert refused.retry_after == int(vendor.last.headers["retry-after"])
    assert await vendor.refused(429, "GET", "/calendars") == "TooManyRequests"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        pytest.param(RuntimeError("secret"), 500, "FST_ERR_INTERNAL_SERVER_ERROR", id="bug"),
        pytest.param(DatabaseUnavailable("secret"), 503, "FST_ERR_UNAVAILABLE", id="database"),
    ],
)
async def test_a_fault_of_ours_is_told_in_the_dialect_and_says_nothing(
    vendor: JudgedClient,
    monkeypatch: pytest.MonkeyPatch,
    given_v2: dict[str, Any],
    error: Exception,
    status: int,
    code: str,
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(connect, "admit", fail)
    assert await vendor.refused(status, "POST", "/v2/calendars/list-raw", given_v2) == code
    assert "secret" not in vendor.last.text.replace("client_secret", "")


BAD_PAGES = [
    *(f"limit={value}" for value in ("0", "251", "x", "1e3", "-1", "9" * 400)),
    *(f"cursor={value}" for value in ("forged", "A" * 5000, "%C3%A9")),
]


@pytest.mark.parametrize(
    "path", ["/v2/calendars", f"/v2/calendars/{UNKNOWN}/events", f"/v2/calendars/{UNKNOWN}/series"]
)
async def test_limits_and_cursors_are_checked(vendor: JudgedClient, path: str) -> None:
    for query in BAD_PAGES:
        assert await vendor.refused(400, "GET", f"{path}?{query}") == "FST_ERR_VALIDATION", query


async def test_a_cursor_is_good_for_its_list_and_its_project_alone(
    api: Litestar, keys: dict[str, str], vendor: JudgedClient, stage: Stage
) -> None:
    ids = [await stage.connect(email) for email in ("ada@example.com", "grace@example.com")]
    cursor = (await vendor.ask("GET", "/v2/calendars?limit=1")).cursor
    other = f"/v2/calendars/{ids[0]}/events"
    assert await vendor.refused(400, "GET", other, params={"cursor": cursor}) == "FST_ERR_VALIDATION"
    stranger = JudgedClient(api, keys["stranger"])
    async with stranger.http:
        assert await stranger.refused(400, "GET", "/v2/calendars", params={"cursor": cursor}) == "FST_ERR_VALIDATION"


@pytest.mark.parametrize(
    "query",
    ["status=odd", "status=confirmed,odd", "show_cancelled=perhaps", "start_date=soon", "start_date=2026-02-30T00:00:00Z",
     "end_date=0001-01-01T00:00:00Z", "end_date=9999-12-31T23:59:59-23:00", "start_date=" + "1" * 500],
    ids=lambda query: query[:28],
)  # fmt: skip
async def test_filters_are_checked(vendor: JudgedClient, query: str) -> None:
    assert await vendor.refused(400, "GET", f"/v2/calendars/{UNKNOWN}/events?{query}") == "FST_ERR_VALIDATION"


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(
    ["platform", "calendar_platform", "provider", "oauth_client_id", "oauth_client_secret", "oauth_refresh_token",
     "oauth_tenant_id", "raw_calendar_id", "bot_name", "event_id", "series_id", "all_occurrences", "extra", "days"]
)  # fmt: skip
_QUERIES = st.dictionaries(
    st.sampled_from(["limit", "cursor", "status", "calendar_id", "start_date", "event_type", "days", "all_occurrences",
                     "show_cancelled", "updated_at_gte", "attendee_email", "account_email", "calendar_platform"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20), max_size=4,
)  # fmt: skip


GIVEN = {"platform": "Google", "calendar_platform": "google", "raw_calendar_id": "primary", "bot_name": "B"}


@settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    route=st.sampled_from([(method, path) for method, path in EVERY if method != "DELETE" or path.endswith("bots")]),
    query=_QUERIES,
    body=st.dictionaries(_NAMES, _ANYTHING, max_size=6),
    known=st.lists(st.sampled_from(["event_id", "series_id", "calendar_id", *GIVEN]), max_size=5),
    is_ours=st.booleans(),
)
async def test_no_request_is_a_fault_of_ours(
    vendor: JudgedClient,
    seconds: Any,
    found: dict[str, str],
    route: tuple[str, str],
    query: dict[str, str],
    body: dict[str, Any],
    known: list[str],
    is_ours: bool,
) -> None:
    seconds.now += 1
    method, path = route
    body |= {name: value for name, value in (GIVEN | found).items() if name in known}
    where = filled(path)
    if is_ours:
        where = path.removeprefix(PREFIX)
        for name, kind in [("event_id", "event"), ("calendar_id", "calendar")]:
            where = where.replace(f"/{{{name}:str}}", f"/{found[name]}").replace(f"/{{{kind}:str}}", f"/{found[name]}")
        where = where.replace("{uuid:str}", found["event_id" if "events/{uuid" in path else "calendar_id"])
        query |= {"calendar_id": found["calendar_id"]}
    content = json.dumps(body).encode()
    await vendor.ask(method, where, params=query, content=content, headers={"content-type": "application/json"})
    assert vendor.last.status_code < 500


@pytest.fixture
async def found(vendor: JudgedClient, stage: Stage, given_v2: dict[str, Any]) -> dict[str, str]:
    """A calendar with a meeting, and what they are called."""
    made = (await vendor.ask("POST", "/v2/calendars", given_v2)).data
    stage.world.add_meeting("ada@example.com", "Review", in_minutes=30)
    await stage.sync()
    (event,) = (await vendor.ask("GET", f"/v2/calendars/{made.calendar_id}/events")).data
    return {"calendar_id": made.calendar_id, "event_id": event.event_id, "series_id": event.series_id}
