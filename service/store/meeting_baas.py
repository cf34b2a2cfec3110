"""What the lists of Meeting BaaS's dialects ask that no native list does: two ways to page, other filters, events by series."""

import zlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, case, func, literal_column, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.event import CANCELLED, DECLINED
from service.core.lifecycle import State
from service.store.channels import OPEN
from service.store.tables import CalendarRow, ChannelRow, EventRow, EventSourceRow, Found, Table

_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_channels = Table.metadata.tables[str(ChannelRow.__tablename__)]
_events = Table.metadata.tables[str(EventRow.__tablename__)]
_sources = Table.metadata.tables[str(EventSourceRow.__tablename__)]
_c = _calendars.c
_e = _events.c

AT_ONCE: Final = 500

_DENIED: Final = or_(
    and_(_c.status == State.ERROR.value, _c.error_code == "insufficient_scope"),
    and_(_c.status == State.DISCONNECTED.value, _c.error_code.in_(("insufficient_scope", "calendar_not_found"))),
)
_NOT_DENIED: Final = func.coalesce(_c.error_code, "").not_in(("insufficient_scope", "calendar_not_found"))
_BY_STATUS: Final[dict[str, ColumnElement[bool]]] = {
    "active": _c.status.in_((State.SYNCING.value, State.ACTIVE.value)),
    "error": and_(_c.status == State.ERROR.value, func.coalesce(_c.error_code, "") != "insufficient_scope"),
    "revoked": and_(_c.status == State.DISCONNECTED.value, _NOT_DENIED),
    "permission_denied": _DENIED,
}
"""`core.meeting_baas.identity.calendar_status`, as conditions."""

_OFF: Final = or_(_e.status == CANCELLED, func.coalesce(_e.response_status, "") == DECLINED)
_BY_EVENT_STATUS: Final[dict[str, ColumnElement[bool]]] = {
    "cancelled": _OFF,
    "tentative": and_(~_OFF, _e.status == "tentative"),
    "confirmed": and_(~_OFF, _e.status != "tentative"),
}
"""`core.meeting_baas.identity.event_status`, as conditions."""

# A single event that has become a series goes on as a tombstone under the series' own id: the letters keep them apart.
_SERIES_KEY: Final = case(
    (_e.series_id.is_not(None), literal_column("'s'").concat(_e.series_id)),
    else_=literal_column("'o'").concat(_e.provider_event_id),
)
_EVENT: Final = (_e.id, _e.calendar_id, _e.series_id, _e.provider_event_id, _e.starts_at, _e.body)


class CalendarsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which calendars to list, in the words of v2; `email` is a part of the address."""

    email: str | None = None
    platforms: Collection[str] | None = None
    statuses: Collection[str] | None = None


class EventsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of a calendar to list. Every bound is inclusive, but what `live_at` asks for ends after that moment.

    `statuses` are v2's; `shows_cancelled` False leaves cancelled and declined ones out.
    """

    starts_from: datetime | None = None
    starts_until: datetime | None = None
    ends_until: datetime | None = None
    live_at: datetime | None = None
    updated_from: datetime | None = None
    attendee: str | None = None
    organizer: str | None = None
    statuses: Collection[str] | None = None
    shows_cancelled: bool = True


async def calendars_page(
    conn: AsyncConnection, project_id: UUID, wanted: CalendarsWanted, place: UUID | None, limit: int, *, backwards: bool
) -> Sequence[Found]:
    """Calendars, the newest first, behind `place`, or (`backwards`) before it and in the opposite order."""
    query = select(_calendars).where(_c.project_id == project_id).limit(limit)
    if wanted.email is not None:
        query = query.where(func.lower(_c.email).contains(wanted.email.lower(), autoescape=True))
    if wanted.platforms is not None:
        query = query.where(_c.provider.in_(wanted.platforms))
    if wanted.statuses is not None:
        query = query.where(or_(*(_BY_STATUS[status] for status in wanted.statuses)))
    if place is not None:
        query = query.where(_c.id > place if backwards else _c.id < place)
    return (await conn.execute(query.order_by(_c.id if backwards else _c.id.desc()))).all()


async def every_calendar(conn: AsyncConnection, project_id: UUID) -> Sequence[Found]:
    """All calendars of a project, as v1 lists them: there are no pages there."""
    return (await conn.execute(select(_calendars).where(_c.project_id == project_id).order_by(_c.id))).all()


async def resource_ids(conn: AsyncConnection, calendar_ids: Sequence[UUID]) -> dict[UUID, str]:
    """What the provider calls the open push channels of calendars."""
    found: dict[UUID, str] = {}
    for start in range(0, len(calendar_ids), AT_ONCE):
        query = select(_channels.c.calendar_id, _channels.c.resource_id).where(
            _channels.c.calendar_id.in_(calendar_ids[start : start + AT_ONCE]), _channels.c.state == OPEN
        )
        found |= {row.calendar_id: row.resource_id for row in await conn.execute(query)}
    return found


async def events_page(
    conn: AsyncConnection,
    project_id: UUID,
    calendar_id: UUID,
    wanted: EventsWanted,
    place: tuple[datetime, UUID] | None,
    limit: int,
    *,
    backwards: bool = False,
) -> Sequence[Found]:
    """Events by start, behind `place` (start, id), or (`backwards`) before it and in the opposite order."""
    key = tuple_(_e.starts_at, _e.id)
    query = _wanted(_of(project_id, calendar_id), wanted).limit(limit)
    if place is not None:
        query = query.where(key < place if backwards else key > place)
    order = (_e.starts_at.desc(), _e.id.desc()) if backwards else (_e.starts_at, _e.id)
    found: Sequence[Found] = (await conn.execute(query.order_by(*order))).all()
    return found


async def series_page(
    conn: AsyncConnection,
    project_id: UUID,
    calendar_id: UUID,
    recurring: bool | None,
    place: tuple[datetime, str] | None,
    limit: int,
    *,
    backwards: bool,
) -> Sequence[Found]:
    """Series of a calendar (`key`, and `since` when its first event is known), those known longest first.

    Single events are series of their own, which `recurring` False asks for alone and True leaves out.
    """
    since = func.min(_e.created_at)
    query = select(_SERIES_KEY.label("key"), since.label("since"))
    query = query.where(_e.project_id == project_id, _e.calendar_id == calendar_id).group_by(_SERIES_KEY).limit(limit)
    if recurring is not None:
        query = query.where(_e.series_id.is_not(None) if recurring else _e.series_id.is_(None))
    if place is not None:
        (at, last), key = place, _SERIES_KEY
        if backwards:
            query = query.having(or_(since < at, and_(since == at, key < last)))
        else:
            query = query.having(or_(since > at, and_(since == at, key > last)))
    order = (since.desc(), _SERIES_KEY.desc()) if backwards else (since, _SERIES_KEY)
    return (await conn.execute(query.order_by(*order))).all()


async def events_of(
    conn: AsyncConnection, project_id: UUID, calendar_id: UUID, keys: Iterable[str]
) -> dict[str, list[Found]]:
    """The events behind keys of `series_page`, by key and start."""
    found: dict[str, list[Found]] = {key: [] for key in keys}
    named = list(found)
    for start in range(0, len(named), AT_ONCE):
        chunk = named[start : start + AT_ONCE]
        series = [key[1:] for key in chunk if key.startswith("s")]
        single = [key[1:] for key in chunk if key.startswith("o")]
        query = _of(project_id, calendar_id).where(
            or_(_e.series_id.in_(series), and_(_e.series_id.is_(None), _e.provider_event_id.in_(single)))
        )
        for row in await conn.execute(query.order_by(_e.starts_at, _e.id)):
            found[series_key(row)].append(row)
    return found


async def events_of_series(
    conn: AsyncConnection, project_id: UUID, calendar_id: UUID, series_id: str
) -> Sequence[Found]:
    """Every stored event of a provider's series, by start."""
    query = _of(project_id, calendar_id).where(_e.series_id == series_id)
    found: Sequence[Found] = (await conn.execute(query.order_by(_e.starts_at, _e.id))).all()
    return found


async def events_named(conn: AsyncConnection, project_id: UUID, event_ids: Sequence[UUID]) -> list[Found]:
    """The events with these ids, by start."""
    found: list[Found] = []
    for start in range(0, len(event_ids), AT_ONCE):
        chunk = event_ids[start : start + AT_ONCE]
        found += (await conn.execute(select(*_EVENT).where(_e.project_id == project_id, _e.id.in_(chunk)))).all()
    return sorted(found, key=lambda row: (row.starts_at, row.id))


async def series_names(conn: AsyncConnection, project_id: UUID, calendar_id: UUID) -> tuple[list[str], list[UUID]]:
    """What the series of a calendar can be called: the provider's series ids, and the ids of single events."""
    mine = (_e.project_id == project_id, _e.calendar_id == calendar_id)
    series = await conn.execute(select(_e.series_id).where(*mine, _e.series_id.is_not(None)).distinct())
    single = await conn.execute(select(_e.id).where(*mine, _e.series_id.is_(None)))
    return list(series.scalars()), list(single.scalars())


async def sources(conn: AsyncConnection, event_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """The providers' rows behind events, JSON as received."""
    found: dict[UUID, bytes] = {}
    for start in range(0, len(event_ids), AT_ONCE):
        query = select(_sources.c.event_id, _sources.c.raw)
        rows = await conn.execute(query.where(_sources.c.event_id.in_(event_ids[start : start + AT_ONCE])))
        found |= {row.event_id: zlib.decompress(row.raw) for row in rows}
    return found


def series_key(row: Found) -> str:
    """The key of an event's series, as `series_page` has it."""
    return f"o{row.provider_event_id}" if row.series_id is None else f"s{row.series_id}"


def _of(project_id: UUID, calendar_id: UUID) -> Select[Any]:
    return select(*_EVENT).where(_e.project_id == project_id, _e.calendar_id == calendar_id)


def _wanted(query: Select[Any], wanted: EventsWanted) -> Select[Any]:
    if wanted.starts_from is not None:
        query = query.where(_e.starts_at >= wanted.starts_from)
    if wanted.starts_until is not None:
        query = query.where(_e.starts_at <= wanted.starts_until)
    if wanted.ends_until is not None:
        query = query.where(_e.ends_at <= wanted.ends_until)
    if wanted.live_at is not None:
        query = query.where(or_(_e.ends_at > wanted.live_at, _e.starts_at >= wanted.live_at))
    if wanted.updated_from is not None:
        query = query.where(_e.updated_at >= wanted.updated_from)
    if wanted.attendee is not None:
        query = query.where(_e.attendee_emails.contains(f"|{wanted.attendee.lower()}|", autoescape=True))
    if wanted.organizer is not None:
        query = query.where(_e.organizer_email == wanted.organizer.lower())
    if wanted.statuses is not None:
        query = query.where(or_(*(_BY_EVENT_STATUS[status] for status in wanted.statuses)))
    return query if wanted.shows_cancelled else query.where(~_OFF)
