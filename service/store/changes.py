"""The change log: each project's changes under strictly rising numbers without a hole.

A number is taken late in the transaction that publishes it, under the project's row lock; so numbers become visible in
their own order, and who has read up to N has read everything up to N.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.announcements import Entry, with_seq
from service.store.bulk import BulkInsert
from service.store.tables import ChangeRow, ProjectRow, Table

_changes = Table.metadata.tables[str(ChangeRow.__tablename__)]
_projects = Table.metadata.tables[str(ProjectRow.__tablename__)]
_c = _changes.c

_take = (
    update(_projects)
    .where(_projects.c.id == bindparam("project"))
    .values(seq=_projects.c.seq + bindparam("count"))
    .returning(_projects.c.seq, _projects.c.starting_lead_seconds, _projects.c.has_bots, _projects.c.has_managed)
)
_insert: Final = BulkInsert(lambda _dialect: insert(_changes), _c.keys())


class Taken(NamedTuple):
    """The first of the new numbers, and what the project has decided, which stays as it is until the commit."""

    first: int
    lead_seconds: tuple[int, ...]
    has_bots: bool
    has_managed: bool


async def take_numbers(conn: AsyncConnection, project_id: UUID, count: int) -> Taken:
    """Take `count` new numbers of the project; its row stays locked until the transaction ends."""
    row = (await conn.execute(_take, {"project": project_id, "count": count})).one()
    return Taken(row.seq - count + 1, tuple(row.starting_lead_seconds), row.has_bots, row.has_managed)


def rows(
    entries: Sequence[Entry], *, project_id: UUID, calendar_id: UUID, first_seq: int, now: datetime
) -> list[dict[str, Any]]:
    """The entries as rows, numbered from `first_seq` on."""
    return [
        {
            "project_id": project_id,
            "seq": seq,
            "event_id": entry.event_id,
            "calendar_id": calendar_id,
            "kind": entry.kind,
            "at": now,
            "body": entry.body.decode(),
        }
        for seq, entry in enumerate(entries, first_seq)
    ]


def numbered_body(seq: int, entry: Entry) -> bytes:
    """An entry as users see it, under its number: `Change` as JSON."""
    return with_seq(seq, entry.body)


async def append(conn: AsyncConnection, numbered: Sequence[dict[str, Any]]) -> None:
    """Write numbered entries, made by `rows`."""
    await _insert.execute(conn, numbered)


async def read(
    conn: AsyncConnection, project_id: UUID, after: int, limit: int, kinds: Sequence[str] | None
) -> list[tuple[int, bytes]]:
    """The changes behind number `after`, in order: (seq, `Change` as JSON)."""
    query = select(_c.seq, _c.body).where(_c.project_id == project_id, _c.seq > after).order_by(_c.seq).limit(limit)
    if kinds:
        query = query.where(_c.kind.in_(kinds))
    return [(seq, with_seq(seq, body.encode())) for seq, body in await conn.execute(query)]


class Place(NamedTuple):
    """Where a reader stands: `after` is where to read on, `last` the newest number there is.

    `lost_until` says that what it has read last is not in this log (any more), and after which number to go on then.
    """

    after: int
    last: int
    lost_until: int | None


async def place(conn: AsyncConnection, project_id: UUID, after: int) -> Place:
    """Where somebody who has read up to `after` stands in the log."""
    query = select(_projects.c.seq, _projects.c.gaps).where(_projects.c.id == project_id)
    last, gaps = (await conn.execute(query)).one()
    for before, beyond in gaps:
        if before < after < beyond:
            return Place(after, last, beyond)
        if after == before:
            after = beyond  # nothing that was left out was ever kept here
    # Where nothing was ever put back, a number that was never given out is a slip of the reader's.
    return Place(after, last, last if gaps and after > last else None)


async def last_seq(conn: AsyncConnection, project_id: UUID) -> int:
    """The number of the project's newest change; 0 before the first."""
    found: int | None = (await conn.execute(select(_projects.c.seq).where(_projects.c.id == project_id))).scalar()
    return found or 0


async def oldest_seq(conn: AsyncConnection, project_id: UUID) -> int:
    """The first number that is still kept; one past the newest when nothing is."""
    first: int | None = (await conn.execute(select(func.min(_c.seq)).where(_c.project_id == project_id))).scalar()
    return first if first is not None else await last_seq(conn, project_id) + 1


async def history(
    conn: AsyncConnection, project_id: UUID, event_id: UUID, before: int | None, limit: int
) -> list[tuple[int, bytes]]:
    """One event's changes, newest first, those before number `before`."""
    query = select(_c.seq, _c.body).where(_c.project_id == project_id, _c.event_id == event_id)
    if before is not None:
        query = query.where(_c.seq < before)
    found = await conn.execute(query.order_by(_c.seq.desc()).limit(limit))
    return [(seq, with_seq(seq, body.encode())) for seq, body in found]


async def as_of(conn: AsyncConnection, project_id: UUID, event_id: UUID, at: datetime) -> bytes | None:
    """The event (`EventView` as JSON) as the newest change up to `at` left it; None before it was known."""
    query = (
        select(_c.body)
        .where(_c.project_id == project_id, _c.event_id == event_id, _c.at <= at)
        .order_by(_c.seq.desc())
        .limit(1)
    )
    body: str | None = (await conn.execute(query)).scalar()
    return bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["event"]) if body else None


async def purge(conn: AsyncConnection, older_than: datetime, most: int) -> int:
    """Drop up to `most` entries from before `older_than`; how many went."""
    old = select(_c.project_id, _c.seq).where(_c.at < older_than).order_by(_c.at, _c.seq).limit(most)
    found = (await conn.execute(old)).all()
    if not found:
        return 0
    last: dict[UUID, int] = {}
    for project_id, seq in found:
        last[project_id] = max(seq, last.get(project_id, 0))
    for project_id, seq in last.items():
        await conn.execute(delete(_changes).where(_c.project_id == project_id, _c.seq <= seq))
    return len(found)
