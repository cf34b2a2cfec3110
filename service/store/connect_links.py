"""Connect links: made for a user, found by the random part of their address, and forgotten when they are over."""

import hashlib
import secrets
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.hosted import Wish
from service.store.connection_tables import ConnectLinkRow, OAuthClientRow
from service.store.tables import Table

_links = Table.metadata.tables[str(ConnectLinkRow.__tablename__)]
_clients = Table.metadata.tables[str(OAuthClientRow.__tablename__)]
_l, _o = _links.c, _clients.c

BYTES: Final = 32
LENGTH: Final = 43
"""Characters of a token."""


class Link(NamedTuple):
    """A link that is good: whose, and what is wanted of its user."""

    id: UUID
    project_id: UUID
    wish: Wish
    attempts: int
    expires_at: datetime


async def add(
    conn: AsyncConnection, link_id: UUID, project_id: UUID, wish: Wish, now: datetime, until: datetime
) -> str:
    """Make a link; its token, which is kept nowhere."""
    token = secrets.token_urlsafe(BYTES)
    values = {
        "id": link_id,
        "project_id": project_id,
        "digest": _digest(token),
        "wish": msgspec.to_builtins(wish),
        "attempts": 0,
        "created_at": now,
        "expires_at": until,
    }
    await conn.execute(insert(_links).values(**values))
    return token


async def find(conn: AsyncConnection, token: str, now: datetime) -> Link | None:
    """The link with this token, while it is good."""
    query = select(_l.id, _l.project_id, _l.wish, _l.attempts, _l.expires_at)
    row = (await conn.execute(query.where(_l.digest == _digest(token), _l.expires_at > now))).one_or_none()
    if row is None:
        return None
    return Link(row.id, row.project_id, msgspec.convert(row.wish, Wish), row.attempts, row.expires_at)


async def count(conn: AsyncConnection, link_id: UUID, most: int) -> bool:
    """Count a form that was sent by a link; False when it had been so many already."""
    counted = update(_links).where(_l.id == link_id, _l.attempts < most).values(attempts=_l.attempts + 1)
    return (await conn.execute(counted)).rowcount == 1


async def registered(conn: AsyncConnection, project_id: UUID) -> dict[str, list[str]]:
    """The providers that a project has registered clients of, each with the addresses that users may be sent back to."""
    query = select(_o.provider, _o.redirect_urls).where(_o.project_id == project_id, _o.is_registered.is_(True))
    found: dict[str, list[str]] = {}
    for provider, urls in await conn.execute(query.order_by(_o.id)):
        found.setdefault(provider, []).extend(urls)
    return found


async def allowed(conn: AsyncConnection, project_id: UUID) -> list[str]:
    """The addresses that users of a project may be sent back to, by any of its registered clients."""
    return [url for urls in (await registered(conn, project_id)).values() for url in urls]


async def purge(conn: AsyncConnection, now: datetime, most: int) -> int:
    """Forget up to `most` links that are over; how many went."""
    old = select(_l.id).where(_l.expires_at <= now).limit(most)
    return (await conn.execute(delete(_links).where(_l.id.in_(old)))).rowcount


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
