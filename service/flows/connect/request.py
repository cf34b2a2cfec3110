"""Asking for a read now, whatever the schedule and a back-off say."""

from uuid import UUID

from service.core.audit import GATEWAY, Author
from service.core.lifecycle import State
from service.errors import GatewayError
from service.flows.connect.news import CONNECTION, unknown
from service.flows.gateway import Gateway
from service.store import audit, calendars, connection_settings


async def resync(gateway: Gateway, project_id: UUID, calendar_id: UUID, *, full: bool, by: Author = GATEWAY) -> None:
    """Read a calendar now, whatever its back-off says; `full` forgets the cursor. Raises GatewayError."""
    now = gateway.clock()
    async with gateway.database.write() as conn:
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise unknown()
        if row.status == State.DISCONNECTED:
            raise GatewayError(409, "conflict", "The calendar is disconnected: PATCH it with new credentials first.")
        await calendars.make_due(conn, calendar_id, now, "resync", full=full)
        gateway.wake.after(conn, "sync")
        await audit.append(conn, project_id, by.did("calendar.resynced", calendar_id, full=int(full)), now)


async def resync_connection(
    gateway: Gateway, project_id: UUID, connection_id: UUID, *, full: bool, by: Author = GATEWAY
) -> None:
    """Read every calendar of a connection now, as `resync` does. Raises GatewayError 409 when all are disconnected."""
    now = gateway.clock()
    async with gateway.database.write() as conn:
        if await connection_settings.locked(conn, project_id, connection_id) is None:
            raise unknown(CONNECTION)
        found = await calendars.of_connection(conn, connection_id)
        if found and all(row.status == State.DISCONNECTED for row in found):
            raise GatewayError(409, "conflict", "Its calendars are all disconnected: let the user sign in again first.")
        for row in found:
            await calendars.make_due(conn, row.id, now, "resync", full=full)
        gateway.wake.after(conn, "sync")
        await audit.append(conn, project_id, by.did("connection.resynced", connection_id, full=int(full)), now)


async def resync_each(gateway: Gateway, project_id: UUID, by: Author = GATEWAY) -> tuple[list[UUID], list[UUID]]:
    """Read every calendar of the project; which are read, and which are disconnected and cannot be."""
    now = gateway.clock()
    async with gateway.database.write() as conn:
        found = await calendars.statuses(conn, project_id)
        await calendars.make_all_due(conn, project_id, now, full=False)
        gateway.wake.after(conn, "sync")
        await audit.append(conn, project_id, by.did("project.resynced", project_id, full=0), now)
    lost = [row.id for row in found if row.status == State.DISCONNECTED]
    return [row.id for row in found if row.status != State.DISCONNECTED], lost


async def resync_all(gateway: Gateway, project_id: UUID, *, full: bool, by: Author = GATEWAY) -> int:
    """Read every calendar of the project that is not disconnected; how many there are."""
    now = gateway.clock()
    async with gateway.database.write() as conn:
        count = await calendars.make_all_due(conn, project_id, now, full=full)
        gateway.wake.after(conn, "sync")
        await audit.append(conn, project_id, by.did("project.resynced", project_id, full=int(full)), now)
    return count
