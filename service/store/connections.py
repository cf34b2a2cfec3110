"""Connections and the OAuth clients above them: tokens at rest, and the lease under which one worker refreshes them."""

import asyncio
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, case, delete, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core.credentials import OAuthClient, StoredTokens, TokenGrant
from service.store import connection_standing
from service.store.cipher import Cipher, place_of
from service.store.connection_tables import ConnectionRow, OAuthClientRow
from service.store.database import Database, insert
from service.store.tables import CalendarRow, Found, Table
from webhooks import outbox
from webhooks.claims import padded
from webhooks.message import Notice

_connections = Table.metadata.tables[str(ConnectionRow.__tablename__)]
_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_clients = Table.metadata.tables[str(OAuthClientRow.__tablename__)]
_c = _connections.c
_o = _clients.c

MOST_LOADED: Final = 256
MENDED: Final[dict[str, Any]] = {"error_code": None, "error_message": None}
ACCEPTED: Final[dict[str, Any]] = {"rejected_reason": None, "rejected_until": None, "rejection_announced": False}

_stored = (
    select(
        _c.id,
        _c.project_id,
        _c.provider,
        _c.account,
        _c.refresh_token,
        _c.access_token,
        _c.access_expires_at,
        _c.token_version,
        _c.oauth_client_id,
        _o.client_id,
        _o.tenant,
        _o.client_secret,
        _o.rejected_reason,
        _o.rejected_until,
    )
    .join(_clients, _o.id == _c.oauth_client_id)
    .where(_c.id.in_(bindparam("ids", expanding=True)))
)


class ConnectionTokens:
    """The tokens of every connection, opened; what `service.providers.tokens` refreshes through."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher
        self._asked: dict[UUID, asyncio.Future[Found | None]] = {}
        self._loading: set[asyncio.Task[None]] = set()

    async def load(self, connection_id: UUID) -> StoredTokens | None:
        """The tokens as committed now; None when the connection is gone.

        Those that are asked for in one turn of the event loop, as by the syncs of one claim, are read by one statement.
        """
        found = self._asked.get(connection_id)
        if found is None:
            found = self._asked[connection_id] = asyncio.get_running_loop().create_future()
            if len(self._asked) == 1:
                task = asyncio.create_task(self._load_asked())
                self._loading.add(task)
                task.add_done_callback(self._loading.discard)
        row = await asyncio.shield(found)
        return self._opened(row) if row is not None else None

    async def _load_asked(self) -> None:
        asked, self._asked = self._asked, {}
        try:
            rows: dict[UUID, Found] = {}
            ids = list(asked)
            async with self._database.read() as conn:
                for start in range(0, len(ids), MOST_LOADED):
                    chunk = {"ids": padded(ids[start : start + MOST_LOADED])}
                    rows |= {row.id: row for row in await conn.execute(_stored, chunk)}
        except Exception as error:  # noqa: BLE001 - those who asked are told, whatever it is
            for waiting in asked.values():
                waiting.set_exception(error)
                waiting.exception()  # they may all have gone away: the failure is then nobody's
        else:
            for connection_id, waiting in asked.items():
                waiting.set_result(rows.get(connection_id))

    async def lease(self, connection_id: UUID, owner: UUID, now: datetime, until: datetime) -> bool:
        """Take the right to refresh, unless another owner has it beyond `now`."""
        statement = (
            update(_connections)
            .where(
                _c.id == connection_id,
                or_(_c.refresh_leased_until.is_(None), _c.refresh_leased_until <= now, _c.refresh_lease == owner),
            )
            .values(refresh_lease=owner, refresh_leased_until=until)
        )
        async with self._database.write() as conn:
            return (await conn.execute(statement)).rowcount == 1

    async def save(self, connection_id: UUID, version: int, grant: TokenGrant, now: datetime) -> bool:
        """Replace the tokens of `version` and end the lease; False, with nothing written, when they are newer."""
        async with self._database.write() as conn:
            query = select(_c.project_id, _c.error_code).where(_c.id == connection_id)
            row = (await conn.execute(query)).one_or_none()
            project_id = row.project_id if row is not None else None
            values: dict[str, Any] = {
                **MENDED,
                "access_token": self._seal(project_id, connection_id, "access_token", grant.access_token),
                "access_expires_at": grant.expires_at,
                "token_version": version + 1,
                "refresh_lease": null(),
                "refresh_leased_until": null(),
                "updated_at": now,
            }
            if grant.refresh_token is not None:
                values["refresh_token"] = self._seal(project_id, connection_id, "refresh_token", grant.refresh_token)
            statement = update(_connections).where(_c.id == connection_id, _c.token_version == version)
            is_saved = (await conn.execute(statement.values(**values))).rowcount == 1
            if is_saved and row is not None and row.error_code is not None:
                await outbox.put(conn, await connection_standing.news(conn, [connection_id], now), now=now)
            return is_saved

    async def release(self, connection_id: UUID, owner: UUID) -> None:
        """End the lease, if it is the owner's."""
        statement = (
            update(_connections)
            .where(_c.id == connection_id, _c.refresh_lease == owner)
            .values(refresh_lease=null(), refresh_leased_until=null())
        )
        async with self._database.write() as conn:
            await conn.execute(statement)

    async def client_rejected(self, connection_id: UUID, reason: str, until: datetime) -> None:
        """Remember that the connection's OAuth client is refused, for all its connections."""
        await self._mark_client(connection_id, {"rejected_reason": reason, "rejected_until": until})

    async def client_accepted(self, connection_id: UUID) -> None:
        """Forget that it was."""
        await self._mark_client(connection_id, ACCEPTED)

    async def _mark_client(self, connection_id: UUID, values: dict[str, Any]) -> None:
        mine = select(_c.oauth_client_id).where(_c.id == connection_id).scalar_subquery()
        async with self._database.write() as conn:
            await conn.execute(update(_clients).where(_o.id == mine).values(**values))

    def _opened(self, row: Found) -> StoredTokens:
        return StoredTokens(
            provider=row.provider,
            client=_opened_client(self._cipher, row, row.oauth_client_id),
            client_key=row.client_id,
            user_key=f"{row.client_id} {row.account}",
            refresh_token=self._open(row, "refresh_token", row.refresh_token),
            access_token=self._open(row, "access_token", row.access_token) if row.access_token else None,
            access_expires_at=row.access_expires_at,
            version=row.token_version,
            client_rejected_until=row.rejected_until,
            client_rejected_reason=row.rejected_reason,
        )

    def _open(self, row: Found, column: str, sealed: bytes) -> str:
        return self._cipher.open(sealed, place_of(row.project_id, "connections", column, row.id)).decode()

    def _seal(self, project_id: UUID | None, connection_id: UUID, column: str, secret: str) -> bytes:
        return self._cipher.seal(secret.encode(), place_of(project_id, "connections", column, connection_id))


async def companion(
    conn: AsyncConnection, provider: str, connection_id: UUID, preferred: UUID | None = None
) -> Found | None:
    """The same user's connection to another provider: that of the same `user_id`, else of the same address.

    `preferred` where that is still there. Of several the user's primary one, then the oldest.
    """
    mine = select(_c.project_id, _c.user_id, _c.email).where(_c.id == connection_id).subquery()
    same = or_(_c.user_id == mine.c.user_id, _c.email == mine.c.email, _c.id == preferred)
    query = (
        select(_c.id, _c.email, _c.settings)
        .join(mine, _c.project_id == mine.c.project_id)
        .where(_c.provider == provider, same)
        .order_by(
            case((_c.id == preferred, 0), (_c.user_id == mine.c.user_id, 1), else_=2), _c.is_primary.desc(), _c.id
        )
        .limit(1)
    )
    return (await conn.execute(query)).one_or_none()


async def stored_credentials(
    conn: AsyncConnection, cipher: Cipher, connection_id: UUID
) -> tuple[OAuthClient, str] | None:
    """The client and the secret of a connection, opened; None when the connection is gone. Raises Unreadable."""
    row = (await conn.execute(_stored, {"ids": [connection_id]})).one_or_none()
    if row is None:
        return None
    place = place_of(row.project_id, "connections", "refresh_token", row.id)
    return _opened_client(cipher, row, row.oauth_client_id), cipher.open(row.refresh_token, place).decode()


def _opened_client(cipher: Cipher, row: Found, oauth_client_id: UUID) -> OAuthClient:
    place = place_of(row.project_id, "oauth_clients", "client_secret", oauth_client_id)
    secret = cipher.open(row.client_secret, place).decode()
    return OAuthClient(client_id=row.client_id, client_secret=secret, tenant=row.tenant or None)


async def put_client(
    conn: AsyncConnection,
    cipher: Cipher,
    project_id: UUID,
    *,
    provider: str,
    client_id: str,
    tenant: str,
    client_secret: str,
    now: datetime,
) -> UUID:
    """Store an OAuth client that the provider accepts, or its present secret; its id."""
    identity = {"project_id": project_id, "provider": provider, "client_id": client_id, "tenant": tenant}
    new_id = uuid7()
    fresh = {"id": new_id, **identity, "client_secret": b"", "created_at": now, "updated_at": now}
    add = insert(conn.dialect.name, _clients).values(**fresh, rejection_announced=False)
    # One statement finds it or makes it, whoever deletes it at this moment. It is locked FOR NO KEY UPDATE: who writes to a
    # calendar of this client twice in one transaction has PostgreSQL look at the client's key, and would wait for us while
    # we wait for the calendar.
    add = add.on_conflict_do_update(
        index_elements=[_o.project_id, _o.provider, _o.client_id, _o.tenant], set_={"updated_at": now}
    )
    found: UUID = (await conn.execute(add.returning(_o.id))).scalar_one()
    # Sealed for the row that has it, which is only known now.
    place = place_of(project_id, "oauth_clients", "client_secret", found)
    sealed = cipher.seal(client_secret.encode(), place)
    await conn.execute(update(_clients).where(_o.id == found).values(client_secret=sealed, updated_at=now, **ACCEPTED))
    return found


async def hold_client(conn: AsyncConnection, client_id: UUID, now: datetime) -> bool:
    """Hold a client that the provider has just accepted, as `put_client` does; False when it is gone."""
    found = await conn.execute(select(_o.id).where(_o.id == client_id).with_for_update(key_share=True))
    if found.one_or_none() is None:
        return False
    await conn.execute(update(_clients).where(_o.id == client_id).values(updated_at=now, **ACCEPTED))
    return True


async def put_connection(
    conn: AsyncConnection,
    cipher: Cipher,
    project_id: UUID,
    oauth_client_id: UUID,
    *,
    provider: str,
    account: str,
    email: str | None,
    refresh_token: str,
    access_token: str,
    access_expires_at: datetime,
    now: datetime,
) -> tuple[UUID, UUID, bool]:
    """Store a provider account's tokens under a client, or replace those that it had.

    The connection's id, the id of the client that it was under until now, and whether it is new.
    """
    new_id = uuid7()
    fresh = {
        "id": new_id,
        "project_id": project_id,
        "oauth_client_id": oauth_client_id,
        "provider": provider,
        "account": account,
        "email": email,
        "refresh_token": b"",
        "token_version": 0,
        "created_at": now,
        "updated_at": now,
    }
    add = insert(conn.dialect.name, _connections).values(**fresh)
    # One statement finds it or makes it, whoever lets it go at this moment.
    add = add.on_conflict_do_update(index_elements=[_c.project_id, _c.provider, _c.account], set_={"updated_at": now})
    row = (await conn.execute(add.returning(_c.id, _c.oauth_client_id))).one()
    found: UUID = row.id

    def sealed(column: str, secret: str) -> bytes:
        return cipher.seal(secret.encode(), place_of(project_id, "connections", column, found))

    values = {
        "oauth_client_id": oauth_client_id,
        "refresh_token": sealed("refresh_token", refresh_token),
        "access_token": sealed("access_token", access_token),
        "access_expires_at": access_expires_at,
        "token_version": _c.token_version + 1,
        "refresh_lease": null(),
        "refresh_leased_until": null(),
        **MENDED,
        "updated_at": now,
    }
    await conn.execute(update(_connections).where(_c.id == found).values(**values))
    return found, row.oauth_client_id, found == new_id


async def hold(conn: AsyncConnection, connection_id: UUID) -> None:
    """Hold a connection that is perhaps to be forgotten, its client first, as those do who connect."""
    client = select(_c.oauth_client_id).where(_c.id == connection_id).scalar_subquery()
    await conn.execute(select(_o.id).where(_o.id == client).with_for_update(key_share=True))
    await connection_standing.hold(conn, [connection_id])


async def forget_unused(conn: AsyncConnection, connection_id: UUID, now: datetime) -> list[Notice]:
    """Forget a held connection that nobody wants any more, and then its client if nobody else does.

    It is wanted as long as it has calendars, or a user has connected it as such. What the world is to be told of it,
    whether it goes or stays.
    """
    row = (await conn.execute(select(_connections).where(_c.id == connection_id))).one_or_none()
    used = select(_calendars.c.id).where(_calendars.c.connection_id == connection_id).exists()
    ended = delete(_connections).where(_c.id == connection_id, ~used, _c.is_kept.is_(False))
    if row is None or (await conn.execute(ended)).rowcount == 0:
        return await connection_standing.news(conn, [connection_id], now)
    await forget_unused_client(conn, row.oauth_client_id)
    return connection_standing.farewell(row, now)


async def forget(conn: AsyncConnection, row: Found, now: datetime) -> list[Notice]:
    """Forget a held connection, which has no calendars any more; what the world is to be told of it."""
    await conn.execute(delete(_connections).where(_c.id == row.id))
    await forget_unused_client(conn, row.oauth_client_id)
    return connection_standing.farewell(row, now)


async def forget_unused_client(conn: AsyncConnection, oauth_client_id: UUID) -> None:
    """Forget a client that has no connections any more: a secret that nobody uses can only leak.

    One that the integrator has registered stays until the integrator deletes it.
    """
    # Locked by a statement of its own: the next one then sees the connections of those who were sooner.
    await conn.execute(select(_o.id).where(_o.id == oauth_client_id).with_for_update(key_share=True))
    used = select(_c.id).where(_c.oauth_client_id == oauth_client_id).exists()
    await conn.execute(delete(_clients).where(_o.id == oauth_client_id, ~used, _o.is_registered.is_(False)))
