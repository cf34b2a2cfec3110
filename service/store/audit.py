"""The audit log of each project: appended to within the transaction that carries an act out, and never changed.

    async with database.write() as conn:
        ...
        await audit.append(conn, project_id, by.did("calendar.deleted", row.id), now)      # as its last statement

The head's row is locked until the transaction ends, so that a chain has neither forks nor holes; a head is the last thing
that a transaction locks, and who needs those of several projects takes them by project id.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import JSON, BigInteger, Index, or_, select, update
from sqlalchemy import insert as plain_insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import Field

from service.core.audit import Act, Actor, Entry, Head, Subject, next_entry, start_of
from service.store.database import insert
from service.store.tables import Found, ProjectRow, Table

PIECE: Final = 1000


class AuditHeadRow(Table, table=True):
    """Where a project's chain ends. Its row is there from the first entry on."""

    __tablename__ = "audit_heads"

    project_id: UUID = Field(primary_key=True)
    seq: int = Field(sa_type=BigInteger)
    hash: str


class AuditEntryRow(Table, table=True):
    """A `service.core.audit.Entry`. Rows outlive what they tell of."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_project_id_object_id_seq", "project_id", "object_id", "seq"),)

    project_id: UUID = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    at: datetime
    actor_kind: str
    actor_id: str
    action: str
    object_kind: str
    object_id: str
    request_id: str | None = None
    address: str | None = None
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    previous: str
    hash: str


_projects: Final = Table.metadata.tables[str(ProjectRow.__tablename__)]
_heads: Final = Table.metadata.tables[str(AuditHeadRow.__tablename__)]
_entries: Final = Table.metadata.tables[str(AuditEntryRow.__tablename__)]
_h = _heads.c
_e = _entries.c


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries to list: those that fit all that is not None. `before` is the last number of the page before."""

    action: str | None = None
    actor: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


async def append(conn: AsyncConnection, project_id: UUID, act: Act, now: datetime) -> Entry:
    """Write an act into the log of a project, if and when this transaction is committed."""
    entry = next_entry(project_id, await _hold(conn, project_id), act, now)
    await conn.execute(plain_insert(_entries), _stored(entry))
    await conn.execute(update(_heads).where(_h.project_id == project_id).values(seq=entry.seq, hash=entry.hash))
    return entry


async def append_to_all(conn: AsyncConnection, act: Act, now: datetime) -> int:
    """Write an act that concerns every project, such as a rotation of keys, into all logs; how many there are.

    An act upon a project is told there as one upon itself, whatever its `object_id`.
    """
    ids = (await conn.execute(select(_projects.c.id).order_by(_projects.c.id))).scalars().all()
    for project_id in ids:
        await append(conn, project_id, msgspec.structs.replace(act, object_id=str(project_id)), now)
    return len(ids)


async def page(conn: AsyncConnection, project_id: UUID, wanted: Wanted, limit: int) -> list[Entry]:
    """Entries of a project, newest first."""
    query = select(_entries).where(_e.project_id == project_id).order_by(_e.seq.desc()).limit(limit)
    exact = {_e.action: wanted.action, _e.object_id: wanted.object_id}
    query = query.where(*(column == value for column, value in exact.items() if value is not None))
    if wanted.actor is not None:
        query = query.where(or_(_e.actor_id == wanted.actor, _e.actor_kind == wanted.actor))
    if wanted.since is not None:
        query = query.where(_e.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_e.at < wanted.until)
    if wanted.before is not None:
        query = query.where(_e.seq < wanted.before)
    return [_entry(row) for row in await conn.execute(query)]


async def pieces(conn: AsyncConnection, project_id: UUID) -> AsyncIterator[list[Entry]]:
    """All entries of a project, oldest first, some at a time; the last piece is empty."""
    after = 0
    query = select(_entries).where(_e.project_id == project_id).order_by(_e.seq).limit(PIECE)
    while True:
        piece = [_entry(row) for row in await conn.execute(query.where(_e.seq > after))]
        yield piece
        if not piece:
            return
        after = piece[-1].seq


async def head(conn: AsyncConnection, project_id: UUID) -> Head:
    """Where a project's chain is to end."""
    row = (await conn.execute(select(_h.seq, _h.hash).where(_h.project_id == project_id))).one_or_none()
    return start_of(project_id) if row is None else Head(row.seq, row.hash)


async def logs(conn: AsyncConnection) -> Sequence[Found]:
    """The id and the name of every project that has a log, by name; the name is null where the project is gone."""
    query = select(_h.project_id, _projects.c.name).outerjoin(_projects, _projects.c.id == _h.project_id)
    return (await conn.execute(query.order_by(_projects.c.name, _h.project_id))).all()


async def _hold(conn: AsyncConnection, project_id: UUID) -> Head:
    query = select(_h.seq, _h.hash).where(_h.project_id == project_id).with_for_update()
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        first = start_of(project_id)
        statement = insert(conn.dialect.name, _heads).on_conflict_do_nothing(index_elements=[_h.project_id])
        await conn.execute(statement, {"project_id": project_id, "seq": first.seq, "hash": first.hash})
        row = (await conn.execute(query)).one()  # another transaction may have been first
    return Head(row.seq, row.hash)


def _stored(entry: Entry) -> dict[str, Any]:
    nested = {"actor_kind": entry.actor.kind, "actor_id": entry.actor.id}
    nested |= {"object_kind": entry.object.kind, "object_id": entry.object.id}
    return nested | {name: getattr(entry, name) for name in entry.__struct_fields__ if name in _e}


def _entry(row: Found) -> Entry:
    plain = {name: getattr(row, name) for name in Entry.__struct_fields__ if name in _e}
    return Entry(**plain, actor=Actor(row.actor_kind, row.actor_id), object=Subject(row.object_kind, row.object_id))
