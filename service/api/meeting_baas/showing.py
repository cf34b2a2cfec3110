"""Stored events as both dialects show them, with the bots that are to attend and the providers' rows."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.event import EventView
from service.core.meeting_baas import v1
from service.flows.bots import planning
from service.flows.gateway import Gateway
from service.store import events, meeting_baas
from service.store.tables import Found

_view: Final = msgspec.json.Decoder(EventView)


async def shown_v1(
    gateway: Gateway, conn: AsyncConnection, project_id: UUID, rows: Sequence[Found]
) -> list[v1.EventV1]:
    """Rows of events as v1 shows them."""
    ids = [row.id for row in rows]
    plans = await planning.covering(conn, gateway.cipher, project_id, ids)
    sources = await meeting_baas.sources(conn, ids)
    configs = {event_id: plan.config for event_id, plan in plans.items()}
    return [v1.event(viewed(row), sources.get(row.id), configs.get(row.id)) for row in rows]


def viewed(row: Found) -> EventView:
    """A row of an event as we have it."""
    return _view.decode(events.view(row))
