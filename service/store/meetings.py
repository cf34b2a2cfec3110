"""Coming meetings: the lead copy of each, by start, and all copies of some."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, and_, exists, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.event import DECLINED
from service.store.events import LONG
from service.store.tables import CalendarRow, EventRow, Found, Table

_events = Table.metadata.tables[str(EventRow.__tablename__)]
_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_c = _events.c
_other = _events.alias("other")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which meetings: those that overlap the window, on a platform, with a copy on a calendar."""

    from_: datetime
    until: datetime
    platform: str | None = None
    calendar_id: UUID | None = None
    include_declined: bool = False


async def leads(
    conn: AsyncConnection, project_id: UUID, wanted: Wanted, after: tuple[datetime, str] | None, limit: int
) -> Sequence[Found]:
    """The lead copy of each meeting by (start, key), those behind `after`.

    A meeting stands where its lead stands; so it is listed once, whatever page its other copies would fall on.
    """
    # What began hours ago and still runs is looked for by its end; there is little of it, and it comes first.
    recent = wanted.from_ - LONG
    short = _leading(project_id, wanted, after).where(
        _c.starts_at >= recent, _c.starts_at < wanted.until, _c.ends_at > wanted.from_
    )
    long = _leading(project_id, wanted, after).where(
        _c.is_long.is_(True), _c.starts_at < recent, _c.starts_at < wanted.until, _c.ends_at > wanted.from_
    )
    parts = [select(part.order_by(_c.starts_at, _c.meeting_key).limit(limit).subquery()) for part in (long, short)]
    both = union_all(*parts)
    columns = both.selected_columns
    query = both.order_by(columns["starts_at"], columns["meeting_key"]).limit(limit)
    return (await conn.execute(query)).all()


async def copies(
    conn: AsyncConnection, project_id: UUID, keys: Sequence[str], *, include_declined: bool
) -> Sequence[Found]:
    """Every live copy of these meetings with its calendar's standing, the leads first."""
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
        .where(_c.project_id == project_id, _c.meeting_key.in_(keys), _c.is_meeting.is_(True))
        .order_by(_c.rank, _c.id)
    )
    if not include_declined:
        query = query.where(_c.response_status.is_distinct_from(DECLINED))
    return (await conn.execute(query)).all()


def _leading(project_id: UUID, wanted: Wanted, after: tuple[datetime, str] | None) -> Select[Any]:
    better = and_(
        _other.c.project_id == project_id,
        _other.c.meeting_key == _c.meeting_key,
        _other.c.is_meeting.is_(True),
        tuple_(_other.c.rank, _other.c.id) < tuple_(_c.rank, _c.id),
    )
    query = select(
        _c.id,
        _c.calendar_id,
        _c.starts_at,
        _c.ends_at,
        _c.meeting_key,
        _c.body,
        _c.version,
        _c.created_at,
        _c.updated_at,
        _c.deleted_at,
    ).where(_c.project_id == project_id, _c.is_meeting.is_(True), ~exists().where(better))
    if not wanted.include_declined:
        # The lowest rank that is not declined leads; where everybody declined there is no meeting.
        query = query.where(_c.response_status.is_distinct_from(DECLINED))
    if wanted.platform is not None:
        query = query.where(_c.platform == wanted.platform)
    if wanted.calendar_id is not None:
        mine = _events.alias("mine")
        query = query.where(
            exists().where(
                mine.c.project_id == project_id,
                mine.c.meeting_key == _c.meeting_key,
                mine.c.calendar_id == wanted.calendar_id,
                mine.c.is_meeting.is_(True),
            )
        )
    if after is not None:
        query = query.where(tuple_(_c.starts_at, _c.meeting_key) > after)
    return query
