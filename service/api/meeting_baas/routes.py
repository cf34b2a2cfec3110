"""Every route of both dialects."""

from collections.abc import Sequence
from typing import Final

from litestar.handlers import HTTPRouteHandler

from service.api.meeting_baas import v1_bots, v1_calendars, v1_events, v2_bots, v2_calendars, v2_events

ROUTES: Final[Sequence[HTTPRouteHandler]] = [
    *v1_calendars.ROUTES,
    *v1_events.ROUTES,
    *v1_bots.ROUTES,
    *v2_calendars.ROUTES,
    *v2_events.ROUTES,
    *v2_bots.ROUTES,
]
