"""CalDAV behind the provider port: what each of its calls comes to in rounds, collections and discovery."""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from service.core.credentials import host_of
from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules
from service.core.schedule import Window
from service.core.sync import Item, Page
from service.errors import PushUnsupported
from service.providers.addresses import Policy
from service.providers.caldav.collection import CHUNK, Collection
from service.providers.caldav.discovery import discover
from service.providers.caldav.logins import Logins, login_of
from service.providers.caldav.paths import address_of
from service.providers.caldav.rounds import Rounds
from service.providers.caldav.session import Session
from service.providers.protocol import Access, Account, OAuthClient, OpenedChannel, RawCalendar, TokenGrant
from service.providers.vevent import reading
from service.providers.vevent.expansion import Expander
from service.providers.vevent.series import Reading

GOOD_FOR: Final = timedelta(days=365)
"""A password is no token: what is asked with runs out when the server refuses it."""

MOST_REMEMBERED: Final = 1_000


class CaldavCalendar:
    """The provider `caldav`; `clock` answers the present moment (UTC), `policy` says which addresses may be called."""

    name = "caldav"
    is_guarded = True
    keeps_account = True
    second_look: timedelta | None = None

    def __init__(
        self,
        expander: Expander,
        policy: Policy,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chunk: int = CHUNK,
        logins: Logins | None = None,
    ) -> None:
        self.expander = expander
        self.policy = policy
        self.clock = clock
        self._chunk = chunk
        self.logins = logins or Logins()
        self._addresses: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    async def refresh(
        self,
        http: httpx.AsyncClient,  # noqa: ARG002  (nobody is asked)
        client: OAuthClient,  # noqa: ARG002
        refresh_token: str,
        now: datetime,
    ) -> TokenGrant:
        """The login itself is what calls are made with."""
        login_of(refresh_token)
        return TokenGrant(access_token=refresh_token, expires_at=now + GOOD_FOR)

    async def calendars(self, access: Access) -> list[RawCalendar]:
        """Every calendar that has events; raises as `discovery.discover`."""
        estate = await discover(self._session(access))
        self._remember(access, estate.addresses)
        return estate.calendars

    async def account(self, access: Access, calendars: Sequence[RawCalendar]) -> Account:  # noqa: ARG002
        """By name and host: both stay when the server moves its principals."""
        login = login_of(access.token)
        addresses = self._addresses.get(_key(access))
        if addresses is None:
            addresses = (await discover(self._session(access))).addresses
        username = login.username.strip().lower()
        is_address = "@" in username.strip("@")
        email = username if username in addresses or (is_address and not addresses) else next(iter(addresses), None)
        return Account(id=f"{login.username}@{host_of(login.server_url)}", email=email)

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
        """A round: a listing without a token, what changed with one, and a listing again every few hours."""
        async for page in self._rounds(access, raw_calendar_id, window, time_zone, rules).pages(token):
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
        """What the server says lies there, and everything that repeats, expanded here."""
        async for item in self._rounds(access, raw_calendar_id, window, time_zone, rules).stretch():
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
        """A series is a resource, and its id the path of it."""
        async for item in self._rounds(access, raw_calendar_id, window, time_zone, rules).series(series_id):
            yield item

    def evidence(self, raw: bytes) -> Evidence:
        return reading.read_evidence(raw)

    async def open_channel(self, *_: object, **_more: object) -> OpenedChannel:
        """CalDAV has no notices for third parties."""
        raise PushUnsupported("CalDAV servers send no notices")

    async def close_channel(self, *_: object, **_more: object) -> None:
        """There is none."""

    def _session(self, access: Access) -> Session:
        return Session(access, login_of(access.token), policy=self.policy, clock=self.clock, logins=self.logins)

    def _rounds(
        self, access: Access, raw_calendar_id: str, window: Window, time_zone: str | None, rules: LinkRules
    ) -> Rounds:
        address = access.email.lower() if access.email else None
        wanted = Reading(
            window=window,
            time_zone=time_zone,
            addresses=frozenset({address} if address else ()),
            rules=rules,
        )
        collection = Collection(self._session(access), address_of(raw_calendar_id), self._chunk)
        return Rounds(collection, self.expander, wanted, self.clock(), raw_calendar_id)

    def _remember(self, access: Access, addresses: tuple[str, ...]) -> None:
        """For `account`, which follows `calendars`."""
        self._addresses[_key(access)] = addresses
        if len(self._addresses) > MOST_REMEMBERED:
            self._addresses.popitem(last=False)


def _key(access: Access) -> bytes:
    return hashlib.blake2b(access.token.encode(), digest_size=16).digest()
