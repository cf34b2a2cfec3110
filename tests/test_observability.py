"""What an operator may and may not see: no secret in a log line, one line for a request, metrics by template."""

import io
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from service.observability import METRICS, AccessLog, Metrics, configure_logging, redact
from service.store.census import Census, ProviderCensus

REFRESH = "1//0gLonGrefreshTokenOfGoogle-abc_DEF"


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> io.StringIO:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    sink = io.StringIO()
    configure_logging("debug", getattr(request, "param", "json"), sink)
    yield sink
    root.handlers[:], root.level = before


@pytest.mark.parametrize(
    ("text", "secret", "kept"),
    [
        pytest.param("Authorization: Bearer s3cr3t-value", "s3cr3t", "Authorization", id="authorization-header"),
        pytest.param(
            "{'authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz", "authorization", id="authorization-dict"
        ),
        pytest.param("got ya29.a0AfH6SMBx_yz-1 from Google", "a0AfH6", "from Google", id="google-access-token"),
        pytest.param(f"refused {REFRESH}", "LonGrefresh", "refused", id="google-refresh-token"),
        pytest.param("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw+/=", "MfKQ9", "", id="webhook-secret"),
        pytest.param("key cgk_0123abcd_secretsecret leaked", "secretsecret", "leaked", id="api-key"),
        pytest.param("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJ", "", id="jwt"),
        pytest.param("postgresql://calgate:hunter2@db:5432/x down", "hunter2", "@db:5432/x down", id="userinfo"),
        pytest.param("GET https://x.example/feed.ics?key=abc&x=1 500", "abc", "https://x.example/feed.ics", id="query"),
        pytest.param(
            "GET /connect/google/callback?code=4/0AX&state=s", "4/0AX", "/connect/google/callback", id="path-query"
        ),
        pytest.param("client_secret=GOCSPX-abcdef&x=1", "GOCSPX", "client_secret", id="form-field"),
        pytest.param('{"refresh_token": "plain-opaque"}', "plain-opaque", '"refresh_token"', id="json-field"),
        pytest.param('{\\"password\\": \\"hunter2\\"}', "hunter2", "password", id="json-inside-json"),
        pytest.param("https://c.example/ical/a%40b/private-0f9a8b/basic.ics", "0f9a8b", "basic.ics", id="secret-feed"),
    ],
)
def test_a_secret_is_taken_out_and_the_rest_stays(text: str, secret: str, kept: str):
    told = redact(text)
    assert secret not in told
    assert "***" in told
    assert kept in told


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("What is due? Nothing.", id="a-question"),
        pytest.param("https://calendar.example/path/to/thing", id="a-url"),
        pytest.param("the refresh token was refused: invalid_grant", id="the-words"),
        pytest.param("user@example.com", id="an-address"),
    ],
)
def test_plain_text_is_left_alone(text: str):
    assert redact(text) == text


def test_a_line_of_json_stays_json_and_keeps_no_secret_of_message_field_or_traceback(stream: io.StringIO):
    logging.getLogger("test").error(
        "call to %s failed",
        "https://u:pw123@h.example/a?key=k1",
        extra={"header": "Bearer tok-123456", "count": 3},
        exc_info=ValueError(f'refused: {{"refresh_token": "{REFRESH}"}}'),
    )
    line = json.loads(stream.getvalue())
    assert line["level"] == "error"
    assert line["count"] == 3
    assert "ValueError" in line["trace"]
    assert not any(secret in stream.getvalue() for secret in ("LonGrefresh", "pw123", "k1", "tok-123456"))


HARM = "a\n\x1b[31mb\r\x7f\x85\x9b31m\u2028c"


@pytest.mark.parametrize("stream", ["json", "text"], indirect=True)
def test_line_breaks_and_colours_in_names_and_urls_stay_on_one_line_and_do_nothing(stream: io.StringIO):
    logging.getLogger("test").warning(
        "calendar %s of %s failed", HARM, f"https://x.example/{HARM}?key=k1", extra={"display_name": HARM}
    )
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()
    assert "31mb" in line


@pytest.mark.parametrize("stream", ["text"], indirect=True)
def test_an_errors_own_words_are_no_lines_of_the_log(stream: io.StringIO):
    logging.getLogger("test").error("failed", exc_info=ValueError(f"{HARM}\n09:00:00 warning forged"))
    first, *trace = stream.getvalue().splitlines()
    assert all(line.startswith("    ") and line.isprintable() for line in trace)
    assert "failed" in first
    assert "forged" in trace[-1]


@pytest.mark.parametrize("stream", ["text"], indirect=True)
def test_a_person_gets_text(stream: io.StringIO):
    logging.getLogger("test").warning("disk is %s", "full", extra={"left": "1 MB"})
    assert "warning disk is full  left=1 MB" in stream.getvalue()


def test_the_http_clients_do_not_log_whole_urls(stream: io.StringIO):
    logging.getLogger("httpx").info("HTTP Request: GET https://feed.example/private")
    assert stream.getvalue() == ""


async def _request(app: AccessLog, path: str, query: bytes = b"") -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: object) -> None:
        pass

    await app({"type": "http", "method": "GET", "path": path, "query_string": query}, receive, send)


@pytest.mark.anyio
async def test_a_request_is_one_line_and_one_count_by_its_template(stream: io.StringIO):
    async def routed(scope, receive, send):
        scope["path_template"] = "/calendars/{id:uuid}"
        await send({"type": "http.response.start", "status": 404, "headers": [(b"x-request-id", b"r-1")]})
        await send({"type": "http.response.body", "body": b""})

    await _request(AccessLog(routed), "/calendars/0198", b"cursor=hidden")
    line = json.loads(stream.getvalue())
    assert (line["method"], line["route"], line["status"], line["request_id"]) == (
        "GET",
        "/calendars/{id:uuid}",
        404,
        "r-1",
    )
    assert "0198" not in stream.getvalue()
    assert "hidden" not in stream.getvalue()
    assert (
        b'calgate_http_requests_total{method="GET",route="/calendars/{id:uuid}",status="404"} 1.0'
        in METRICS.exposition()[0]
    )


@pytest.mark.anyio
async def test_a_request_that_no_route_takes_is_counted_under_one_name(stream: io.StringIO):
    async def nobody(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": []})

    await _request(AccessLog(nobody), "/wp-admin.php")
    assert json.loads(stream.getvalue())["route"] == "(none)"
    assert b"wp-admin" not in METRICS.exposition()[0]


@pytest.mark.anyio
async def test_a_crash_is_logged_as_500_and_goes_on_to_the_server(stream: io.StringIO):
    async def broken(scope, receive, send):
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError):
        await _request(AccessLog(broken), "/x")
    assert json.loads(stream.getvalue())["status"] == 500


class Entry(NamedTuple):
    kind: str


NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def census(**by_status: int) -> Census:
    mine = ProviderCensus(by_status=by_status, stale=1, throttled=2, oldest_synced_at=NOW - timedelta(minutes=5))
    return Census(
        providers={"google": mine},
        channels={("google", "expiring"): 4},
        push_failing=1,
        push_unsupported=0,
        quarantined=7,
        outbox={"pending": 1, "due": 2, "parked": 3, "failed": 4},
    )


def test_the_metrics_are_those_that_dashboards_are_built_on():
    metrics = Metrics()
    metrics.synced("google", "changed", 0.2, [Entry("updated"), Entry("updated"), Entry("created")])
    metrics.called("google", "ok")
    metrics.delivered("delivered", 0.05)
    metrics.pushed("google", refused=1)
    metrics.show_backlog({"sync": 2, "delivery": 0}, workers=3)
    metrics.show_census(census(active=5), NOW)
    metrics.show_version("0.1.0")
    text, content_type = metrics.exposition()
    assert content_type.startswith("text/plain")
    for expected in (
        'calgate_syncs_total{outcome="changed",provider="google"} 1.0',
        'calgate_sync_seconds_count{provider="google"} 1.0',
        'calgate_provider_calls_total{outcome="ok",provider="google"} 1.0',
        'calgate_changes_total{kind="updated"} 2.0',
        'calgate_deliveries_total{outcome="delivered"} 1.0',
        "calgate_delivery_seconds_count 1.0",
        'calgate_push_notices_total{provider="google",result="refused"} 1.0',
        'calgate_oldest_due_seconds{work="sync"} 2.0',
        'calgate_calendars{status="active"} 5.0',
        "calgate_workers 3.0",
        'calgate_stale_calendars{provider="google"} 1.0',
        'calgate_throttled_calendars{provider="google"} 2.0',
        'calgate_calendar_lag_seconds{provider="google"} 300.0',
        'calgate_push_channels{provider="google",state="expiring"} 4.0',
        'calgate_push_unwatched{reason="failing"} 1.0',
        "calgate_quarantined_events 7.0",
        'calgate_outbox{state="parked"} 3.0',
        'calgate_build_info{version="0.1.0"} 1.0',
    ):
        assert expected in text.decode()


def test_a_status_that_no_calendar_has_any_more_is_not_shown():
    metrics = Metrics()
    metrics.show_census(census(error=1), NOW)
    metrics.show_census(census(active=1), NOW)
    assert b'calgate_calendars{status="error"}' not in metrics.exposition()[0]


def test_a_made_up_provider_does_not_make_a_metric_of_its_own():
    metrics = Metrics()
    metrics.pushed("made-up-by-a-scanner", refused=1)
    assert b"scanner" not in metrics.exposition()[0]
