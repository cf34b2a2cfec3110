"""The audit log of each project: appended to within the transaction that carries an act out, and never changed.

    async with database.write() as conn:
        ...
        await audit.append(conn, project_id, by.did("calendar.deleted", row.id), now)      # as its last statement

The head's row is locked until the transaction ends, so that a chain has neither forks nor holes. A head is the last thing
that a transaction locks, or two of them could wait for each other; who needs those of several projects takes them by id.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import JSON, BigInteger, Index, bindparam, or_, select, update
from sqlalchemy import insert as plain_insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import Field

from service.core.audit import Act, Actor, Entry, Head, Subject, next_entry, start_of, verify
from service.store.database import insert
from service.store.tables import Found, ProjectRow, Table
from webhooks.claims import padded

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

_MOVE: Final = update(_heads).where(_h.project_id == bindparam("of")).values(seq=bindparam("to"), hash=bindparam("by"))


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
    (entry,) = await append_each(conn, project_id, [act], now)
    return entry


async def append_each(conn: AsyncConnection, project_id: UUID, acts: Iterable[Act], now: datetime) -> list[Entry]:
    """Write acts that are one change together: collected by who does them, and written when all is done."""
    return await _append(conn, [(project_id, act) for act in acts], now)


async def append_to_all(conn: AsyncConnection, act: Act, now: datetime) -> None:
    """Write an act that concerns every project, such as a rotation of keys, into each log, as one upon that project."""
    ids = (await conn.execute(select(_projects.c.id).order_by(_projects.c.id))).scalars().all()
    for start in range(0, len(ids), PIECE):
        piece = ids[start : start + PIECE]
        acts = [(project_id, msgspec.structs.replace(act, object_id=str(project_id))) for project_id in piece]
        await _append(conn, acts, now)


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


class Verdict(NamedTuple):
    """What came of an examination: where the log ends (as far as it is whole), and the first number that is not right.

    `broken` is None for a log that is whole; it has `head.seq` entries then.
    """

    head: Head
    broken: int | None


async def examine(conn: AsyncConnection, project_id: UUID, noted: Head | None = None) -> Verdict:
    """Whether a project's log is as it was written; `noted` is a head that somebody has kept elsewhere.

    To be asked on one snapshot (`Database.read`). Reads all of it, a piece at a time.
    """
    end = start_of(project_id)
    async for piece in pieces(conn, project_id):
        found = [verify(piece, end), *(entry.seq for entry in piece if noted is not None and _belies(entry, noted))]
        if broken := [seq for seq in found if seq is not None]:
            return Verdict(end, min(broken))
        if piece:
            end = Head(piece[-1].seq, piece[-1].hash)
    expected = await head(conn, project_id)
    if noted is not None and noted.seq > end.seq:
        return Verdict(end, end.seq + 1)
    if expected.seq != end.seq:
        return Verdict(end, min(expected.seq, end.seq) + 1)
    return Verdict(end, None if expected == end else end.seq)


def _belies(entry: Entry, noted: Head) -> bool:
    return entry.seq == noted.seq and entry.hash != noted.hash


async def head(conn: AsyncConnection, project_id: UUID) -> Head:
    """Where a project's chain is to end."""
    row = (await conn.execute(select(_h.seq, _h.hash).where(_h.project_id == project_id))).one_or_none()
    return start_of(project_id) if row is None else Head(row.seq, row.hash)


async def _append(conn: AsyncConnection, acts: Sequence[tuple[UUID, Act]], now: datetime) -> list[Entry]:
    """Entries in these logs, by project."""
    if not acts:
        return []
    heads = await _hold(conn, list(dict.fromkeys(project_id for project_id, _ in acts)))
    made: list[Entry] = []
    for project_id, act in acts:
        made.append(next_entry(project_id, heads[project_id], act, now))
        heads[project_id] = Head(made[-1].seq, made[-1].hash)
    await conn.execute(plain_insert(_entries), [_stored(entry) for entry in made])
    await conn.execute(_MOVE, [{"of": of, "to": to.seq, "by": to.hash} for of, to in heads.items()])
    return made


async def _hold(conn: AsyncConnection, project_ids: Sequence[UUID]) -> dict[UUID, Head]:
    query = select(_heads).where(_h.project_id.in_(padded(project_ids))).order_by(_h.project_id).with_for_update()
    found = {row.project_id: Head(row.seq, row.hash) for row in await conn.execute(query)}
    if lacking := [project_id for project_id in project_ids if project_id not in found]:
        firsts = [{"project_id": project_id, **start_of(project_id)._asdict()} for project_id in lacking]
        statement = insert(conn.dialect.name, _heads).on_conflict_do_nothing(index_elements=[_h.project_id])
        await conn.execute(statement, firsts)
        # Read again, for another transaction may have been first.
        found = {row.project_id: Head(row.seq, row.hash) for row in await conn.execute(query)}
    return found


def _stored(entry: Entry) -> dict[str, Any]:
    nested = {"actor_kind": entry.actor.kind, "actor_id": entry.actor.id}
    nested |= {"object_kind": entry.object.kind, "object_id": entry.object.id}
    return nested | {name: getattr(entry, name) for name in entry.__struct_fields__ if name in _e}


def _entry(row: Found) -> Entry:
    plain = {name: getattr(row, name) for name in Entry.__struct_fields__ if name in _e}
    return Entry(**plain, actor=Actor(row.actor_kind, row.actor_id), object=Subject(row.object_kind, row.object_id))
