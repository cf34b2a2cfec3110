"""How everything in the installation stands, counted for the metrics: a look at every calendar, once a minute."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import and_, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.lifecycle import State
from service.store.channels import OPEN
from service.store.tables import CalendarRow, ChannelRow, PushRow, QuarantinedRow, Table
from webhooks import lateness
from webhooks.message import DeliveryState
from webhooks.tables import deliveries

ABOUT_TO_EXPIRE: Final = timedelta(hours=1)
"""An open channel that ends within this was to be renewed long ago."""

_TABLES: Final = Table.metadata.tables
_c = _TABLES[str(CalendarRow.__tablename__)].c
_channels = _TABLES[str(ChannelRow.__tablename__)].c
_pushes = _TABLES[str(PushRow.__tablename__)].c
_quarantined = _TABLES[str(QuarantinedRow.__tablename__)]


class ProviderCensus(msgspec.Struct, kw_only=True):
    """The calendars of one provider, those that are disconnected only in `by_status`.

    `oldest_synced_at` is that of the calendar that was not verified for longest, `first_stale_at` the earliest end of a
    promise, which may be past; `last_notice_at` is when the provider last pushed anything.
    """

    by_status: dict[str, int] = {}
    stale: int = 0
    throttled: int = 0
    oldest_synced_at: datetime | None = None
    first_stale_at: datetime | None = None
    last_notice_at: datetime | None = None


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """`channels` by provider and state, where `expiring` is open but about to end; `outbox` is deliveries by state."""

    providers: Mapping[str, ProviderCensus]
    channels: Mapping[tuple[str, str], int]
    push_failing: int
    push_unsupported: int
    quarantined: int
    outbox: Mapping[str, int]


async def take(conn: AsyncConnection, now: datetime) -> Census:
    """Count everything; some statements, each a look at a whole table or index."""
    push = select(
        func.count(case((_pushes.failures > 0, 1))), func.count(case((_pushes.unsupported_reason.is_not(None), 1)))
    )
    failing, unsupported = (await conn.execute(push)).one()
    return Census(
        providers=await _providers(conn, now),
        channels=await _count_channels(conn, now),
        push_failing=failing,
        push_unsupported=unsupported,
        quarantined=(await conn.execute(select(func.count()).select_from(_quarantined))).scalar_one(),
        outbox=await _outbox(conn, now),
    )


async def _providers(conn: AsyncConnection, now: datetime) -> dict[str, ProviderCensus]:
    query = select(
        _c.provider,
        _c.status,
        func.count().label("calendars"),
        func.count(_c.stale_since).label("stale"),
        func.count(case((_c.rate_limited_until > now, 1))).label("throttled"),
        func.min(_c.last_synced_at).label("oldest_synced_at"),
        func.min(_c.stale_at).label("first_stale_at"),
        func.max(_c.push_received_at).label("last_notice_at"),
    ).group_by(_c.provider, _c.status)
    found: dict[str, ProviderCensus] = {}
    for row in await conn.execute(query):
        mine = found.setdefault(row.provider, ProviderCensus())
        mine.by_status[row.status] = row.calendars
        mine.last_notice_at = max(filter(None, (mine.last_notice_at, row.last_notice_at)), default=None)
        if row.status == State.DISCONNECTED.value:
            continue
        mine.stale += row.stale
        mine.throttled += row.throttled
        mine.oldest_synced_at = min(filter(None, (mine.oldest_synced_at, row.oldest_synced_at)), default=None)
        mine.first_stale_at = min(filter(None, (mine.first_stale_at, row.first_stale_at)), default=None)
    return found


async def _count_channels(conn: AsyncConnection, now: datetime) -> dict[tuple[str, str], int]:
    is_ending = and_(_channels.state == OPEN, _channels.expires_at < now + ABOUT_TO_EXPIRE)
    state = case((is_ending, literal_column("'expiring'")), else_=_channels.state).label("shown")
    query = select(_channels.provider, state, func.count().label("channels")).group_by(_channels.provider, state)
    return {(row.provider, row.shown): row.channels for row in await conn.execute(query)}


async def _outbox(conn: AsyncConnection, now: datetime) -> dict[str, int]:
    """What is not done, by partial indexes.

    Of what is pending, `due` is what waits for us, `held` what its own endpoint holds back although its moment has come,
    and the rest waits for its next attempt.
    """
    found = {}
    for state in (DeliveryState.PENDING, DeliveryState.PARKED, DeliveryState.FAILED):
        query = select(func.count()).where(deliveries.c.state == literal_column(f"'{state.value}'"))
        found[state.value] = (await conn.execute(query)).scalar_one()
    pending = deliveries.c.state == literal_column(f"'{DeliveryState.PENDING.value}'")
    past = select(func.count()).where(pending, deliveries.c.rank.in_([0, 1]), deliveries.c.next_at <= now)
    passed = (await conn.execute(past)).scalar_one()
    found["due"] = await lateness.count_due(conn, now)
    found["held"] = max(0, passed - found["due"])
    found["pending"] -= passed
    return found
