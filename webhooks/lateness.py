"""How far behind this side is: since when the longest due delivery waits for us, and how many do.

What waits for its own endpoint is not late: behind the first of its calendar in order, for the endpoint's rate, for a
receiver that keeps failing. A process more would not send it sooner.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, func, null, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks import due
from webhooks.claims import padded, pending
from webhooks.message import RELAY, EndpointState, Rank
from webhooks.tables import deliveries, endpoints, hours
from webhooks.walks import FIRST

CROWD = 512
"""How many of the longest due are looked at one by one; with more, the first of each endpoint and calendar."""

_ALL = 2**31 - 1
_IS_ENABLED = endpoints.c.state == EndpointState.ENABLED.value
_IS_RELAY = endpoints.c.format == RELAY
_FAILS_NOT = endpoints.c.first_failure_at.is_(None)
_IS_ASKED = endpoints.c.id.in_(bindparam("ids", expanding=True))
_IS_COUNTED = and_(_IS_ENABLED, or_(_IS_RELAY, _FAILS_NOT), endpoints.c.rate_limit.is_(None))
_OURS = select(endpoints.c.id).where(_IS_ENABLED, ~_IS_RELAY, _FAILS_NOT, _IS_ASKED)
_RELAYED = select(endpoints.c.id).where(_IS_ENABLED, _IS_RELAY, _IS_ASKED)
_COUNTED = select(func.count()).where(
    pending(deliveries),
    deliveries.c.fifo_key.is_(None),
    deliveries.c.rank.in_([rank.value for rank in Rank]),
    deliveries.c.next_at <= bindparam("now"),
    deliveries.c.endpoint_id.in_(select(endpoints.c.id).where(_IS_COUNTED)),
)
_COUNTED_OF = select(endpoints.c.id).where(_IS_COUNTED, _IS_ASKED)
_last_success = select(func.max(hours.c.last_success_at)).where(hours.c.endpoint_id == endpoints.c.id).scalar_subquery()
_WITH_RATE = _OURS.add_columns(case((endpoints.c.rate_limit.is_not(None), _last_success)).label("served_at"))
_ANY_PACE = _OURS.add_columns(_last_success.label("served_at"))
_NO_PACE = _RELAYED.add_columns(null().label("served_at"))


async def oldest_due(conn: AsyncConnection, now: datetime) -> datetime | None:
    """Since when the longest waiting delivery waits for us, or None: how far this side is behind.

    An endpoint with a rate limit is late since its last success at the earliest: at its own pace it would have had
    another. What is sent again is left out, because it waits for the rest.
    """
    return await _oldest(conn, now, _WITH_RATE)


async def stalled_since(conn: AsyncConnection, now: datetime) -> datetime | None:
    """Since when an endpoint has had something due and got nothing, at most, or None: whether anybody sends at all.

    Unlike `oldest_due` it does not grow while a receiver takes its time for each of very many.
    """
    return await _oldest(conn, now, _ANY_PACE)


async def oldest_relay(conn: AsyncConnection, now: datetime) -> datetime | None:
    """The same as `oldest_due` of relays alone, failing or not: what they wait for is another server."""
    return await _oldest(conn, now, _NO_PACE)


async def _oldest(conn: AsyncConnection, now: datetime, whose: Select[Any]) -> datetime | None:
    crowd = await due.longest_due(conn, Rank.NEWS, now=now, most=CROWD)
    since = await _earliest(conn, [row for row in crowd if row.is_first], whose)
    if len(crowd) < CROWD or (since is not None and since <= crowd[-1].next_at):
        return since
    firsts = await due.by_project(conn, Rank.NEWS, after=FIRST, within=FIRST, each=_ALL, steps=_ALL)
    heads = await due.in_order(conn, after=FIRST, within=FIRST, each=_ALL, steps=_ALL)
    found = [row for row in (*firsts, *heads) if row.rank == Rank.NEWS and row.next_at <= now]
    return await _earliest(conn, sorted(found, key=lambda row: row.next_at), whose)


async def count_due(conn: AsyncConnection, now: datetime) -> int:
    """How many deliveries of whatever rank wait for us; none of endpoints with a rate limit."""
    counted: int = (await conn.execute(_COUNTED, {"now": now})).scalar_one()
    heads = await due.in_order(conn, after=FIRST, within=FIRST, each=_ALL, steps=_ALL)
    of_each = Counter(row.endpoint_id for row in heads if row.next_at <= now)
    waiting = list(of_each)
    for start in range(0, len(waiting), CROWD):
        found = await conn.execute(_COUNTED_OF, {"ids": padded(waiting[start : start + CROWD])})
        counted += sum(of_each[endpoint_id] for endpoint_id in found.scalars())
    return counted


async def _earliest(conn: AsyncConnection, rows: Sequence[Any], whose: Select[Any]) -> datetime | None:
    """The earliest moment since when one of these, the longest due first, waits for us."""
    first: dict[Any, datetime] = {}
    for row in rows:
        first.setdefault(row.endpoint_id, row.next_at)
    since: datetime | None = None
    waiting = list(first.items())
    for start in range(0, len(waiting), CROWD):
        part = dict(waiting[start : start + CROWD])
        if since is not None and since <= next(iter(part.values())):
            break
        found = await conn.execute(whose, {"ids": padded(list(part))})
        moments = [max(part[row.id], row.served_at or part[row.id]) for row in found]
        since = min([*moments, *([since] if since else [])], default=None)
    return since
