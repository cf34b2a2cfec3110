"""An account that its user has let us into is stored: the connection, kept as such, and its primary calendar."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core.audit import Author
from service.core.hosted import Wish
from service.errors import ClientRejected, GrantRejected
from service.flows.connect.admission import Admission, choose
from service.flows.connect.news import deliver, tell
from service.flows.connect.placing import Joined, Placed, Tuning, hold_project, join, place
from service.flows.gateway import Gateway
from service.store import audit, connection_settings, connection_standing, connections, user_connections
from service.store.oauth_clients import Opened


class OtherAccount(Exception):
    """The user has signed in to another account than the one that was to be signed in to again."""

    said = "This is another account than the one that was to be signed in to again: choose that one."


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that its user has just made (`is_new`) or renewed."""

    connection_id: UUID
    email: str | None
    is_new: bool


async def welcome(
    gateway: Gateway,
    project_id: UUID,
    provider: str,
    opened: Opened,
    admission: Admission,
    scopes: Iterable[str],
    wish: Wish,
    by: Author,
    now: datetime,
) -> Arrived:
    """Store what the provider has let in. A user's first connection is the primary one.

    The account's primary calendar is connected with a connection that no user has made before, or that has no calendars;
    else those that it has go on. Raises OtherAccount, GrantRejected (there is no refresh token), ClientRejected (the client
    is gone), and GatewayError when the project is full.
    """
    admission = await _completed(gateway, project_id, provider, opened, admission)
    async with gateway.database.write() as conn:
        await hold_project(gateway, conn, project_id)
        if not await connections.hold_client(conn, opened.id, now):
            raise ClientRejected("the client was deleted meanwhile")
        joined = await join(gateway, conn, project_id, opened.id, provider, admission, now)
        if wish.connection_id not in {None, joined.connection_id}:
            raise OtherAccount
        kept = await user_connections.keep(
            conn, joined.connection_id, user_id=wish.user_id, access=wish.access, scopes=sorted(scopes), now=now
        )
        placed = None
        if admission.calendars and not (kept.was_kept and kept.has_calendars):
            placed = await _place_primary(gateway, conn, joined, admission, now)
        dispatches = placed.dispatches if placed is not None else []
        notices = await connection_standing.news(conn, [joined.connection_id], now)
        dispatches = [*dispatches, *await tell(gateway, conn, notices, now)]
        gateway.wake.after(conn, "sync")
        action = "connection.created" if joined.is_new else "connection.renewed"
        await audit.append(conn, project_id, by.did(action, joined.connection_id, provider=provider), now)
        if placed is not None:
            await audit.append(conn, project_id, placed.act(by), now)
    deliver(gateway, dispatches)
    gateway.tokens.forget(joined.connection_id)
    await _choose_primary(gateway, project_id, joined.connection_id, now, wanted=wish.set_as_primary)
    return Arrived(connection_id=joined.connection_id, email=admission.account.email, is_new=joined.is_new)


async def _completed(
    gateway: Gateway, project_id: UUID, provider: str, opened: Opened, admission: Admission
) -> Admission:
    """The admission with the stored refresh token where the provider gave none: a grant that goes on has one already."""
    async with gateway.database.read() as conn:
        row = await user_connections.of_account(conn, project_id, provider, admission.account.id)
        stored = None
        if not admission.secret and row is not None and row.oauth_client_id == opened.id:
            stored = await connections.stored_credentials(conn, gateway.cipher, row.id)
    secret = admission.secret or (stored[1] if stored is not None else "")
    if not secret:
        raise GrantRejected("no refresh token: offline access was not asked for")
    return msgspec.structs.replace(admission, secret=secret)


async def _place_primary(
    gateway: Gateway, conn: AsyncConnection, joined: Joined, admission: Admission, now: datetime
) -> Placed:
    raw = choose(admission.calendars, None)
    return await place(gateway, conn, joined, admission.account, raw, Tuning(), uuid7(), now)


async def _choose_primary(
    gateway: Gateway, project_id: UUID, connection_id: UUID, now: datetime, *, wanted: bool
) -> None:
    # In a transaction of its own: all of the user's connections are locked in it, in the order that everybody keeps.
    async with gateway.database.write() as conn:
        row = await connection_settings.one(conn, project_id, connection_id)
        if row is not None:
            await user_connections.ensure_primary(conn, row, now, wanted=wanted)
