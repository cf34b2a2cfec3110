"""News in the words of other systems, told inside the transaction that makes it true, and only where somebody wants it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.announcements import Entry
from service.core.lifecycle import Standing
from service.core.meeting_baas.notices import (
    V1,
    V2,
    Body,
    Bots,
    CalendarNews,
    ToldChange,
    calendar_v2,
    changed_v2,
    read_change,
    synced_v1,
    synced_v2,
)
from service.store import bot_plans
from service.store.tables import Found
from webhooks.message import Tell, Told


def of_sync(row: Found, entries: Sequence[Entry], now: datetime, *, is_first: bool) -> Tell:
    """How one sync of a calendar is told; `entries` are what it wrote to the change log."""

    async def tell(conn: AsyncConnection, name: str) -> list[Told]:
        if name == V1:
            return _told([synced_v1(row.id, now, [entry.event_id for entry in entries])])
        if name != V2:
            return []
        changes = [read_change(entry.body) for entry in entries]
        bots = await _bots(conn, row, changes)
        return _told([synced_v2(row.id, changes, bots)] if is_first else changed_v2(row.id, changes, bots))

    return tell


def of_calendar(row: Found, standing: Standing, kind: str, now: datetime) -> Tell:
    """How a calendar's coming, change of state or going is told; `kind` is the last word of our own type."""

    async def tell(_conn: AsyncConnection, name: str) -> list[Told]:
        if name != V2:
            return []
        news = CalendarNews(
            kind=kind,
            calendar_id=row.id,
            provider=row.provider,
            email=row.email,
            status=standing.status.value,
            error_code=standing.error_code,
            error_message=standing.error_message,
            created_at=row.created_at,
            at=now,
        )
        return _told(calendar_v2(news))

    return tell


async def _bots(conn: AsyncConnection, row: Found, changes: Sequence[ToldChange]) -> Bots:
    events = [change.event for change in changes]
    covered = await bot_plans.covered(conn, row.project_id, events)
    series = {event.series_id for event in events if event.series_id is not None and covered.get(event.id)}
    return Bots(events=covered, series=series)


def _told(bodies: Sequence[Body]) -> list[Told]:
    return [Told(body.event, body) for body in bodies]
