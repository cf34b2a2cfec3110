"""Busy events that overlap: in the calendars of a selection, as far as the store knows them."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from service.core.availability import Source, overlaps
from service.core.event import decode_event
from service.core.schedule import Window
from service.flows.gateway import Gateway
from service.flows.writing.busy_times import Asked, is_known, takes_time
from service.store import busy_times

MOST: Final = 250


class Occupied(Source, frozen=True, kw_only=True):
    """One of two events: which, in whose calendar, and what it is called."""

    event_id: UUID
    calendar_id: UUID
    calendar_name: str
    provider: str
    email: str | None
    title: str | None


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of two events that overlap, and the calendar that it comes from."""

    event_id: UUID
    calendar_id: UUID
    calendar_name: str
    provider: str
    email: str | None
    title: str | None
    starts_at: datetime
    ends_at: datetime


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Two events that overlap, the one that begins first as `first`; `starts_at` and `ends_at` are what they share."""

    first: Side
    second: Side
    starts_at: datetime
    ends_at: datetime


class Conflicts(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs by start, at most 250 (`truncated` says when there are more); `unknown` are calendars that are not known there."""

    data: list[Conflict]
    truncated: bool
    unknown: list[str]


async def find(gateway: Gateway, asked: Asked, window: Window) -> Conflicts:
    """The conflicts in a stretch of time. Copies of one meeting are none."""
    now = gateway.clock()
    names = {row.id: row for row in asked.calendars}
    unknown = [str(row.id) for row in asked.calendars if not is_known(row, window, now)]
    async with gateway.database.read() as conn:
        rows = await busy_times.events(conn, list(names), window.start, window.end) if names else []
    found = []
    for position, row in enumerate(rows):
        event, calendar = decode_event(row.body), names[row.calendar_id]
        if takes_time(event) and event.ends_at > event.starts_at:
            found.append(
                Occupied(
                    starts_at=event.starts_at,
                    ends_at=event.ends_at,
                    meeting_key=row.meeting_key,
                    position=position,
                    event_id=row.id,
                    calendar_id=row.calendar_id,
                    calendar_name=calendar.name or calendar.calendar_name,
                    provider=calendar.provider,
                    email=calendar.email,
                    title=event.title,
                )
            )
    pairs = overlaps(found, MOST + 1)
    return Conflicts(
        data=[_conflict(first, second) for first, second in pairs[:MOST]],
        truncated=len(pairs) > MOST,
        unknown=sorted(unknown + [raw_id for _, raw_id in asked.foreign]),
    )


def _conflict(first: Occupied, second: Occupied) -> Conflict:
    ends_at = min(first.ends_at, second.ends_at)
    return Conflict(first=_side(first), second=_side(second), starts_at=second.starts_at, ends_at=ends_at)


def _side(event: Occupied) -> Side:
    return Side(**{name: getattr(event, name) for name in Side.__struct_fields__})
