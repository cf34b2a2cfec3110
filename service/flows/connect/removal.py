"""Letting a calendar go: provider push is stopped, secrets and events are forgotten, the grant is left alone."""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.audit import GATEWAY, Author
from service.errors import ProviderError
from service.flows.connect.news import announce, check_version, deliver, tell, unknown
from service.flows.gateway import Gateway
from service.providers.protocol import Access
from service.store import audit, bots, calendars, channels, connection_standing, connections
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
        await connection_standing.hold(conn, [row.connection_id])
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise unknown()
        check_version(row, expected_version)
        dispatches = await drop(gateway, conn, row, now)
        dispatches += await tell(gateway, conn, await connections.forget_unused(conn, row.connection_id, now), now)
        await audit.append(conn, project_id, by.did("calendar.deleted", row.id, provider=row.provider), now)
    deliver(gateway, dispatches)
    gateway.tokens.forget(row.connection_id)


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
