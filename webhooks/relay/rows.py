"""The hidden endpoints that the outbox addresses while a relay is on: one of each project, and one that is the switch.

    the switch's row enabled ──► news of every project goes to the relay of that project and to nobody else
                     disabled ─► relays rest, and what was on its way waits for the next time that it is on

The switch is a row, so that all processes agree on it and news that is made true in a transaction sees it there. The
relay of a project is made in the first such transaction, so that none has to be prepared.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.message import RELAY, DeliveryState, EndpointState, Rank
from webhooks.tables import deliveries, endpoints

SWITCH = UUID(int=0)
"""The id of the switch, and the project that it belongs to, which nobody has."""

_NAMES = UUID("0199f3a2-52e1-7b60-8c47-5f6d1c0a9e33")


def relay_id(project_id: UUID) -> UUID:
    """The id of a project's relay, which is always the same."""
    return uuid5(_NAMES, str(project_id))


async def add(conn: AsyncConnection, project_ids: Iterable[UUID], *, now: datetime) -> None:
    """Make the relays of projects, those that are not there. To be called inside a transaction that writes."""
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    rows = [_row(relay_id(project_id), project_id, now) for project_id in sorted(project_ids)]
    await conn.execute(dialect.insert(endpoints).on_conflict_do_nothing(index_elements=["id"]), rows)


async def is_on(conn: AsyncConnection) -> bool:
    """Whether news goes to relays."""
    state = (await conn.execute(select(endpoints.c.state).where(endpoints.c.id == SWITCH))).scalar()
    return state == EndpointState.ENABLED.value


async def resting(conn: AsyncConnection) -> int:
    """How many endpoints of our own would be sent to if no relay were on."""
    found = await conn.execute(
        select(endpoints.c.id).where(endpoints.c.state == EndpointState.ENABLED.value, endpoints.c.format != RELAY)
    )
    return len(found.all())


async def turn_on(conn: AsyncConnection, *, now: datetime) -> bool:
    """Have all news go to relays; what waited for that since the last time is due. False when it was so."""
    if await is_on(conn):
        return False
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    await conn.execute(
        dialect.insert(endpoints).on_conflict_do_nothing(index_elements=["id"]), [_row(SWITCH, SWITCH, now)]
    )
    await _set_state(conn, EndpointState.ENABLED, now)
    due = {"state": DeliveryState.PENDING.value, "next_at": now, "rank": Rank.BACKFILL.value}
    await _move(conn, DeliveryState.PARKED, due)
    return True


async def turn_off(conn: AsyncConnection, *, now: datetime) -> bool:
    """Have news go to endpoints of our own; what the relays have not handed over waits. False when it was so."""
    if not await is_on(conn):
        return False
    await _set_state(conn, EndpointState.DISABLED, now)
    await _move(conn, DeliveryState.PENDING, {"state": DeliveryState.PARKED.value})
    return True


async def _set_state(conn: AsyncConnection, state: EndpointState, now: datetime) -> None:
    values = {"state": state.value, "updated_at": now, "first_failure_at": None, "failed_messages": 0}
    await conn.execute(
        update(endpoints).where(endpoints.c.format == RELAY).values(**values, version=endpoints.c.version + 1)
    )


async def _move(conn: AsyncConnection, state: DeliveryState, values: dict[str, Any]) -> None:
    relays = select(endpoints.c.id).where(endpoints.c.format == RELAY)
    await conn.execute(
        update(deliveries)
        .where(
            deliveries.c.state == literal_column(f"'{state.value}'"),
            deliveries.c.endpoint_id.in_(relays),
            deliveries.c.lease.is_(None),
        )
        .values(**values)
    )


def _row(endpoint_id: UUID, project_id: UUID, now: datetime) -> dict[str, Any]:
    return {
        "id": endpoint_id,
        "project_id": project_id,
        "url": "",
        "ordering": "best_effort",
        "format": RELAY,
        "state": EndpointState.ENABLED.value,
        "secret": b"",
        "version": 1,
        "failed_messages": 0,
        "created_at": now,
        "updated_at": now,
    }
