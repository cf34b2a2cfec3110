"""What is asked of a provider in the name of a stored connection: its calendars, and a token anew."""

import asyncio
from datetime import datetime
from typing import Final
from uuid import UUID

from service.core.audit import GATEWAY, Author
from service.core.blame import Blame, Blames
from service.core.connection import NO_TROUBLE, Trouble
from service.core.lifecycle import explain
from service.errors import (
    AccessRejected,
    ClientRejected,
    GrantRejected,
    PolicyForbids,
    ProviderError,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.flows.connect.admission import PATIENCE, raise_refusal
from service.flows.connect.news import CONNECTION, deliver, tell, unknown
from service.flows.gateway import Gateway
from service.providers.protocol import Access, RawCalendar
from service.store import audit, calendars, connection_settings, connection_standing
from service.store.connections import ConnectionTokens
from service.store.tables import Found

TOKENS_TRIED: Final = 2

_LOST: Final = Blame(None, "The account does not let us in any more: let the user sign in again to this connection.")
STORED: Final = Blames(
    by_code={
        "credentials_rejected": _LOST,
        "insufficient_scope": Blame(
            None,
            "The grant does not cover the account's calendars: let the user sign in again and tick every permission.",
        ),
        "client_rejected": Blame(
            None, "The provider refuses the OAuth client of this connection: check its secret, and that it is enabled."
        ),
    },
    owner="",
)
"""What a refusal blames where nobody has just sent credentials: no field of the request."""


async def provider_calendars(gateway: Gateway, row: Found) -> list[RawCalendar]:
    """The provider's calendars of a stored connection; none for an account that has no calendars to it (Zoom).

    Raises GatewayError; a grant that turns out to be gone is told in the connection's status as well.
    """
    if row.provider not in gateway.providers:
        return []
    now = gateway.clock()
    try:
        async with asyncio.timeout(PATIENCE), gateway.admitting:
            return await _list(gateway, row, now)
    except TimeoutError:
        raise_refusal(row.provider, TransientFault("timeout"), now, STORED)
    except ProviderError as error:
        if isinstance(error, GrantRejected) and not gateway.providers[row.provider].is_guarded:
            await _note(gateway, row.id, Trouble("credentials_rejected", explain("credentials_rejected", error.reason)))
        raise_refusal(row.provider, error, now, STORED)


async def _list(gateway: Gateway, row: Found, now: datetime) -> list[RawCalendar]:
    provider, refused = gateway.providers[row.provider], None
    for attempt in range(TOKENS_TRIED):
        granted = await gateway.tokens.access(row.id, now, rejected=refused)
        async with gateway.slots_for(row.provider).borrow() as http:
            access = Access(
                http=http,
                token=granted.token,
                client_key=granted.client_key,
                user_key=granted.user_key,
                quotas=gateway.quotas,
                email=row.email,
            )
            try:
                return await provider.calendars(access)
            except AccessRejected as error:
                # A password is no token: another one is not to be had.
                if provider.is_guarded or attempt + 1 == TOKENS_TRIED:
                    raise (GrantRejected(error.reason) if error.needs_sign_in else error) from error
                refused = granted.token
    raise AssertionError("unreachable: the last attempt answers or raises")


async def refresh(gateway: Gateway, project_id: UUID, connection_id: UUID, by: Author = GATEWAY) -> None:
    """Have a new access token now. What the provider refuses is told in the connection's status.

    Calendars that had lost the grant start anew with it. Where there is no token but a password or an address, the
    calendars are read now. Raises GatewayError 404, and 503 when the provider cannot answer.
    """
    now = gateway.clock()
    async with gateway.database.write() as conn:
        row = await connection_settings.locked(conn, project_id, connection_id)
        if row is None:
            raise unknown(CONNECTION)
        has_token = not (row.provider in gateway.providers and gateway.providers[row.provider].is_guarded)
        if not has_token:
            for calendar in await calendars.of_connection(conn, connection_id):
                await calendars.make_due(conn, calendar.id, now, "resync")
            gateway.wake.after(conn, "sync")
        await audit.append(conn, project_id, by.did("connection.refreshed", connection_id), now)
    if not has_token:
        return
    try:
        async with asyncio.timeout(PATIENCE):
            await _renew_token(gateway, connection_id, now)
    except TimeoutError:
        raise_refusal(row.provider, TransientFault("timeout"), now, STORED)
    except (Throttled, TransientFault, AccessRejected) as error:
        raise_refusal(row.provider, error, now, STORED)
    except ProviderError as error:
        await _note(gateway, connection_id, _trouble_of(error))
    else:
        await _revive(gateway, connection_id, now)


async def _renew_token(gateway: Gateway, connection_id: UUID, now: datetime) -> None:
    stored = await ConnectionTokens(gateway.database, gateway.cipher).load(connection_id)
    if stored is None:
        raise unknown(CONNECTION)
    # What this process holds may be another one than the one that is to be replaced.
    gateway.tokens.forget(connection_id)
    await gateway.tokens.access(connection_id, now, rejected=stored.access_token)


async def _revive(gateway: Gateway, connection_id: UUID, now: datetime) -> None:
    async with gateway.database.write() as conn:
        await connection_standing.hold(conn, [connection_id])
        await calendars.revive(conn, connection_id, now)
        gateway.wake.after(conn, "sync")
        notices = await connection_standing.mark(conn, connection_id, NO_TROUBLE, now)
        dispatches = await tell(gateway, conn, notices, now)
    deliver(gateway, dispatches)


async def _note(gateway: Gateway, connection_id: UUID, trouble: Trouble) -> None:
    now = gateway.clock()
    async with gateway.database.write() as conn:
        dispatches = await tell(gateway, conn, await connection_standing.mark(conn, connection_id, trouble, now), now)
    deliver(gateway, dispatches)


def _trouble_of(error: ProviderError) -> Trouble:
    match error:
        case GrantRejected():
            code = "credentials_rejected"
        case ScopeMissing() | PolicyForbids():
            code = "insufficient_scope"
        case ClientRejected():
            code = "client_rejected"
        case _:
            code = "calendar_refused"
    return Trouble(code, explain(code, error.reason))
