"""Provider push: a notice makes its calendar due; channels are opened, followed by a successor in time, and closed."""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

import msgspec

from service.core import schedule
from service.core.lifecycle import State
from service.errors import AccessRejected, ProviderError, PushUnsupported
from service.flows.gateway import Gateway
from service.observability import METRICS
from service.providers.protocol import Access, OpenedChannel, PushNotice
from service.store import calendars, channels
from service.store.tables import Found

SOON: Final = timedelta(seconds=5)
CLAIM: Final = timedelta(seconds=60)
BATCH: Final = 50
POSTPONED_BY: Final = timedelta(seconds=1)
"""In a storm a calendar's row is written no more often than this."""

UNSUPPORTED_RECHECK: Final = timedelta(days=7)
CLOSING_ATTEMPTS: Final = 5

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


class Storms:
    """How many notices came for each calendar lately, so that a storm of them becomes one read at its end."""

    SPAN: Final = timedelta(seconds=10)
    MOST: Final = 10_000

    def __init__(self) -> None:
        self._seen: OrderedDict[UUID, _Storm] = OrderedDict()

    def count(self, calendar_id: UUID, now: datetime) -> "_Storm":
        """Count a notice; a storm that has been quiet for ten seconds is forgotten."""
        storm = self._seen.pop(calendar_id, None)
        if storm is None or now - storm.last > self.SPAN:
            storm = _Storm(since=now, last=now)
        storm.notices += 1
        storm.last = now
        self._seen[calendar_id] = storm
        if len(self._seen) > self.MOST:
            self._seen.popitem(last=False)
        return storm


class _Storm(msgspec.Struct, kw_only=True):
    since: datetime
    last: datetime
    notices: int = 0


async def received(
    gateway: Gateway, storms: Storms, provider: str, channel_id: UUID, headers: Mapping[str, str]
) -> bool:
    """Take a notification; False when it is forged, stale or none of ours. One indexed read, at most one write."""
    reader = gateway.push_readers.get(provider)
    notice = reader.notice(headers) if reader is not None else None
    if notice is None or notice.channel_id != str(channel_id):
        METRICS.pushed(provider, accepted=False)
        return False
    async with gateway.database.read() as conn:
        channel = await channels.notified(conn, provider, channel_id)
    if channel is None or not _is_genuine(channel, notice):
        METRICS.pushed(provider, accepted=False)
        return False
    METRICS.pushed(provider, accepted=True)
    if notice.is_first:
        return True
    now = gateway.clock()
    storm = storms.count(channel.calendar_id, now)
    stormy = storm.notices > schedule.CALM_PUSHES
    due_at = schedule.due_after_push(
        now, last_attempt_at=channel.last_attempt_at, recent=storm.notices, storm_since=storm.since
    )
    if channel.retry_at is not None:
        # A pause that the provider asked for, or a back-off, is not ended by a notice.
        due_at = max(due_at, channel.retry_at)
    if stormy and _is_foreseen(channel, due_at, now):
        return True
    if due_at <= now:
        storm.since = now
    async with gateway.database.write() as conn:
        await channels.mark_notified(conn, channel.calendar_id, due_at, now, postpone=stormy)
        if due_at <= now:
            gateway.wake.after(conn, "sync")
    if now < due_at <= now + SOON:
        # The tick would find it too, up to a second later.
        asyncio.get_running_loop().call_later((due_at - now).total_seconds(), gateway.wake.announce, "sync")
    return True


async def renew_due(gateway: Gateway) -> int:
    """Open the channels that are due, their calendars' first or a successor, and close those replaced; how many."""
    if gateway.settings.public_url is None:
        return 0
    now = gateway.clock()
    async with gateway.database.write() as conn:
        wanted = await channels.claim_wanted(conn, now, now + CLAIM, BATCH)
        closing = await channels.claim_closing(conn, now, now + CLAIM, BATCH)
    await asyncio.gather(
        *(_open(gateway, row) for row in wanted),
        *(_close(gateway, row) for row in closing),
    )
    return len(wanted) + len(closing)


def _is_genuine(channel: Found, notice: PushNotice) -> bool:
    proof = hashlib.sha256(notice.secret.encode()).digest()
    known = hmac.compare_digest(proof, channel.secret)
    # The provider's first notice may come before its answer told us the resource.
    return known and (channel.resource_id is None or channel.resource_id == notice.resource_id)


def _is_foreseen(channel: Found, due_at: datetime, now: datetime) -> bool:
    """Whether a read that has not begun yet will see what a notice is about, not much sooner than `due_at`.

    While a read is under way `due_at` is `leased_until`: that read may have passed the change already.
    """
    if channel.due_at is None or channel.due_at == channel.leased_until:
        return False
    foreseen: bool = channel.due_at <= now or due_at - POSTPONED_BY < channel.due_at <= due_at
    return foreseen


async def _open(gateway: Gateway, row: Found) -> None:
    if row.status == State.DISCONNECTED:
        async with gateway.database.write() as conn:
            await channels.reschedule(conn, row.id, None, failures=0, reason="disconnected")
        return
    now = gateway.clock()
    channel_id, secret = uuid4(), secrets.token_urlsafe(32)
    async with gateway.database.write() as conn:
        await channels.begin(conn, _channel_values(row, channel_id, secret, now))
    try:
        opened = await _ask(gateway, row, channel_id, secret, now)
    except PushUnsupported as error:
        _log.warning("calendar %s cannot be watched (%s): it is polled", row.id, error.reason)
        await _give_up(gateway, row, channel_id, now + UNSUPPORTED_RECHECK, 0, error.reason)
        return
    except ProviderError as error:
        pause = schedule.back_off(row.failures, gateway.draw())
        await _give_up(gateway, row, channel_id, now + pause, row.failures + 1, error.reason)
        return
    async with gateway.database.write() as conn:
        await channels.opened(
            conn, channel_id, row.id, resource_id=opened.resource_id, expires_at=opened.expires_at, now=now
        )
        renewal = schedule.channel_renewal(now, opened.expires_at, gateway.draw())
        await channels.reschedule(conn, row.id, renewal, failures=0)
        # What changed before the channel was open was notified to nobody.
        await calendars.make_due(conn, row.id, now, "push")
        gateway.wake.after(conn, "sync")


async def _ask(gateway: Gateway, row: Found, channel_id: UUID, secret: str, now: datetime) -> OpenedChannel:
    provider = gateway.providers[row.provider]
    address = f"{gateway.settings.public_url}/push/{row.provider}/{channel_id}"

    async def watch(access: Access) -> OpenedChannel:
        return await provider.open_channel(
            access, row.raw_calendar_id, channel_id=str(channel_id), secret=secret, address=address, now=now
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


async def _close(gateway: Gateway, row: Found) -> None:
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
