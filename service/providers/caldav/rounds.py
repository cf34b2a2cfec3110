"""A round over a collection: what is asked for, in which order, and what the token remembers.

    sync    a sync-collection report tells what changed since the token's mark
    ctag    one property tells whether anything changed; if so the window is listed
    query   neither: the etags of the window's resources tell

The token holds no map of etags. Where a server can only say *that* something changed, the window is listed anew, and
what the listing lacks is gone; and from time to time it is listed in any case, as some servers take a token from the
future, after a restore say, and answer for ever that nothing changed.
"""

import hashlib
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from service.core.sync import Item, Listed, Malformed, Page, Removed
from service.errors import CursorExpired, RequestRefused
from service.providers.caldav.answers import TooMuch, Unsupported
from service.providers.caldav.collection import About, Collection, Member, Resource, hrefs_of
from service.providers.caldav.paths import event_id
from service.providers.vevent.expansion import Expander, Expansion, Text
from service.providers.vevent.reading import keep
from service.providers.vevent.series import Reading

RECONCILED_EVERY: Final = timedelta(hours=6)
SPREAD: Final = 3600
"""Seconds by which calendars differ in it, so that those connected together do not stay together."""

FETCHED_WHOLE: Final = 1_000
"""Up to so many resources all are fetched for a listing; beyond, those that the server says are in the window."""

_KEPT: Final = 64 * 1024


class Token(msgspec.Struct, frozen=True):
    """How changes are told apart, the server's mark, and when the window was last listed."""

    how: Literal["sync", "ctag", "query"]
    mark: str
    listed_at: datetime


_token: Final = msgspec.json.Decoder(Token)


class Rounds:
    """The rounds of one collection."""

    def __init__(self, collection: Collection, expander: Expander, reading: Reading, now: datetime, name: str) -> None:
        self._collection = collection
        self._expander = expander
        self._reading = reading
        self._now = now
        self._every = RECONCILED_EVERY + timedelta(seconds=zlib.crc32(name.encode()) % SPREAD)

    async def pages(self, token: str | None) -> AsyncIterator[Page]:
        """As `Provider.pages`."""
        if token is None:
            async for page in self._listing(is_listing=False):
                yield page
            return
        went_on = _read(token)
        # Events that moved out of the window are told as moved.
        self._reading = msgspec.structs.replace(self._reading, keep_single=True)
        pages = self._again(went_on) if self._now - went_on.listed_at < self._every else self._listing(is_listing=True)
        async for page in pages:
            yield page

    async def stretch(self) -> AsyncIterator[Item]:
        """Everything in the reading's window."""
        try:
            members = await self._collection.candidates(self._reading.window)
        except RequestRefused:
            members = await self._collection.members()
        async for resources in self._collection.fetch(hrefs_of(members)):
            items, _ = await self._read(resources)
            for item in items:
                if not isinstance(item, Removed):
                    yield item

    async def series(self, path: str) -> AsyncIterator[Item]:
        """What one resource has in the reading's window; nothing when it is gone."""
        resource = await self._collection.fetch_one(path) if path.startswith("/") else Resource(path, None)
        if resource.octets is None and resource.problem is None:
            # The calendar may be what is gone: that must not look like a series without occurrences.
            await self._collection.about()
            return
        items, _ = await self._read([resource])
        for item in items:
            if not isinstance(item, Removed):
                yield item

    async def _again(self, token: Token) -> AsyncIterator[Page]:
        if token.how == "sync":
            try:
                changes = await self._collection.changes(token.mark)
            except (Unsupported, TooMuch):
                pages = self._listing(is_listing=True, can_sync=False)
            else:
                written = _write(msgspec.structs.replace(token, mark=changes.token))
                gone = [Resource(path, None) for path in changes.gone]
                async for page in self._fetched(changes.changed, gone):
                    yield page
                yield Page([], written)
                return
        elif await self._is_unchanged(token):
            yield Page([], _write(token))
            return
        else:
            pages = self._listing(is_listing=True, can_sync=False)
        async for page in pages:
            yield page

    async def _is_unchanged(self, token: Token) -> bool:
        if token.how == "ctag":
            return (await self._collection.about()).mark == token.mark
        return _digest(await self._collection.overlapping(self._reading.window)) == token.mark

    async def _listing(self, *, is_listing: bool, can_sync: bool = True) -> AsyncIterator[Page]:
        """The mark is taken first: what changes meanwhile is then told twice rather than never."""
        about = await self._collection.about()
        zone = about.time_zone or self._reading.time_zone
        self._reading = msgspec.structs.replace(self._reading, time_zone=zone)
        token, hrefs = await self._marked(about, can_sync=can_sync)
        if hrefs is None or len(hrefs) > FETCHED_WHOLE:
            hrefs = await self._wanted(hrefs)
        async for page in self._fetched(hrefs, []):
            # Of single events outside the window a listing says nothing.
            yield msgspec.structs.replace(page, whole=(), is_listing=is_listing)
        yield Page([], _write(token), about.time_zone, is_listing=is_listing)

    async def _marked(self, about: About, *, can_sync: bool) -> tuple[Token, dict[str, str] | None]:
        """The token of a listing that begins now, and what there is in the collection, if that was told along."""
        if about.can_sync and can_sync:
            try:
                changes = await self._collection.changes("")
            except (RequestRefused, TooMuch):
                pass  # there are other ways, and they are tried again at the next listing
            else:
                return Token("sync", changes.token, self._now), changes.changed
        if about.mark is not None:
            return Token("ctag", about.mark, self._now), None
        return Token("query", _digest(await self._collection.overlapping(self._reading.window)), self._now), None

    async def _wanted(self, known: dict[str, str] | None) -> dict[str, str]:
        """What a listing has to fetch: everything, unless that is a lot and the server can say what is in the window."""
        try:
            everything = known if known is not None else hrefs_of(await self._collection.members())
        except TooMuch:
            return hrefs_of(await self._collection.candidates(self._reading.window))
        if len(everything) <= FETCHED_WHOLE:
            return everything
        try:
            return hrefs_of(await self._collection.candidates(self._reading.window))
        except (RequestRefused, TooMuch):
            return everything

    async def _fetched(self, hrefs: Mapping[str, str], gone: Sequence[Resource]) -> AsyncIterator[Page]:
        if gone:
            items, whole = await self._read(gone)
            yield Page(items, whole=whole)
        async for resources in self._collection.fetch(hrefs):
            items, whole = await self._read(resources)
            yield Page(items, whole=whole)

    async def _read(self, resources: Sequence[Resource]) -> tuple[list[Item], list[str]]:
        """The items of resources, and which of these are told of as a whole."""
        items: list[Item] = []
        whole: list[str] = []
        readable: list[Text] = []
        for resource in resources:
            name = event_id(resource.path)
            if resource.octets is not None:
                readable.append(Text(resource.octets, name))
            elif resource.problem is not None:
                items.append(Malformed(name, resource.problem, keep(b"")))
            else:
                items.append(Removed(name))
                whole.append(name)
        if readable:
            for text, found in zip(readable, await self._expander.expand(readable, self._reading), strict=True):
                items += _checked(text, found, whole)
        return items, whole


def _checked(text: Text, found: Expansion, whole: list[str]) -> list[Item]:
    name = text.base_id or ""
    if found.spoilt is None and (found.document is None or not found.document.is_whole):
        return [Malformed(name, "not a whole calendar", keep(text.octets[:_KEPT]))]
    if not any(isinstance(item, Malformed) and item.provider_event_id == name for item in found.items):
        whole.append(name)
        # A resource should have one UID; one of several has a name of its own for each.
        others = {item.event.series_id for item in found.items if isinstance(item, Listed)} - {name, None}
        whole += sorted(each for each in others if each is not None)
    return found.items


def _digest(members: Mapping[str, Member]) -> str:
    told = "\n".join(f"{path} {members[path].etag}" for path in sorted(members))
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _read(token: str) -> Token:
    try:
        return _token.decode(token)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise CursorExpired("the token cannot be read") from None


def _write(token: Token) -> str:
    return msgspec.json.encode(token).decode()
