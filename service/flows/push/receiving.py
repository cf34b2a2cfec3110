"""Taking providers' notifications: each is proved, and makes its calendar due; a storm of them becomes one read."""

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from service.core import schedule
from service.flows.gateway import Gateway
from service.observability import METRICS
from service.providers.protocol import PushKind, PushNotice
from service.store import channels
from service.store.tables import Found

SOON: Final = timedelta(seconds=5)
POSTPONED_BY: Final = timedelta(seconds=1)
"""In a storm a calendar's row is written no more often than this."""

AFTERLIFE: Final = timedelta(minutes=5)
"""For how long a channel is believed beyond its end: a provider's clock, and its last notices, may be late."""

MOST_CLAIMS: Final = 5000
"""Distinct notifications of one request that are looked at: more than fit into an honest one."""


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
    gateway: Gateway,
    storms: Storms,
    provider: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    channel_id: UUID | None = None,
) -> bool:
    """Take the notifications of a request; False when none is genuine: they are forged, stale or none of ours.

    `channel_id` is the only channel that the request may be about. Few indexed reads and at most one transaction,
    however many notifications there are; each is proved by itself.
    """
    reader = gateway.push_readers.get(provider)
    notices = reader.notices(headers, body) if reader is not None else []
    genuine = await _prove(gateway, provider, notices, channel_id)
    accepted = sum(notice in genuine for notice in notices)
    METRICS.pushed(provider, accepted=accepted, refused=max(len(notices), 1) - accepted)
    if not genuine:
        return False
    now = gateway.clock()
    told: dict[UUID, tuple[Found, set[PushKind]]] = {}
    for notice, channel in genuine.items():
        told.setdefault(channel.id, (channel, set()))[1].add(notice.kind)
    wishes = [_wish(storms, channel, kinds, now) for channel, kinds in told.values()]
    await _grant(gateway, [wish for wish in wishes if wish.due_at is not None or wish.is_to_renew], now)
    return True


class _Wish(msgspec.Struct, kw_only=True):
    """What a channel's notices come to: when its calendar is to be read, and what becomes of the channel."""

    channel: Found
    due_at: datetime | None = None
    stormy: bool = False
    is_lost: bool = False
    is_to_renew: bool = False


async def _prove(
    gateway: Gateway, provider: str, notices: Iterable[PushNotice], only: UUID | None
) -> dict[PushNotice, Found]:
    """The distinct notices that know their channel's secret, with that channel."""
    claims: dict[PushNotice, UUID] = {}
    for notice in notices:
        named = _read_id(notice.channel_id)
        if named is not None and only in {None, named} and len(claims) < MOST_CLAIMS:
            claims[notice] = named
    if not claims:
        return {}
    async with gateway.database.read() as conn:
        found = {row.id: row for row in await channels.notified(conn, provider, list(set(claims.values())))}
    return {
        claim: channel
        for claim, named in claims.items()
        if (channel := found.get(named)) is not None and _is_genuine(channel, claim, gateway.clock())
    }


def _read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _is_genuine(channel: Found, notice: PushNotice, now: datetime) -> bool:
    proof = hashlib.sha256(notice.secret.encode()).digest()
    if not hmac.compare_digest(proof, channel.secret):
        return False
    if channel.expires_at is not None and channel.expires_at + AFTERLIFE < now:
        return False  # the provider has forgotten it: somebody else has kept what it once sent
    # The provider's first notice may come before its answer told us the resource.
    return channel.resource_id is None or channel.resource_id == notice.resource_id


def _wish(storms: Storms, channel: Found, kinds: set[PushKind], now: datetime) -> _Wish:
    serves = channel.state == channels.OPEN
    wish = _Wish(
        channel=channel,
        is_lost=serves and PushKind.REMOVED in kinds,
        is_to_renew=serves and not kinds.isdisjoint({PushKind.REMOVED, PushKind.RENEW}),
    )
    if kinds <= {PushKind.FIRST, PushKind.RENEW}:
        return wish
    storm = storms.count(channel.calendar_id, now)
    wish.stormy = storm.notices > schedule.CALM_PUSHES
    due_at = schedule.due_after_push(
        now, last_attempt_at=channel.last_attempt_at, recent=storm.notices, storm_since=storm.since
    )
    if channel.retry_at is not None:
        # A pause that the provider asked for, or a back-off, is not ended by a notice.
        due_at = max(due_at, channel.retry_at)
    if wish.stormy and _is_foreseen(channel, due_at, now):
        return wish
    if due_at <= now:
        storm.since = now
    wish.due_at = due_at
    return wish


async def _grant(gateway: Gateway, wishes: Sequence[_Wish], now: datetime) -> None:
    if not wishes:
        return
    dues = [wish.due_at for wish in wishes if wish.due_at is not None]
    async with gateway.database.write() as conn:
        for wish in wishes:
            channel = wish.channel
            if wish.due_at is not None:
                await channels.mark_notified(conn, channel.calendar_id, wish.due_at, now, postpone=wish.stormy)
            if wish.is_lost:
                await channels.lost(conn, channel.id, channel.calendar_id)
            if wish.is_to_renew:
                await channels.hasten(conn, channel.calendar_id, now)
        if any(due_at <= now for due_at in dues):
            gateway.wake.after(conn, "sync")
        if any(wish.is_to_renew for wish in wishes):
            gateway.wake.after(conn, "push")
    # What is due now may turn out to be due a second later, as a read has just begun.
    soon = {due_at - now if due_at > now else schedule.CALM_SPACING for due_at in dues if due_at <= now + SOON}
    for pause in {each.total_seconds() for each in soon}:
        # The tick would find it too, up to a second later.
        asyncio.get_running_loop().call_later(pause, gateway.wake.announce, "sync")


def _is_foreseen(channel: Found, due_at: datetime, now: datetime) -> bool:
    """Whether a read that has not begun yet will see what a notice is about, not much sooner than `due_at`.

    While a read is under way `due_at` is `leased_until`: that read may have passed the change already.
    """
    if channel.due_at is None or channel.due_at == channel.leased_until:
        return False
    foreseen: bool = channel.due_at <= now or due_at - POSTPONED_BY < channel.due_at <= due_at
    return foreseen
