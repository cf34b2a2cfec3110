"""What every calendar provider can do for us: the port that `google.py` and its siblings implement.

Every call either returns a result or raises one of `service.errors.ProviderError`; nothing else of a provider's
answer leaves its module.
"""

import asyncio
import enum
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import httpx
import msgspec

from service.core.credentials import OAuthClient, TokenGrant
from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules
from service.core.schedule import Window
from service.core.sync import Item, Page
from service.errors import Throttled
from service.providers.quotas import Quotas

LONGEST_TURN: Final = 5.0
"""For how many seconds a call waits for our own quota; who would wait longer is told to come again."""

__all__ = [
    "Access",
    "Account",
    "OAuthClient",
    "OpenedChannel",
    "Provider",
    "PushKind",
    "PushNotice",
    "PushReader",
    "RawCalendar",
    "TokenGrant",
]


class RawCalendar(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar as the provider lists it, connected here or not."""

    id: str
    name: str
    description: str | None = None
    is_primary: bool = False
    time_zone: str | None = None
    access_role: str | None = None
    color: str | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whose calendars they are: `id` tells the account from every other of the provider, and never changes."""

    id: str
    email: str | None = None


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The right to call a provider: the bearer token, whom it is for, and the connection to call on.

    `client_key` and `user_key` name the quotas that each call counts against; without `quotas` nobody counts. `email` is
    the account's address, where it is known.
    """

    http: httpx.AsyncClient
    token: str
    client_key: str
    user_key: str
    quotas: Quotas | None = None
    email: str | None = None

    async def take_turn(self, clock: Callable[[], datetime]) -> None:
        """Count one call, having waited for its turn if that comes within seconds. Raises Throttled if it does not."""
        waited = 0.0
        while self.quotas is not None:
            now = clock()
            turn = self.quotas.reserve(self.client_key, self.user_key, now)
            if turn is None:
                return
            pause = (turn - now).total_seconds()
            if waited + pause > LONGEST_TURN:
                raise Throttled("our own share of the provider's quota is used up", turn, scope="own")
            await asyncio.sleep(pause)
            waited += pause

    def __repr__(self) -> str:
        return f"Access(user_key={self.user_key!r})"


class OpenedChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A push channel that the provider has agreed to; `is_same` says that it is the one to be replaced, prolonged."""

    resource_id: str
    expires_at: datetime
    is_same: bool = False


class Provider(Protocol):
    """One kind of calendar server.

    `is_guarded` says that its hosts are named by users, so that only guarded clients may call them; `keeps_account`, that
    credentials for another account are never those of the same calendar; `second_look`, after how long to read once more
    what a push has told of, where the provider tells of it before it shows it.
    """

    name: str
    is_guarded: bool
    keeps_account: bool
    second_look: timedelta | None

    async def refresh(
        self, http: httpx.AsyncClient, client: OAuthClient, refresh_token: str, now: datetime
    ) -> TokenGrant:
        """A new access token.

        Raises GrantRejected, ScopeMissing, PolicyForbids, ClientRejected, RequestRefused, Throttled or TransientFault.
        """
        ...

    async def calendars(self, access: Access) -> list[RawCalendar]:
        """Every calendar of the account, all pages."""
        ...

    async def account(self, access: Access, calendars: Sequence[RawCalendar]) -> Account:
        """Whose account it is, of which `calendars` has just been read."""
        ...

    def pages(
        self,
        access: Access,
        raw_calendar_id: str,
        *,
        token: str | None,
        window: Window,
        time_zone: str | None,
        rules: LinkRules = DEFAULT_RULES,
    ) -> AsyncIterator[Page]:
        """One round: the full window without a `token`, the changes since it with one; the last page has the next token.

        `time_zone` places all-day events, `rules` say which link of an event is its meeting's. Raises CursorExpired when the token is worthless.
        """
        ...

    def stretch(
        self,
        access: Access,
        raw_calendar_id: str,
        *,
        window: Window,
        time_zone: str | None,
        rules: LinkRules = DEFAULT_RULES,
    ) -> AsyncIterator[Item]:
        """Every live occurrence that overlaps `window`, without touching the cursor."""
        ...

    def series(
        self,
        access: Access,
        raw_calendar_id: str,
        series_id: str,
        *,
        window: Window,
        time_zone: str | None,
        rules: LinkRules = DEFAULT_RULES,
    ) -> AsyncIterator[Item]:
        """The live occurrences of one series in `window`; nothing at all when the series is gone."""
        ...

    def evidence(self, raw: bytes) -> Evidence:
        """What a row of `pages`, kept as received, says about how to join. Raises ValueError when it cannot be read."""
        ...

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
        """Ask for notifications at `address`. Raises PushUnsupported when this calendar cannot have them.

        `replaces` is the `resource_id` of the open channel whose life nears its end; a provider that can, prolongs it.
        """
        ...

    async def close_channel(self, access: Access, *, channel_id: str, resource_id: str) -> None:
        """Stop notifications; a channel that is already gone is a success."""
        ...


class PushKind(enum.StrEnum):
    """What a notification is about: the calendar, or the channel itself."""

    CHANGED = "changed"
    FIRST = "first"
    """The channel is open; nothing has changed."""

    RENEW = "renew"
    """The channel ends unless it is renewed."""

    REMOVED = "removed"
    """The channel is gone."""

    MISSED = "missed"
    """Notifications were lost."""


class PushNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notification as the request tells it, not yet proved: `secret` is what the sender claims to know."""

    channel_id: str
    resource_id: str
    secret: str
    kind: PushKind = PushKind.CHANGED


class PushReader(Protocol):
    """Knows where a provider sends its notifications, and reads them off an HTTP request."""

    def address(self, public_url: str, channel_id: UUID) -> str:
        """Where notifications through a channel are to be sent."""
        ...

    def notices(self, headers: Mapping[str, str], body: bytes) -> Sequence[PushNotice]:
        """The notifications in a request; none when it is not one. `headers` has lower-case names, or does not mind."""
        ...
