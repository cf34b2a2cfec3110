"""Saying that a calendar was not verified for longer than promised: once, and again only after it was verified."""

from typing import Final

from service.core.announcements import StaleNotice
from service.flows.gateway import Gateway
from service.store import calendars, freshness
from service.store.tables import Found
from webhooks import outbox
from webhooks.message import Notice

PIECE: Final = 250
MOST_PIECES: Final = 20


async def announce_stale(gateway: Gateway) -> int:
    """Announce the calendars that have become stale; how many. Raises DatabaseUnavailable.

    A call does a bounded amount of work, in short transactions; what is left waits for the next one.
    """
    announced = 0
    for _ in range(MOST_PIECES):
        now = gateway.clock()
        async with gateway.database.look() as conn:
            if not await freshness.is_any_due(conn, now):
                break
        async with gateway.database.write() as conn:
            looked = await freshness.claim(conn, now, PIECE)
            notices = [_notice(row, gateway) for row in looked.stale]
            lease = gateway.deliverer.lease(now) if gateway.deliverer is not None else None
            dispatches = await outbox.put(conn, notices, now=now, lease=lease) if notices else []
            if notices and lease is None:
                gateway.wake.after(conn, "deliver")
        if gateway.deliverer is not None and dispatches:
            gateway.deliverer.submit(dispatches)
        announced += len(looked.stale)
        if looked.due < PIECE:
            break
    return announced


def _notice(row: Found, gateway: Gateway) -> Notice:
    told = calendars.notice(row, calendars.standing(row), previous=row.status)
    fields = {name: getattr(told, name) for name in told.__struct_fields__}
    data = StaleNotice(**fields, last_synced_at=row.last_synced_at)
    return Notice(row.project_id, "calendar.stale", data, gateway.clock(), row.id)
