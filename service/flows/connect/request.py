"""Asking for a read now, whatever the schedule and a back-off say."""

from uuid import UUID

from service.core.lifecycle import State
from service.errors import GatewayError
from service.flows.connect.news import unknown
from service.flows.gateway import Gateway
from service.store import calendars


async def resync(gateway: Gateway, project_id: UUID, calendar_id: UUID, *, full: bool) -> None:
    """Read a calendar now, whatever its back-off says; `full` forgets the cursor. Raises GatewayError."""
    async with gateway.database.write() as conn:
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise unknown()
        if row.status == State.DISCONNECTED:
            raise GatewayError(409, "conflict", "The calendar is disconnected: PATCH it with new credentials first.")
        await calendars.make_due(conn, calendar_id, gateway.clock(), "resync", full=full)
        gateway.wake.after(conn, "sync")


async def resync_each(gateway: Gateway, project_id: UUID) -> tuple[list[UUID], list[UUID]]:
    """Read every calendar of the project; which are read, and which are disconnected and cannot be."""
    async with gateway.database.write() as conn:
        found = await calendars.statuses(conn, project_id)
        await calendars.make_all_due(conn, project_id, gateway.clock(), full=False)
        gateway.wake.after(conn, "sync")
    lost = [row.id for row in found if row.status == State.DISCONNECTED]
    return [row.id for row in found if row.status != State.DISCONNECTED], lost


async def resync_all(gateway: Gateway, project_id: UUID, *, full: bool) -> int:
    """Read every calendar of the project that is not disconnected; how many there are."""
    async with gateway.database.write() as conn:
        count = await calendars.make_all_due(conn, project_id, gateway.clock(), full=full)
        gateway.wake.after(conn, "sync")
    return count
