"""Stored events as both dialects show them, with the bots that are to attend and the providers' rows."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.event import EventView
from service.core.meeting_baas import v1
from service.flows.gateway import Gateway
from service.store import events, meeting_baas
from service.store.tables import Found

_view: Final = msgspec.json.Decoder(EventView)


async def configs_of(
    gateway: Gateway, conn: AsyncConnection, project_id: UUID, event_ids: Collection[UUID]
) -> dict[UUID, dict[str, Any]]:
    """The configurations of the bots that are to attend events, by event; of those that have none nothing."""
    return {}


async def shown_v1(
    gateway: Gateway, conn: AsyncConnection, project_id: UUID, rows: Sequence[Found]
) -> list[v1.EventV1]:
    """Rows of events as v1 shows them."""
    ids = [row.id for row in rows]
    configs = await configs_of(gateway, conn, project_id, ids)
    sources = await meeting_baas.sources(conn, ids)
    return [v1.event(viewed(row), sources.get(row.id), configs.get(row.id)) for row in rows]


def viewed(row: Found) -> EventView:
    """A row of an event as we have it."""
    return _view.decode(events.view(row))
