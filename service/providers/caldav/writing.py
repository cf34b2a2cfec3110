"""CalDAV as a place to write to (RFC 4791, section 5.3.2): an event is a resource, which is read, changed and put back.

Everything is done under a condition on the version that was read, so that nobody's work is lost: what a condition does not
let pass is read and changed anew. What is there in the end is read again by the code that reads a sync's rows, as servers
write into what they are given. Servers that send invitations (RFC 6638) do so by themselves, and tell guests whom they have
invited of later changes, and of the end, whatever we want: only that new guests are not invited can be asked. What nobody
shall hear of, and they would, is refused.
"""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import httpx

from service.core.drafts import Draft, Patch, given
from service.core.schedule import Window
from service.core.sync import Listed, Malformed
from service.errors import CalendarGone, CannotBeSilent, EventGone, Outdated, ProviderError, RequestRefused
from service.providers.addresses import Policy
from service.providers.caldav.answers import judge_write, says_same_uid
from service.providers.caldav.collection import Collection
from service.providers.caldav.discovery import discover
from service.providers.caldav.logins import Logins, login_of
from service.providers.caldav.paths import address_of, event_id, path_of, spell
from service.providers.caldav.session import Reply, Session
from service.providers.caldav.wire import DAV, propfind
from service.providers.protocol import Access
from service.providers.vevent.composing import Style, compose
from service.providers.vevent.editing import CalendarObject
from service.providers.vevent.expansion import Expander, Text
from service.providers.vevent.series import Reading
from service.providers.writing import Place, Target, Written

MOST_TRIES: Final = 3
"""Times that somebody else may write an event between our reading and our writing of it."""

NEAR: Final = timedelta(days=2)
FAR: Final = timedelta(days=60)
"""About a moment: where an occurrence is looked for, and where one that was moved along with others."""

EDITED_AT_ONCE: Final = 64 * 1024
"""Octets; a larger resource is taken apart beside the event loop."""

_CALENDAR: Final = {"content-type": "text/calendar; charset=utf-8"}
_TARGET: Final = re.compile(r"(/[^#]*)(?:#(\d{8}(?:T\d{6}Z)?))?")


class CaldavWriter:
    """The writer of the provider `caldav`; `logins` are those of the provider that reads."""

    def __init__(
        self,
        expander: Expander,
        policy: Policy,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        logins: Logins | None = None,
    ) -> None:
        self._expander = expander
        self._policy = policy
        self._clock = clock
        self._logins = logins or Logins()

    async def create(self, access: Access, place: Place, draft: Draft, *, key: str) -> Written:
        """A resource named after the key, only if there is none yet; the UID in it tells whose it is."""
        hand = self._hand(access, place)
        octets = compose(draft, _uid(key), await hand.style(bool(draft.attendees)))
        reply = await hand.put(hand.path(key), octets, {"if-none-match": "*"})
        is_taken = reply.answer.status == 412 or says_same_uid(reply.answer.body)
        if not (_is_done(reply) or is_taken):
            raise await hand.refusal(reply)
        stored = await hand.find(key)
        if stored is None:
            raise hand.error(reply) if is_taken else EventGone("the event was gone as soon as it was made")
        return await hand.written(stored, None, is_series=False)

    async def withdraw(self, access: Access, place: Place, draft: Draft, *, key: str) -> None:  # noqa: ARG002
        """By name, or by UID where the server has given it a name of its own."""
        hand = self._hand(access, place)
        for _ in range(MOST_TRIES):
            stored = await hand.find(key)
            if stored is None or await hand.delete(stored):
                return
        raise Outdated("the event keeps changing")

    async def change(self, access: Access, place: Place, target: Target, patch: Patch, *, strict: bool) -> Written:
        """The rest of the event, and every property that we do not know, stays. A patch that says what is there is done."""
        hand = self._hand(access, place)
        path, slot = _read_target(target)
        fields = given(patch)
        await hand.style(bool(fields.get("attendees")))
        for _ in range(MOST_TRIES):
            stored = await hand.read(path)
            edited = await hand.open(stored)
            is_told = edited.has_told_guests
            if slot is None:
                _check_kind(edited, target)
                row, is_changed = None, edited.change(fields, notify=patch.notify)
            else:
                row = await hand.occurrence(stored, edited, slot)
                is_changed = edited.change_occurrence(slot, row.event, row.raw, fields, notify=patch.notify)
            if not is_changed:
                return await hand.written(stored, slot, is_series=target.is_series)
            if strict:
                _check_raw(target, {row.raw} if row else edited.raws)
            if not patch.notify:
                await hand.check_silence(is_told)
            if await hand.replace(stored, edited.octets()):
                return await hand.written(await hand.read(path), slot, is_series=target.is_series)
        raise Outdated("the event keeps changing")

    async def remove(
        self,
        access: Access,
        place: Place,
        target: Target,
        *,
        notify: bool,
        strict: bool,
    ) -> None:
        """A resource goes as a whole; of a series one occurrence is excluded (EXDATE)."""
        hand = self._hand(access, place)
        path, slot = _read_target(target)
        for _ in range(MOST_TRIES):
            stored = await hand.get(path)
            if stored is None:
                return
            octets, edited = None, await hand.open(stored) if slot or strict or not notify else None
            if edited is not None and slot is not None:
                try:
                    row = await hand.occurrence(stored, edited, slot)
                except EventGone:
                    return
                if strict:
                    _check_raw(target, {row.raw})
                octets = edited.octets() if edited.remove_occurrence(slot) else None
            elif edited is not None and strict:
                _check_raw(target, edited.raws)
            if edited is not None and not notify:
                await hand.check_silence(edited.has_told_guests)
            if await (hand.delete(stored) if octets is None else hand.replace(stored, octets)):
                return
        raise Outdated("the event keeps changing")

    async def read(self, access: Access, place: Place, target: Target) -> Written:
        """By GET. Raises CalendarGone where it is the whole calendar that is gone."""
        hand = self._hand(access, place)
        path, slot = _read_target(target)
        stored = await hand.read(path)
        if slot is None:
            _check_kind(await hand.open(stored), target)
        return await hand.written(stored, slot, is_series=target.is_series)

    def _hand(self, access: Access, place: Place) -> "_Hand":
        login = login_of(access.token)
        session = Session(access, login, policy=self._policy, clock=self._clock, logins=self._logins)
        return _Hand(session, place, access, self._expander, self._clock)


class _Stored(NamedTuple):
    """A resource as the server has it; `etag` is its version."""

    path: str
    octets: bytes
    etag: str


class _Hand:
    """Writes into one calendar, in the name of one account."""

    def __init__(
        self, session: Session, place: Place, access: Access, expander: Expander, clock: Callable[[], datetime]
    ) -> None:
        self._session = session
        self._url = address_of(place.raw_calendar_id)
        self._collection = Collection(session, self._url)
        self._place = place
        self._email = access.email.lower() if access.email else None
        self._expander = expander
        self._clock = clock
        self._style = Style(clock(), place.time_zone, self._email)

    def path(self, key: str) -> str:
        """Of the resource that is made with this key."""
        folder = spell(self._url.raw_path.decode("ascii").partition("?")[0]).rstrip("/")
        return f"{folder}/{key}.ics"

    async def style(self, has_guests: bool) -> Style:
        """How to write; guests are asked from the account's address, which may have to be looked up."""
        if has_guests and self._style.organizer is None:
            username = self._session.login.username.strip()
            address = username if "@" in username.strip("@") else None
            address = address or next(iter((await discover(self._session)).addresses), None)
            self._style = self._style._replace(organizer=address)
        return self._style

    async def open(self, stored: _Stored) -> CalendarObject:
        """Raises RequestRefused for what cannot be put back together."""
        if len(stored.octets) > EDITED_AT_ONCE:
            return await asyncio.to_thread(CalendarObject, stored.octets, self._style)
        return CalendarObject(stored.octets, self._style)

    async def get(self, path: str) -> _Stored | None:
        """None when it is not there."""
        # Who packs an answer changes the version that goes with it, and it is then no version that can be named.
        asked = {"accept": "text/calendar", "accept-encoding": "identity"}
        answer, url = await self._session.ask("GET", self._at(path), headers=asked)
        if answer.status in {404, 410}:
            return None
        if answer.status != 200 or answer.headers.get("content-type", "").startswith("text/html"):
            raise self._session.error(answer, url)
        etag = (answer.headers.get("etag", "").strip() or await self._etag(path)).removeprefix("W/")
        if not etag.isascii() or not etag.isprintable():
            raise RequestRefused("the server tells no version of the event")
        return _Stored(path, answer.body, etag)

    async def read(self, path: str) -> _Stored:
        """Raises EventGone when it is not there, and CalendarGone when the calendar is not."""
        stored = await self.get(path)
        if stored is None:
            await self._collection.about()
            raise EventGone("http_404")
        return stored

    async def find(self, key: str) -> _Stored | None:
        """What was made with a key, by whatever name. Raises RequestRefused when another event has its name."""
        stored = await self.get(self.path(key))
        for path in [] if stored is not None else await self._collection.with_uid(_uid(key)):
            stored = stored or await self.get(path)
        if stored is not None and (await self.open(stored)).uid != _uid(key):
            raise RequestRefused("another event has this name")
        return stored

    async def put(self, path: str, octets: bytes, condition: dict[str, str]) -> Reply:
        return await self._session.ask("PUT", self._at(path), octets, {**_CALENDAR, **condition})

    async def replace(self, stored: _Stored, octets: bytes) -> bool:
        """False when it is another by now; raises what any other answer stands for."""
        return await self._settle(await self.put(stored.path, octets, {"if-match": stored.etag}))

    async def delete(self, stored: _Stored) -> bool:
        """The same; one that is gone is done."""
        reply = await self._session.ask("DELETE", self._at(stored.path), headers={"if-match": stored.etag})
        return reply.answer.status in {404, 410} or await self._settle(reply)

    async def _settle(self, reply: Reply) -> bool:
        if _is_done(reply):
            return True
        error = await self.refusal(reply)
        if isinstance(error, Outdated):
            return False
        raise EventGone(error.reason) if isinstance(error, CalendarGone) else error

    async def check_silence(self, is_told: bool) -> None:
        """Raises CannotBeSilent where the server would mail guests (`is_told`: there are some) of what nobody shall hear."""
        if is_told:
            answer, _ = await self._session.ask("OPTIONS", self._url)
            if "calendar-auto-schedule" in answer.headers.get("dav", "").lower():
                raise CannotBeSilent("the server mails guests of this by itself: let notify be true")

    async def refusal(self, reply: Reply) -> ProviderError:
        """What an answer that is none stands for. Raises CalendarGone when it is the calendar that is gone."""
        if reply.answer.status in {404, 409, 410}:
            await self._collection.about()
        return self.error(reply)

    def error(self, reply: Reply) -> ProviderError:
        answer = reply.answer
        return judge_write(answer.status, answer.headers, answer.body, self._clock(), host=reply.url.host.lower())

    async def occurrence(self, stored: _Stored, edited: CalendarObject, slot: str) -> Listed:
        """The row of one occurrence. Raises EventGone when the series has none there."""
        moments = edited.moments(slot)
        for moment, margin in [*((each, NEAR) for each in moments), (moments[0], FAR)]:
            row = await self._row(stored, f"{event_id(stored.path)}#{slot}", moment, margin)
            if row is not None:
                return row
        raise EventGone("the series has no such occurrence")

    async def written(self, stored: _Stored, slot: str | None, *, is_series: bool) -> Written:
        """What is told of a resource, or of one occurrence of it."""
        edited = await self.open(stored)
        name = event_id(stored.path)
        if slot is not None:
            row = await self.occurrence(stored, edited, slot)
            return Written(provider_event_id=f"{name}#{slot}", item=row, series_id=name)
        if edited.is_series:
            first_starts_at, first_start_date = edited.begins
            return Written(
                provider_event_id=name,
                series_id=name,
                first_starts_at=first_starts_at,
                first_start_date=first_start_date,
            )
        single = await self._row(stored, name, self._clock(), NEAR)
        if single is None and not is_series:
            raise EventGone("the event is cancelled")
        return Written(provider_event_id=name, item=single)

    async def _row(self, stored: _Stored, name: str, about: datetime, margin: timedelta) -> Listed | None:
        reading = Reading(
            window=Window(about - margin, about + margin),
            time_zone=self._place.time_zone,
            addresses=frozenset({self._email} if self._email else ()),
            rules=self._place.rules,
            keep_single=True,
        )
        (found,) = await self._expander.expand([Text(stored.octets, event_id(stored.path))], reading)
        for item in found.items:
            if isinstance(item, Malformed) and item.provider_event_id in {name, event_id(stored.path)}:
                raise RequestRefused(f"the event cannot be read: {item.reason}")
            if isinstance(item, Listed) and item.event.provider_event_id == name:
                return item
        return None

    async def _etag(self, path: str) -> str:
        found = await self._session.multistatus("PROPFIND", self._at(path), propfind("D:getetag"), depth=0)
        etag = next((row.text(f"{DAV}getetag").strip() for row in found.multistatus.rows if path_of(row.href)), "")
        if not etag:
            raise RequestRefused("the server tells no version of the event")
        return etag

    def _at(self, path: str) -> httpx.URL:
        return self._url.copy_with(raw_path=path.encode("ascii"))


def _uid(key: str) -> str:
    return f"{key}@calgate"


def _is_done(reply: Reply) -> bool:
    return reply.answer.is_good and reply.answer.status != 207


def _read_target(target: Target) -> tuple[str, str | None]:
    """Path and slot. Raises EventGone for what no event of ours is called."""
    match = _TARGET.fullmatch(target.provider_event_id)
    if match is None or not match[1].isascii() or not match[1].isprintable():
        raise EventGone("not the path of an event")
    return match[1], None if target.is_series else match[2]


def _check_kind(edited: CalendarObject, target: Target) -> None:
    if edited.is_series and not target.is_series:
        raise EventGone("the event is a series by now")


def _check_raw(target: Target, raws: set[bytes]) -> None:
    if target.raw is not None and target.raw not in raws:
        raise Outdated("the event is another by now")
