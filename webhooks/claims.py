"""Claiming due deliveries: a lease is put on each, so that of all processes one sends it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import and_, bindparam, exists, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.message import RELAY, DeliveryState, Dispatch, EndpointState, Lease, Rank, Target, about
from webhooks.tables import deliveries, endpoints, messages

Item = TypeVar("Item")
ROUNDS = 8

# A literal, not a parameter: only then do both databases see that the partial index serves.
PENDING = deliveries.c.state == literal_column(f"'{DeliveryState.PENDING.value}'")
_DUE = and_(PENDING, deliveries.c.next_at <= bindparam("now"))
_OF_RANK = deliveries.c.rank == bindparam("rank")
_earlier = deliveries.alias("earlier")
_FIRST_IN_ORDER = or_(
    deliveries.c.fifo_key.is_(None),
    ~exists().where(
        _earlier.c.state == literal_column(f"'{DeliveryState.PENDING.value}'"),
        _earlier.c.fifo_key.is_not(None),
        _earlier.c.endpoint_id == deliveries.c.endpoint_id,
        _earlier.c.fifo_key == deliveries.c.fifo_key,
        _earlier.c.id < deliveries.c.id,
    ),
)
_ANY_DUE = select(deliveries.c.id).where(_DUE, deliveries.c.rank.in_([rank.value for rank in Rank])).limit(1)
_CANDIDATES = (
    select(deliveries.c.id, deliveries.c.endpoint_id)
    .where(_DUE, _OF_RANK, _FIRST_IN_ORDER, deliveries.c.endpoint_id.not_in(bindparam("full", expanding=True)))
    .order_by(deliveries.c.next_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=deliveries)
)
_TAKE = (
    update(deliveries)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .values(lease=bindparam("owner"), next_at=bindparam("until"))
)
_SHELVE = (
    update(deliveries)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .values(lease=None, state=bindparam("to"), next_at=bindparam("now"))
)
_LOAD = (
    select(
        deliveries.c.id,
        deliveries.c.message_id,
        deliveries.c.attempts,
        deliveries.c.schedule_start,
        deliveries.c.fifo_key,
        deliveries.c.merge_key,
        deliveries.c.rank,
        messages.c.type,
        messages.c.body,
        messages.c.calendar_id,
        messages.c.also_calendar_ids,
        endpoints.c.id.label("endpoint_id"),
        endpoints.c.project_id,
        endpoints.c.version,
        endpoints.c.url,
        endpoints.c.rate_limit,
        endpoints.c.secret,
        endpoints.c.format,
        endpoints.c.state,
    )
    .join(messages, messages.c.id == deliveries.c.message_id)
    .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(deliveries.c.id)
)
_RELEASE = (
    update(deliveries)
    .where(
        deliveries.c.id.in_(bindparam("ids", expanding=True)),
        deliveries.c.lease == bindparam("owner"),
        PENDING,
    )
    .values(lease=None, next_at=bindparam("now"))
)


class Room(Protocol):
    """What the claiming process can take."""

    def load(self, rank: int) -> int: ...

    def room(self, endpoint_id: UUID, rank: int) -> int: ...

    def full(self, rank: int) -> Collection[UUID]: ...


class Claimed(NamedTuple):
    """The dispatches that are ours now; the endpoints with more due than they have room for; whether others have too."""

    dispatches: list[Dispatch]
    crowded: Collection[UUID]
    cut_short: bool


def padded(ids: Sequence[Item]) -> list[Item]:
    """The values repeated up to a power of two: PostgreSQL prepares a statement per length, and few lengths are few."""
    size = 1 << max(0, len(ids) - 1).bit_length()
    return [*ids, *[ids[-1]] * (size - len(ids))] if ids else []


async def any_due(conn: AsyncConnection, now: datetime) -> bool:
    """Whether a claim would find anything; a read, so that an idle tick takes no write lock."""
    return (await conn.execute(_ANY_DUE, {"now": now})).first() is not None


async def claim(
    conn: AsyncConnection,
    lease: Lease,
    *,
    now: datetime,
    limits: Mapping[Rank, int],
    room: Room,
    held: Collection[UUID],
) -> Claimed:
    """Lease due deliveries, of each rank up to its limit, the longest due first, of each endpoint as `room` has for it.

    `held` are deliveries that this process has in memory, whatever their leases say. Deliveries of endpoints that are
    disabled or deleted are parked or cancelled on the way.
    """
    picked: list[UUID] = []
    crowded: set[UUID] = set()
    cut_short = False
    for rank, limit in limits.items():
        found: list[UUID] = []
        if limit > 0:
            found, full = await _pick(conn, rank, now=now, limit=limit, room=room, held=held)
            picked, crowded = picked + found, crowded | full
        cut_short = cut_short or len(found) >= limit
    if not picked:
        return Claimed([], crowded, cut_short=cut_short)
    ids = padded(picked)
    await conn.execute(_TAKE, {"ids": ids, "owner": lease.owner, "until": lease.until})
    rows = (await conn.execute(_LOAD, {"ids": ids})).all()
    for state, to in (
        (EndpointState.DISABLED, DeliveryState.PARKED),
        (EndpointState.DELETED, DeliveryState.CANCELLED),
    ):
        idle = [row.id for row in rows if row.state == state.value]
        if idle:
            await conn.execute(_SHELVE, {"ids": padded(idle), "to": to.value, "now": now})
    ours = [_dispatch(row, lease) for row in rows if row.state == EndpointState.ENABLED.value]
    return Claimed(ours, crowded, cut_short=cut_short)


async def _pick(
    conn: AsyncConnection, rank: Rank, *, now: datetime, limit: int, room: Room, held: Collection[UUID]
) -> tuple[list[UUID], set[UUID]]:
    """Choose ids; an endpoint whose backlog fills a page is left out of the next, so that it hides nobody else."""
    picked: list[UUID] = []
    per_endpoint: Counter[UUID] = Counter()
    closed, passed = set(room.full(rank)), set(held)
    page: dict[str, Any] = {"now": now, "rank": rank.value, "most": limit + len(held)}
    for _ in range(ROUNDS):
        found = (await conn.execute(_CANDIDATES, {**page, "full": padded(sorted(closed))})).all()
        for row in found:
            if row.id in passed or len(picked) >= limit:
                continue
            if per_endpoint[row.endpoint_id] >= room.room(row.endpoint_id, rank):
                closed.add(row.endpoint_id)
                continue
            per_endpoint[row.endpoint_id] += 1
            passed.add(row.id)
            picked.append(row.id)
        if len(found) < page["most"] or len(picked) >= limit:
            break
    return picked, closed


def _dispatch(row: Any, lease: Lease) -> Dispatch:
    return Dispatch(
        delivery_id=row.id,
        message_id=row.message_id,
        target=Target(row.endpoint_id, row.project_id, row.version, row.url, row.rate_limit, row.secret, row.format),
        type=row.type,
        body=row.body,
        lease=lease,
        attempt=row.attempts + 1,
        schedule_start=row.schedule_start,
        ordered=row.fifo_key is not None,
        rank=row.rank,
        mergeable=row.merge_key is not None and row.attempts == 0,
        calendar_ids=about(row.calendar_id, row.also_calendar_ids) if row.format == RELAY else (),
    )


async def release(conn: AsyncConnection, owner: UUID, delivery_ids: Sequence[UUID], *, now: datetime) -> None:
    """Give leased deliveries back unsent: due now, for anybody."""
    if delivery_ids:
        await conn.execute(_RELEASE, {"ids": padded(delivery_ids), "owner": owner, "now": now})
