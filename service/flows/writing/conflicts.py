"""Busy events that overlap: in the calendars of a selection, as far as the store knows them."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from service.core.availability import PairPlace, Source, overlaps
from service.core.event import Event
from service.core.schedule import Window
from service.flows.gateway import Gateway
from service.flows.writing.busy_times import Asked, events_in, is_known
from service.store import events
from service.store.tables import Found


class Occupied(Source, frozen=True, kw_only=True):
    """An event that takes up time, and in whose calendar."""

    calendar_id: UUID


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
    """Pairs by start; `following` is the place of the last where there are more. `unknown` are calendars not known there."""

    pairs: list[Conflict]
    following: PairPlace | None
    unknown: list[str]


async def find(gateway: Gateway, asked: Asked, window: Window, *, most: int, after: PairPlace | None) -> Conflicts:
    """The conflicts in a stretch of time, those behind a place. Copies of one meeting are none.

    Raises GatewayError 422 where too many events lie in it.
    """
    now = gateway.clock()
    names = {row.id: row for row in asked.calendars}
    unknown = [str(row.id) for row in asked.calendars if not is_known(row, window, now)]
    rows = await events_in(gateway, list(names), window) if names else []
    sources = [
        Occupied(
            event_id=row.id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            meeting_key=row.meeting_key,
            calendar_id=row.calendar_id,
        )
        for row in rows
        if row.ends_at > row.starts_at
    ]
    found = overlaps(sources, most + 1, after)
    pairs = found[:most]
    async with gateway.database.read() as conn:
        shown = await events.stored(conn, {each.event_id for pair in pairs for each in pair})
    following = PairPlace(pairs[-1][1].place, pairs[-1][0].place) if len(found) > most else None
    return Conflicts(
        pairs=[_conflict(first, second, names, shown) for first, second in pairs],
        following=following,
        unknown=sorted(unknown + [raw_id for _, raw_id in asked.foreign]),
    )


def _conflict(
    first: Occupied, second: Occupied, calendars: Mapping[UUID, Found], events_of: Mapping[UUID, Event]
) -> Conflict:
    ends_at = min(first.ends_at, second.ends_at)
    one, other = (_side(each, calendars[each.calendar_id], events_of.get(each.event_id)) for each in (first, second))
    return Conflict(first=one, second=other, starts_at=second.starts_at, ends_at=ends_at)


def _side(occupied: Occupied, calendar: Found, event: Event | None) -> Side:
    return Side(
        event_id=occupied.event_id,
        calendar_id=occupied.calendar_id,
        calendar_name=calendar.name or calendar.calendar_name,
        provider=calendar.provider,
        email=calendar.email,
        title=event.title if event is not None else None,
        starts_at=occupied.starts_at,
        ends_at=occupied.ends_at,
    )
