"""Coming meetings: the lead copy of each, by start, and all copies of some."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    exists,
    literal_column,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.event import DECLINED, STALE
from service.store.events import LONG
from service.store.tables import CalendarRow, EventRow, Found, Table
from webhooks.claims import padded

_events = Table.metadata.tables[str(EventRow.__tablename__)]
_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_c = _events.c
_other = _events.alias("other")
_mine = _events.alias("mine")
_MOMENT: Final = _c.starts_at.type
_STALE: Final[ColumnElement[int]] = literal_column(str(STALE))
_stale_part: Final = _c.rank.bitwise_and(_STALE)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which meetings: those that overlap the window, on a platform, with a copy on a calendar."""

    from_: datetime
    until: datetime
    platform: str | None = None
    calendar_id: UUID | None = None
    include_declined: bool = False


class _Shape(msgspec.Struct, frozen=True):
    """What a query for leads has to ask; there are few such questions, and each is built once."""

    declined: bool
    by_platform: bool
    by_calendar: bool
    goes_on: bool


async def leads(
    conn: AsyncConnection, project_id: UUID, wanted: Wanted, after: tuple[datetime, str] | None, limit: int
) -> Sequence[Found]:
    """The lead copy of each meeting by (start, key), those behind `after`.

    A row has `meeting_key`, the event's `body`, its calendar's `calendar_status` and `email`, and `is_shared`: whether
    there are other copies.

    A meeting stands where its lead stands; so it is listed once, whatever page its other copies would fall on.
    """
    shape = _Shape(
        wanted.include_declined, wanted.platform is not None, wanted.calendar_id is not None, after is not None
    )
    asked: dict[str, Any] = {
        "project": project_id,
        "declined": DECLINED,
        "window_start": wanted.from_,
        "recent": wanted.from_ - LONG,
        "window_end": wanted.until,
        "most": limit,
    }
    if wanted.platform is not None:
        asked["on_platform"] = wanted.platform
    if wanted.calendar_id is not None:
        asked["on_calendar"] = wanted.calendar_id
    if after is not None:
        asked["after_start"], asked["after_key"] = after
    found: Sequence[Found] = (await conn.execute(_leads(shape), asked)).all()
    return found


async def copies(
    conn: AsyncConnection, project_id: UUID, keys: Sequence[str], *, include_declined: bool
) -> Sequence[Found]:
    """Every live copy of these meetings with its calendar's standing, the leads first."""
    if not keys:
        return []
    asked: dict[str, Any] = {"project": project_id, "keys": list(keys)}
    if not include_declined:
        asked["declined"] = DECLINED
    found: Sequence[Found] = (await conn.execute(_copies(include_declined), asked)).all()
    return found


async def mark_stale(conn: AsyncConnection, calendar_ids: Sequence[UUID]) -> None:
    """Nobody reads these calendars any more: copies on other calendars lead before theirs."""
    if calendar_ids:
        on_them = _c.calendar_id.in_(padded(calendar_ids))
        await conn.execute(update(_events).where(on_them, _stale_part == 0).values(rank=_c.rank + _STALE))


async def mark_fresh(conn: AsyncConnection, calendar_ids: Sequence[UUID]) -> None:
    """These calendars have been read again: their copies have their old rank."""
    if calendar_ids:
        on_them = _c.calendar_id.in_(padded(calendar_ids))
        await conn.execute(update(_events).where(on_them, _stale_part != 0).values(rank=_c.rank - _STALE))


async def elected(conn: AsyncConnection, project_ids: Sequence[UUID], keys: Sequence[str]) -> Sequence[Found]:
    """Every attended copy of the meetings with these keys in any of the projects, the lead of each meeting first.

    A row is one of `copies`, with `project_id`, `starts_at`, `ends_at` and `updated_at`.
    """
    asked = {"projects": project_ids, "keys": keys, "declined": DECLINED}
    found: Sequence[Found] = (await conn.execute(_elected(), asked)).all()
    return found


@cache
def _elected() -> Select[Any]:
    return (
        select(
            _c.project_id,
            _c.meeting_key,
            _c.id,
            _c.calendar_id,
            _c.response_status,
            _c.starts_at,
            _c.ends_at,
            _c.updated_at,
            _calendars.c.status.label("calendar_status"),
            _calendars.c.email,
        )
        .join(_calendars, _calendars.c.id == _c.calendar_id)
        .where(
            _c.project_id.in_(bindparam("projects", expanding=True)),
            _c.meeting_key.in_(bindparam("keys", expanding=True)),
            _c.is_meeting.is_(True),
            _c.response_status.is_distinct_from(bindparam("declined")),
        )
        .order_by(_c.rank, _c.id)
    )


@cache
def _copies(include_declined: bool) -> Select[Any]:
    query = (
        select(
            _c.meeting_key,
            _c.id,
            _c.calendar_id,
            _c.response_status,
            _calendars.c.status.label("calendar_status"),
            _calendars.c.email,
        )
        .join(_calendars, _calendars.c.id == _c.calendar_id)
        .where(
            _c.project_id == bindparam("project"),
            _c.meeting_key.in_(bindparam("keys", expanding=True)),
            _c.is_meeting.is_(True),
        )
        .order_by(_c.rank, _c.id)
    )
    if include_declined:
        return query
    return query.where(_c.response_status.is_distinct_from(bindparam("declined")))


@cache
def _leads(shape: _Shape) -> Any:
    # What began hours ago and still runs is looked for by its end; there is little of it, and it comes first.
    recent, start, end = (bindparam(name, type_=_MOMENT) for name in ("recent", "window_start", "window_end"))
    overlapping = (_c.starts_at < end, _c.ends_at > start)
    short = _leading(shape).where(_c.starts_at >= recent, *overlapping)
    long = _leading(shape).where(_c.is_long.is_(True), _c.starts_at < recent, *overlapping)
    ordered = (
        part.order_by(_c.starts_at, _c.meeting_key).limit(bindparam("most")).subquery() for part in (long, short)
    )
    both = union_all(*(select(part) for part in ordered)).subquery()
    query = select(
        both.c.meeting_key,
        both.c.body,
        both.c.is_shared,
        _calendars.c.status.label("calendar_status"),
        _calendars.c.email,
    ).join(_calendars, _calendars.c.id == both.c.calendar_id)
    return query.order_by(both.c.starts_at, both.c.meeting_key).limit(bindparam("most"))


def _leading(shape: _Shape) -> Select[Any]:
    other = and_(
        _other.c.project_id == bindparam("project"),
        _other.c.meeting_key == _c.meeting_key,
        _other.c.is_meeting.is_(True),
    )
    better = tuple_(_other.c.rank, _other.c.id) < tuple_(_c.rank, _c.id)
    shared = exists().where(other, _other.c.id != _c.id)
    query = select(_c.starts_at, _c.meeting_key, _c.body, _c.calendar_id, shared.label("is_shared")).where(
        _c.project_id == bindparam("project"), _c.is_meeting.is_(True), ~exists().where(other, better)
    )
    if not shape.declined:
        # The lowest rank that is not declined leads; where everybody declined there is no meeting.
        query = query.where(_c.response_status.is_distinct_from(bindparam("declined")))
    if shape.by_platform:
        query = query.where(_c.platform == bindparam("on_platform"))
    if shape.by_calendar:
        copy = and_(
            _mine.c.project_id == bindparam("project"),
            _mine.c.meeting_key == _c.meeting_key,
            _mine.c.calendar_id == bindparam("on_calendar"),
            _mine.c.is_meeting.is_(True),
        )
        if not shape.declined:
            copy = and_(copy, _mine.c.response_status.is_distinct_from(bindparam("declined")))
        query = query.where(exists().where(copy))
    if shape.goes_on:
        place = tuple_(bindparam("after_start", type_=_MOMENT), bindparam("after_key", type_=String()))
        query = query.where(tuple_(_c.starts_at, _c.meeting_key) > place)
    return query
