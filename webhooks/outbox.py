"""The outbox: news becomes messages and deliveries inside the transaction that makes the news true.

A dispatch leaves from memory once the transaction is committed. Should the process die before that, the lease on the
row runs out, a claim finds it, and the same bytes go out under the same id.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from webhooks.coalescing import take_in
from webhooks.filters import passes
from webhooks.merging import MERGEABLE
from webhooks.message import (
    RELAY,
    STANDARD,
    DeliveryState,
    Dispatch,
    EndpointState,
    Lease,
    Notice,
    Placed,
    Rank,
    Target,
    about,
    body,
)
from webhooks.relay import rows as relays
from webhooks.retry import SCHEDULE
from webhooks.tables import deliveries, endpoints, messages

FIFO = "fifo"


class Subscriber(NamedTuple):
    """An enabled endpoint as the fan-out needs it. Ids of calendars are text, as in the stored JSON."""

    target: Target
    event_types: list[str] | None
    calendar_ids: list[str] | None
    fifo: bool
    format: str


_SUBSCRIBERS = select(
    endpoints.c.id,
    endpoints.c.project_id,
    endpoints.c.version,
    endpoints.c.url,
    endpoints.c.rate_limit,
    endpoints.c.secret,
    endpoints.c.event_types,
    endpoints.c.calendar_ids,
    endpoints.c.ordering,
    endpoints.c.format,
).where(
    endpoints.c.project_id.in_(bindparam("projects", expanding=True)),
    endpoints.c.state == EndpointState.ENABLED.value,
)
_INSERT_MESSAGE = insert(messages)
_INSERT_DELIVERY = insert(deliveries)


async def put(
    conn: AsyncConnection,
    notices: Sequence[Notice],
    *,
    now: datetime,
    lease: Lease | None = None,
    only: UUID | None = None,
) -> list[Dispatch]:
    """Store a message for each notice that somebody subscribes to, and a delivery for each subscriber.

    To be called inside the transaction that makes the news true; hand the answer to `Deliverer.submit` after the
    commit, never before. With a `lease` the deliveries are born leased to this process, as attempt 1; without one
    they are due at once for whoever claims them, and the answer is empty. `only` addresses one endpoint, whatever
    it subscribes to (a test message).
    """
    if not notices:
        return []
    subscribers = await _subscribers(conn, notices, only, now)
    notices = [*notices, *await _told_otherwise(conn, notices, subscribers)]
    placed = fan_out(notices, subscribers, now=now, lease=lease)
    placed = await take_in(conn, placed, now=now)
    await _insert(conn, placed)
    return placed.dispatches


async def put_once(
    conn: AsyncConnection, notice: Notice, endpoint_id: UUID, *, now: datetime, lease: Lease | None
) -> tuple[UUID, Dispatch | None]:
    """Store a message for one enabled endpoint, to be attempted a single time; the delivery, and its dispatch if leased.

    Raises ValueError when there is no such endpoint to send to.
    """
    placed = fan_out([notice], await _subscribers(conn, [notice], endpoint_id, now), now=now, lease=lease)
    if not placed.deliveries:
        raise ValueError("there is no such endpoint")
    # As if nine attempts had been made: this one is the last.
    for row in placed.deliveries:
        row["schedule_start"] = -len(SCHEDULE)
    dispatches = [msgspec.structs.replace(each, schedule_start=-len(SCHEDULE)) for each in placed.dispatches]
    await _insert(conn, placed)
    return placed.deliveries[0]["id"], dispatches[0] if dispatches else None


async def _insert(conn: AsyncConnection, placed: Placed) -> None:
    if placed.messages:
        await conn.execute(_INSERT_MESSAGE, placed.messages)
        await conn.execute(_INSERT_DELIVERY, placed.deliveries)


async def _subscribers(
    conn: AsyncConnection, notices: Sequence[Notice], only: UUID | None, now: datetime
) -> list[Subscriber]:
    projects = {notice.project_id for notice in notices}
    rows = (await conn.execute(_SUBSCRIBERS, {"projects": [*projects, relays.SWITCH]})).all()
    if only is None and any(row.id == relays.SWITCH for row in rows):
        if missing := projects - {row.project_id for row in rows if row.format == RELAY}:
            await relays.add(conn, missing, now=now)
            rows = (await conn.execute(_SUBSCRIBERS, {"projects": list(projects)})).all()
        rows = [row for row in rows if row.format == RELAY]
    return [
        Subscriber(
            target=Target(row.id, row.project_id, row.version, row.url, row.rate_limit, row.secret, row.format),
            event_types=row.event_types if only is None else ["*"],
            calendar_ids=row.calendar_ids if only is None else None,
            fifo=row.ordering == FIFO,
            format=row.format if only is None else STANDARD,
        )
        for row in rows
        if only is None or row.id == only
    ]


async def _told_otherwise(
    conn: AsyncConnection, notices: Sequence[Notice], subscribers: Iterable[Subscriber]
) -> list[Notice]:
    """The notices in every other format that an endpoint of their project wants."""
    wanted: dict[UUID, set[str]] = defaultdict(set)
    for subscriber in subscribers:
        if subscriber.format not in (STANDARD, RELAY):
            wanted[subscriber.target.project_id].add(subscriber.format)
    if not wanted:
        return []
    return [
        msgspec.structs.replace(notice, type=told.type, data=told.body, format=name, tell=None)
        for notice in notices
        if notice.tell is not None
        for name in sorted(wanted.get(notice.project_id, ()))
        for told in await notice.tell(conn, name)
    ]


def fan_out(
    notices: Iterable[Notice], subscribers: Sequence[Subscriber], *, now: datetime, lease: Lease | None
) -> Placed:
    """Match notices with subscribers. Apart from the fresh ids a pure function.

    A delivery in order (fifo) is never born leased: whether it is its turn is for the claim to find out.
    """
    placed = Placed([], [], [])
    by_project: dict[UUID, list[Subscriber]] = defaultdict(list)
    for subscriber in subscribers:
        by_project[subscriber.target.project_id].append(subscriber)
    for notice in notices:
        wanting = [subscriber for subscriber in by_project[notice.project_id] if wants(subscriber, notice)]
        if not wanting:
            continue
        message_id, content = uuid7(), body(notice)
        placed.messages.append(
            {
                "id": message_id,
                "project_id": notice.project_id,
                "type": notice.type,
                "calendar_id": notice.calendar_id,
                "also_calendar_ids": [str(calendar_id) for calendar_id in notice.also] or None,
                "body": content,
                "at": notice.at,
                "created_at": now,
            }
        )
        for subscriber in wanting:
            fifo_key = notice.calendar_id if subscriber.fifo else None
            # Who relays tells one from the other by ids: what was merged into another would be one that never came.
            merge_key = notice.calendar_id if is_mergeable(notice) and subscriber.format != RELAY else None
            dispatch = Dispatch(
                delivery_id=uuid7(),
                message_id=message_id,
                target=subscriber.target,
                type=notice.type,
                body=content,
                lease=lease if fifo_key is None else None,
                ordered=fifo_key is not None,
                mergeable=merge_key is not None,
                calendar_ids=about(notice.calendar_id, notice.also) if subscriber.format == RELAY else (),
            )
            placed.deliveries.append(_row(dispatch, fifo_key, merge_key, now))
            if lease is not None:
                placed.dispatches.append(dispatch)
    return placed


def _row(dispatch: Dispatch, fifo_key: UUID | None, merge_key: UUID | None, now: datetime) -> dict[str, Any]:
    lease = dispatch.lease
    return {
        "id": dispatch.delivery_id,
        "project_id": dispatch.target.project_id,
        "message_id": dispatch.message_id,
        "endpoint_id": dispatch.target.endpoint_id,
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "schedule_start": 0,
        "next_at": lease.until if lease else now,
        "lease": lease.owner if lease else None,
        "fifo_key": fifo_key,
        "rank": Rank.NEWS.value,
        "merge_key": merge_key,
    }


def is_mergeable(notice: Notice) -> bool:
    """Whether newer news of the same kind and calendar may take this in; other formats are not ours to rewrite."""
    return notice.type in MERGEABLE and notice.format == STANDARD


def wants(subscriber: Subscriber, notice: Notice) -> bool:
    """Whether an endpoint subscribes to a notice of its project: same format, and it passes its filters."""
    if subscriber.format == RELAY:
        return notice.format == STANDARD
    return notice.format == subscriber.format and passes(
        subscriber.event_types,
        subscriber.calendar_ids,
        type=notice.type,
        calendar_id=notice.calendar_id,
        also=notice.also,
    )
