"""Calendars as users see and change them; as jobs they are claimed and settled in `leases.py`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import delete, false, func, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.announcements import CalendarNotice
from service.core.lifecycle import Standing, State
from service.store import freshness
from service.store.connection_tables import OAuthClientRow
from service.store.database import insert
from service.store.tables import CalendarRow, Found, QuarantinedRow, Table

_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_clients = Table.metadata.tables[str(OAuthClientRow.__tablename__)]
_quarantined = Table.metadata.tables[str(QuarantinedRow.__tablename__)]
_c = _calendars.c

STANDING = Standing.__struct_fields__
"""The columns that hold how a calendar stands, named as in `core.lifecycle.Standing`."""

_IN_ROTATION: Final = _c.status != State.DISCONNECTED.value

# A read in flight goes on from the old cursor, and would leave the next one: its result is dropped.
_FROM_THE_START: Final[dict[str, Any]] = {"cursor": null(), "lease": null(), "leased_until": null()}


class CalendarFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which calendars to list; `metadata` holds values that must be equal, by top-level key."""

    provider: str | None = None
    status: str | None = None
    email: str | None = None
    metadata: dict[str, str] = {}


def standing(row: Found) -> Standing:
    """How a stored calendar stands."""
    found = {name: getattr(row, name) for name in STANDING}
    return Standing(**found | {"status": State(row.status)})


def standing_values(now_stands: Standing) -> dict[str, Any]:
    """A standing as column values."""
    return {name: getattr(now_stands, name) for name in STANDING} | {"status": now_stands.status.value}


def notice(row: Found, now_stands: Standing, previous: str | None) -> CalendarNotice:
    """What the world is told of a calendar that stands so from now on."""
    return CalendarNotice(
        calendar_id=row.id,
        provider=row.provider,
        email=row.email,
        raw_calendar_id=row.raw_calendar_id,
        status=now_stands.status.value,
        previous_status=previous,
        error_code=now_stands.error_code,
        error_message=now_stands.error_message,
        metadata=row.metadata,
    )


async def add(conn: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """Add a calendar unless its connection has one with that raw id; whether it was added."""
    statement = insert(conn.dialect.name, _calendars).on_conflict_do_nothing(
        index_elements=[_c.connection_id, _c.raw_calendar_id]
    )
    return (await conn.execute(statement.values(**values))).rowcount == 1


async def are_there_more(conn: AsyncConnection, project_id: UUID, most: int) -> bool:
    """Whether a project has more than so many calendars."""
    beyond = select(_c.id).where(_c.project_id == project_id).order_by(_c.id).offset(most).limit(1)
    return (await conn.execute(beyond)).first() is not None


async def by_raw_id(conn: AsyncConnection, connection_id: UUID, raw_calendar_id: str) -> Found:
    """The calendar of a connection with this raw id, locked until the transaction ends."""
    query = select(_calendars).where(_c.connection_id == connection_id, _c.raw_calendar_id == raw_calendar_id)
    return (await conn.execute(query.with_for_update(key_share=True))).one()


async def has_raw_id(conn: AsyncConnection, connection_id: UUID, raw_calendar_id: str) -> bool:
    """Whether a connection has a calendar with this raw id."""
    query = select(_c.id).where(_c.connection_id == connection_id, _c.raw_calendar_id == raw_calendar_id)
    return (await conn.execute(query)).first() is not None


async def stored(conn: AsyncConnection, calendar_id: UUID) -> Found:
    """One calendar that is there, as this transaction has written it."""
    return (await conn.execute(select(_calendars).where(_c.id == calendar_id))).one()


async def locked(conn: AsyncConnection, project_id: UUID, calendar_id: UUID) -> Found | None:
    """One calendar, locked until the transaction ends; None when the project has no such calendar."""
    query = select(_calendars).where(_c.id == calendar_id, _c.project_id == project_id).with_for_update(key_share=True)
    return (await conn.execute(query)).one_or_none()


async def one(conn: AsyncConnection, project_id: UUID, calendar_id: UUID) -> Found | None:
    """One calendar; None when the project has no such calendar."""
    query = select(_calendars).where(_c.id == calendar_id, _c.project_id == project_id)
    return (await conn.execute(query)).one_or_none()


async def of_connection(conn: AsyncConnection, connection_id: UUID) -> Sequence[Found]:
    """The calendars of a connection in the order in which they were connected, locked until the transaction ends."""
    query = select(_calendars).where(_c.connection_id == connection_id).order_by(_c.id)
    return (await conn.execute(query.with_for_update(key_share=True))).all()


async def listed(
    conn: AsyncConnection, project_id: UUID, wanted: CalendarFilter, after: UUID | None, limit: int
) -> Sequence[Found]:
    """Calendars in the order in which they were connected, those behind the id `after`."""
    query = select(_calendars).where(_c.project_id == project_id).order_by(_c.id).limit(limit)
    exact = {_c.provider: wanted.provider, _c.status: wanted.status}
    query = query.where(*(column == value for column, value in exact.items() if value is not None))
    if wanted.email is not None:
        query = query.where(func.lower(_c.email) == wanted.email.lower())
    for key, value in wanted.metadata.items():
        query = query.where(_c.metadata[key].as_string() == value)
    if after is not None:
        query = query.where(_c.id > after)
    return (await conn.execute(query)).all()


async def statuses(conn: AsyncConnection, project_id: UUID) -> Sequence[Found]:
    """The id and the status of every calendar of a project."""
    return (await conn.execute(select(_c.id, _c.status).where(_c.project_id == project_id).order_by(_c.id))).all()


async def quarantined_count(conn: AsyncConnection, calendar_id: UUID) -> int:
    """How many of the calendar's rows are set aside."""
    query = select(func.count()).where(_quarantined.c.calendar_id == calendar_id)
    return (await conn.execute(query)).scalar_one()


async def change(conn: AsyncConnection, calendar_id: UUID, values: Mapping[str, Any], now: datetime) -> None:
    """Set columns of a calendar; its `version` rises."""
    await conn.execute(
        update(_calendars).where(_c.id == calendar_id).values(**values, version=_c.version + 1, updated_at=now)
    )


async def make_due(conn: AsyncConnection, calendar_id: UUID, at: datetime, cause: str, *, full: bool = False) -> None:
    """Ask for a read at `at`, or sooner if it is due sooner; a disconnected calendar stays as it is."""
    values: dict[str, Any] = {"due_at": at, "due_cause": cause}
    statement = update(_calendars).where(_c.id == calendar_id, _IN_ROTATION)
    if full:
        values |= _FROM_THE_START
    elif cause == "resync":
        # It is due in any case then; that somebody wants it read now is to be known all the same.
        statement = statement.where(or_(_c.due_at > at, _c.due_cause != cause))
    else:
        statement = statement.where(_c.due_at > at)
    await conn.execute(statement.values(**values))


async def make_all_due(conn: AsyncConnection, project_id: UUID, at: datetime, *, full: bool) -> int:
    """Ask for a read of every calendar of a project that is not disconnected; how many there are."""
    values: dict[str, Any] = {"due_at": at, "due_cause": "resync"}
    if full:
        values |= _FROM_THE_START
    query = update(_calendars).where(_c.project_id == project_id, _IN_ROTATION)
    return (await conn.execute(query.values(**values))).rowcount


async def recheck_client(conn: AsyncConnection, oauth_client_id: UUID, now: datetime) -> None:
    """The client has a new secret that works: its calendars that were waiting for one are due now."""
    await conn.execute(
        update(_calendars)
        .where(_c.oauth_client_id == oauth_client_id, _c.error_code == "client_rejected", _c.due_at > now)
        .values(due_at=now, retry_at=null())
    )


async def make_client_due(conn: AsyncConnection, oauth_client_id: UUID, now: datetime) -> None:
    """Ask for a poll of every calendar of a client that is read at all, and that was not told to wait."""
    await conn.execute(
        update(_calendars)
        .where(_c.oauth_client_id == oauth_client_id, _IN_ROTATION, _c.due_at > now, _c.retry_at.is_(None))
        .values(due_at=now, due_cause="poll")
    )


async def revive(conn: AsyncConnection, connection_id: UUID, now: datetime) -> None:
    """The connection has a grant again: its calendars that had lost theirs start anew."""
    lost = ("credentials_rejected", "insufficient_scope")
    await conn.execute(
        update(_calendars)
        .where(_c.connection_id == connection_id, _c.error_code.in_(lost))
        .values(
            **standing_values(Standing()),
            announced_status=State.SYNCING.value,
            **freshness.renewed(now),
            cursor=null(),
            lease=null(),
            leased_until=null(),
            due_at=now,
            due_cause="resync",
        )
    )
    await freshness.watch_connection(conn, connection_id, now)


async def move_connection(conn: AsyncConnection, connection_id: UUID, oauth_client_id: UUID) -> None:
    """The connection is under another client from now on, and so are its calendars."""
    await conn.execute(
        update(_calendars)
        .where(_c.connection_id == connection_id, _c.oauth_client_id != oauth_client_id)
        .values(oauth_client_id=oauth_client_id)
    )


async def remove(conn: AsyncConnection, calendar_id: UUID) -> None:
    """Delete a calendar with its events."""
    await conn.execute(delete(_calendars).where(_c.id == calendar_id))


async def count_by_client(conn: AsyncConnection, now: datetime) -> dict[tuple[UUID, bool], int]:
    """How many calendars each OAuth client has to read, those with push (True) and those without."""
    pushed = func.coalesce(_c.push_until > now, false()).label("pushed")
    query = (
        select(_c.oauth_client_id, pushed, func.count().label("calendars"))
        .where(_IN_ROTATION)
        .group_by(_c.oauth_client_id, pushed)
    )
    return {(row.oauth_client_id, bool(row.pushed)): row.calendars for row in await conn.execute(query)}


async def announce_rejection(conn: AsyncConnection, oauth_client_id: UUID) -> bool:
    """Whether a client's rejection is still to be announced; True for the first that asks, until it is accepted again."""
    statement = (
        update(_clients)
        .where(_clients.c.id == oauth_client_id, _clients.c.rejection_announced.is_(False))
        .values(rejection_announced=True)
    )
    return (await conn.execute(statement)).rowcount == 1


async def forget_rejection(conn: AsyncConnection, oauth_client_id: UUID) -> None:
    """The client is accepted again: should it be rejected once more, that is announced."""
    statement = update(_clients).where(_clients.c.id == oauth_client_id, _clients.c.rejection_announced.is_(True))
    await conn.execute(statement.values(rejection_announced=False))
