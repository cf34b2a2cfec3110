"""Idempotency-Key: the first answer to a POST is kept, sealed, and given again for a day.

draft-ietf-httpapi-idempotency-key-header-07. `begin` claims the key in a transaction of its own before any work;
`finish` belongs into the transaction of the effect, `abandon` where there was none.
"""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.cipher import Cipher, place_of
from service.store.database import insert
from service.store.tables import IdempotencyRow

KEPT: Final = timedelta(hours=24)
STALE_AFTER: Final = timedelta(seconds=60)

_ROWS: Final = IdempotencyRow.metadata.tables["idempotency_keys"]


class Name(NamedTuple):
    """What a key is unique within: the project and the route (method and path template)."""

    project_id: UUID
    route: str
    key: str


class Fresh(NamedTuple):
    """Do the work, and create the object under `object_id`: a run that died before has used the same."""

    object_id: UUID
    claimed_at: datetime


class Replay(NamedTuple):
    """The answer that was given."""

    status: int
    headers: dict[str, str]
    body: bytes


class Conflict(NamedTuple):
    """The key was used with another body."""


class Running(NamedTuple):
    """The first request is still at work."""


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    headers: dict[str, str]
    body: bytes


async def begin(
    conn: AsyncConnection, cipher: Cipher, name: Name, *, fingerprint: bytes, now: datetime, new_object_id: UUID
) -> Fresh | Replay | Conflict | Running:
    """Claim the key, or say what became of its first use. `fingerprint` is a hash of the body.

    A request that has been running for more than a minute is taken for dead, and its work is begun again.
    Raises `Unreadable` for an answer whose key has left the ring.
    """
    claim: dict[str, Any] = {"fingerprint": fingerprint, "object_id": new_object_id, "created_at": now}
    claim |= {"status": None, "answer": None}
    statement = insert(conn.dialect.name, _ROWS).on_conflict_do_nothing(index_elements=list(_ROWS.primary_key))
    while True:
        if (await conn.execute(statement.values(name._asdict() | claim))).rowcount:
            return Fresh(new_object_id, now)
        row = (await conn.execute(select(_ROWS).where(_is(name)).with_for_update())).one_or_none()
        if row is not None:  # or else it was abandoned in between
            break
    if row.created_at <= now - KEPT:
        await conn.execute(update(_ROWS).where(_is(name)).values(claim))
        return Fresh(new_object_id, now)
    if row.fingerprint != fingerprint:
        return Conflict()
    if row.status is not None:
        answer = msgspec.msgpack.decode(cipher.open(row.answer, _place(name)), type=_Answer)
        return Replay(row.status, answer.headers, answer.body)
    if row.created_at > now - STALE_AFTER:
        return Running()
    await conn.execute(update(_ROWS).where(_is(name)).values(created_at=now))
    return Fresh(row.object_id, now)


async def finish(
    conn: AsyncConnection, cipher: Cipher, name: Name, *, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Keep the answer; the first one stands."""
    sealed = cipher.seal(msgspec.msgpack.encode(_Answer(headers, body)), _place(name))
    await conn.execute(update(_ROWS).where(_is(name), _ROWS.c.status.is_(None)).values(status=status, answer=sealed))


async def abandon(conn: AsyncConnection, name: Name, claim: Fresh) -> None:
    """Let the key be used anew: the work failed and left nothing. Leaves alone a claim that passed to somebody else."""
    mine = and_(_is(name), _ROWS.c.status.is_(None), _ROWS.c.created_at == claim.claimed_at)
    await conn.execute(delete(_ROWS).where(mine))


async def purge(conn: AsyncConnection, now: datetime) -> int:
    """Forget what is older than a day; the number of keys."""
    return (await conn.execute(delete(_ROWS).where(_ROWS.c.created_at <= now - KEPT))).rowcount


def _is(name: Name) -> ColumnElement[bool]:
    return and_(_ROWS.c.project_id == name.project_id, _ROWS.c.route == name.route, _ROWS.c.key == name.key)


def _place(name: Name) -> str:
    return place_of(name.project_id, "idempotency_keys", "answer", f"{name.route}|{name.key}")
