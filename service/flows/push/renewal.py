"""Push channels: opened where they are wanted, prolonged or followed by a successor in time, and closed."""

import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from service.core import schedule
from service.core.audit import GATEWAY, Author
from service.core.lifecycle import State
from service.errors import (
    AccessRejected,
    CalendarGone,
    ClientRejected,
    GatewayError,
    GrantRejected,
    PolicyForbids,
    ProviderError,
    PushUnsupported,
    RequestRefused,
    ScopeMissing,
    Throttled,
)
from service.flows.gateway import Gateway
from service.providers.protocol import Access, OpenedChannel
from service.store import audit, calendars, channels
from service.store.tables import Found

CLAIM: Final = timedelta(seconds=60)
UNSUPPORTED_RECHECK: Final = timedelta(days=7)
CLOSING_ATTEMPTS: Final = 5
RETRY_SECONDS: Final = 30
"""How long somebody who asked for a channel is told to wait when the provider is busy or away."""

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


async def renew(gateway: Gateway, project_id: UUID, calendar_id: UUID, by: Author = GATEWAY) -> datetime:
    """Open a new push channel for a calendar now, or prolong the one it has, and read it; when that was.

    Raises GatewayError: 404; 409 when it cannot be watched, being disconnected or polled; 422 and 503 as the provider says.
    """
    now = gateway.clock()
    async with gateway.database.write() as conn:
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise GatewayError(404, "not_found", "There is no such calendar.")
        if row.status == State.DISCONNECTED:
            raise GatewayError(409, "conflict", "The calendar is disconnected: PATCH it with new credentials first.")
        if gateway.settings.public_url is None or row.provider not in gateway.push_readers:
            raise _unwatched("this gateway has no public URL" if row.provider in gateway.push_readers else row.provider)
        # As if it had been claimed: the tick leaves it alone meanwhile, and takes it over should we die.
        await channels.want(conn, calendar_id, project_id, now + CLAIM)
        wanted = await channels.wanted(conn, calendar_id)
        await audit.append(conn, project_id, by.did("calendar.resubscribed", calendar_id), now)
    if (error := await open_channel(gateway, wanted)) is not None:
        raise _judged(error)
    return gateway.clock()


async def open_channel(gateway: Gateway, row: Found) -> ProviderError | None:
    """Open or prolong a channel; why not, where it could not be done."""
    if row.status == State.DISCONNECTED:
        async with gateway.database.write() as conn:
            await channels.reschedule(conn, row.id, None, failures=0, reason="disconnected")
        return None
    now = gateway.clock()
    channel_id, secret = uuid4(), secrets.token_urlsafe(32)
    async with gateway.database.write() as conn:
        replaced = await channels.serving(conn, row.id)
        await channels.begin(conn, _channel_values(row, channel_id, secret, now))
    try:
        opened = await _ask(gateway, row, channel_id, secret, replaced, now)
    except PushUnsupported as error:
        _log.warning("calendar %s cannot be watched (%s): it is polled", row.id, error.reason)
        await _give_up(gateway, row, channel_id, now + UNSUPPORTED_RECHECK, 0, error.reason)
        return error
    except ProviderError as error:
        pause = schedule.back_off(row.failures, gateway.draw())
        await _give_up(gateway, row, channel_id, now + pause, row.failures + 1, error.reason)
        return error
    async with gateway.database.write() as conn:
        renewal = schedule.channel_renewal(now, opened.expires_at, gateway.draw())
        if opened.is_same and replaced is not None:
            await channels.forget(conn, channel_id)
            if not await channels.prolonged(conn, replaced.id, row.id, opened.expires_at):
                # Taken away a moment after it was prolonged: a new one is needed.
                renewal = now
        else:
            await channels.opened(
                conn, channel_id, row.id, resource_id=opened.resource_id, expires_at=opened.expires_at, now=now
            )
        await channels.reschedule(conn, row.id, renewal, failures=0)
        # What changed before the channel was open, or while it was in doubt, was notified to nobody.
        await calendars.make_due(conn, row.id, now, "push")
        gateway.wake.after(conn, "sync")
    return None


def _unwatched(reason: str) -> GatewayError:
    return GatewayError(409, "push_unavailable", f"This calendar cannot be watched and is polled instead: {reason}.")


def _judged(error: ProviderError) -> GatewayError:
    """Why a channel was not opened, for somebody who waits for it."""
    match error:
        case RequestRefused():
            return _unwatched(error.reason)
        case ClientRejected():
            code, detail = "client_rejected", "The provider does not accept the OAuth client"
        case ScopeMissing() | PolicyForbids() | CalendarGone():
            code, detail = "insufficient_scope", "The provider does not let this account watch the calendar"
        case GrantRejected() | AccessRejected():
            code, detail = "credentials_rejected", "The provider does not accept the calendar's credentials any more"
        case _:
            busy = isinstance(error, Throttled)
            code, detail = ("provider_throttled", "busy") if busy else ("provider_unavailable", "not available")
            headers = {"retry-after": str(RETRY_SECONDS)}
            return GatewayError(503, code, f"The provider is {detail}; it is tried again.", headers=headers)
    return GatewayError(422, code, f"{detail}. ({error.reason})")


async def _ask(
    gateway: Gateway, row: Found, channel_id: UUID, secret: str, replaced: Found | None, now: datetime
) -> OpenedChannel:
    provider = gateway.providers[row.provider]
    address = gateway.push_readers[row.provider].address(gateway.settings.public_url or "", channel_id)

    async def watch(access: Access) -> OpenedChannel:
        return await provider.open_channel(
            access,
            row.raw_calendar_id,
            channel_id=str(channel_id),
            secret=secret,
            address=address,
            replaces=replaced.resource_id if replaced is not None else None,
            now=now,
        )

    return await _call(gateway, row.provider, row.connection_id, watch)


async def _call(
    gateway: Gateway, provider: str, connection_id: UUID, ask: Callable[[Access], Awaitable[Answer]]
) -> Answer:
    """Ask a provider with the connection's access token, which is renewed once should the provider refuse it."""
    rejected: str | None = None
    while True:
        granted = await gateway.tokens.access(connection_id, gateway.clock(), rejected=rejected)
        try:
            async with gateway.slots_for(provider).borrow() as http:
                return await ask(
                    Access(http=http, token=granted.token, client_key=granted.client_key, user_key=granted.user_key)
                )
        except AccessRejected:
            if rejected is not None:
                raise
            rejected = granted.token


async def _give_up(gateway: Gateway, row: Found, channel_id: UUID, again: datetime, failures: int, reason: str) -> None:
    async with gateway.database.write() as conn:
        await channels.forget(conn, channel_id)
        await channels.reschedule(conn, row.id, again, failures=failures, reason=reason)


async def close_channel(gateway: Gateway, row: Found) -> None:
    """Stop a channel; one that cannot be stopped after some tries runs out by itself."""
    try:
        if row.resource_id is not None and row.attempts <= CLOSING_ATTEMPTS:
            provider, resource_id = gateway.providers[row.provider], row.resource_id

            async def stop(access: Access) -> None:
                await provider.close_channel(access, channel_id=str(row.id), resource_id=resource_id)

            await _call(gateway, row.provider, row.connection_id, stop)
    except ProviderError as error:
        _log.info("channel %s could not be stopped (%s); trying again", row.id, error.reason)
        return
    async with gateway.database.write() as conn:
        await channels.forget(conn, row.id)


def _channel_values(row: Found, channel_id: UUID, secret: str, now: datetime) -> dict[str, Any]:
    return {
        "id": channel_id,
        "project_id": row.project_id,
        "calendar_id": row.id,
        "connection_id": row.connection_id,
        "provider": row.provider,
        "secret": hashlib.sha256(secret.encode()).digest(),
        "opened_at": now,
        "due_at": now + timedelta(minutes=5),
        "attempts": 0,
    }
