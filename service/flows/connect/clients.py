"""The integrator's OAuth clients as objects of their own: registered, given another secret, let go."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.audit import Author
from service.errors import FieldProblem, GatewayError
from service.flows.gateway import Gateway
from service.store import audit, calendars, oauth_clients
from service.store.oauth_clients import Identity
from service.store.tables import Found


class NewClient(msgspec.Struct, frozen=True, kw_only=True):
    """An app as its provider knows it; `redirect_urls` have been looked at (`core.hosted.fault_of_redirect`)."""

    provider: str
    client_id: str
    client_secret: str
    tenant: str = ""
    redirect_urls: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"NewClient(provider={self.provider!r}, client_id={self.client_id!r}, client_secret=***)"


class ClientPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a client; None stays as it is."""

    client_secret: str | None = None
    redirect_urls: Sequence[str] | None = None
    expected_version: int | None = None

    def __repr__(self) -> str:
        return "ClientPatch(***)"


async def register(gateway: Gateway, project_id: UUID, new: NewClient, object_id: UUID, by: Author) -> Found:
    """Register a client; one that came with a calendar becomes an object of its own, with the id that it has.

    Raises GatewayError 409 when it is registered.
    """
    now = gateway.clock()
    async with gateway.database.write() as conn:
        client_id = await oauth_clients.register(
            conn,
            gateway.cipher,
            project_id,
            Identity(new.provider, new.client_id, new.tenant),
            new_id=object_id,
            client_secret=new.client_secret,
            redirect_urls=new.redirect_urls,
            now=now,
        )
        row = None if client_id is None else await oauth_clients.one(conn, project_id, client_id)
        if row is None:
            taken = FieldProblem("client_id", "is registered already: PATCH it")
            raise GatewayError(409, "conflict", "This OAuth client is registered already.", errors=[taken])
        rechecked = await _recheck(gateway, conn, row.id, now)
        await audit.append(conn, project_id, by.did("client.registered", row.id, provider=row.provider), now)
    _forget_tokens(gateway, rechecked)
    return row


async def change(gateway: Gateway, project_id: UUID, client_id: UUID, patch: ClientPatch, by: Author) -> Found:
    """Change a client. With a secret, every connection of the client is checked with it at once. Raises GatewayError."""
    now = gateway.clock()
    rechecked: list[UUID] = []
    async with gateway.database.write() as conn:
        row = await _locked(conn, project_id, client_id, patch.expected_version)
        fields = [name for name in ("client_secret", "redirect_urls") if getattr(patch, name) is not None]
        if not fields:
            return row
        await oauth_clients.change(
            conn,
            gateway.cipher,
            row,
            client_secret=patch.client_secret,
            redirect_urls=patch.redirect_urls,
            now=now,
        )
        if patch.client_secret is not None:
            rechecked = await _recheck(gateway, conn, client_id, now)
        await audit.append(conn, project_id, by.did("client.changed", client_id, fields=fields), now)
        row = await _locked(conn, project_id, client_id, None)
    _forget_tokens(gateway, rechecked)
    return row


async def remove(gateway: Gateway, project_id: UUID, client_id: UUID, expected_version: int | None, by: Author) -> None:
    """Forget a client and its secret. Raises GatewayError 409 while connections use it."""
    now = gateway.clock()
    async with gateway.database.write() as conn:
        row = await _locked(conn, project_id, client_id, expected_version)
        if row.connections:
            detail = f"{row.connections} connections use this OAuth client: let go of them first (DELETE /connections/{{id}})."
            raise GatewayError(409, "conflict", detail)
        await oauth_clients.remove(conn, client_id)
        await audit.append(conn, project_id, by.did("client.deleted", client_id, provider=row.provider), now)


async def _locked(conn: AsyncConnection, project_id: UUID, client_id: UUID, expected: int | None) -> Found:
    row = await oauth_clients.locked(conn, project_id, client_id)
    if row is None:
        raise GatewayError(404, "not_found", "There is no such OAuth client.")
    if expected is not None and expected != row.version:
        raise GatewayError(412, "precondition_failed", f"The OAuth client is at version {row.version} by now.")
    return row


async def _recheck(gateway: Gateway, conn: AsyncConnection, client_id: UUID, now: datetime) -> list[UUID]:
    """Have each connection of a client ask for a new access token, which shows whether the client's secret is right."""
    expired = await oauth_clients.expire_tokens(conn, client_id, now)
    await calendars.recheck_client(conn, client_id, now)
    await calendars.make_client_due(conn, client_id, now)
    gateway.wake.after(conn, "sync")
    return expired


def _forget_tokens(gateway: Gateway, connection_ids: Sequence[UUID]) -> None:
    for connection_id in connection_ids:
        gateway.tokens.forget(connection_id)
