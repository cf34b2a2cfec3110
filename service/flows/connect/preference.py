"""Which of a user's connections comes first."""

from typing import Final
from uuid import UUID

from service.core.audit import GATEWAY, Author
from service.core.connection import WITHOUT_CALENDARS
from service.errors import GatewayError
from service.flows.connect.news import CONNECTION, unknown
from service.flows.gateway import Gateway
from service.store import audit, connection_settings, connection_views

_NO_CALENDARS: Final = "The account has no calendars: the primary connection is one that has."


async def set_primary(gateway: Gateway, project_id: UUID, connection_id: UUID, by: Author = GATEWAY) -> None:
    """Make a connection the primary one of its user; the user's others are not any more.

    Raises GatewayError 404, 409 for an account without calendars.
    """
    now = gateway.clock()
    async with gateway.database.write() as conn:
        found = await connection_views.picture(conn, project_id, connection_id)
        if found is None:
            raise unknown(CONNECTION)
        if found.row.provider in WITHOUT_CALENDARS:
            raise GatewayError(409, "conflict", _NO_CALENDARS)
        if await connection_settings.choose_primary(conn, found.row, now):
            await audit.append(conn, project_id, by.did("connection.chosen", connection_id), now)
