"""Forgetting in time: old changes, events, answers and messages go in small pieces; and counting for the budget.

Calendars that nobody reads any more learn from here that the tables of links have improved.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from service.flows.gateway import Gateway
from service.store import (
    bot_plans,
    bots,
    calendars,
    changes,
    connect_links,
    event_writes,
    events,
    examinations,
    idempotency,
    managed_events,
    oauth_states,
    starts,
)
from webhooks import history

PIECE: Final = 500
MOST_PIECES: Final = 20
ANSWERS_KEPT: Final = timedelta(hours=24)
STARTS_KEPT: Final = timedelta(days=7)
"""For how long after a meeting's end it is remembered that its start was announced."""

WALKS_KEPT: Final = timedelta(hours=1)
"""For how long after its end a user's walk through a consent page is remembered."""


async def tidy(gateway: Gateway) -> int:
    """Drop what is past its retention and count who shares the polling budget; how many rows went.

    A call does a bounded amount of work; what is left waits for the next one.
    """
    now = gateway.clock()
    kept_from = now - timedelta(days=gateway.settings.retention_days)
    gone = await _drop(gateway, lambda conn: changes.purge(conn, kept_from, PIECE))
    gone += await _drop(gateway, lambda conn: events.purge(conn, kept_from, PIECE))
    gone += await _drop(gateway, lambda conn: history.purge(conn, kept_from, limit=PIECE))
    gone += await _drop(gateway, lambda conn: idempotency.purge(conn, now - ANSWERS_KEPT))
    gone += await _drop(gateway, lambda conn: starts.purge(conn, now - STARTS_KEPT, PIECE))
    gone += await _drop(gateway, lambda conn: bots.purge(conn, kept_from, PIECE))
    gone += await _drop(gateway, lambda conn: bot_plans.purge(conn, kept_from, PIECE))
    gone += await _drop(gateway, lambda conn: oauth_states.purge(conn, now - WALKS_KEPT, PIECE))
    gone += await _drop(gateway, lambda conn: connect_links.purge(conn, now, PIECE))
    gone += await _drop(gateway, lambda conn: event_writes.purge(conn, now, PIECE))
    gone += await _drop(gateway, lambda conn: managed_events.purge(conn, kept_from, PIECE))
    async with gateway.database.write() as conn:
        # One piece a call: nobody waits for them, and the others are not to wait for these.
        if await examinations.make_due(conn, now, PIECE):
            gateway.wake.after(conn, "sync")
    async with gateway.database.read() as conn:
        sharers = await calendars.count_by_client(conn, now)
    gateway.sharers.clear()
    gateway.sharers.update(sharers)
    return gone


async def _drop(gateway: Gateway, piece: Callable[[AsyncConnection], Awaitable[int]]) -> int:
    """Run a purge piece by piece, each in a short transaction, so that nobody waits for it."""
    gone = 0
    for _ in range(MOST_PIECES):
        async with gateway.database.write() as conn:
            count = await piece(conn)
        gone += count
        if count < PIECE:
            break
    return gone
