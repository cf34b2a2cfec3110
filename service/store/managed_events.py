"""Events that were written here: what their author said, and when to look whether the provider shows something else.

While somebody looks, `look_at` is `leased_until`, as `due_at` is of a calendar: sooner says that another look was asked for.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, literal, null, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.decision import Change
from service.core.fairness import shares
from service.store.cipher import Cipher, place_of
from service.store.database import insert
from service.store.tables import CalendarRow, EventRow, Found, ProjectRow, Table
from service.store.turns import LOOKED_AT, NOBODY
from service.store.writing_tables import ManagedEventRow
from webhooks.claims import padded

_managed = Table.metadata.tables[str(ManagedEventRow.__tablename__)]
_events = Table.metadata.tables[str(EventRow.__tablename__)]
_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_projects = Table.metadata.tables[str(ProjectRow.__tablename__)]
_m = _managed.c
_e = _events.c


async def put(conn: AsyncConnection, cipher: Cipher, values: dict[str, Any], draft: bytes) -> None:
    """Keep an event as ours, or what is new of it; `values` are its columns but for the draft."""
    sealed = cipher.seal(draft, _place(values["project_id"], values["event_id"]))
    await conn.execute(update(_projects).where(_projects.c.id == values["project_id"]).values(has_managed=True))
    add = insert(conn.dialect.name, _managed).values(**values, draft=sealed)
    kept = {name: add.excluded[name] for name in (*values, "draft") if name not in {"event_id", "created_at"}}
    await conn.execute(add.on_conflict_do_update(index_elements=[_m.event_id], set_=kept))


async def change(
    conn: AsyncConnection, cipher: Cipher, row: Found, values: dict[str, Any], draft: bytes | None = None
) -> None:
    """Set columns of one."""
    if draft is not None:
        values = {**values, "draft": cipher.seal(draft, _place(row.project_id, row.event_id))}
    await conn.execute(update(_managed).where(_m.event_id == row.event_id).values(**values))


def opened(cipher: Cipher, row: Found) -> bytes:
    """What its author said, whole. Raises Unreadable."""
    return cipher.open(row.draft, _place(row.project_id, row.event_id))


async def of_event(
    conn: AsyncConnection, calendar_id: UUID, provider_event_id: str, series_id: str | None = None
) -> Found | None:
    """The managed event behind an event of a calendar: its own, else its series'."""
    mine = _m.provider_event_id == provider_event_id
    if series_id is not None:
        mine = or_(mine, _m.provider_event_id == series_id)
    query = select(_managed).where(_m.calendar_id == calendar_id, mine).order_by(_m.series_id.is_not(None)).limit(1)
    return (await conn.execute(query)).one_or_none()


async def shown_as(conn: AsyncConnection, row: Found) -> Found | None:
    """The event that the store has of one by now, or of a series its first occurrence; None where nothing is left of it.

    The row has `id`, `series_id`, `fingerprint`, and what `events.view` takes.
    """
    mine = or_(_e.provider_event_id == row.provider_event_id, _e.series_id == row.provider_event_id)
    query = select(_e.id, _e.series_id, _e.fingerprint, _e.body)
    query = query.where(_e.calendar_id == row.calendar_id, _e.deleted_at.is_(None), mine)
    return (await conn.execute(query.order_by(_e.series_id.is_not(None), _e.starts_at).limit(1))).one_or_none()


async def turn(conn: AsyncConnection, cipher: Cipher, row: Found, shown: Found, draft: bytes, now: datetime) -> None:
    """Know one by the event that it shows as by now (of `shown_as`), a series or not, and have that looked at."""
    values = {
        "event_id": shown.id,
        "series_id": row.provider_event_id if shown.series_id is not None else None,
        "draft": cipher.seal(draft, _place(row.project_id, shown.id)),
        "written": b"",
        "look_at": now,
        "lease": null(),
        "leased_until": null(),
        "updated_at": now,
    }
    await conn.execute(update(_managed).where(_m.event_id == row.event_id).values(**values))


async def remove(conn: AsyncConnection, event_id: UUID) -> None:
    """Forget that an event is ours."""
    await conn.execute(delete(_managed).where(_m.event_id == event_id))


async def mark(conn: AsyncConnection, calendar_id: UUID, changes: Iterable[Change], now: datetime) -> bool:
    """Have those looked at whose event was found changed; whether there are any."""
    found = [change.upsert.event for change in changes]
    ids = {event.provider_event_id for event in found} | {event.series_id for event in found if event.series_id}
    if not ids:
        return False
    marked = False
    listed = sorted(ids)
    for start in range(0, len(listed), 500):
        chunk = padded(listed[start : start + 500])
        mine = and_(_m.calendar_id == calendar_id, _m.provider_event_id.in_(chunk))
        marked = bool((await conn.execute(update(_managed).where(mine).values(look_at=now))).rowcount) or marked
    return marked


async def claim(
    conn: AsyncConnection,
    *,
    now: datetime,
    until: datetime,
    owner: UUID,
    most: int,
    held: Mapping[UUID, int] = NOBODY,
    busy: Sequence[UUID] = (),
) -> list[tuple[Found, UUID]]:
    """Lease up to `most` that are to be looked at, each with its connection: one of a connection, the longest waiting first.

    They are shared out among the projects, of which `held` counts what the claimer has in hand; connections in `busy` have
    to wait. See `service.core.fairness`.
    """
    line = (await conn.execute(_waiting(now, busy, most))).all()
    given = shares(Counter(row.project_id for row in line), held, most, spares=True)
    chosen: dict[UUID, UUID] = {}
    for row in line:
        if given.get(row.project_id, 0):
            given[row.project_id] -= 1
            chosen[row.event_id] = row.connection_id
    if not chosen:
        return []
    mine = select(_m.event_id).where(_m.event_id.in_(sorted(chosen)), _is_due(now)).order_by(_m.event_id)
    ids = (await conn.execute(mine.with_for_update(skip_locked=True))).scalars().all()
    if not ids:
        return []
    values = {"lease": owner, "leased_until": until, "look_at": until}
    taken = update(_managed).where(_m.event_id.in_(ids)).values(**values).returning(*_m)
    return [(row, chosen[row.event_id]) for row in await conn.execute(taken)]


async def renew(conn: AsyncConnection, taken: Found, until: datetime) -> bool:
    """Prolong the lease of a row of `claim`; False when it has passed to somebody else."""
    mine = update(_managed).where(_m.event_id == taken.event_id, _m.lease == taken.lease)
    return (await conn.execute(mine.values(leased_until=until, look_at=_unless_asked(until)))).rowcount == 1


async def looked_at(conn: AsyncConnection, taken: Found, again_at: datetime | None) -> bool:
    """End a look at a row of `claim`; `again_at` is when to look again. False when somebody else looks by now.

    A look that was asked for meanwhile stays due.
    """
    mine = update(_managed).where(_m.event_id == taken.event_id, _m.lease == taken.lease)
    values = {"look_at": _unless_asked(again_at), "lease": null(), "leased_until": null()}
    return (await conn.execute(mine.values(**values))).rowcount == 1


def _unless_asked(moment: datetime | None) -> ColumnElement[datetime | None]:
    return case((_m.look_at == _m.leased_until, literal(moment, _m.look_at.type)), else_=_m.look_at)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(_m.look_at <= now, or_(_m.leased_until.is_(None), _m.leased_until <= now))


def _waiting(now: datetime, busy: Sequence[UUID], most: int) -> Select[Any]:
    """The longest waiting of each connection, by turns of the projects; of each project so many at most."""

    def place(owner: ColumnElement[Any], *by: ColumnElement[Any]) -> ColumnElement[int]:
        return func.row_number().over(partition_by=owner, order_by=by)

    owner = _calendars.c.connection_id
    named = (_m.event_id, _m.project_id, _m.look_at, owner, place(owner, _m.look_at, _m.event_id).label("place"))
    others = owner.not_in(padded(sorted(busy))) if busy else true()
    due = select(*named).join(_calendars, _calendars.c.id == _m.calendar_id).where(_is_due(now), others).subquery()
    first = due.c.place == 1
    turn = place(due.c.project_id, due.c.look_at, due.c.event_id).label("turn")
    line = select(due.c.event_id, due.c.project_id, due.c.connection_id, due.c.look_at, turn).where(first).subquery()
    return select(line).where(line.c.turn <= most).order_by(line.c.turn, line.c.look_at).limit(LOOKED_AT)


async def purge(conn: AsyncConnection, before: datetime, most: int) -> int:
    """Forget up to `most` whose event is not kept any more, and which nobody has touched since; how many went."""
    kept = select(_events.c.id).where(_events.c.id == _m.event_id).exists()
    old = select(_m.event_id).where(_m.updated_at < before, ~kept).limit(most)
    return (await conn.execute(delete(_managed).where(_m.event_id.in_(old)))).rowcount


async def next_look(conn: AsyncConnection) -> datetime | None:
    """When the next one is to be looked at."""
    found: datetime | None = (await conn.execute(select(func.min(_m.look_at)))).scalar()
    return found


def _place(project_id: UUID, event_id: UUID) -> str:
    return place_of(project_id, "managed_events", "draft", event_id)
