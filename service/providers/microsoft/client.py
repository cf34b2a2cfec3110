"""Microsoft Graph behind the provider port: which requests are sent, and how their pages follow each other.

    no token ──► delta over a window that reaches a week further ──► deltaLink ──► delta ... until the window is used up
                                   │ pages that do not end                                       │
                                   └──► plain calendarView, and a delta anew next time ◄─────────┘

The window of a delta is frozen in its links (graph/delta-query-events); so it is opened further than it is asked for,
and a new round, which lists everything and is told as such, begins when the asked window has reached its end.
"""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules
from service.core.schedule import Window
from service.core.sync import Item, Page
from service.errors import CalendarGone, CursorExpired, TransientFault
from service.observability import METRICS
from service.providers.exchange import Answer, ask
from service.providers.grants import LARGEST_ANSWER
from service.providers.lenient import UNREADABLE, repair
from service.providers.microsoft.answers import judge
from service.providers.microsoft.grants import judge_refresh
from service.providers.microsoft.reading import Lens, Row, read_event, read_evidence, sort_rows
from service.providers.microsoft.wire import EVENT_FIELDS, WireCalendar, WireEvent, WirePage, WireUser
from service.providers.protocol import Access, Account, OAuthClient, OpenedChannel, RawCalendar, TokenGrant

GRAPH_URL: Final = "https://graph.microsoft.com/v1.0"
LOGIN_URL: Final = "https://login.microsoftonline.com"
SCOPE: Final = "offline_access https://graph.microsoft.com/.default"
"""What the user has consented to, whatever that was; without offline_access no new refresh token comes."""

TOKEN_DEADLINE: Final = 20.0
SPARE: Final = timedelta(days=7)
"""How much further a delta's window reaches than it is asked for."""

MOST_PAGES: Final = 1000
MOST_IDLE_PAGES: Final = 25
"""Pages without a row that is new after which a listing counts as endless."""

AT_ONCE: Final = 2
"""Calls to one mailbox at the same time; Exchange refuses the fifth (graph/throttling-limits)."""

PREFERENCES: Final = 'odata.maxpagesize=200, outlook.timezone="UTC", IdType="ImmutableId"'

_calendar: Final = msgspec.json.Decoder(WireCalendar)
_user: Final = msgspec.json.Decoder(WireUser)
_page: Final = msgspec.json.Decoder(WirePage)
_event: Final = msgspec.json.Decoder(WireEvent)


class Token(msgspec.Struct, frozen=True):
    """Where a delta goes on: its link, empty after a listing that had none, and the window frozen in it."""

    link: str
    start: datetime
    end: datetime


_token: Final = msgspec.json.Decoder(Token)


class MicrosoftCalendar:
    """The provider `microsoft`; `clock` answers the present moment (UTC), against which a Retry-After is reckoned."""

    name = "microsoft"
    is_guarded = False
    keeps_account = True
    second_look = timedelta(seconds=90)

    def __init__(
        self,
        graph_url: str = GRAPH_URL,
        login_url: str = LOGIN_URL,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._graph_url = graph_url.rstrip("/")
        self._login_url = login_url.rstrip("/")
        self._origin = _origin(httpx.URL(self._graph_url))
        self._clock = clock
        self._mailboxes: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()

    async def refresh(
        self, http: httpx.AsyncClient, client: OAuthClient, refresh_token: str, now: datetime
    ) -> TokenGrant:
        """A new access token, and with it a new refresh token; raises as `grants.judge_refresh`."""
        form = {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "refresh_token": refresh_token,
            "grant_type": "refresh_token",
            "scope": SCOPE,
        }
        url = f"{self._login_url}/{quote(client.tenant or 'common', safe='')}/oauth2/v2.0/token"
        answer = await ask(http, "POST", url, form=form, limit=LARGEST_ANSWER, deadline=TOKEN_DEADLINE)
        return judge_refresh(answer.status, answer.headers, answer.body, now)

    async def calendars(self, access: Access) -> list[RawCalendar]:
        """Every calendar of the mailbox, those shared with it too (graph/api/user-list-calendars)."""
        found: list[RawCalendar] = []
        async for page in self._pages(access, self._url("/me/calendars", {"$top": "100"})):
            found.extend(calendar for row in page.value or () if (calendar := _read_calendar(row)) is not None)
        return found

    async def account(self, access: Access, calendars: Sequence[RawCalendar]) -> Account:  # noqa: ARG002 - they do not say
        """The signed-in user; its `userPrincipalName` is an address only by custom, and for want of a better one."""
        answer = await self._get(access, self._url("/me", {"$select": "id,mail,userPrincipalName"}))
        try:
            user = _user.decode(answer.body)
        except UNREADABLE:
            raise TransientFault("the user cannot be read") from None
        if not user.id:
            raise TransientFault("the user has no id")
        email = user.mail or user.user_principal_name
        return Account(id=user.id, email=email.lower() if email and "@" in email else None)

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
        """A round of calendarView/delta: on from the token's link, or a listing where that can no longer serve."""
        lens = Lens(zone_name=time_zone, rules=rules, email=access.email)
        went_on = _read_token(token) if token else None
        if went_on is not None and went_on.link and window.end <= went_on.end:
            try:
                async for page in self._changes(access, went_on, lens):
                    yield page
            except EndlessListing as error:
                raise CursorExpired(error.reason) from error
            return
        reach = Token("", window.start, window.end + SPARE)
        async for page in self._listing(access, raw_calendar_id, reach, lens, is_listing=token is not None):
            yield page

    async def stretch(
        self,
        access: Access,
        raw_calendar_id: str,
        *,
        window: Window,
        time_zone: str | None,
        rules: LinkRules = DEFAULT_RULES,
    ) -> AsyncIterator[Item]:
        """A plain calendarView, whose rows are whole."""
        lens = Lens(zone_name=time_zone, rules=rules, email=access.email)
        async for rows in self._view(access, f"{_calendar_path(raw_calendar_id)}/calendarView", window):
            for row in rows:
                yield read_event(row, lens)

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
        """The instances of a master (graph/api/event-list-instances); a master that is gone (404) has none."""
        lens = Lens(zone_name=time_zone, rules=rules, email=access.email)
        path = f"/me/events/{_segment(series_id)}/instances"
        try:
            async for rows in self._view(access, path, window):
                for row in rows:
                    yield read_event(row, lens)
        except CalendarGone:
            # A 404 may also be the calendar's: that must not look like a series without occurrences.
            await self._get(access, self._url(_calendar_path(raw_calendar_id), {"$select": "id"}))

    def evidence(self, raw: bytes) -> Evidence:
        return read_evidence(raw)

    async def open_channel(
        self, access: Access, raw_calendar_id: str, *, channel_id: str, secret: str, address: str, now: datetime
    ) -> OpenedChannel:
        raise NotImplementedError

    async def close_channel(self, access: Access, *, channel_id: str, resource_id: str) -> None:
        raise NotImplementedError

    async def _changes(self, access: Access, token: Token, lens: Lens) -> AsyncIterator[Page]:
        """What changed since a delta: single events as rows, and the series that something happened to.

        There is no tombstone for an occurrence that is cancelled; so a series that shows in any way is listed as a set.
        """
        last = ""
        async for page in self._pages(access, token.link):
            rows = sort_rows(page.value or ())
            items = [read_event(row, lens) for row in rows if row.series_id is None]
            series = dict.fromkeys(row.series_id for row in rows if row.series_id is not None)
            last = page.delta_link or last
            yield Page(
                items, _written(token, page.delta_link) if page.delta_link else None, lens.zone_name, tuple(series)
            )
        if not last:
            raise TransientFault("the delta ended without a link to go on from")

    async def _listing(
        self, access: Access, raw_calendar_id: str, reach: Token, lens: Lens, *, is_listing: bool
    ) -> AsyncIterator[Page]:
        """Everything in the window, by a first delta; by a plain view, should its pages not end."""
        path = f"{_calendar_path(raw_calendar_id)}/calendarView"
        url = self._url(f"{path}/delta", {"startDateTime": _rfc3339(reach.start), "endDateTime": _rfc3339(reach.end)})
        masters: dict[str, WireEvent] = {}
        waiting: dict[str, Row] = {}
        link = ""
        try:
            async for page in self._pages(access, url):
                rows = sort_rows(page.value or ())
                masters |= {row.wire.id: row.wire for row in rows if row.is_master and row.wire and row.wire.id}
                waiting |= {row.wire.id: row for row in rows if row.is_sparse and row.wire and row.wire.id}
                link = page.delta_link or ""
                whole = [read_event(row, lens) for row in rows if not (row.is_master or row.is_sparse)]
                yield Page(whole, None, lens.zone_name, is_listing=is_listing)
        except EndlessListing:
            view = Window(reach.start, reach.end)
            async for rows in self._view(access, path, view):
                yield Page([read_event(row, lens) for row in rows], None, lens.zone_name, is_listing=is_listing)
            yield Page([], _written(reach, ""), lens.zone_name, is_listing=is_listing)
            return
        if not link:
            raise TransientFault("the delta ended without a link to go on from")
        items = [item async for item in self._completed(access, waiting, masters, lens)]
        yield Page(items, _written(reach, link), lens.zone_name, is_listing=is_listing)

    async def _completed(
        self, access: Access, waiting: Mapping[str, Row], masters: dict[str, WireEvent], lens: Lens
    ) -> AsyncIterator[Item]:
        """Sparse occurrences, each with what its master says; a master that did not come with them is asked for."""
        for number, row in enumerate(waiting.values()):
            series_id = row.series_id or ""
            if series_id not in masters:
                answer = await self._get(
                    access, self._url(f"/me/events/{_segment(series_id)}", {"$select": EVENT_FIELDS})
                )
                try:
                    masters[series_id] = _event.decode(repair(answer.body))
                except (*UNREADABLE, ValueError):
                    raise TransientFault("the master of a series cannot be read") from None
            yield read_event(row, lens, masters[series_id])
            if number % 200 == 199:
                await asyncio.sleep(0)

    async def _view(self, access: Access, path: str, window: Window) -> AsyncIterator[list[Row]]:
        params = {
            "startDateTime": _rfc3339(window.start),
            "endDateTime": _rfc3339(window.end),
            "$top": "200",
            "$select": EVENT_FIELDS,
        }
        async for page in self._pages(access, self._url(path, params)):
            yield [row for row in sort_rows(page.value or ()) if not row.is_master]

    async def _pages(self, access: Access, url: str) -> AsyncIterator[WirePage]:
        """Page after page along the links, as they come. Raises EndlessListing when they bring nothing new."""
        seen: set[int] = set()
        links: set[str] = set()
        idle = 0
        while True:
            answer = await self._get(access, url)
            page = _decode_page(answer.body)
            rows = {hash(bytes(row)) for row in page.value or ()}
            idle = 0 if rows - seen else idle + 1
            seen |= rows
            yield page
            if page.next_link is None:
                return
            if page.next_link in links or len(links) >= MOST_PAGES or idle >= MOST_IDLE_PAGES:
                raise EndlessListing("the pages do not end")
            links.add(page.next_link)
            url = self._checked(page.next_link)

    async def _get(self, access: Access, url: str) -> Answer:
        answer = await self._call(access, "GET", self._checked(url))
        if answer.status != 200:
            raise judge(answer.status, answer.headers, answer.body, self._clock())
        return answer

    async def _call(self, access: Access, method: str, url: str, *, json: Any = None) -> Answer:
        await access.take_turn(self._clock)
        outcome = "no_answer"
        try:
            async with self._mailbox(access):
                answer = await ask(
                    access.http,
                    method,
                    url,
                    headers={"prefer": PREFERENCES, "authorization": f"Bearer {access.token}"},
                    json=json,
                )
            outcome = "ok" if answer.is_good else str(answer.status)
        finally:
            METRICS.called(self.name, outcome)
        return answer

    @contextlib.asynccontextmanager
    async def _mailbox(self, access: Access) -> AsyncIterator[None]:
        turns = self._mailboxes.get(access.user_key)
        if turns is None:
            turns = self._mailboxes[access.user_key] = asyncio.Semaphore(AT_ONCE)
        async with turns:
            yield

    def _url(self, path: str, params: Mapping[str, str]) -> str:
        query = "&".join(f"{name}={quote(value, safe='(),/:$')}" for name, value in params.items())
        return f"{self._graph_url}{path}?{query}"

    def _checked(self, link: str) -> str:
        """A link of Graph's, which the access token may be sent to."""
        try:
            origin = _origin(httpx.URL(link))
        except httpx.InvalidURL:
            origin = None
        if origin != self._origin:
            raise CursorExpired("a link leads away from Graph")
        return link


class EndlessListing(TransientFault):
    """The pages of a listing go on without bringing anything."""


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _calendar_path(raw_calendar_id: str) -> str:
    return f"/me/calendars/{_segment(raw_calendar_id)}"


def _segment(identifier: str) -> str:
    # "." and ".." cannot be escaped in a path, and would lead to another resource.
    if identifier in {"", ".", ".."}:
        raise CalendarGone("not an id")
    return quote(identifier, safe="")


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read_token(token: str) -> Token:
    try:
        return _token.decode(token)
    except msgspec.MsgspecError:
        raise CursorExpired("the token cannot be read") from None


def _written(reach: Token, link: str) -> str:
    return msgspec.json.encode(msgspec.structs.replace(reach, link=link)).decode()


def _decode_page(body: bytes) -> WirePage:
    try:
        return _page.decode(body)
    except UNREADABLE:
        try:
            return _page.decode(repair(body))
        except (*UNREADABLE, ValueError):
            raise TransientFault("a page cannot be read") from None


def _read_calendar(row: msgspec.Raw) -> RawCalendar | None:
    try:
        wire = _calendar.decode(row)
    except UNREADABLE:
        return None
    if not wire.id:
        return None
    return RawCalendar(
        id=wire.id,
        name=wire.name or wire.id,
        is_primary=bool(wire.is_default_calendar),
        access_role=None if wire.can_edit is None else "writer" if wire.can_edit else "reader",
        color=wire.hex_color or wire.color or None,
    )
