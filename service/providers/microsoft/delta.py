"""Rounds of calendarView/delta: what is new since a link, and everything in a window, with the gaps of both filled.

    no token ──► delta over a window that reaches further ──► deltaLink ──► delta ... until the window is used up
                      │ it does not end, or lacks a master                                   │
                      └──► plain calendarView, round by round ──► a delta anew ◄─────────────┘

The window of a delta is frozen in its links (graph/delta-query-events). So it is opened further than it is asked for, and
a new round, which lists everything and is told as such, begins when the asked window has reached its end.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from service.core.schedule import Window
from service.core.sync import Item, Listed, Page, Removed
from service.errors import CalendarGone, CursorExpired, TransientFault
from service.providers.lenient import UNREADABLE, repair
from service.providers.microsoft.graph import EndlessListing, Graph, rfc3339, segment
from service.providers.microsoft.reading import Lens, read_event
from service.providers.microsoft.rows import Row, read_rows
from service.providers.microsoft.wire import EVENT_FIELDS, WireEvent
from service.providers.protocol import Access

SPARE: Final = timedelta(days=7)
"""How much further a delta's window reaches than it is asked for: a week between two whole listings."""

EDGE: Final = timedelta(days=1)
"""How much wider every view is asked for than it is wanted: where a day begins, we and the mailbox may disagree."""

TURN: Final = 200
"""Rows read between two turns of the event loop."""

_event: Final = msgspec.json.Decoder(WireEvent)


class Token(msgspec.Struct, frozen=True):
    """Where a delta goes on: its link, empty where plain views are read instead, and the window frozen in it."""

    link: str
    start: datetime
    end: datetime

    def after(self, link: str) -> str:
        """The token of the next round."""
        return msgspec.json.encode(msgspec.structs.replace(self, link=link)).decode()


_token: Final = msgspec.json.Decoder(Token)


class NoMaster(TransientFault):
    """An occurrence came whose series cannot be had."""


def read_token(token: str) -> Token:
    """The token that an earlier round ended with. Raises CursorExpired for what is none."""
    try:
        return _token.decode(token)
    except msgspec.MsgspecError:
        raise CursorExpired("the token cannot be read") from None


async def read_round(
    graph: Graph, access: Access, path: str, token: str | None, window: Window, lens: Lens
) -> AsyncIterator[Page]:
    """The pages of a round over the calendar at `path`; raises as `Provider.pages`."""
    went_on = read_token(token) if token else None
    is_listing = went_on is not None
    if went_on is not None and window.end <= went_on.end:
        if went_on.link:
            async for page in _changes(graph, access, went_on, window, lens):
                yield page
            return
        async for page in _plain(graph, access, path, went_on, lens, is_listing=True):
            yield page
        return
    reach = Token("", window.start - EDGE, window.end + SPARE)
    try:
        async for page in _listing(graph, access, path, reach, lens, is_listing=is_listing):
            yield page
    except (EndlessListing, NoMaster):
        async for page in _plain(graph, access, path, reach, lens, is_listing=is_listing):
            yield page


async def read_view(graph: Graph, access: Access, path: str, window: Window) -> AsyncIterator[list[Row]]:
    """The rows of a plain view, page by page: whole, and without masters."""
    params = {
        "startDateTime": rfc3339(window.start - EDGE),
        "endDateTime": rfc3339(window.end + EDGE),
        "$top": "200",
        "$select": EVENT_FIELDS,
    }
    async for page in graph.pages(access, graph.url(path, params)):
        yield [row for row in read_rows(page.value or ()) if not row.is_master]
        await asyncio.sleep(0)


async def _changes(graph: Graph, access: Access, token: Token, window: Window, lens: Lens) -> AsyncIterator[Page]:
    """What changed since a delta: single events as rows, and the series that something happened to.

    There is no tombstone for an occurrence that is cancelled; so a series that shows in any way is listed as a set.
    """
    last = None
    try:
        async for page in graph.pages(access, token.link):
            rows = read_rows(page.value or ())
            items = [item for row in rows if (item := _changed(row, window, lens)) is not None]
            series = dict.fromkeys(row.series_id for row in rows if row.series_id is not None)
            last = page.delta_link
            yield Page(items, token.after(last) if last else None, unsettled=tuple(series))
            await asyncio.sleep(0)
    except EndlessListing as error:
        raise CursorExpired(error.reason) from error
    if not last:
        raise TransientFault("the delta ended without a link to go on from")


def _changed(row: Row, window: Window, lens: Lens) -> Item | None:
    if row.is_master:
        # It may have been a single event a page ago, and no longer is.
        return Removed(row.event_id)
    if row.series_id is None:
        return read_event(row, lens)
    # The set of its series tells of every occurrence in the window, and of those alone.
    item = None if row.is_sparse else read_event(row, lens)
    if isinstance(item, Listed) and not window.overlaps(item.event.starts_at, item.event.ends_at):
        return item
    return None


async def _listing(
    graph: Graph, access: Access, path: str, reach: Token, lens: Lens, *, is_listing: bool
) -> AsyncIterator[Page]:
    """Everything in the window, by a first delta; its sparse rows come last, when all masters are known."""
    bounds = {"startDateTime": rfc3339(reach.start), "endDateTime": rfc3339(reach.end)}
    families = _Families()
    link = None
    async for page in graph.pages(access, graph.url(f"{path}/calendarView/delta", bounds)):
        items = families.take(read_rows(page.value or ()), lens)
        link = page.delta_link
        yield Page(items, is_listing=is_listing)
        await asyncio.sleep(0)
    if not link:
        raise TransientFault("the delta ended without a link to go on from")
    async for items in families.complete(graph, access, path, lens):
        yield Page(items, is_listing=is_listing)
    yield Page([], reach.after(link), is_listing=is_listing)


async def _plain(
    graph: Graph, access: Access, path: str, reach: Token, lens: Lens, *, is_listing: bool
) -> AsyncIterator[Page]:
    async for rows in read_view(graph, access, f"{path}/calendarView", Window(reach.start, reach.end)):
        yield Page([read_event(row, lens) for row in rows], is_listing=is_listing)
    yield Page([], reach.after(""), is_listing=is_listing)


class _Families:
    """The series of one listing: masters as they come, occurrences that wait for them, exceptions that are whole."""

    def __init__(self) -> None:
        self._masters: dict[str, WireEvent] = {}
        self._waiting: dict[str, Row] = {}
        self._shown: dict[str, set[str]] = {}

    def take(self, rows: list[Row], lens: Lens) -> list[Item]:
        """What can be said of these rows at once; a later row of an id stands for the earlier one."""
        items: list[Item] = []
        for row in rows:
            self._waiting.pop(row.event_id, None)
            if row.is_master and row.wire is not None:
                self._masters[row.event_id] = row.wire
                items.append(Removed(row.event_id))
            elif row.is_sparse:
                self._waiting[row.event_id] = row
            else:
                items.append(read_event(row, lens))
                if row.series_id is not None:
                    self._shown.setdefault(row.series_id, set()).add(row.event_id)
            if row.is_tombstone:
                items += self._drop(row.event_id)
        return items

    async def complete(self, graph: Graph, access: Access, path: str, lens: Lens) -> AsyncIterator[list[Item]]:
        """The occurrences, each with what its master says; a master that did not come with them is asked for."""
        waiting = list(self._waiting.values())
        for start in range(0, len(waiting), TURN):
            rows = waiting[start : start + TURN]
            for row in rows:
                if (row.series_id or "") not in self._masters:
                    self._masters[row.series_id or ""] = await _master(graph, access, path, row.series_id or "")
            yield [read_event(row, lens, self._masters[row.series_id or ""]) for row in rows]
            await asyncio.sleep(0)

    def _drop(self, series_id: str) -> list[Item]:
        self._masters.pop(series_id, None)
        self._waiting = {key: row for key, row in self._waiting.items() if row.series_id != series_id}
        return [Removed(key, series_id) for key in self._shown.pop(series_id, set())]


async def _master(graph: Graph, access: Access, path: str, series_id: str) -> WireEvent:
    try:
        answer = await graph.get(access, graph.url(f"{path}/events/{segment(series_id)}", {"$select": EVENT_FIELDS}))
        return _event.decode(repair(answer.body))
    except (CalendarGone, CursorExpired, *UNREADABLE, ValueError):
        raise NoMaster("the master of a series cannot be read") from None
