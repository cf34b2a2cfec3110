"""What the world is told of a calendar's coming and going, and what a client is told of one that it has wrong."""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import GatewayError
from service.flows.gateway import Gateway
from service.store import calendars, dialects
from service.store.tables import Found
from webhooks import outbox
from webhooks.message import Dispatch, Notice

CALENDAR: Final = "calendar"
CONNECTION: Final = "connection"


async def announce(
    gateway: Gateway, conn: AsyncConnection, row: Found, event_type: str, now: datetime, previous: str | None
) -> list[Dispatch]:
    """Put a calendar's news into the outbox, inside the transaction that makes it true; what `deliver` is to send."""
    data = calendars.notice(row, calendars.standing(row), previous)
    otherwise = dialects.of_calendar(row, calendars.standing(row), event_type.rpartition(".")[2], now)
    return await tell(gateway, conn, [Notice(row.project_id, event_type, data, now, row.id, tell=otherwise)], now)


async def tell(gateway: Gateway, conn: AsyncConnection, notices: list[Notice], now: datetime) -> list[Dispatch]:
    """Put news into the outbox, inside the transaction that makes it true; what `deliver` is to send."""
    if not notices:
        return []
    lease = gateway.deliverer.lease(now) if gateway.deliverer is not None else None
    dispatches = await outbox.put(conn, notices, now=now, lease=lease)
    if lease is None:
        gateway.wake.after(conn, "deliver")
    return dispatches


def deliver(gateway: Gateway, dispatches: list[Dispatch]) -> None:
    """Send what `announce` answered; to be called after the commit."""
    if dispatches and gateway.deliverer is not None:
        gateway.deliverer.submit(dispatches)


def check_version(row: Found, expected: int | None, kind: str = CALENDAR) -> None:
    """Raises GatewayError 412 unless the client speaks of the version that is stored."""
    if expected is not None and expected != row.version:
        raise GatewayError(412, "precondition_failed", f"The {kind} is at version {row.version} by now.")


def unknown(kind: str = CALENDAR) -> GatewayError:
    """A foreign object is told exactly as one that never was."""
    return GatewayError(404, "not_found", f"There is no such {kind}.")
