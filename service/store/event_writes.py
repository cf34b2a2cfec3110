"""Wishes to write at a provider: kept from before the first request until their result is stored, so that none is lost.

    begin ──► pending ──► done | failed
                 └──► undoing ──► failed         its caller was told that it failed: what it may have made is taken back

While a calendar has wishes on their way, `calendars.writing_until` keeps its reads away: what we write would come back as
news. Rows are locked in the order calendar, write.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, case, delete, func, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.cipher import Cipher, place_of
from service.store.database import insert
from service.store.tables import CalendarRow, Found, Table
from service.store.writing_tables import EventWriteRow
from webhooks.claims import padded

_writes = Table.metadata.tables[str(EventWriteRow.__tablename__)]
_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_w = _writes.c
_c = _calendars.c

KEPT: Final = timedelta(hours=24)
"""How long a wish that has ended is remembered: as long as an Idempotency-Key."""

MARGIN: Final = timedelta(seconds=30)
"""For how long reads stay away after the lease of a wish has run out: somebody takes it up by then."""

OPEN: Final = ("pending", "undoing")
MOST_COMPARED: Final = 500
"""Wishes of one calendar that another is held against."""


async def begin(conn: AsyncConnection, cipher: Cipher, values: dict[str, Any], draft: bytes) -> tuple[Found, bool]:
    """Keep a wish; the row, and whether it is new. With a `request_key` that is known, the row that has it, locked.

    `values` are the columns of a new row but for its draft.
    """
    sealed = cipher.seal(draft, _place(values["project_id"], values["id"]))
    add = insert(conn.dialect.name, _writes).values(**values, draft=sealed)
    key = values.get("request_key")
    if key is not None:
        add = add.on_conflict_do_nothing(index_elements=[_w.project_id, _w.request_key])
    is_new = (await conn.execute(add)).rowcount == 1
    mine = _w.id == values["id"] if is_new else (_w.project_id == values["project_id"]) & (_w.request_key == key)
    return (await conn.execute(select(_writes).where(mine).with_for_update())).one(), is_new


def opened(cipher: Cipher, row: Found) -> bytes:
    """The draft of a wish. Raises Unreadable."""
    return cipher.open(row.draft, _place(row.project_id, row.id))


async def take(conn: AsyncConnection, write_id: UUID, values: dict[str, Any]) -> None:
    """Go on with a wish, under a new lease or with a new key."""
    await conn.execute(update(_writes).where(_w.id == write_id).values(**values))


async def one(conn: AsyncConnection, write_id: UUID) -> Found | None:
    """One wish, locked until the transaction ends."""
    return (await conn.execute(select(_writes).where(_w.id == write_id).with_for_update())).one_or_none()


async def prolong(conn: AsyncConnection, write_id: UUID, lease: UUID, until: datetime) -> bool:
    """Keep a wish for longer; False when it has passed to somebody else."""
    mine = update(_writes).where(_w.id == write_id, _w.lease == lease)
    return (await conn.execute(mine.values(next_at=until))).rowcount == 1


async def condemn(conn: AsyncConnection, write_id: UUID, now: datetime, *, reason: str) -> bool:
    """Have a wish taken back that somebody else goes on with by now, once their lease is over; False when it has ended."""
    values = {"state": "undoing", "reason": reason, "lease": null(), "updated_at": now}
    values["next_at"] = func.coalesce(_w.next_at, now)
    open_ = update(_writes).where(_w.id == write_id, _w.state.in_(OPEN))
    return (await conn.execute(open_.values(**values))).rowcount == 1


async def found(conn: AsyncConnection, write_id: UUID) -> Found | None:
    """One wish as it stands."""
    return (await conn.execute(select(_writes).where(_w.id == write_id))).one_or_none()


async def end(
    conn: AsyncConnection, write_id: UUID, lease: UUID, state: str, now: datetime, *, reason: str | None = None
) -> bool:
    """A wish is done or has failed for good; False, with nothing written, when it has passed to somebody else."""
    values = {"state": state, "reason": reason, "next_at": null(), "lease": null(), "updated_at": now}
    return (
        await conn.execute(update(_writes).where(_w.id == write_id, _w.lease == lease).values(**values))
    ).rowcount == 1


async def put_off(
    conn: AsyncConnection, write_id: UUID, lease: UUID, state: str, until: datetime, now: datetime, *, reason: str
) -> bool:
    """A wish is to be gone on with at a later time, by anybody; whether it was still ours."""
    values = {"state": state, "reason": reason, "next_at": until, "lease": null(), "updated_at": now}
    values["attempts"] = _w.attempts + 1
    return (
        await conn.execute(update(_writes).where(_w.id == write_id, _w.lease == lease).values(**values))
    ).rowcount == 1


async def claim(conn: AsyncConnection, *, now: datetime, until: datetime, owner: UUID, most: int) -> Sequence[Found]:
    """Lease up to `most` wishes that nobody works on, the longest waiting first."""
    due = select(_w.id).where(_w.next_at <= now).order_by(_w.next_at).limit(most).with_for_update(skip_locked=True)
    ids = (await conn.execute(due)).scalars().all()
    if not ids:
        return []
    taken = update(_writes).where(_w.id.in_(ids)).values(lease=owner, next_at=until, updated_at=now).returning(*_w)
    return (await conn.execute(taken)).all()


async def hold(
    conn: AsyncConnection, project_id: UUID, calendar_id: UUID, now: datetime, until: datetime, *, force: bool
) -> Found | None:
    """Keep reads away from a calendar until then; its row, locked. None, with nothing written, while somebody reads it.

    With `force` that read is dropped, and repeated. Raises LookupError for a calendar that is not there (any more).
    """
    query = select(_calendars).where(_c.id == calendar_id, _c.project_id == project_id).with_for_update(key_share=True)
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        raise LookupError(calendar_id)
    is_read = row.lease is not None and row.leased_until is not None and row.leased_until > now
    if is_read and not force:
        return None
    longest = max(until + MARGIN, row.writing_until or until)
    values: dict[str, Any] = {"writing_until": longest}
    if row.lease is not None:
        # Its result would be from before our write.
        values |= {"lease": null(), "leased_until": null(), "due_at": now}
    await conn.execute(update(_calendars).where(_c.id == calendar_id).values(**values))
    return row


async def lock_calendar(conn: AsyncConnection, calendar_id: UUID) -> None:
    """Lock a calendar as `hold` does, before any wish of it."""
    await conn.execute(select(_c.id).where(_c.id == calendar_id).with_for_update(key_share=True))


async def let_go(conn: AsyncConnection, calendar_id: UUID, now: datetime) -> bool:
    """Let reads in again, unless other wishes are on their way; one is due now, to see what became of ours."""
    waiting = select(func.count()).select_from(_writes).where(_w.calendar_id == calendar_id, _w.state.in_(OPEN))
    if (await conn.execute(waiting)).scalar_one():
        return False
    due = case((or_(_c.due_at.is_(None), _c.due_at <= now), _c.due_at), else_=now)
    await conn.execute(update(_calendars).where(_c.id == calendar_id).values(writing_until=null(), due_at=due))
    return True


async def earlier(conn: AsyncConnection, row: Found, calendar_ids: Sequence[UUID]) -> Sequence[Found]:
    """Wishes for time in these calendars that are on their way and came before this one."""
    before = or_(_w.created_at < row.created_at, and_(_w.created_at == row.created_at, _w.id < row.id))
    theirs = (_w.calendar_id.in_(padded(sorted(calendar_ids))), _w.kind.in_(("create", "change")))
    mine = (_w.state == "pending", _w.id != row.id)
    return (await conn.execute(select(_writes).where(*theirs, *mine, before).limit(100))).all()


async def last_moment(conn: AsyncConnection, connection_id: UUID) -> datetime | None:
    """When the youngest wish was kept that is on its way to a connection, which the caller holds."""
    theirs = select(_c.id).where(_c.connection_id == connection_id)
    query = select(func.max(_w.created_at)).where(_w.calendar_id.in_(theirs), _w.state.in_(OPEN))
    found: datetime | None = (await conn.execute(query)).scalar()
    return found


async def waiting(conn: AsyncConnection, row: Found) -> Sequence[Found]:
    """Other changes of events of the same calendar that are on their way: nobody knows what has been done of them."""
    theirs = (_w.calendar_id == row.calendar_id, _w.kind == "change", _w.state == "pending", _w.id != row.id)
    return (await conn.execute(select(_writes).where(*theirs).limit(MOST_COMPARED))).all()


async def later(conn: AsyncConnection, row: Found) -> Sequence[Found]:
    """Changes and removals in the same calendar that came after this wish, and are done or on their way; oldest first."""
    after = or_(_w.created_at > row.created_at, and_(_w.created_at == row.created_at, _w.id > row.id))
    theirs = (_w.calendar_id == row.calendar_id, _w.state.in_(("done", "pending")))
    query = select(_writes).where(*theirs, _w.kind.in_(("change", "remove")), after)
    return (await conn.execute(query.order_by(_w.created_at, _w.id).limit(MOST_COMPARED))).all()


async def next_due(conn: AsyncConnection) -> datetime | None:
    """When the wish that waits longest is to be taken up."""
    found: datetime | None = (await conn.execute(select(func.min(_w.next_at)))).scalar()
    return found


async def purge(conn: AsyncConnection, now: datetime, most: int) -> int:
    """Forget up to `most` wishes that ended long ago; how many."""
    old = select(_w.id).where(~_w.state.in_(OPEN), _w.updated_at <= now - KEPT).limit(most)
    return (await conn.execute(delete(_writes).where(_w.id.in_(old)))).rowcount


def _place(project_id: UUID, write_id: UUID) -> str:
    return place_of(project_id, "event_writes", "draft", write_id)
