"""Which calendars are meant by a question about somebody's time, and the events in them that may take it up."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.availability import NO_TIME
from service.core.event import CANCELLED, DECLINED
from service.store.connection_tables import ConnectionRow
from service.store.tables import CalendarRow, EventRow, Found, Table
from service.store.writing_tables import ManagedEventRow
from webhooks.claims import padded

_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_connections = Table.metadata.tables[str(ConnectionRow.__tablename__)]
_events = Table.metadata.tables[str(EventRow.__tablename__)]
_managed = Table.metadata.tables[str(ManagedEventRow.__tablename__)]
_c, _k, _e, _m = _calendars.c, _connections.c, _events.c, _managed.c

CALENDARS: Final = "calendars"


def _says(member: str) -> ColumnElement[bool]:
    # A quotation mark within a text of the body is escaped, so that no title or description can look like a member.
    return _e.body.contains(member, autoescape=True)


_TAKES_TIME: Final = (
    _e.status != CANCELLED,
    or_(_e.response_status.is_(None), _e.response_status != DECLINED),
    not_(_says('"is_busy":false')),
    *(not_(_says(f'"event_type":"{kind}"')) for kind in sorted(NO_TIME)),
)
"""`core.availability.takes_time`, of an event as it is stored."""

_CALENDAR: Final = (
    _c.id,
    _c.connection_id,
    _c.provider,
    _c.raw_calendar_id,
    _c.calendar_name,
    _c.name,
    _c.is_primary,
    _c.email,
    _c.time_zone,
    _c.status,
    _c.cursor,
    _c.last_synced_at,
    _c.stale_at,
    _c.link_rules,
    _k.error_code.label("connection_error_code"),
)
_joined: Final = select(*_CALENDAR).join(_connections, _k.id == _c.connection_id).order_by(_c.id)
_owner: Final = select(_k.id, _k.provider, _k.email, _k.user_id, _k.settings)


async def calendars(conn: AsyncConnection, project_id: UUID, ids: Sequence[UUID]) -> Sequence[Found]:
    """Calendars of a project by id, each with the error of its connection."""
    return (await conn.execute(_joined.where(_c.project_id == project_id, _c.id.in_(padded(sorted(ids)))))).all()


async def calendars_of(
    conn: AsyncConnection, connection_ids: Sequence[UUID], most: int | None = None
) -> Sequence[Found]:
    """The calendars of these connections, at most so many."""
    query = _joined.where(_c.connection_id.in_(padded(sorted(connection_ids)))).limit(most)
    return (await conn.execute(query)).all()


async def all_connections(conn: AsyncConnection, project_id: UUID, most: int) -> Sequence[Found]:
    """The connections of a project that have a calendar, or whose settings name one that blocks time; at most so many."""
    has_one = select(_c.id).where(_c.connection_id == _k.id).exists()
    names_some = _k.settings["busy_calendars"].as_string().is_not(None)
    query = _owner.where(_k.project_id == project_id, or_(has_one, names_some)).order_by(_k.id).limit(most)
    return (await conn.execute(query)).all()


async def connections(
    conn: AsyncConnection, project_id: UUID, ids: Sequence[UUID], user_id: str | None
) -> Sequence[Found]:
    """Connections of a project to calendars, by id and of a user."""
    named = _k.id.in_(padded(sorted(ids))) if ids else None
    wanted = [each for each in (named, _k.user_id == user_id if user_id is not None else None) if each is not None]
    query = _owner.where(_k.project_id == project_id, or_(*wanted)).order_by(_k.id)
    return (await conn.execute(query)).all()


async def events(
    conn: AsyncConnection,
    calendar_ids: Sequence[UUID],
    start: datetime,
    end: datetime,
    most: int,
    *,
    buffered: bool = False,
) -> Sequence[Found]:
    """What takes up time in a stretch of it, by start, at most so many: when it is, and its `meeting_key`.

    `buffer_before` and `buffer_after` are minutes that are kept free around it, null for what was not written here; only
    events that have some, if `buffered`. The events themselves stay where they are: those of a big project would be hundreds
    of megabytes.
    """
    ours: Any = and_(
        _m.calendar_id == _e.calendar_id,
        or_(_m.provider_event_id == _e.provider_event_id, _m.provider_event_id == _e.series_id),
    )
    query = (
        select(_e.id, _e.calendar_id, _e.meeting_key, _e.starts_at, _e.ends_at, _m.buffer_before, _m.buffer_after)
        .outerjoin(_managed, ours)
        .where(
            _e.calendar_id.in_(padded(sorted(calendar_ids))),
            _e.starts_at < end,
            _e.ends_at > start,
            _e.deleted_at.is_(None),
            *_TAKES_TIME,
            *([or_(_m.buffer_before > 0, _m.buffer_after > 0)] if buffered else []),
        )
        .order_by(_e.starts_at, _e.id)
        .limit(most)
    )
    return (await conn.execute(query)).all()
