"""Whatever a CalDAV server or Zoom answers to a write, it is a result or an error of the port's."""

import contextlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from forked_expander import ForkedExpander
from radicale_server import LOOPBACK

from service.core.connection import ZoomSettings
from service.core.credentials import CaldavCredentials, OAuthClient
from service.core.drafts import Draft, Guest, Patch
from service.errors import ProviderError
from service.providers.caldav.writing import CaldavWriter
from service.providers.protocol import Access
from service.providers.writing import Place, Target, Written
from service.providers.zoom.login import ZoomLogin
from service.providers.zoom.meetings import Meeting, ZoomMeetings
from service.providers.zoom.tokens import ZoomTokens

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY = "0f" * 16
DRAFT = Draft(title="x", starts_at=NOW, ends_at=NOW + timedelta(hours=1), attendees=[Guest(email="a@example.org")])
PATCH = Patch(title="y", starts_at=NOW, ends_at=NOW, attendees=[Guest(email="b@example.org")])
STATUSES = [200, 201, 204, 207, 302, 400, 403, 404, 409, 410, 412, 429, 500]
EVENT = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:%s\r\n%s\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
OWN = KEY.encode() + b"@calgate"
ICAL = [
    pytest.param(b"", {}, id="empty"),
    pytest.param(b"<!doctype html>", {"etag": '"1"'}, id="page"),
    pytest.param(EVENT % (b"x", b"DTSTART:20260302T090000Z"), {"etag": '"1"'}, id="of-somebody-else"),
    pytest.param(EVENT % (OWN, b"DTSTART:20260302T090000Z"), {"etag": '"1"'}, id="as-it-should-be"),
    pytest.param(EVENT % (OWN, b"DTSTART:20260302T090000Z"), {"etag": '"\u00e4"'}, id="a-version-not-of-letters"),
    pytest.param(EVENT % (OWN, b"DTSTART:20260302T090000Z"), {}, id="no-version"),
    pytest.param(EVENT % (OWN, b"DTSTART:soon"), {"etag": '"1"'}, id="no-start"),
    pytest.param(EVENT % (OWN, b"DTSTART:20260302T090000Z\r\nRRULE:FREQ=SECONDLY"), {"etag": '"1"'}, id="endless"),
    pytest.param(EVENT % (OWN, b"RECURRENCE-ID:20260302T090000Z\r\nDTSTART:20260302"), {"etag": '"1"'}, id="no-master"),
    pytest.param(EVENT % (OWN, b"DTSTART;TZID=:20260302T090000\r\nDTEND:99999999"), {"etag": '"1"'}, id="odd-times"),
    pytest.param(b"\xff\xfe" + EVENT % (OWN, b"DTSTART:20260302"), {"etag": '"1"'}, id="utf-16"),
    pytest.param(b"<d:multistatus xmlns:d='DAV:'><d:response><d:href>/%0d%0a</d:href></d:response></d:multistatus>", {}, id="xml"),
]  # fmt: skip
JSON = ["", "null", "[]", "{}", "<!doctype html>", "[" * 20_000, '{"id": {}, "join_url": 5}', '{"id": 1, "join_url": ""}',
        '{"id": "..", "join_url": "x", "settings": {"waiting_room": []}}', '{"meetings": [null]}', '{"code": "124"}',
        '{"meetings": [{"id": 5, "agenda": "calgate:' + KEY + '"}], "next_page_token": "x", "id": 5, "join_url": "u"}',
        '{"code": [], "message": 5}', '{"code": 9e99}', '{"id": "\\ud800", "join_url": "\\ud800"}',
        '{"access_token": "\\r\\n", "expires_in": -1}', '{"errorCode": 4741}']  # fmt: skip


class Parrot(httpx.AsyncBaseTransport):
    """Says the same to everybody, under the status that is the first of `statuses`."""

    def __init__(self, statuses: list[int], body: bytes, headers: dict[str, str]) -> None:
        self.statuses, self.body, self.headers = statuses, body, headers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        return httpx.Response(self.statuses[0], headers=headers, stream=httpx.ByteStream(self.body))


@pytest.mark.anyio
@pytest.mark.parametrize(("body", "headers"), ICAL)
async def test_no_answer_of_a_caldav_server_is_a_fault_of_ours(
    anyio_backend, body: bytes, headers: dict[str, str]
) -> None:
    answers = [200]
    transport = Parrot(answers, body, headers)
    login = CaldavCredentials(server_url="http://127.0.0.1:1/", username="ada@example.com", password="x")
    place = Place(raw_calendar_id="http://127.0.0.1:1/work/", time_zone="UTC")
    path = f"/work/{KEY}.ics"
    targets = [Target(provider_event_id=each, raw=b"{}") for each in (path, f"{path}#20260302T090000Z", "x")]
    targets.append(Target(provider_event_id=path, raw=b"{}", is_series=True))
    async with ForkedExpander(size=1) as expander, httpx.AsyncClient(transport=transport) as http:
        access = Access(http=http, token=login.secret, client_key="c", user_key="u")
        writer = CaldavWriter(expander, LOOPBACK, clock=lambda: NOW)
        calls = [
            lambda: writer.create(access, place, DRAFT, key=KEY),
            lambda: writer.withdraw(access, place, DRAFT, key=KEY),
            *(lambda target=target: writer.change(access, place, target, PATCH, strict=False) for target in targets),
            *(lambda target=target: writer.remove(access, place, target, notify=False, strict=False) for target in targets),
            *(lambda target=target: writer.read(access, place, target) for target in targets),
        ]  # fmt: skip
        for status in STATUSES:
            answers[0] = status
            for call in calls:
                with contextlib.suppress(ProviderError):
                    assert isinstance(await call(), Written | None)


@pytest.mark.anyio
@pytest.mark.parametrize("body", [pytest.param(body, id=body[:40] or "empty") for body in JSON])
async def test_no_answer_of_zoom_is_a_fault_of_ours(anyio_backend, body: str) -> None:
    answers = [200]
    headers = {"retry-after": "9999999-99-99", "x-ratelimit-type": "?"}
    transport = Parrot(answers, body.encode(), headers)
    client = OAuthClient(client_id="c", client_secret="s")
    async with httpx.AsyncClient(transport=transport) as http:
        access = Access(http=http, token="t", client_key="c", user_key="u")
        zoom = ZoomMeetings("http://127.0.0.1:1/v2", clock=lambda: NOW, wait=0)
        login = ZoomLogin("http://127.0.0.1:1/a", "http://127.0.0.1:1/t", "http://127.0.0.1:1/v2")
        calls = [
            lambda: zoom.create(access, DRAFT, key=KEY, settings=ZoomSettings(waiting_room=True)),
            lambda: zoom.change(access, "5/../6", DRAFT, settings=ZoomSettings()),
            lambda: zoom.remove(access, "5"),
            lambda: zoom.withdraw(access, key=KEY),
            lambda: login.account(http, "t", NOW),
            lambda: login.exchange(http, client, "code", redirect_uri="https://x.example", verifier="v", now=NOW),
            lambda: ZoomTokens("http://127.0.0.1:1/t").refresh(http, client, "r", NOW),
        ]
        for status in STATUSES:
            answers[0] = status
            for call in calls:
                with contextlib.suppress(ProviderError):
                    answer = await call()
                    assert not isinstance(answer, Meeting) or answer.join_url
