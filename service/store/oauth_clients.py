"""OAuth clients that an integrator has registered: listed, shown without their secret, changed, and the one to sign in by."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.credentials import OAuthClient
from service.store.cipher import Cipher, place_of
from service.store.connection_tables import ConnectionRow, OAuthClientRow
from service.store.connections import ACCEPTED
from service.store.database import insert
from service.store.tables import Found, Table

_clients: Final = Table.metadata.tables[str(OAuthClientRow.__tablename__)]
_connections: Final = Table.metadata.tables[str(ConnectionRow.__tablename__)]
_o = _clients.c

_SHOWN: Final = [column for column in _o if column.name != "client_secret"]
_count = (
    select(func.count())
    .select_from(_connections)
    .where(_connections.c.oauth_client_id == _o.id)
    .scalar_subquery()
    .label("connections")
)
_shown: Final = select(*_SHOWN, _count)


class Identity(NamedTuple):
    """What makes a client the same one; `tenant` is empty but for Microsoft's."""

    provider: str
    client_id: str
    tenant: str


class Opened(NamedTuple):
    """A client to sign users in by; `redirect_urls` are where they may be sent then."""

    id: UUID
    client: OAuthClient
    redirect_urls: list[str]


async def register(
    conn: AsyncConnection,
    cipher: Cipher,
    project_id: UUID,
    identity: Identity,
    *,
    new_id: UUID,
    client_secret: str,
    redirect_urls: Sequence[str],
    now: datetime,
) -> UUID | None:
    """Make a client an object of its own; None when it is one already.

    One that came with a calendar keeps its id and takes this secret.
    """
    fresh = {"id": new_id, "project_id": project_id, **identity._asdict(), "client_secret": b""}
    fresh |= {"rejection_announced": False, "redirect_urls": [], "created_at": now, "updated_at": now}
    add = insert(conn.dialect.name, _clients).values(**fresh, is_registered=False)
    await conn.execute(add.on_conflict_do_nothing(index_elements=[_o.project_id, _o.provider, _o.client_id, _o.tenant]))
    mine = [_o.project_id == project_id, *(_o[name] == value for name, value in identity._asdict().items())]
    query = select(_o.id, _o.is_registered).where(*mine).with_for_update(key_share=True)
    row = (await conn.execute(query)).one()
    if row.is_registered:
        return None
    values: dict[str, Any] = {"is_registered": True, "redirect_urls": list(redirect_urls)}
    values |= _sealed(cipher, project_id, row.id, client_secret) | {"updated_at": now, **ACCEPTED}
    await conn.execute(update(_clients).where(_o.id == row.id).values(**values))
    found: UUID = row.id
    return found


async def one(conn: AsyncConnection, project_id: UUID, client_id: UUID) -> Found | None:
    """A registered client with its number of `connections`, without its secret."""
    return (await conn.execute(_shown.where(_is(project_id, client_id)))).one_or_none()


async def locked(conn: AsyncConnection, project_id: UUID, client_id: UUID) -> Found | None:
    """The same, and nobody else changes it, or connects by it, until the commit."""
    # FOR NO KEY UPDATE, as `connections.put_client`: who only refers to the client does not wait.
    query = select(_o.id).where(_is(project_id, client_id)).with_for_update(key_share=True)
    if (await conn.execute(query)).one_or_none() is None:
        return None
    return await one(conn, project_id, client_id)


async def listed(
    conn: AsyncConnection, project_id: UUID, provider: str | None, after: UUID | None, limit: int
) -> Sequence[Found]:
    """Registered clients in the order of their ids."""
    query = _shown.where(_o.project_id == project_id, _o.is_registered).order_by(_o.id).limit(limit)
    if provider is not None:
        query = query.where(_o.provider == provider)
    return (await conn.execute(query if after is None else query.where(_o.id > after))).all()


async def change(
    conn: AsyncConnection,
    cipher: Cipher,
    row: Found,
    *,
    client_secret: str | None,
    redirect_urls: Sequence[str] | None,
    now: datetime,
) -> None:
    """Give a client another secret, which ends what was held against the old one, or other addresses."""
    values: dict[str, Any] = {"version": _o.version + 1, "updated_at": now}
    if client_secret is not None:
        values |= _sealed(cipher, row.project_id, row.id, client_secret) | ACCEPTED
    if redirect_urls is not None:
        values["redirect_urls"] = list(redirect_urls)
    await conn.execute(update(_clients).where(_o.id == row.id).values(**values))


async def expire_tokens(conn: AsyncConnection, client_id: UUID, now: datetime) -> list[UUID]:
    """Have every connection of a held client get a new access token before its next call; their ids."""
    mine = select(_connections.c.id).where(_connections.c.oauth_client_id == client_id).order_by(_connections.c.id)
    # Locked in the order that everybody keeps.
    found = list((await conn.execute(mine.with_for_update(key_share=True))).scalars())
    statement = update(_connections).where(_connections.c.oauth_client_id == client_id)
    await conn.execute(statement.values(access_expires_at=now))
    return found


async def remove(conn: AsyncConnection, client_id: UUID) -> None:
    """Forget a client that has no connections."""
    await conn.execute(delete(_clients).where(_o.id == client_id))


async def of_project(
    conn: AsyncConnection,
    cipher: Cipher,
    project_id: UUID,
    provider: str,
    wanted: UUID | None = None,
    *,
    redirect_url: str | None = None,
) -> Opened | None:
    """The client to sign users in by: the one `wanted`, or the newest of the provider. Raises Unreadable.

    With `redirect_url` the newest of those that may send users there, if any may.
    """
    query = select(_clients).where(_o.project_id == project_id, _o.provider == provider, _o.is_registered)
    if wanted is not None:
        query = query.where(_o.id == wanted)
    rows = (await conn.execute(query.order_by(_o.created_at.desc(), _o.id.desc()))).all()
    fitting = [row for row in rows if redirect_url in row.redirect_urls] if redirect_url is not None else []
    return _opened(cipher, next(iter(fitting or rows), None))


async def providers_of(conn: AsyncConnection, project_id: UUID) -> set[str]:
    """The providers that users of a project can be sent to."""
    query = select(_o.provider).where(_o.project_id == project_id, _o.is_registered).distinct()
    return set((await conn.execute(query)).scalars())


async def redirect_urls_of(conn: AsyncConnection, project_id: UUID) -> set[str]:
    """Where users may be sent back to by any client of a project."""
    query = select(_o.redirect_urls).where(_o.project_id == project_id, _o.is_registered)
    return {url for urls in (await conn.execute(query)).scalars() for url in urls}


def _opened(cipher: Cipher, row: Found | None) -> Opened | None:
    if row is None:
        return None
    place = place_of(row.project_id, "oauth_clients", "client_secret", row.id)
    secret = cipher.open(row.client_secret, place).decode()
    client = OAuthClient(client_id=row.client_id, client_secret=secret, tenant=row.tenant or None)
    return Opened(row.id, client, row.redirect_urls)


def _sealed(cipher: Cipher, project_id: UUID, client_id: UUID, secret: str) -> dict[str, Any]:
    place = place_of(project_id, "oauth_clients", "client_secret", client_id)
    return {"client_secret": cipher.seal(secret.encode(), place)}


def _is(project_id: UUID, client_id: UUID) -> ColumnElement[bool]:
    return and_(_o.id == client_id, _o.project_id == project_id, _o.is_registered)
