"""One calendar collection: what changed in it, what is in it, and its resources as they are."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

import httpx

from service.core.schedule import Window
from service.errors import CalendarGone, RequestRefused, TransientFault
from service.providers.caldav.answers import NotDav, TooMuch, Unsupported
from service.providers.caldav.discovery import zone_of
from service.providers.caldav.paths import is_same, path_of
from service.providers.caldav.session import Found, Session
from service.providers.caldav.wire import (
    CALDAV,
    CALENDAR_SERVER,
    DAV,
    Row,
    multiget,
    propfind,
    query_repeating,
    query_uid,
    query_window,
    sync_collection,
    widen,
)

CHUNK: Final = 100
"""Resources asked for at once; RFC 4791 has no limit, servers have."""

MOST_PAGES: Final = 1_000
MOST_RESOURCES: Final = 100_000

_ABOUT: Final = propfind(
    "D:resourcetype", "D:sync-token", "CS:getctag", "D:supported-report-set", "C:calendar-timezone", "C:calendar-timezone-id"
)  # fmt: skip
_ETAGS: Final = propfind("D:getetag")
_GONE: Final = frozenset({404, 410})


class About(NamedTuple):
    """What a collection says of itself: `mark` is another whenever anything in it is, None where there is no such thing."""

    can_sync: bool
    mark: str | None
    time_zone: str | None


class Changes(NamedTuple):
    """What changed since a sync token: hrefs by path, paths that are gone, and the next token."""

    changed: dict[str, str]
    gone: list[str]
    token: str


class Member(NamedTuple):
    """A resource by the href that the server gave it."""

    href: str
    etag: str


class Resource(NamedTuple):
    """A resource as it is: None when it is gone; with a `problem` when it cannot be had."""

    path: str
    octets: bytes | None
    problem: str | None = None


class Collection:
    """The calendar at an address, asked within a session."""

    def __init__(self, session: Session, url: httpx.URL, chunk: int = CHUNK) -> None:
        self._session = session
        self._url = url
        self._chunk = chunk

    async def about(self) -> About:
        """Raises CalendarGone when there is no calendar."""
        found = await self._session.multistatus("PROPFIND", self._url, _ABOUT, depth=0)
        row = next(iter(found.multistatus.rows), None)
        if row is None or (row.status or 200) in _GONE or not row.found:
            raise CalendarGone("nothing is said of the collection")
        if f"{CALDAV}calendar" not in row.names(f"{DAV}resourcetype"):
            raise CalendarGone("no calendar any more")
        token = row.text(f"{DAV}sync-token").strip()
        reports = row.names(f"{DAV}supported-report-set")
        return About(
            can_sync=f"{DAV}sync-collection" in reports or (not reports and bool(token)),
            mark=row.text(f"{CALENDAR_SERVER}getctag").strip() or token or None,
            time_zone=zone_of(row),
        )

    async def changes(self, token: str) -> Changes:
        """Since `token`, everything when it is empty (RFC 6578); all pages. Raises CursorExpired, Unsupported, TooMuch."""
        changed: dict[str, str] = {}
        gone: set[str] = set()
        for _ in range(MOST_PAGES):
            found = await self._session.multistatus(
                "REPORT", self._url, sync_collection(token), depth=0, has_token=bool(token)
            )
            is_last = True
            for row in found.multistatus.rows:
                path = path_of(row.href)
                if row.status == 507:
                    is_last = False
                elif row.status in _GONE:
                    changed.pop(path, None)
                    gone.add(path)
                elif self._is_member(path, found):
                    gone.discard(path)
                    changed[path] = row.href
            next_token = found.multistatus.sync_token
            if next_token is None:
                raise NotDav("a report of changes without a sync token")
            if is_last:
                return Changes(changed, sorted(gone), next_token)
            if next_token == token or len(changed) > MOST_RESOURCES:
                break
            token = next_token
        raise TransientFault("the pages do not end")

    async def members(self) -> dict[str, Member]:
        """Every resource by its path."""
        found = await self._session.multistatus("PROPFIND", self._url, _ETAGS, depth=1)
        return self._members(found)

    async def candidates(self, window: Window) -> dict[str, Member]:
        """What may have something in the window, as the server reckons, and everything that repeats."""
        repeating = await self._session.multistatus("REPORT", self._url, query_repeating(), depth=1)
        return self._members(repeating) | await self.overlapping(window)

    async def overlapping(self, window: Window) -> dict[str, Member]:
        """What has something in the window, as the server reckons; asked for in parts where it is too much."""
        wide = widen(window)
        try:
            return self._members(await self._session.multistatus("REPORT", self._url, query_window(wide), depth=1))
        except TooMuch:
            half = (window.end - window.start) / 2
            if half < timedelta(hours=12):
                raise
            middle = window.start + half
            early = await self.overlapping(Window(window.start, middle))
            return early | await self.overlapping(Window(middle, window.end))

    async def with_uid(self, uid: str) -> list[str]:
        """The paths of what has this UID, as the server says; none where it cannot be asked."""
        try:
            found = await self._session.multistatus("REPORT", self._url, query_uid(uid), depth=1)
        except RequestRefused:
            return []
        return list(self._members(found))

    async def fetch(self, hrefs: Mapping[str, str]) -> AsyncIterator[list[Resource]]:
        """The resources at these hrefs (by path), chunk by chunk; one that is asked for and not found is gone."""
        paths = list(hrefs)
        for start in range(0, len(paths), self._chunk):
            yield await self._fetch_chunk({path: hrefs[path] for path in paths[start : start + self._chunk]})

    async def fetch_one(self, path: str) -> Resource:
        """By GET. Raises what the answer stands for, unless the resource is gone or refused."""
        url = self._url.copy_with(raw_path=path.encode("ascii"))
        answer, final = await self._session.ask("GET", url, headers={"accept": "text/calendar"})
        if answer.status in _GONE:
            return Resource(path, None)
        if answer.status in {403, 406, 451}:
            return Resource(path, None, f"http_{answer.status}")
        if answer.status != 200:
            raise self._session.error(answer, final)
        if answer.headers.get("content-type", "").startswith("text/html"):
            raise NotDav("a web page where an event should be")
        return Resource(path, answer.body)

    async def _fetch_chunk(self, hrefs: Mapping[str, str]) -> list[Resource]:
        try:
            found = await self._session.multistatus("REPORT", self._url, multiget(hrefs.values()), depth=0)
        except TooMuch as error:
            return await self._fetch_halves(hrefs, error)
        except Unsupported:
            return [await self.fetch_one(path) for path in hrefs]
        rows = {path_of(row.href): row for row in found.multistatus.rows}
        if rows.keys().isdisjoint(hrefs):
            # None of all these: rather than all are gone, the server may not understand the question.
            return [await self.fetch_one(path) for path in hrefs]
        return [await self._resource(path, rows.get(path)) for path in hrefs]

    async def _fetch_halves(self, hrefs: Mapping[str, str], error: TooMuch) -> list[Resource]:
        paths = list(hrefs)
        if len(paths) == 1:
            return [Resource(paths[0], None, error.reason)]
        middle = len(paths) // 2
        early = await self._fetch_chunk({path: hrefs[path] for path in paths[:middle]})
        return early + await self._fetch_chunk({path: hrefs[path] for path in paths[middle:]})

    async def _resource(self, path: str, row: Row | None) -> Resource:
        if row is None or row.status in _GONE:
            return Resource(path, None)
        data = row.found.get(f"{CALDAV}calendar-data")
        if data is not None and data.text.strip():
            return Resource(path, data.text.encode("utf-8", "replace"))
        status = row.status or row.failed or 200
        if status in _GONE:
            return Resource(path, None)
        if 400 <= status < 500 and status not in {408, 423, 425, 429}:
            return Resource(path, None, f"http_{status}")
        return await self.fetch_one(path)

    def _members(self, found: Found) -> dict[str, Member]:
        if len(found.multistatus.rows) > MOST_RESOURCES:
            raise RequestRefused("more resources than a calendar has")
        if any(row.status == 507 for row in found.multistatus.rows):
            raise TooMuch("http_507")
        return {
            path: Member(row.href, row.text(f"{DAV}getetag").strip())
            for row in found.multistatus.rows
            if self._is_member(path := path_of(row.href), found) and row.status not in _GONE
        }

    def _is_member(self, path: str, found: Found) -> bool:
        return bool(path) and not path.endswith("/") and not is_same(path, path_of(found.url.path))


def hrefs_of(members: Mapping[str, Member]) -> dict[str, str]:
    """The hrefs of members by path."""
    return {path: member.href for path, member in members.items()}
