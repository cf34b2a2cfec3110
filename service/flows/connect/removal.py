"""Letting a calendar go, or a whole connection: push is stopped, secrets and events are forgotten, the grant is left alone."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.audit import GATEWAY, Act, Author
from service.errors import ProviderError
from service.flows.connect.admission import PATIENCE
from service.flows.connect.news import CONNECTION, announce, check_version, deliver, tell, unknown
from service.flows.gateway import Gateway
from service.providers.protocol import Access
from service.store import (
    audit,
    bots,
    calendars,
    channels,
    connection_settings,
    connection_views,
    connections,
)
from service.store.tables import Found
from webhooks.message import Dispatch

_log = logging.getLogger(__name__)


async def remove(
    gateway: Gateway, project_id: UUID, calendar_id: UUID, expected_version: int | None = None, by: Author = GATEWAY
) -> None:
    """Stop provider push, forget secrets and events, announce `calendar.deleted`. The user's grant is left alone."""
    async with gateway.database.read() as conn:
        row = await calendars.one(conn, project_id, calendar_id)
        if row is None:
            raise unknown()
        check_version(row, expected_version)
        opened = await channels.of_calendar(conn, calendar_id)
    await close_channels(gateway, row, opened)
    now = gateway.clock()
    async with gateway.database.write() as conn:
        await connections.hold(conn, row.connection_id)
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise unknown()
        check_version(row, expected_version)
        dispatches = await drop(gateway, conn, row, now)
        dispatches += await tell(gateway, conn, await connections.forget_unused(conn, row.connection_id, now), now)
        await audit.append(conn, project_id, by.did("calendar.deleted", row.id, provider=row.provider), now)
    deliver(gateway, dispatches)
    gateway.tokens.forget(row.connection_id)


async def remove_connection(
    gateway: Gateway, project_id: UUID, connection_id: UUID, expected_version: int | None = None, by: Author = GATEWAY
) -> None:
    """Let go of an account with all its calendars, each as by `remove`; announces `integration.disconnected` as well."""
    async with gateway.database.read() as conn:
        found = await connection_views.picture(conn, project_id, connection_id)
        if found is None:
            raise unknown(CONNECTION)
        check_version(found.row, expected_version, CONNECTION)
        opened = [(row, await channels.of_calendar(conn, row.id)) for row in found.calendars]
    await stop_push(gateway, opened)
    now = gateway.clock()
    async with gateway.database.write() as conn:
        await connections.hold(conn, connection_id)
        connection = await connection_settings.locked(conn, project_id, connection_id)
        if connection is None:
            raise unknown(CONNECTION)
        check_version(connection, expected_version, CONNECTION)
        dispatches: list[Dispatch] = []
        acts: list[Act] = []
        for row in await calendars.of_connection(conn, connection_id):
            dispatches += await drop(gateway, conn, row, now)
            acts.append(by.did("calendar.deleted", row.id, provider=row.provider))
        dispatches += await tell(gateway, conn, await connections.forget(conn, connection, now), now)
        acts.append(by.did("connection.deleted", connection_id, provider=connection.provider))
        await audit.append_each(conn, project_id, acts, now)
    deliver(gateway, dispatches)
    gateway.tokens.forget(connection_id)


async def stop_push(gateway: Gateway, opened: Iterable[tuple[Found, Sequence[Found]]]) -> None:
    """Close the channels of several calendars, for so long as somebody can be kept waiting."""
    try:
        async with asyncio.timeout(PATIENCE):
            for row, those in opened:
                await close_channels(gateway, row, those)
    except TimeoutError:
        _log.info("push could not be stopped in time; it ends by itself")


async def drop(gateway: Gateway, conn: AsyncConnection, row: Found, now: datetime) -> list[Dispatch]:
    """Forget a locked calendar with all that is its own, and announce that; its connection is left to the caller."""
    if await bots.mark_calendars(conn, [row.id], now):
        gateway.wake.after(conn, "bots")
    await channels.forget_calendar(conn, row.id)
    await calendars.remove(conn, row.id)
    return await announce(gateway, conn, row, "calendar.deleted", now, previous=row.status)


async def close_channels(gateway: Gateway, row: Found, opened: Sequence[Found]) -> None:
    """Tell the provider to stop; a channel that it keeps runs out by itself, and is answered as unknown."""
    if not opened:
        return
    provider = gateway.providers[row.provider]
    try:
        granted = await gateway.tokens.access(row.connection_id, gateway.clock())
        async with gateway.slots_for(row.provider).borrow() as http:
            access = Access(http=http, token=granted.token, client_key=granted.client_key, user_key=granted.user_key)
            for channel in opened:
                if channel.resource_id is not None:
                    await provider.close_channel(access, channel_id=str(channel.id), resource_id=channel.resource_id)
    except ProviderError as error:
        _log.info("calendar %s: push could not be stopped (%s); it ends by itself", row.id, error.reason)
