"""Writing down what came of attempts, many in one transaction, each guarded by its lease."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from webhooks import outbox
from webhooks.claims import PENDING, padded, pending
from webhooks.health import Tally, counted
from webhooks.message import RELAY, DeliveryState, Dispatch, EndpointState, Lease, Notice, Outcome
from webhooks.retry import Decision, Health, decide
from webhooks.tables import attempts, deliveries, endpoints


class Result(NamedTuple):
    """A dispatch that was sent, and what came of it."""

    dispatch: Dispatch
    outcome: Outcome


class Settled(NamedTuple):
    """What a settlement leads to: announcements to send after the commit, disabled endpoints, the next retries.

    `tally` is for `health.count`, now or later.
    """

    dispatches: list[Dispatch]
    disabled: list[UUID]
    retries: list[datetime]
    tally: Tally


class Standing(msgspec.Struct):
    """An endpoint's state while its results are gone through in order; written back when it changed."""

    project_id: UUID
    state: str
    health: Health
    reason: str | None = None
    changed: bool = False


# Every result of the group first passes as delivered: one statement finds out which leases still hold and is all that
# a success needs. A failure is corrected right after, in the same transaction.
_DELIVERED = (
    update(deliveries)
    .where(
        deliveries.c.id.in_(bindparam("ids", expanding=True)),
        deliveries.c.lease == bindparam("owner"),
        PENDING,
    )
    .values(
        state=DeliveryState.DELIVERED.value,
        attempts=deliveries.c.attempts + 1,
        lease=None,
        next_at=bindparam("now"),
    )
    .returning(deliveries.c.id)
)
_CORRECT = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("which"))
    .values(state=bindparam("to"), next_at=bindparam("then"))
)
_STANDINGS = (
    select(
        endpoints.c.id,
        endpoints.c.project_id,
        endpoints.c.state,
        endpoints.c.first_failure_at,
        endpoints.c.failed_messages,
    )
    .where(
        endpoints.c.id.in_(bindparam("ids", expanding=True)),
        or_(endpoints.c.first_failure_at.is_not(None), endpoints.c.id.in_(bindparam("needed", expanding=True))),
    )
    .order_by(endpoints.c.id)
    .with_for_update(key_share=True)
)
_UPDATE_HEALTH = (
    update(endpoints)
    .where(endpoints.c.id == bindparam("which"))
    .values(first_failure_at=bindparam("since"), failed_messages=bindparam("count"))
)
_DISABLE = (
    update(endpoints)
    .where(endpoints.c.id == bindparam("which"))
    .values(
        state=EndpointState.DISABLED.value,
        disabled_reason=bindparam("reason"),
        disabled_at=bindparam("now"),
        updated_at=bindparam("now"),
        version=endpoints.c.version + 1,
    )
)
_PARK = (
    update(deliveries)
    .where(PENDING, deliveries.c.endpoint_id == bindparam("which"), deliveries.c.lease.is_(None))
    .values(state=DeliveryState.PARKED.value)
)
_INSERT_ATTEMPT = insert(attempts)
_gone, _next, _free = deliveries.alias("gone"), deliveries.alias("next"), deliveries.alias("free")
_behind = (
    select(_next.c.id)
    .where(
        pending(_next),
        _next.c.fifo_key.is_not(None),
        _next.c.endpoint_id == _gone.c.endpoint_id,
        _next.c.fifo_key == _gone.c.fifo_key,
    )
    .order_by(_next.c.id)
    .limit(1)
    .correlate(_gone)
    .scalar_subquery()
)
_HEADS = (
    select(_free.c.id)
    .where(
        _free.c.id.in_(select(_behind).where(_gone.c.id.in_(bindparam("ids", expanding=True)))),
        pending(_free),
        _free.c.next_at < bindparam("now"),
    )
    .with_for_update(skip_locked=True)
)
_TURN = update(deliveries).where(deliveries.c.id.in_(_HEADS)).values(next_at=bindparam("now"))


async def settle(
    conn: AsyncConnection,
    results: Sequence[Result],
    *,
    owner: UUID,
    now: datetime,
    jitter: Callable[[], float],
    lease: Lease,
) -> Settled:
    """Record attempts and move their deliveries on; a result whose lease was lost is dropped.

    Announces each endpoint that gets disabled to the others of its project, in the same transaction; those
    dispatches are born with `lease`.
    """
    ids = padded([result.dispatch.delivery_id for result in results])
    ours = set((await conn.execute(_DELIVERED, {"ids": ids, "owner": owner, "now": now})).scalars())
    held = [result for result in results if result.dispatch.delivery_id in ours]
    if not held:
        return Settled([], [], [], {})
    standings = await _standings(conn, held)
    judged = [(result, _judge(result, standings, jitter())) for result in held]
    await conn.execute(_INSERT_ATTEMPT, [_attempt(result, decision) for result, decision in judged])
    corrections = [
        {
            "which": result.dispatch.delivery_id,
            "to": decision.state.value,
            "then": decision.next_at or now,
        }
        for result, decision in judged
        if decision.state is not DeliveryState.DELIVERED
    ]
    if corrections:
        await conn.execute(_CORRECT, corrections)
    if ordered := [result.dispatch.delivery_id for result in held if result.dispatch.ordered]:
        # It is the turn of those behind them only now: nobody has kept them waiting since they were made.
        await conn.execute(_TURN, {"ids": padded(ordered), "now": now})
    dispatches, disabled = await _write_standings(conn, standings, now=now, lease=lease)
    retries = [decision.next_at for _, decision in judged if decision.next_at is not None]
    return Settled(dispatches, disabled, retries, _tally(held))


def _tally(held: Sequence[Result]) -> Tally:
    return counted(
        (dispatch.target.endpoint_id, outcome.error_kind is None, outcome.ended_at) for dispatch, outcome in held
    )


async def _standings(conn: AsyncConnection, held: Sequence[Result]) -> dict[UUID, Standing]:
    """The endpoints that this group may change: those with a failure in it or a clock that runs. Usually none."""
    everybody = {result.dispatch.target.endpoint_id for result in held}
    needed = {
        result.dispatch.target.endpoint_id
        for result in held
        if result.outcome.error_kind is not None or result.outcome.control is not None
    }
    rows = await conn.execute(_STANDINGS, {"ids": padded(sorted(everybody)), "needed": padded(sorted(needed))})
    return {
        row.id: Standing(row.project_id, row.state, Health(row.first_failure_at, row.failed_messages)) for row in rows
    }


def _judge(result: Result, standings: dict[UUID, Standing], jitter: float) -> Decision:
    """Decide about one result and carry its endpoint's standing forward."""
    dispatch, outcome = result
    standing = standings.get(dispatch.target.endpoint_id)
    health = standing.health if standing else Health()
    is_ours = dispatch.target.format != RELAY
    decision = decide(dispatch.round_attempt, outcome, health, outcome.ended_at, jitter, may_disable=is_ours)
    if standing is None:
        return decision
    standing.changed = standing.changed or decision.health != health
    standing.health = decision.health
    if decision.disable and standing.state == EndpointState.ENABLED:
        standing.state, standing.reason = EndpointState.DISABLED, decision.disable
    return _shelved(decision, standing.state)


def _shelved(decision: Decision, endpoint_state: str) -> Decision:
    """The same decision for an endpoint that may not be sent to any more: what would go on waits, or ends."""
    if decision.state not in (DeliveryState.PENDING, DeliveryState.PARKED) or endpoint_state == EndpointState.ENABLED:
        return decision
    state = DeliveryState.PARKED if endpoint_state == EndpointState.DISABLED else DeliveryState.CANCELLED
    return msgspec.structs.replace(decision, state=state, next_at=None)


async def _write_standings(
    conn: AsyncConnection, standings: dict[UUID, Standing], *, now: datetime, lease: Lease
) -> tuple[list[Dispatch], list[UUID]]:
    healths = [
        {"which": endpoint_id, "since": standing.health.first_failure_at, "count": standing.health.failed_messages}
        for endpoint_id, standing in standings.items()
        if standing.changed
    ]
    if healths:
        await conn.execute(_UPDATE_HEALTH, healths)
    disabled = {endpoint_id: standing for endpoint_id, standing in standings.items() if standing.reason}
    notices = []
    for endpoint_id, standing in disabled.items():
        await conn.execute(_DISABLE, {"which": endpoint_id, "reason": standing.reason, "now": now})
        await conn.execute(_PARK, {"which": endpoint_id})
        notices.append(disabled_notice(standing.project_id, endpoint_id, str(standing.reason), now))
    return await outbox.put(conn, notices, now=now, lease=lease), list(disabled)


def disabled_notice(project_id: UUID, endpoint_id: UUID, reason: str, now: datetime) -> Notice:
    """The news that an endpoint was disabled, for the other endpoints of its project."""
    data = {"endpoint_id": str(endpoint_id), "reason": reason}
    return Notice(project_id=project_id, type="webhook.endpoint_disabled", data=data, at=now)


def _attempt(result: Result, decision: Decision) -> dict[str, Any]:
    dispatch, outcome = result
    return {
        "id": uuid7(),
        "project_id": dispatch.target.project_id,
        "delivery_id": dispatch.delivery_id,
        "number": dispatch.attempt,
        "at": outcome.at,
        "duration_ms": round(outcome.duration * 1000),
        "status": outcome.status,
        "error_kind": outcome.error_kind,
        "error_detail": outcome.error_detail,
        "answer": outcome.answer,
        "next_attempt_at": decision.next_at,
    }
