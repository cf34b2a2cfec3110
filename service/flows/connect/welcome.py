"""An account that its user has let us into is stored: the connection, kept as such, and its primary calendar."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core.audit import Author
from service.core.authorization import reach_of
from service.core.connection import WITHOUT_CALENDARS
from service.core.hosted import Reach, Wish
from service.errors import ClientRejected, GrantRejected
from service.flows.connect.admission import Admission, choose
from service.flows.connect.news import deliver, tell
from service.flows.connect.placing import Joined, Tuning, hold_project, join, place
from service.flows.gateway import Gateway
from service.store import audit, connection_settings, connection_standing, connections, user_connections
from service.store.oauth_clients import Opened
from service.store.user_connections import Kept
from webhooks.message import Dispatch

ANOTHER: Final = "This is another account than the one that was to be signed in to again: choose that one."
DELETED: Final = (
    "The connection that was to be signed in to again has been deleted: ask for a new link, and connect anew."
)


class OtherAccount(Exception):
    """The user has not signed in to the connection that was to be signed in to again; `said` says why."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


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
    """Store what a provider's consent page has let in.

    Raises OtherAccount, GrantRejected (there is no refresh token), ClientRejected (the client is gone), and GatewayError
    when the project is full.
    """
    admission = await _completed(gateway, project_id, provider, opened, admission)
    async with gateway.database.write() as conn:
        await hold_project(gateway, conn, project_id)
        if not await connections.hold_client(conn, opened.id, now):
            raise ClientRejected("the client was deleted meanwhile")
        joined = await join(gateway, conn, project_id, opened.id, provider, admission, now)
        granted = sorted(scopes)
        access = access_of(wish, provider, granted)
        dispatches = await receive(gateway, conn, joined, admission, wish, access, granted, by, now)
    deliver(gateway, dispatches)
    gateway.tokens.forget(joined.connection_id)
    if wish.set_as_primary:
        await prefer(gateway, project_id, joined.connection_id, now)
    return Arrived(connection_id=joined.connection_id, email=admission.account.email, is_new=joined.is_new)


def access_of(wish: Wish, provider: str, granted: Sequence[str]) -> Reach:
    """What may be done with the calendars of an OAuth account: what was granted, and no more than our page has promised."""
    if wish.link_id is not None and wish.reach == "read":
        return "read"  # Microsoft's grant has what the user has ever agreed to, whatever is asked for now
    return reach_of(provider, granted, wish.scopes, wish.reach)


async def receive(
    gateway: Gateway,
    conn: AsyncConnection,
    joined: Joined,
    admission: Admission,
    wish: Wish,
    access: Reach,
    scopes: Sequence[str],
    by: Author,
    now: datetime,
) -> list[Dispatch]:
    """Write down, in the caller's transaction, that a user has made or renewed a connection; what `deliver` is to send.

    The account's primary calendar is connected with a connection that no user has made before, and by a user who connects
    one without calendars. Who signs in again to a connection by its id leaves its choice alone, even if that is empty.
    Raises OtherAccount, and GatewayError when the project is full.
    """
    await _check_account(conn, joined, wish)
    kept = await user_connections.keep(
        conn, joined.connection_id, user_id=wish.user_id, access=access, scopes=scopes, now=now
    )
    placed = None
    if admission.calendars and _places(gateway, joined, wish, kept):
        raw = choose(admission.calendars, None)
        placed = await place(gateway, conn, joined, admission.account, raw, Tuning(), uuid7(), now)
    notices = await connection_standing.news(conn, [joined.connection_id], now)
    dispatches = placed.dispatches if placed is not None else []
    dispatches = [*dispatches, *await tell(gateway, conn, notices, now)]
    gateway.wake.after(conn, "sync")
    action = "connection.created" if joined.is_new else "connection.renewed"
    await audit.append(conn, joined.project_id, by.did(action, joined.connection_id, provider=joined.provider), now)
    if placed is not None:
        await audit.append(conn, joined.project_id, placed.act(by), now)
    return dispatches


async def prefer(gateway: Gateway, project_id: UUID, connection_id: UUID, now: datetime) -> None:
    """Make a connection that its user has just made the primary one, if it has calendars."""
    # In a transaction of its own: all of the user's connections are locked in it, in the order that everybody keeps.
    async with gateway.database.write() as conn:
        row = await connection_settings.one(conn, project_id, connection_id)
        if row is not None and row.provider not in WITHOUT_CALENDARS:
            await connection_settings.choose_primary(conn, row, now)


async def _check_account(conn: AsyncConnection, joined: Joined, wish: Wish) -> None:
    if wish.connection_id is None or wish.connection_id == joined.connection_id:
        return
    renewed = await connection_settings.one(conn, joined.project_id, wish.connection_id)
    raise OtherAccount(DELETED if renewed is None else ANOTHER)


def _places(gateway: Gateway, joined: Joined, wish: Wish, kept: Kept) -> bool:
    if not gateway.providers[joined.provider].keeps_account and kept.has_calendars:
        return True  # another address: its one calendar begins anew
    return wish.connection_id is None and not (kept.was_kept and kept.has_calendars)


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
