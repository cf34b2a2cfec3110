"""Google Calendar behind the provider port: which requests are sent, and how their pages follow each other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
import msgspec

from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules
from service.core.schedule import Window
from service.core.sync import Item, Page
from service.errors import TransientFault
from service.providers.exchange import ask
from service.providers.google.answers import judge
from service.providers.google.api import HEADERS, CalendarApi, events_path, segment
from service.providers.google.push import read_channel, watch_body
from service.providers.google.reading import read_evidence, read_page, read_rows
from service.providers.google.wire import CALENDAR_FIELDS, PAGE_FIELDS, WireCalendar, WirePage
from service.providers.grants import LARGEST_ANSWER, judge_refresh
from service.providers.lenient import UNREADABLE
from service.providers.protocol import Access, Account, OAuthClient, OpenedChannel, RawCalendar, TokenGrant

API_URL: Final = "https://www.googleapis.com/calendar/v3"
TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105  (an address)
TOKEN_DEADLINE: Final = 20.0
MOST_PAGES: Final = 1000
ROWS_AT_ONCE: Final = 250
"""Rows read between two turns of the event loop: about ten milliseconds."""

_calendar: Final = msgspec.json.Decoder(WireCalendar)


class GoogleCalendar:
    """The provider `google`; `clock` answers the present moment (UTC), against which a Retry-After is reckoned."""

    name = "google"
    is_guarded = False
    keeps_account = True
    second_look: timedelta | None = None

    def __init__(
        self,
        api_url: str = API_URL,
        token_url: str = TOKEN_URL,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.api = CalendarApi(api_url, clock)
        self._token_url = token_url
        self._clock = clock

    async def refresh(
        self, http: httpx.AsyncClient, client: OAuthClient, refresh_token: str, now: datetime
    ) -> TokenGrant:
        """A new access token (RFC 6749, section 6); raises as `grants.judge_refresh`."""
        form = {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "refresh_token": refresh_token,
            "grant_type": "refresh_token",
        }
        answer = await ask(
            http, "POST", self._token_url, headers=HEADERS, form=form, limit=LARGEST_ANSWER, deadline=TOKEN_DEADLINE
        )
        return judge_refresh(answer.status, answer.headers, answer.body, now)

    async def calendars(self, access: Access) -> list[RawCalendar]:
        """Every calendar in the account's list (calendarList.list), hidden ones too: hiding one is not losing it."""
        params = {"maxResults": "250", "showHidden": "true", "fields": CALENDAR_FIELDS}
        found: list[RawCalendar] = []
        async for page in self._pages(access, "/users/me/calendarList", params):
            found.extend(calendar for row in page.items or () if (calendar := _read_calendar(row)) is not None)
        return found

    async def account(self, access: Access, calendars: Sequence[RawCalendar]) -> Account:  # noqa: ARG002 - no call needed
        """The primary calendar's id is the account's address."""
        email = next((calendar.id for calendar in calendars if calendar.is_primary), calendars[0].id)
        return Account(id=email, email=email)

    async def pages(
        self,
        access: Access,
        raw_calendar_id: str,
        *,
        token: str | None,
        window: Window,
        time_zone: str | None,
        rules: LinkRules = DEFAULT_RULES,
    ) -> AsyncIterator[Page]:
        """A round of events.list with expanded series; a sync token forbids timeMin and timeMax (guides/sync)."""
        params = _listing() | ({"syncToken": token} if token else _within(window))
        async for page in self._pages(access, events_path(raw_calendar_id), params):
            items = await _read_items(page, time_zone, rules)
            if page.next_page_token:
                yield Page(items, time_zone=page.time_zone)
            elif page.next_sync_token:
                yield Page(items, page.next_sync_token, page.time_zone)
            else:
                raise TransientFault("the last page has no sync token")

    async def stretch(
        self,
        access: Access,
        raw_calendar_id: str,
        *,
        window: Window,
        time_zone: str | None,
        rules: LinkRules = DEFAULT_RULES,
    ) -> AsyncIterator[Item]:
        """A windowed events.list whose sync token nobody keeps."""
        async for page in self._pages(access, events_path(raw_calendar_id), _listing() | _within(window)):
            for item in await _read_items(page, time_zone, rules):
                yield item

    async def series(
        self,
        access: Access,
        raw_calendar_id: str,
        series_id: str,
        *,
        window: Window,
        time_zone: str | None,
        rules: LinkRules = DEFAULT_RULES,
    ) -> AsyncIterator[Item]:
        """events.instances; a series that is deleted (404, 410) has no occurrences."""
        events = events_path(raw_calendar_id)
        path = f"{events}/{segment(series_id)}/instances"
        params = _listing() | _within(window) | {"showDeleted": "false"}
        del params["singleEvents"]
        async for page in self._pages(access, path, params, parent=events):
            for item in await _read_items(page, time_zone, rules):
                yield item

    def evidence(self, raw: bytes) -> Evidence:
        return read_evidence(raw)

    async def open_channel(
        self,
        access: Access,
        raw_calendar_id: str,
        *,
        channel_id: str,
        secret: str,
        address: str,
        replaces: str | None = None,  # noqa: ARG002 - no channel of Google's can be prolonged
        now: datetime,
    ) -> OpenedChannel:
        """events.watch; raises PushUnsupported, and TransientFault when the id has been used before."""
        path = f"{events_path(raw_calendar_id)}/watch"
        answer = await self.api.call(access, "POST", path, json=watch_body(channel_id, secret, address))
        if not answer.is_good:
            raise judge(answer.status, answer.headers, answer.body, now)
        return read_channel(answer.body, now)

    async def close_channel(self, access: Access, *, channel_id: str, resource_id: str) -> None:
        """channels.stop; 404 says that the channel has gone already."""
        body = {"id": channel_id, "resourceId": resource_id}
        answer = await self.api.call(access, "POST", "/channels/stop", json=body)
        if not answer.is_good and answer.status != 404:
            raise judge(answer.status, answer.headers, answer.body, self._clock())

    async def _pages(
        self, access: Access, path: str, params: Mapping[str, str], *, parent: str | None = None
    ) -> AsyncIterator[WirePage]:
        """Page after page, each asked for with the same parameters.

        With `parent`, the list that should have the resource, none at all when the resource is gone.
        """
        page_token: str | None = None
        seen: set[str] = set()
        while True:
            asked = {**params, "pageToken": page_token} if page_token else params
            answer = await self.api.call(access, "GET", path, params=asked)
            if parent and answer.status in {404, 410}:
                # A 404 may also be the calendar's: that must not look like a series without occurrences.
                answer = await self.api.call(access, "GET", parent, params={"maxResults": "1", "fields": "timeZone"})
                if answer.status == 200:
                    return
            if answer.status != 200:
                raise judge(answer.status, answer.headers, answer.body, self._clock())
            page = _decode_page(answer.body)
            yield page
            page_token = page.next_page_token
            if not page_token:
                return
            if page_token in seen or len(seen) >= MOST_PAGES:
                raise TransientFault("the pages do not end")
            seen.add(page_token)


def _listing() -> dict[str, str]:
    return {"singleEvents": "true", "maxResults": "2500", "fields": PAGE_FIELDS}


def _within(window: Window) -> dict[str, str]:
    return {"timeMin": _rfc3339(window.start), "timeMax": _rfc3339(window.end)}


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _decode_page(body: bytes) -> WirePage:
    try:
        return read_page(body)
    except (*UNREADABLE, ValueError):
        raise TransientFault("a page cannot be read") from None


async def _read_items(page: WirePage, time_zone: str | None, rules: LinkRules) -> list[Item]:
    rows = page.items or []
    items: list[Item] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        items += read_rows(rows[start : start + ROWS_AT_ONCE], time_zone or page.time_zone, rules)
    return items


def _read_calendar(row: msgspec.Raw) -> RawCalendar | None:
    try:
        wire = _calendar.decode(row)
    except UNREADABLE:
        return None
    if not wire.id:
        return None
    return RawCalendar(
        id=wire.id,
        name=wire.summary_override or wire.summary or wire.id,
        description=wire.description,
        is_primary=bool(wire.primary),
        time_zone=wire.time_zone,
        access_role=wire.access_role,
        color=wire.background_color,
    )
