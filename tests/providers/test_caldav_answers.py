"""What answers of CalDAV servers mean, and XML that is not to be trusted."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from service.errors import CalendarGone, CursorExpired, GrantRejected, RequestRefused, Throttled, TransientFault
from service.providers.caldav.answers import NotDav, TooMuch, Unsupported, judge
from service.providers.caldav.paths import calendar_id, is_same, path_of
from service.providers.caldav.wire import CALDAV, DAV, Garbled, read_conditions, read_multistatus, sync_collection
from service.providers.exchange import retry_after

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ICLOUD = "p42-caldav.icloud.com"


def error(*names: str) -> bytes:
    inner = "".join(f"<{name}/>" for name in names)
    return f'<?xml version="1.0"?><d:error xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">{inner}</d:error>'.encode()


TABLE = [
    pytest.param(401, {}, b"", GrantRejected, id="a-password-that-is-refused"),
    pytest.param(403, {}, b"", RequestRefused, id="forbidden-without-a-word"),
    pytest.param(403, {}, error("d:need-privileges"), RequestRefused, id="not-shared-any-more"),
    pytest.param(403, {}, error("d:valid-sync-token"), CursorExpired, id="a-token-that-radicale-sabre-and-cyrus-do-not-know"),
    pytest.param(409, {}, error("d:valid-sync-token"), CursorExpired, id="a-token-in-conflict"),
    pytest.param(412, {}, error("d:valid-sync-token"), CursorExpired, id="a-token-that-xandikos-does-not-know"),
    pytest.param(400, {}, error("d:valid-sync-token"), CursorExpired, id="a-token-that-is-a-bad-request"),
    pytest.param(410, {}, error("d:valid-sync-token"), CursorExpired, id="a-token-that-is-gone"),
    pytest.param(500, {}, error("d:valid-sync-token"), CursorExpired, id="a-token-that-is-an-accident"),
    pytest.param(403, {}, error("d:number-of-matches-within-limits"), TooMuch, id="too-many-matches"),
    pytest.param(403, {}, error("c:number-of-matches-within-limits"), TooMuch, id="too-many-matches-in-caldavs-namespace"),
    pytest.param(507, {}, b"", TooMuch, id="no-room-for-the-answer"),
    pytest.param(403, {}, error("d:supported-report"), Unsupported, id="a-report-that-is-not-known"),
    pytest.param(403, {}, error("c:supported-filter"), Unsupported, id="a-filter-that-is-not-known"),
    pytest.param(404, {}, b"", CalendarGone, id="not-found"),
    pytest.param(410, {}, b"", CalendarGone, id="gone"),
    pytest.param(405, {}, b"", Unsupported, id="method-not-allowed"),
    pytest.param(501, {}, b"", Unsupported, id="not-implemented"),
    pytest.param(415, {}, b"", RequestRefused, id="a-type-that-is-not-taken"),
    pytest.param(423, {}, b"", TransientFault, id="locked"),
    pytest.param(429, {}, b"", Throttled, id="too-many-requests"),
    pytest.param(500, {}, b"", TransientFault, id="an-accident"),
    pytest.param(502, {}, b"<html>", TransientFault, id="a-proxy-without-its-server"),
    pytest.param(503, {}, b"", TransientFault, id="unavailable"),
    pytest.param(503, {"x-nextcloud-maintenance-mode": "1"}, b"", TransientFault, id="nextcloud-in-maintenance"),
    pytest.param(504, {}, b"", TransientFault, id="a-proxy-that-waited"),
    pytest.param(200, {"content-type": "text/html; charset=utf-8"}, b"<html>", NotDav, id="a-login-page"),
    pytest.param(200, {}, b"", NotDav, id="ok-where-it-should-be-207"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "headers", "body", "kind"), TABLE)
def test_what_an_answer_means(status: int, headers: dict[str, str], body: bytes, kind: type[Exception]):
    found = judge(status, headers, body, NOW)
    assert type(found) is kind
    assert found.reason


@pytest.mark.parametrize("status", [400, 409, 410, 412])
def test_a_token_is_at_fault_where_servers_do_not_say_of_what_they_speak(status: int):
    assert isinstance(judge(status, {}, b"", NOW, has_token=True), CursorExpired)
    assert not isinstance(judge(status, {}, b"", NOW), CursorExpired)


@pytest.mark.parametrize("status", [429, 503])
def test_icloud_is_left_alone_for_longer_than_it_asks(status: int):
    found = judge(status, {"retry-after": "60"}, b"", NOW, host=ICLOUD)
    assert isinstance(found, Throttled)
    assert found.retry_at == NOW + timedelta(seconds=120)
    assert judge(status, {}, b"", NOW, host=ICLOUD).retry_at is None


def test_a_pause_that_is_asked_for_is_kept():
    asked = NOW + timedelta(seconds=90)
    assert judge(503, {"retry-after": "90"}, b"", NOW).retry_at == asked == retry_after({"retry-after": "90"}, NOW)
    assert judge(503, {"retry-after": "90", "x-nextcloud-maintenance-mode": "1"}, b"", NOW).reason == "maintenance"


BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
HOSTILE = [
    pytest.param(BOMB + b'<multistatus xmlns="DAV:"><sync-token>&b;</sync-token></multistatus>', id="entities"),
    pytest.param(b"<!-- x --><?y z?>" + BOMB[21:] + b'<multistatus xmlns="DAV:"/>', id="a-doctype-behind-a-comment"),
    pytest.param(b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><multistatus xmlns="DAV:"/>', id="a-file"),
    pytest.param(b'<multistatus xmlns="DAV:">' + b"<a>" * 600_000, id="tags-without-end"),
    pytest.param(b'<multistatus xmlns="DAV:">' + b"<a>" * 10_000 + b"</a>" * 10_000 + b"</multistatus>", id="depth"),
    pytest.param(b"<a " + b" ".join(b'a%d=""' % n for n in range(1_100_000)) + b"/>", id="attributes-without-end"),
    pytest.param(b'<multistatus xmlns="DAV:"><response>', id="cut-off"),
    pytest.param('<multistatus xmlns="DAV:"/>'.encode("utf-16"), id="another-encoding"),
    pytest.param(b'<prop xmlns="DAV:"/>', id="something-else"),
    pytest.param(b"<multistatus/>", id="no-namespace"),
    pytest.param(b"", id="nothing"),
    pytest.param(b"\0\xff", id="no-text"),
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE)
def test_xml_that_is_not_taken(body: bytes):
    with pytest.raises(Garbled):
        read_multistatus(body)
    assert read_conditions(body) == frozenset()


def test_rows_by_namespace_whatever_the_prefixes():
    body = b"""<?xml version="1.0" encoding="utf-8"?>
    <a:multistatus xmlns:a="DAV:" xmlns:b="urn:ietf:params:xml:ns:caldav" xmlns:c="DAV:x">
      <a:response><a:href> /cal/1.ics </a:href>
        <a:propstat><a:prop><a:getetag>"1"</a:getetag><c:getetag>"2"</c:getetag>
          <b:calendar-data><![CDATA[BEGIN:VCALENDAR <!DOCTYPE html> & so on]]></b:calendar-data></a:prop>
          <a:status>HTTP/1.1 200 OK</a:status></a:propstat>
        <a:propstat><a:prop><a:displayname/></a:prop><a:status>HTTP/1.1 404 Not Found</a:status></a:propstat>
      </a:response>
      <a:response><a:href>/cal/2.ics</a:href><a:status>HTTP/1.1 507 Insufficient</a:status>
        <a:error><a:number-of-matches-within-limits/></a:error></a:response>
      <a:sync-token>data:,7</a:sync-token>
    </a:multistatus>"""
    found = read_multistatus(body)
    first, second = found.rows
    assert (first.href, first.text(f"{DAV}getetag"), first.failed) == ("/cal/1.ics", '"1"', 404)
    assert "<!DOCTYPE html> & so on" in first.text(f"{CALDAV}calendar-data")
    assert (second.status, second.conditions) == (507, {"number-of-matches-within-limits"})
    assert found.sync_token == "data:,7"


def test_a_token_is_escaped():
    assert b"<D:sync-token>a&lt;b&amp;c</D:sync-token>" in sync_collection("a<b&c")
    assert b"limit" not in sync_collection("")


@pytest.mark.parametrize(
    ("href", "path"),
    [
        pytest.param("/ada%40example.com/1.ics", "/ada@example.com/1.ics", id="radicales"),
        pytest.param("/ada@example.com/1.ics", "/ada@example.com/1.ics", id="others"),
        pytest.param("https://p42-caldav.icloud.com:443/1/2.ics", "/1/2.ics", id="absolute"),
        pytest.param("/a%2Fb/c%2fd.ics", "/a%2Fb/c%2Fd.ics", id="an-escaped-slash-is-none"),
        pytest.param("/caf%C3%A9 1.ics", "/caf%C3%A9%201.ics", id="accents-and-spaces"),
        pytest.param("/café.ics", "/caf%C3%A9.ics", id="not-escaped-at-all"),
        pytest.param("/%FF.ics", "/%FF.ics", id="no-text"),
        pytest.param("http://[::1/x", "", id="no-address"),
    ],
)
def test_paths_are_spelt_one_way(href: str, path: str):
    assert path_of(href) == path
    assert path_of(path) == path


def test_ids_of_calendars():
    one = calendar_id(httpx.URL("https://DAV.example.com:443/ada%40x/work"))
    assert one == calendar_id(httpx.URL("https://dav.example.com/ada@x/work/")) == "https://dav.example.com/ada@x/work/"
    assert calendar_id(httpx.URL("https://dav.example.com:8443/a")) == "https://dav.example.com:8443/a/"
    assert is_same("/a/b/", "/a/b")
