"""How endpoints do: attempts of the last 24 hours counted by the hour, and when one last succeeded."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Insert, bindparam, case, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.tables import hours

SLOTS = 24
WINDOW = timedelta(hours=SLOTS)


class Count(NamedTuple):
    """Attempts of one endpoint, and the moment of the latest that succeeded."""

    delivered: int = 0
    failed: int = 0
    last_success_at: datetime | None = None


class Rates(NamedTuple):
    """What can be said of an endpoint; `success_rate` is of the last 24 hours, None without an attempt in them."""

    last_success_at: datetime | None = None
    success_rate: float | None = None


Tally = Mapping[UUID, Count]


def counted(outcomes: Iterable[tuple[UUID, bool, datetime]]) -> Tally:
    """Count attempts, each an endpoint, whether it succeeded, and when it ended."""
    tally: dict[UUID, Count] = {}
    for endpoint_id, succeeded, ended_at in outcomes:
        one = Count(1, 0, ended_at) if succeeded else Count(0, 1)
        known = tally.get(endpoint_id)
        tally[endpoint_id] = added(known, one) if known else one
    return tally


def joined(one: Tally, other: Tally) -> Tally:
    """Both together."""
    both = dict(one)
    for endpoint_id, count in other.items():
        known = both.get(endpoint_id)
        both[endpoint_id] = added(known, count) if known else count
    return both


def added(one: Count, other: Count) -> Count:
    latest = max(filter(None, (one.last_success_at, other.last_success_at)), default=None)
    return Count(one.delivered + other.delivered, one.failed + other.failed, latest)


def _statement(dialect: str) -> Insert:
    """Add to the hour's row; a row of the day before, in the same place of the ring, is begun anew."""
    made = postgresql.insert(hours) if dialect == "postgresql" else sqlite.insert(hours)
    is_same = hours.c.hour == made.excluded.hour
    return made.on_conflict_do_update(
        index_elements=[hours.c.endpoint_id, hours.c.slot],
        set_={
            "hour": made.excluded.hour,
            "delivered": made.excluded.delivered + case((is_same, hours.c.delivered), else_=0),
            "failed": made.excluded.failed + case((is_same, hours.c.failed), else_=0),
            "last_success_at": func.coalesce(made.excluded.last_success_at, hours.c.last_success_at),
        },
    )


_COUNT = {dialect: _statement(dialect) for dialect in ("sqlite", "postgresql")}
_RATES = (
    select(
        hours.c.endpoint_id,
        func.max(hours.c.last_success_at).label("last_success_at"),
        func.sum(case((hours.c.hour > bindparam("since"), hours.c.delivered), else_=0)).label("delivered"),
        func.sum(case((hours.c.hour > bindparam("since"), hours.c.failed), else_=0)).label("failed"),
    )
    .where(hours.c.endpoint_id.in_(bindparam("ids", expanding=True)))
    .group_by(hours.c.endpoint_id)
)


async def count(conn: AsyncConnection, tally: Tally, *, now: datetime) -> None:
    """Add attempts to the hour of `now`: one statement, endpoints in one order, so that no two of them deadlock."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    rows: list[dict[str, Any]] = [
        {"endpoint_id": endpoint_id, "slot": hour.hour, "hour": hour, **tally[endpoint_id]._asdict()}
        for endpoint_id in sorted(tally)
    ]
    if rows:
        await conn.execute(_COUNT[conn.dialect.name], rows)


async def rates(conn: AsyncConnection, endpoint_ids: Sequence[UUID], *, now: datetime) -> dict[UUID, Rates]:
    """How endpoints do, of those that were ever attempted."""
    if not endpoint_ids:
        return {}
    found = await conn.execute(_RATES, {"ids": list(endpoint_ids), "since": now - WINDOW})
    return {row.endpoint_id: Rates(row.last_success_at, _share(row.delivered, row.failed)) for row in found}


def _share(delivered: int, failed: int) -> float | None:
    total = delivered + failed
    return round(delivered / total, 4) if total else None
