"""Who is handed a project's launches: the webhook `bot.launch`, or an HTTP API whose headers are kept as secrets."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.bot_tables import BotRow, BotRunnerRow
from service.store.cipher import Cipher, place_of
from service.store.database import insert
from service.store.tables import Found, Table
from webhooks.claims import padded

_runners = Table.metadata.tables[str(BotRunnerRow.__tablename__)]
_bots = Table.metadata.tables[str(BotRow.__tablename__)]
_r = _runners.c
_b = _bots.c

WEBHOOK: Final = "webhook"
KINDS: Final = (WEBHOOK, "http", "meeting_baas")

_due = (
    select(_b.id)
    .where(_b.next_try_at <= bindparam("now", type_=_b.next_try_at.type))
    .order_by(_b.next_try_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_next_try = select(_b.next_try_at).where(_b.next_try_at.is_not(None)).order_by(_b.next_try_at).limit(1)


async def put(
    conn: AsyncConnection,
    cipher: Cipher,
    project_id: UUID,
    *,
    kind: str,
    url: str | None,
    headers: Mapping[str, str],
    now: datetime,
) -> tuple[Found, bool]:
    """Name a project's runner: its row, and whether it had none before."""
    known = await find(conn, project_id)
    values: dict[str, Any] = {
        "kind": kind,
        "url": url,
        "headers": cipher.seal(msgspec.json.encode(headers), _place(project_id)),
        "header_names": sorted(headers),
        "version": known.version + 1 if known is not None else 1,
        "updated_at": now,
    }
    statement = insert(conn.dialect.name, _runners).values(project_id=project_id, created_at=now, **values)
    await conn.execute(statement.on_conflict_do_update(index_elements=[_r.project_id], set_=values))
    row = await find(conn, project_id)
    assert row is not None  # noqa: S101 - written above
    return row, known is None


async def find(conn: AsyncConnection, project_id: UUID) -> Found | None:
    """The project's runner; None where the webhook is it."""
    return (await conn.execute(select(_runners).where(_r.project_id == project_id))).one_or_none()


async def remove(conn: AsyncConnection, project_id: UUID) -> bool:
    """Let the webhook be the project's runner again; False when it was."""
    return bool((await conn.execute(delete(_runners).where(_r.project_id == project_id))).rowcount)


async def handed(conn: AsyncConnection, project_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the projects whose launches an HTTP API is handed."""
    query = select(_r.project_id).where(_r.project_id.in_(padded(sorted(set(project_ids)))), _r.kind != WEBHOOK)
    return set((await conn.execute(query)).scalars())


def headers_of(cipher: Cipher, row: Found) -> dict[str, str]:
    """A runner's headers, opened. Raises Unreadable."""
    headers: dict[str, str] = msgspec.json.decode(cipher.open(row.headers, _place(row.project_id)))
    return headers


async def next_try(conn: AsyncConnection) -> datetime | None:
    """When a runner is to be asked next, which may be past."""
    found: datetime | None = (await conn.execute(_next_try)).scalar()
    return found


async def claim(conn: AsyncConnection, *, now: datetime, owner: UUID, lease: timedelta, most: int) -> Sequence[Found]:
    """Lease up to `most` bots that a runner is to be asked about: their rows, the lease on them.

    One whose holder died comes back when the lease has run out.
    """
    statement = (
        update(_bots)
        .where(_b.id.in_(_due.scalar_subquery()))
        .values(lease=owner, next_try_at=now + lease)
        .returning(*_b)
    )
    return (await conn.execute(statement, {"now": now, "most": most})).all()


async def settle(conn: AsyncConnection, bot_id: UUID, owner: UUID, values: Mapping[str, Any]) -> Found | None:
    """Write what a runner answered, under the lease: the bot's row, or None when the lease has passed to another."""
    statement = update(_bots).where(_b.id == bot_id, _b.lease == owner).values(lease=None, **values).returning(*_b)
    return (await conn.execute(statement)).one_or_none()


def _place(project_id: UUID) -> str:
    return place_of(project_id, "bot_runners", "headers", "")
