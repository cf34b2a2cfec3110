"""Microsoft Graph behind the provider port: tokens, calendars, whose they are, and where `delta` and `push` are asked."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn
from urllib.parse import quote

import httpx
import msgspec

from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules
from service.core.schedule import Window
from service.core.sync import Item, Page
from service.errors import CalendarGone, CursorExpired, RequestRefused, ScopeMissing, TransientFault
from service.providers.exchange import ask
from service.providers.grants import LARGEST_ANSWER
from service.providers.lenient import UNREADABLE
from service.providers.microsoft import push
from service.providers.microsoft.answers import MALFORMED_ID
from service.providers.microsoft.delta import read_round, read_view
from service.providers.microsoft.grants import judge_refresh
from service.providers.microsoft.graph import Graph, segment
from service.providers.microsoft.reading import Lens, read_event, read_evidence
from service.providers.microsoft.wire import WireCalendar, WireUser
from service.providers.protocol import Access, Account, OAuthClient, OpenedChannel, RawCalendar, TokenGrant

GRAPH_URL: Final = "https://graph.microsoft.com/v1.0"
LOGIN_URL: Final = "https://login.microsoftonline.com"
SCOPE: Final = "offline_access https://graph.microsoft.com/.default"
"""What the user has consented to, whatever that was; without offline_access no new refresh token comes."""

TOKEN_DEADLINE: Final = 20.0

TIMES_EMPTY: Final = 2
"""How often a series has to be said to be empty: that would end every meeting of it."""

_calendar: Final = msgspec.json.Decoder(WireCalendar)
_user: Final = msgspec.json.Decoder(WireUser)


class MicrosoftCalendar:
    """The provider `microsoft`; `clock` answers the present moment (UTC), against which a Retry-After is reckoned."""

    name = "microsoft"
    is_guarded = False
    keeps_account = True
    second_look: timedelta | None = timedelta(seconds=90)

    def __init__(
        self,
        graph_url: str = GRAPH_URL,
        login_url: str = LOGIN_URL,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.graph = Graph(graph_url, clock)
        self._login_url = login_url.rstrip("/")

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
        async for page in self.graph.pages(access, self.graph.url("/me/calendars", {"$top": "100"})):
            found.extend(calendar for row in page.value or () if (calendar := _read_calendar(row)) is not None)
        return found

    async def account(self, access: Access, calendars: Sequence[RawCalendar]) -> Account:  # noqa: ARG002 - they do not say
        """The signed-in user; its `userPrincipalName` is an address only by custom, and for want of a better one."""
        url = self.graph.url("/me", {"$select": "id,mail,userPrincipalName"})
        try:
            user = _user.decode((await self.graph.get(access, url)).body)
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
        path = _path(raw_calendar_id)
        try:
            async for page in read_round(self.graph, access, path, token, window, lens):
                yield page
        except ScopeMissing as error:
            await self._blame(access, error)
        except CursorExpired as error:
            # Without a token the only id in the request is the calendar's.
            if token is None and error.reason.lower() == MALFORMED_ID:
                raise CalendarGone(error.reason) from error
            raise

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
        path = _path(raw_calendar_id)
        try:
            async for rows in read_view(self.graph, access, f"{path}/calendarView", window):
                for row in rows:
                    yield read_event(row, lens)
        except ScopeMissing as error:
            await self._blame(access, error)

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
        path = f"{_path(raw_calendar_id)}/events/{segment(series_id)}/instances"
        is_empty = True
        try:
            for _ in range(TIMES_EMPTY):
                async for rows in read_view(self.graph, access, path, window):
                    for row in rows:
                        is_empty = False
                        yield read_event(row, lens)
                if not is_empty:
                    return
        except ScopeMissing as error:
            await self._blame(access, error)
        except CalendarGone:
            # A 404 may also be the calendar's: that must not look like a series without occurrences.
            await self.graph.get(access, self.graph.url(_path(raw_calendar_id), {"$select": "id"}))

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
        replaces: str | None = None,
        now: datetime,
    ) -> OpenedChannel:
        """POST /subscriptions, or PATCH of the one that `replaces` names (graph/api/subscription-update)."""
        return await push.open_subscription(
            self.graph,
            access,
            raw_calendar_id,
            state=f"{channel_id}:{secret}",
            address=address,
            replaces=replaces,
            now=now,
        )

    async def close_channel(self, access: Access, *, channel_id: str, resource_id: str) -> None:  # noqa: ARG002 - Graph goes by its own
        await push.close_subscription(self.graph, access, resource_id)

    async def _blame(self, access: Access, error: ScopeMissing) -> NoReturn:
        """A calendar that is closed to us is at fault itself, unless the whole mailbox is closed."""
        await self.graph.get(access, self.graph.url("/me/calendars", {"$top": "1"}))
        raise RequestRefused(error.reason) from error


def _path(raw_calendar_id: str) -> str:
    # By its calendar an event is found in the mailboxes of others, too.
    return f"/me/calendars/{segment(raw_calendar_id)}"


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
