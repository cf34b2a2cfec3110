"""Events as stored: what a sync compares with and writes, and what users and bots read."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Insert, Select, delete, func, literal_column, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.decision import Upsert
from service.core.event import CANCELLED, STALE, Event, decode_event, is_attended, lead_rank
from service.core.meeting_key import meeting_key
from service.core.starting import first_look
from service.core.sync import Known, Malformed
from service.store.bulk import BulkInsert
from service.store.database import insert
from service.store.tables import LEAD_SECONDS, EventRow, EventSourceRow, Found, QuarantinedRow, Table

_events = Table.metadata.tables[str(EventRow.__tablename__)]
_sources = Table.metadata.tables[str(EventSourceRow.__tablename__)]
_quarantined = Table.metadata.tables[str(QuarantinedRow.__tablename__)]
_c = _events.c

T = TypeVar("T")
CHUNK: Final = 500
CHUNK_WRITTEN: Final = 1000
"""Rows made ready between two turns of the event loop: some ten milliseconds."""

LONG: Final = timedelta(hours=2)
"""An event that lasts longer is `is_long`."""

_KNOWN: Final = (
    _c.id,
    _c.provider_event_id,
    _c.series_id,
    _c.starts_at,
    _c.ends_at,
    _c.fingerprint,
    _c.previous_fingerprint,
    _c.flaps,
    _c.version,
    _c.created_at,
    _c.deleted_at,
)
_VIEW: Final = (_c.id, _c.starts_at, _c.version, _c.body)
_UPDATED: Final = tuple(
    column.name
    for column in _c
    if column.name not in {"id", "project_id", "calendar_id", "provider_event_id", "created_at"}
)


def _replace_event(dialect: str) -> Insert:
    statement = insert(dialect, _events)
    new: dict[str, Any] = {name: statement.excluded[name] for name in _UPDATED}
    # What is written while a calendar is disconnected does not make its copies fresh.
    new["rank"] += _c.rank.bitwise_and(literal_column(str(STALE)))
    return statement.on_conflict_do_update(index_elements=[_c.id], set_=new)


def _replace_source(dialect: str) -> Insert:
    statement = insert(dialect, _sources)
    return statement.on_conflict_do_update(index_elements=[_sources.c.event_id], set_={"raw": statement.excluded.raw})


_put_events: Final = BulkInsert(_replace_event, _c.keys())
_put_sources: Final = BulkInsert(_replace_source, _sources.c.keys())


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to list; `from_` and `until` select what overlaps them."""

    calendar_id: UUID | None = None
    from_: datetime | None = None
    until: datetime | None = None
    status: str | None = None
    updated_after: datetime | None = None
    has_meeting: bool | None = None
    platform: str | None = None
    attendee: str | None = None
    organizer: str | None = None
    series_id: str | None = None
    ical_uid: str | None = None


async def known(
    conn: AsyncConnection, calendar_id: UUID, *, rows: Iterable[str] | None, series: Iterable[str] = ()
) -> dict[str, Known]:
    """What the store knows of a calendar: of the events `rows` and `series` name, or (None) of all that are live.

    Keys are the provider's ids. With `rows` None cancelled events are known too: one may have come back.
    """
    query = select(*_KNOWN).where(_c.calendar_id == calendar_id)
    if rows is None:
        return _by_provider_id(await conn.execute(query))
    found: dict[str, Known] = {}
    for chunk in _chunks(rows):
        found |= _by_provider_id(await conn.execute(query.where(_c.provider_event_id.in_(chunk))))
    for chunk in _chunks(series):
        found |= _by_provider_id(await conn.execute(query.where(_c.series_id.in_(chunk))))
    return found


async def known_series(
    conn: AsyncConnection, calendar_id: UUID, rows: Iterable[str], *, gone: Iterable[str], touched: Iterable[str]
) -> set[str]:
    """Which series the store has something of, by the ids that a delta names.

    `rows` are all its ids, among which may be a master's; `gone` are those of tombstones, which may be live
    occurrences here; `touched` are the series of its occurrences, of which one may be a live single event here.
    """
    query = select(_c.series_id).where(_c.calendar_id == calendar_id, _c.series_id.is_not(None)).distinct()
    live = _c.deleted_at.is_(None)
    found: set[str] = set()
    for chunk in _chunks(rows):
        found.update((await conn.execute(query.where(_c.series_id.in_(chunk)))).scalars())
    for chunk in _chunks(gone):
        found.update((await conn.execute(query.where(_c.provider_event_id.in_(chunk), live))).scalars())
    single = select(_c.provider_event_id).where(_c.calendar_id == calendar_id, _c.series_id.is_(None), live)
    for chunk in _chunks(touched):
        found.update((await conn.execute(single.where(_c.provider_event_id.in_(chunk)))).scalars())
    return found


async def stored(conn: AsyncConnection, ids: Iterable[UUID]) -> dict[UUID, Event]:
    """The events with these ids as they stand."""
    found: dict[UUID, Event] = {}
    for chunk in _chunks(ids):
        rows = await conn.execute(select(_c.id, _c.body).where(_c.id.in_(chunk)))
        found.update((row.id, decode_event(row.body)) for row in rows)
    return found


async def next_meeting(conn: AsyncConnection, calendar_id: UUID, now: datetime) -> datetime | None:
    """When the calendar's next meeting with a link starts."""
    query = select(func.min(_c.starts_at)).where(
        _c.calendar_id == calendar_id, _c.starts_at > now, _c.is_meeting.is_(True)
    )
    found: datetime | None = (await conn.execute(query)).scalar()
    return found


def rows(
    upserts: Iterable[Upsert],
    shown: Mapping[UUID, bytes],
    *,
    project_id: UUID,
    calendar_id: UUID,
    now: datetime,
    lead_seconds: Sequence[int] = LEAD_SECONDS,
) -> list[dict[str, Any]]:
    """Upserts as rows of the table; `shown` are their `core.announcements.views`.

    `lead_seconds` are the project's as far as is known; should they be others, settling corrects `announce_at`.
    """
    return [_row(upsert, shown[upsert.id], project_id, calendar_id, now, lead_seconds) for upsert in upserts]


def sources(upserts: Iterable[Upsert]) -> list[dict[str, Any]]:
    """The providers' rows behind upserts, compressed, as rows of the table."""
    return [
        {"event_id": upsert.id, "raw": zlib.compress(upsert.raw, 1)} for upsert in upserts if upsert.raw is not None
    ]


async def write(conn: AsyncConnection, event_rows: Sequence[dict[str, Any]], raws: Sequence[dict[str, Any]]) -> None:
    """Insert or replace events and the provider's rows behind them, one statement each (large ones in chunks)."""
    for chunk in _chunks(event_rows, CHUNK_WRITTEN):
        await _put_events.execute(conn, chunk)
    for chunk in _chunks(raws, CHUNK_WRITTEN):
        await _put_sources.execute(conn, chunk)


async def quarantine(conn: AsyncConnection, calendar_id: UUID, bad: Iterable[Malformed], now: datetime) -> None:
    """Set rows aside that could not be read."""
    statement = insert(conn.dialect.name, _quarantined)
    statement = statement.on_conflict_do_update(
        index_elements=[_quarantined.c.calendar_id, _quarantined.c.provider_event_id],
        set_={name: statement.excluded[name] for name in ("reason", "raw", "at")},
    )
    values = [
        {
            "calendar_id": calendar_id,
            "provider_event_id": row.provider_event_id,
            "reason": row.reason[:500],
            "raw": zlib.compress(row.raw, 1),
            "at": now,
        }
        for row in bad
    ]
    await conn.execute(statement, values)


async def cure(conn: AsyncConnection, calendar_id: UUID, ids: Iterable[str]) -> None:
    """End the quarantine of rows that read well now, or that are gone."""
    for chunk in _chunks(ids):
        await conn.execute(
            delete(_quarantined).where(
                _quarantined.c.calendar_id == calendar_id, _quarantined.c.provider_event_id.in_(chunk)
            )
        )


async def quarantined(conn: AsyncConnection, calendar_id: UUID) -> set[str]:
    """The provider ids of the calendar's rows that are set aside."""
    query = select(_quarantined.c.provider_event_id).where(_quarantined.c.calendar_id == calendar_id)
    return set((await conn.execute(query)).scalars())


async def listed(
    conn: AsyncConnection, project_id: UUID, wanted: EventFilter, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Found]:
    """Events by start time, those behind `after` (start, id); rows for `view`."""
    query = _filtered(select(*_VIEW).where(_c.project_id == project_id), wanted)
    if after is not None:
        query = query.where(tuple_(_c.starts_at, _c.id) > after)
    found: Sequence[Found] = (await conn.execute(query.order_by(_c.starts_at, _c.id).limit(limit))).all()
    return found


async def one(conn: AsyncConnection, project_id: UUID, event_id: UUID, calendar_id: UUID | None = None) -> Found | None:
    """One event, for `view`, and when it was made and written; None when the project (or the calendar) has none such."""
    query = select(*_VIEW, _c.created_at, _c.updated_at).where(_c.id == event_id, _c.project_id == project_id)
    if calendar_id is not None:
        query = query.where(_c.calendar_id == calendar_id)
    return (await conn.execute(query)).one_or_none()


async def place_of(conn: AsyncConnection, project_id: UUID, event_id: UUID) -> Found | None:
    """Which event of which calendar is behind an id, and at which version; None when the project has none such."""
    query = select(_c.id, _c.calendar_id, _c.provider_event_id, _c.series_id, _c.version, _c.deleted_at)
    return (await conn.execute(query.where(_c.id == event_id, _c.project_id == project_id))).one_or_none()


async def source(conn: AsyncConnection, event_id: UUID) -> bytes | None:
    """The provider's row behind an event, JSON as received."""
    raw: bytes | None = (await conn.execute(select(_sources.c.raw).where(_sources.c.event_id == event_id))).scalar()
    return zlib.decompress(raw) if raw is not None else None


def view(row: Found) -> bytes:
    """A row of `listed` or `one` as users see it: `EventView` as JSON, which is how it is stored."""
    body: str = row.body
    return body.encode()


async def purge(conn: AsyncConnection, ended_before: datetime, most: int) -> int:
    """Forget up to `most` events that ended before then; how many went. Their changes stay in the log."""
    old = select(_c.id).where(_c.starts_at < ended_before, _c.ends_at < ended_before).limit(most)
    return (await conn.execute(delete(_events).where(_c.id.in_(old)))).rowcount


def _filtered(query: Select[Any], wanted: EventFilter) -> Select[Any]:
    exact = {
        _c.calendar_id: wanted.calendar_id,
        _c.status: wanted.status,
        _c.platform: wanted.platform,
        _c.series_id: wanted.series_id,
        _c.ical_uid: wanted.ical_uid,
        _c.organizer_email: wanted.organizer and wanted.organizer.lower(),
    }
    query = query.where(*(column == value for column, value in exact.items() if value is not None))
    if wanted.until is not None:
        query = query.where(_c.starts_at < wanted.until)
    if wanted.from_ is not None:
        # An instant event at the very start of the window overlaps it.
        query = query.where(or_(_c.ends_at > wanted.from_, _c.starts_at >= wanted.from_))
    if wanted.updated_after is not None:
        query = query.where(_c.updated_at > wanted.updated_after)
    if wanted.has_meeting is not None:
        query = query.where(_c.platform.is_not(None) if wanted.has_meeting else _c.platform.is_(None))
    if wanted.attendee is not None:
        query = query.where(_c.attendee_emails.contains(f"|{wanted.attendee.lower()}|", autoescape=True))
    return query


def _row(
    upsert: Upsert, shown: bytes, project_id: UUID, calendar_id: UUID, now: datetime, lead_seconds: Sequence[int]
) -> dict[str, Any]:
    event = upsert.event
    emails = [person.email for person in event.attendees if person.email]
    cancelled = event.status == CANCELLED
    return {
        "id": upsert.id,
        "project_id": project_id,
        "calendar_id": calendar_id,
        "provider_event_id": event.provider_event_id,
        "series_id": event.series_id,
        "ical_uid": event.ical_uid,
        "organizer_email": event.organizer.email if event.organizer else None,
        "attendee_emails": f"|{'|'.join(emails)}|" if emails else "",
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "status": event.status,
        "platform": event.meeting.platform if event.meeting else None,
        "is_meeting": event.meeting is not None and not cancelled,
        "is_long": event.ends_at - event.starts_at > LONG,
        "response_status": event.response_status,
        "rank": lead_rank(event),
        "meeting_key": meeting_key(event, calendar_id),
        "announce_at": first_look(event.starts_at, event.ends_at, lead_seconds, now) if is_attended(event) else None,
        "fingerprint": upsert.fingerprint,
        "previous_fingerprint": upsert.previous_fingerprint,
        "flaps": upsert.flaps,
        "body": shown.decode(),
        "version": upsert.version,
        "created_at": upsert.created_at,
        "updated_at": now,
        "deleted_at": now if cancelled else None,
    }


def _by_provider_id(found: Iterable[Found]) -> dict[str, Known]:
    return {
        row.provider_event_id: Known(
            id=row.id,
            provider_event_id=row.provider_event_id,
            series_id=row.series_id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            fingerprint=row.fingerprint,
            previous_fingerprint=row.previous_fingerprint,
            flaps=row.flaps,
            version=row.version,
            created_at=row.created_at,
            is_cancelled=row.deleted_at is not None,
        )
        for row in found
    }


def _chunks(items: Iterable[T], size: int = CHUNK) -> Iterable[list[T]]:
    held = list(items)
    for start in range(0, len(held), size):
        yield held[start : start + size]
