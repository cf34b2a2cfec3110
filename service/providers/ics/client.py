"""ICS feeds behind the provider port: fetched whole, expanded only when they have changed, believed only when they make sense.

fetch ──304, same text, same events──► nothing to do
      ──nearly everything gone───────► nothing to do, and another look soon
      ──changed──────────────────────► every occurrence in the window, as a listing
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeVar

import httpx
import msgspec

from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules
from service.core.schedule import Window
from service.core.sync import Item, Listed, Malformed, Page, Removed, row_id
from service.errors import AddressRefused, CalendarGone, GatewayError, PushUnsupported, RequestRefused, TransientFault
from service.providers.addresses import Policy
from service.providers.ics.address import fingerprint, read_address
from service.providers.ics.fetching import Fetched, Validators, fetch
from service.providers.ics.state import (
    SHORTEST_REST,
    State,
    expand_at,
    is_doubtful,
    read_state,
    rest_of,
    write_state,
)
from service.providers.ics.text import Feed, Prints, Unusable, are_renamed, body_print, read_feed
from service.providers.protocol import Access, Account, OAuthClient, OpenedChannel, RawCalendar, TokenGrant
from service.providers.vevent.expansion import Expander, Expansion, Text
from service.providers.vevent.reading import read_evidence
from service.providers.vevent.series import Identity, Reading

FEED: Final = "feed"
"""The id of the only calendar behind an address."""

FOR_EVER: Final = timedelta(days=3650)
MOST_SEEN: Final = 10_000
READ_AT_ONCE: Final = 64 * 1024
"""Octets; a longer text is looked at beside the event loop."""

CONTENT: Final = "content-"
"""What `vevent` begins the ids of events with that are called by their content."""

Result = TypeVar("Result")


class _Seen(NamedTuple):
    """How a feed looked when this process last saw it."""

    prints: Prints
    identity: Identity


class IcsFeed:
    """The provider `ics`; `clock` answers the present moment (UTC), `policy` says where a feed may lie."""

    name = "ics"
    is_guarded = True
    keeps_account = False
    second_look: timedelta | None = None

    def __init__(
        self, expander: Expander, policy: Policy, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._expander = expander
        self._policy = policy
        self._clock = clock
        # A text of 20 MB takes 100 MB while it is looked at.
        self._threads = asyncio.Semaphore(2)
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    async def refresh(
        self,
        http: httpx.AsyncClient,  # noqa: ARG002  (nobody is asked)
        client: OAuthClient,  # noqa: ARG002
        refresh_token: str,
        now: datetime,
    ) -> TokenGrant:
        """The address itself, without any request."""
        return TokenGrant(access_token=refresh_token, expires_at=now + FOR_EVER)

    async def calendars(self, access: Access) -> list[RawCalendar]:
        """The feed, once it has been seen. Raises GatewayError 422 `blocked_url`, and RequestRefused for no feed."""
        url = read_address(access.token, self._policy)
        fetched = await self._fetch(access, url, None)
        try:
            feed = await self._aside(read_feed, fetched.body or b"")
        except Unusable as error:
            raise (RequestRefused if error.is_other else TransientFault)(str(error)) from None
        self._remember(access, _Seen(feed.prints, self._identity(access, None, feed.prints)))
        return [
            RawCalendar(
                id=FEED, name=feed.name or url.host, is_primary=True, time_zone=feed.time_zone, access_role="reader"
            )
        ]

    async def account(self, access: Access, calendars: Sequence[RawCalendar]) -> Account:  # noqa: ARG002  (one feed, one account)
        """A print of the address, which tells it from every other and gives nobody the feed."""
        return Account(id=self._key(access))

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
        """One page: the whole window when anything has changed, and nothing when nothing has.

        An answer that is no whole feed is a TransientFault; one that has lost nearly all is believed when it comes twice.
        """
        _check(raw_calendar_id)
        state = read_state(token) if token else None
        yield await self._read(access, state, Reading(window=window, time_zone=time_zone, rules=rules))

    async def stretch(
        self,
        access: Access,
        raw_calendar_id: str,
        *,
        window: Window,
        time_zone: str | None,
        rules: LinkRules = DEFAULT_RULES,
    ) -> AsyncIterator[Item]:
        """The feed again, whatever its validators say: nobody has kept its text."""
        _check(raw_calendar_id)
        seen = self._seen.get(self._key(access))
        identity: Identity = seen.identity if seen else "uid"
        reading = Reading(window=window, time_zone=time_zone, rules=rules, identity=identity)
        for item in await self._list(access, seen, reading):
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
        """The occurrences of one UID in the feed; no round of ours asks for them, each lists its series whole."""
        _check(raw_calendar_id)
        identity: Identity = "content" if series_id.startswith(CONTENT) else "uid"
        reading = Reading(window=window, time_zone=time_zone, rules=rules, identity=identity)
        for item in await self._list(access, self._seen.get(self._key(access)), reading):
            named = item.event.series_id if isinstance(item, Listed) else row_id(item).partition("#")[0]
            if named == series_id and not isinstance(item, Removed):
                yield item

    def evidence(self, raw: bytes) -> Evidence:
        return read_evidence(raw)

    async def open_channel(self, *_: object, **__: object) -> OpenedChannel:
        """Raises PushUnsupported: feeds tell nobody."""
        raise PushUnsupported("a feed sends no notifications")

    async def close_channel(self, *_: object, **__: object) -> None:
        """There is none."""

    async def _read(self, access: Access, state: State | None, reading: Reading) -> Page:
        now = self._clock()
        # Now and then an unchanged feed is expanded again: what went wrong with it once would else stay so.
        is_due = state is None or now.timestamp() >= state.expand_at
        known = None if state is None or is_due or state.is_doubted else state.validators
        fetched = await self._ask(access, known)
        if state is not None and fetched.body is None:
            return self._unchanged(access, state)
        body = fetched.body or b""
        print_ = await self._aside(body_print, body)
        if state is not None and not is_due and print_ == state.body:
            return self._unchanged(access, msgspec.structs.replace(state, validators=fetched.validators))
        feed = await self._look(body)
        if state is not None and not state.is_doubted and is_doubtful(state.prints.count, feed.prints.count):
            self._remember(access, _Seen(state.prints, state.identity))
            doubting = msgspec.structs.replace(state, is_doubted=True)
            return Page([], write_state(doubting), rest=SHORTEST_REST, is_unsure=True)
        identity = self._identity(access, state, feed.prints)
        rest = rest_of(feed.interval, fetched.headers)
        if state is not None and not is_due and (feed.prints.events, identity) == (state.prints.events, state.identity):
            fresh = {"validators": fetched.validators, "body": print_, "rest": int(rest.total_seconds())}
            return self._unchanged(access, msgspec.structs.replace(state, **fresh))
        expansion = await self._expand(body, msgspec.structs.replace(reading, identity=identity))
        self._remember(access, _Seen(feed.prints, identity))
        is_clean = not any(isinstance(item, Malformed) for item in expansion.items)
        new = State(
            validators=fetched.validators,
            body=print_,
            prints=feed.prints,
            identity=identity,
            expand_at=expand_at(now, is_clean=is_clean),
            rest=int(rest.total_seconds()),
        )
        return Page(expansion.items, write_state(new), feed.time_zone, is_listing=True, rest=rest)

    def _unchanged(self, access: Access, state: State) -> Page:
        self._remember(access, _Seen(state.prints, state.identity))
        kept = msgspec.structs.replace(state, is_doubted=False)
        return Page([], write_state(kept), rest=timedelta(seconds=state.rest))

    async def _list(self, access: Access, seen: _Seen | None, reading: Reading) -> list[Item]:
        body = (await self._ask(access, None)).body or b""
        feed = await self._look(body)
        if seen is not None and is_doubtful(seen.prints.count, feed.prints.count):
            raise TransientFault("the feed has lost nearly all its events between two requests")
        return (await self._expand(body, reading)).items

    async def _look(self, body: bytes) -> Feed:
        try:
            return await self._aside(read_feed, body)
        except Unusable as error:
            raise TransientFault(str(error)) from None

    async def _expand(self, body: bytes, reading: Reading) -> Expansion:
        try:
            (expansion,) = await self._expander.expand([Text(body)], reading)
        except OSError as error:
            raise TransientFault(f"no process to read the feed in: {type(error).__name__}") from None
        if expansion.spoilt is not None:
            # What was not read to its end proves nothing gone.
            raise TransientFault(f"the feed cannot be read: {expansion.spoilt}")
        return expansion

    async def _aside(self, look: Callable[[bytes], Result], body: bytes) -> Result:
        if len(body) <= READ_AT_ONCE:
            return look(body)
        async with self._threads:
            return await asyncio.to_thread(look, body)

    async def _ask(self, access: Access, known: Validators | None) -> Fetched:
        try:
            return await self._fetch(access, read_address(access.token, self._policy), known)
        except GatewayError as error:
            raise AddressRefused(f"{error.code}: {error.detail}") from None

    async def _fetch(self, access: Access, url: httpx.URL, known: Validators | None) -> Fetched:
        await access.take_turn(self._clock)
        return await fetch(access.http, url, self._policy, known, self._clock())

    def _identity(self, access: Access, state: State | None, now: Prints) -> Identity:
        """By content from the day on which the UIDs of events that go on were seen to be all new."""
        seen = self._seen.get(self._key(access))
        known = [(each.prints, each.identity) for each in (state, seen) if each is not None]
        renames = any(identity == "content" or are_renamed(prints, now) for prints, identity in known)
        return "content" if renames else "uid"

    def _remember(self, access: Access, seen: _Seen) -> None:
        key = self._key(access)
        self._seen[key] = seen
        self._seen.move_to_end(key)
        if len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)

    def _key(self, access: Access) -> str:
        return fingerprint(read_address(access.token, self._policy))


def _check(raw_calendar_id: str) -> None:
    if raw_calendar_id != FEED:
        raise CalendarGone("an address has one calendar")
