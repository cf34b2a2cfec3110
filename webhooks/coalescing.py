"""News that takes in what waits: older messages about the same calendar that no endpoint has been shown yet."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from webhooks.claims import PENDING, padded
from webhooks.merging import merged
from webhooks.message import DeliveryState, Placed
from webhooks.tables import deliveries, messages

# Never attempted, and on nobody's way: what may have been sent keeps its bytes.
_UNSEEN = (PENDING, deliveries.c.merge_key.is_not(None), deliveries.c.attempts == 0, deliveries.c.lease.is_(None))
_WAITING = (
    select(
        deliveries.c.id,
        deliveries.c.endpoint_id,
        deliveries.c.merge_key,
        deliveries.c.message_id,
        messages.c.body,
    )
    .join(messages, messages.c.id == deliveries.c.message_id)
    .where(
        *_UNSEEN,
        deliveries.c.endpoint_id.in_(bindparam("endpoints", expanding=True)),
        deliveries.c.merge_key.in_(bindparam("keys", expanding=True)),
    )
    .order_by(deliveries.c.id)
    # What a claim is just taking is left to it, and nobody waits for anybody.
    .with_for_update(skip_locked=True, of=deliveries)
)
_TAKE_IN = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("which"), *_UNSEEN)
    .values(state=DeliveryState.MERGED.value, next_at=bindparam("now"), merged_into=bindparam("into"))
)


async def take_in(conn: AsyncConnection, placed: Placed, *, now: datetime) -> Placed:
    """Merge older deliveries that were never attempted into those about to be stored; what is to be stored then.

    An endpoint with something to take in gets a message of its own, which it shares with those that take in the same.
    To be called inside a transaction that writes.
    """
    fresh = [row for row in placed.deliveries if row["merge_key"] is not None]
    if not fresh:
        return placed
    wanted = {
        "endpoints": padded(sorted({row["endpoint_id"] for row in fresh})),
        "keys": padded(sorted({row["merge_key"] for row in fresh})),
    }
    waiting: dict[tuple[UUID, UUID], list[Any]] = defaultdict(list)
    for row in (await conn.execute(_WAITING, wanted)).all():
        waiting[row.endpoint_id, row.merge_key].append(row)
    if not waiting:
        return placed
    taken: list[dict[str, Any]] = []
    placed = _rewritten(placed, fresh, waiting, taken)
    if taken:
        await conn.execute(_TAKE_IN, [{**one, "now": now} for one in taken])
    return placed


def _rewritten(
    placed: Placed,
    fresh: Sequence[dict[str, Any]],
    waiting: dict[tuple[UUID, UUID], list[Any]],
    taken: list[dict[str, Any]],
) -> Placed:
    """The same deliveries, with messages that say more where something waits; fills `taken`."""
    plain = {message["id"]: message for message in placed.messages}
    made: dict[tuple[UUID, ...], dict[str, Any]] = {}
    instead: dict[UUID, dict[str, Any]] = {}  # by delivery
    for row in fresh:
        older = waiting.pop((row["endpoint_id"], row["merge_key"]), None)
        if not older:
            continue
        which = (row["message_id"], *(one.message_id for one in older))
        before = plain[row["message_id"]]
        if which not in made:
            body = merged([bytes(one.body) for one in older], before["body"])
            if body is None:
                continue
            made[which] = before | {"id": uuid7(), "body": body}
        instead[row["id"]] = made[which]
        taken += [{"which": one.id, "into": made[which]["id"]} for one in older]
    rows = [
        row | {"message_id": instead[row["id"]]["id"]} if row["id"] in instead else row for row in placed.deliveries
    ]
    used = {row["message_id"] for row in rows}
    dispatches = [
        msgspec.structs.replace(dispatch, message_id=message["id"], body=message["body"])
        if (message := instead.get(dispatch.delivery_id))
        else dispatch
        for dispatch in placed.dispatches
    ]
    kept = [message for message in [*placed.messages, *made.values()] if message["id"] in used]
    return Placed(kept, rows, dispatches)
