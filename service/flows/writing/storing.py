"""What the provider holds after a write goes into the store as a sync would put it there, though nobody is told of it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core import sync
from service.core.decision import decide
from service.core.schedule import Window, window_at
from service.core.sync import Item, Listed, Removed, Round
from service.flows.gateway import Gateway
from service.flows.writing.asking import ask
from service.flows.writing.scene import Scene
from service.providers.protocol import Access
from service.providers.writing import Written
from service.store import calendars, events, settlement, starts
from service.store.settlement import Settlement
from service.store.tables import LEAD_SECONDS, Found
from webhooks.message import Dispatch

ALL_TIME: Final = Window(datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
"""An event that was written here is kept wherever it lies."""

MOST_OCCURRENCES: Final = 2000


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be stored: rows as the provider shows them, and of which series `items` has every occurrence in `window`."""

    items: Sequence[Item] = ()
    series: frozenset[str] = frozenset()
    window: Window = ALL_TIME

    def joined(self, other: "Harvest") -> "Harvest":
        """Both."""
        window = other.window if other.series else self.window
        return Harvest(items=[*self.items, *other.items], series=self.series | other.series, window=window)


async def harvest(
    scene: Scene, written: Written, starts_at: datetime | None = None, *, was_series: str | None = None
) -> Harvest:
    """What a write has left: its row, or the occurrences of a series. Raises service.errors.ProviderError.

    `starts_at` is when a series begins, where that is known: it may lie beyond the window that is kept in step. Of the series
    `was_series`, if what was written is one event by now, no occurrence is left.
    """
    if written.series_id is None or (written.item is not None and _is_occurrence(written.item)):
        ended = frozenset({was_series} if was_series is not None and written.series_id is None else ())
        return Harvest(items=[written.item] if written.item is not None else [], series=ended)
    gateway, row = scene.gateway, scene.calendar
    window = window_at(gateway.clock(), row.horizon_days)
    first = written.first_starts_at
    if starts_at is None and first is not None and first >= window.end:
        starts_at = first
    if starts_at is not None:
        begin, end = starts_at - timedelta(days=1), starts_at + timedelta(days=2)
        window = Window(min(window.start, begin), max(window.end, end))
    series_id = written.series_id
    provider = gateway.providers[row.provider]

    async def listed(access: Access) -> list[Item]:
        found: list[Item] = []
        async for item in provider.series(
            access,
            row.raw_calendar_id,
            series_id,
            window=window,
            time_zone=row.time_zone,
            rules=scene.place.rules,
        ):
            found.append(item)
            if len(found) == MOST_OCCURRENCES:
                break
        return found

    return Harvest(items=await ask(scene, listed), series=frozenset({series_id}), window=window)


def gone(provider_event_id: str, series_id: str | None, *, is_series: bool) -> Harvest:
    """What a removal leaves."""
    if is_series and series_id is not None:
        return Harvest(series=frozenset({series_id}))
    return Harvest(items=[Removed(provider_event_id, series_id)])


async def store(
    gateway: Gateway,
    conn: AsyncConnection,
    row: Found,
    found: Harvest,
    now: datetime,
    event_id: UUID,
    *,
    cause: str = "write",
    is_news: bool = False,
) -> Sequence[Dispatch]:
    """Store it, inside the transaction that has the calendar's row locked; the first new event is `event_id`.

    Nobody is told of it, unless it `is_news`: then the deliverer is to be given what this answers, after the commit. What
    others have done has another `cause` than `write`.
    """
    rows = {sync.row_id(item): item for item in sorted(found.items, key=_start)}
    progress = Round(window=found.window, full=False, rows=rows)
    for series_id in found.series:
        progress.series[series_id] = {name for name, item in rows.items() if not isinstance(item, Removed)}
    # What was one event until now has the id of the series that it is by now.
    known = await events.known(conn, row.id, rows=rows.keys() | found.series, series=found.series)
    comparison = sync.compare(progress, known, await events.quarantined(conn, row.id))
    stored = await events.stored(conn, comparison.needs)
    ids = chain([event_id], _more_ids()) if not await _is_taken(conn, row, event_id) else _more_ids()
    decision = decide(comparison, stored, cause=cause, now=now, ids=ids)
    lead_seconds = gateway.lead_seconds.get(row.project_id, LEAD_SECONDS)
    written = Settlement(
        row=row,
        now=now,
        standing=calendars.standing(row),
        next_due=row.due_at,
        cursor=row.cursor,
        last_synced_at=row.last_synced_at,
        stale_at=row.stale_at,
        next_meeting_at=row.next_meeting_at,
        time_zone=row.time_zone,
        is_ours=not is_news,
        **settlement.news_of(row, decision, now, lead_seconds),
    )
    delivery = gateway.deliverer.lease(now) if gateway.deliverer is not None else None
    settled = await settlement.settle_written(conn, written, delivery, gateway.lead_seconds)
    if settled.has_bots:
        gateway.wake.after(conn, "bots")
    if settled.has_managed:
        gateway.wake.after(conn, "managed")
    if written.entries:
        gateway.wake.after(conn, f"changes:{row.project_id}")
    if starts.is_soon(written.event_rows, now):
        gateway.wake.after(conn, "starting")
    if is_news and delivery is None:
        gateway.wake.after(conn, "deliver")
    return settled.dispatches


async def _is_taken(conn: AsyncConnection, row: Found, event_id: UUID) -> bool:
    return await events.one(conn, row.project_id, event_id) is not None


def _more_ids() -> Iterator[UUID]:
    while True:
        yield uuid7()


def _start(item: Item) -> datetime:
    return item.event.starts_at if isinstance(item, Listed) else ALL_TIME.end


def _is_occurrence(item: Item) -> bool:
    return isinstance(item, Listed) and item.event.series_id is not None
