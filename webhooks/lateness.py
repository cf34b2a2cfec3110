"""How far behind this side is: since when the longest due delivery waits for us, and how many do.

What waits for its own endpoint is not late: behind the first of its calendar in order, for the endpoint's rate, for a
receiver that keeps failing. A process more would not send it sooner.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, select
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
_IS_OURS = and_(_IS_ENABLED, endpoints.c.format != RELAY, endpoints.c.first_failure_at.is_(None))
_last_success = select(func.max(hours.c.last_success_at)).where(hours.c.endpoint_id == endpoints.c.id).scalar_subquery()


def _serving(whose: ColumnElement[bool]) -> Any:
    """When an endpoint with a rate of its own was last sent to: at a second's pace at least, unless we are late."""
    served = case((endpoints.c.rate_limit.is_not(None), _last_success))
    return select(endpoints.c.id, served.label("served_at")).where(
        whose, endpoints.c.id.in_(bindparam("ids", expanding=True))
    )


_COUNTED = select(func.count()).where(
    pending(deliveries),
    deliveries.c.fifo_key.is_(None),
    deliveries.c.rank.in_([rank.value for rank in Rank]),
    deliveries.c.next_at <= bindparam("now"),
    deliveries.c.endpoint_id.in_(select(endpoints.c.id).where(_IS_OURS, endpoints.c.rate_limit.is_(None))),
)
_WITHOUT_RATE = select(endpoints.c.id).where(
    _IS_OURS, endpoints.c.rate_limit.is_(None), endpoints.c.id.in_(bindparam("ids", expanding=True))
)
_SERVED = _serving(_IS_OURS)
_RELAYED = _serving(and_(_IS_ENABLED, endpoints.c.format == RELAY))


async def oldest_due(conn: AsyncConnection, now: datetime, *, relayed: bool = False) -> datetime | None:
    """Since when the longest waiting delivery waits for us, or None: how far this side is behind.

    An endpoint with a rate limit is late since its last success at the earliest: at its own pace it would have had
    another. What is sent again is left out, because it waits for the rest. With `relayed` it is of relays, and of those
    alone, failing or not: what they wait for is another server.
    """
    crowd = await due.longest_due(conn, Rank.NEWS, now=now, most=CROWD)
    since = await _earliest(conn, [row for row in crowd if row.is_first], relayed=relayed)
    if len(crowd) < CROWD or (since is not None and since <= crowd[-1].next_at):
        return since
    firsts = await due.by_project(conn, Rank.NEWS, after=FIRST, within=FIRST, each=_ALL, steps=_ALL)
    heads = await due.in_order(conn, after=FIRST, within=FIRST, each=_ALL, steps=_ALL)
    found = [row for row in (*firsts, *heads) if row.rank == Rank.NEWS and row.next_at <= now]
    return await _earliest(conn, sorted(found, key=lambda row: row.next_at), relayed=relayed)


async def count_due(conn: AsyncConnection, now: datetime) -> int:
    """How many deliveries of whatever rank wait for us; none of endpoints with a rate limit."""
    counted: int = (await conn.execute(_COUNTED, {"now": now})).scalar_one()
    heads = await due.in_order(conn, after=FIRST, within=FIRST, each=_ALL, steps=_ALL)
    of_each = Counter(row.endpoint_id for row in heads if row.next_at <= now)
    waiting = list(of_each)
    for start in range(0, len(waiting), CROWD):
        found = await conn.execute(_WITHOUT_RATE, {"ids": padded(waiting[start : start + CROWD])})
        counted += sum(of_each[endpoint_id] for endpoint_id in found.scalars())
    return counted


async def _earliest(conn: AsyncConnection, rows: Sequence[Any], *, relayed: bool) -> datetime | None:
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
        found = await conn.execute(_RELAYED if relayed else _SERVED, {"ids": padded(list(part))})
        moments = [max(part[row.id], row.served_at or part[row.id]) for row in found]
        since = min([*moments, *([since] if since else [])], default=None)
    return since
