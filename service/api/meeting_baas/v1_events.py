"""Routes of events in v1, pages of a hundred; under the paths of the schemas and those of the older guide."""

from datetime import datetime
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from service.api.auth import ApiRequest
from service.api.injection import Injected
from service.api.meeting_baas.asking import PERHAPS, Query, uuid_of
from service.api.meeting_baas.envelopes import HIDDEN, answer
from service.api.meeting_baas.errors import PREFIX, DialectError
from service.api.meeting_baas.showing import shown_v1
from service.api.meeting_baas.v1_calendars import known_calendar
from service.api.paging import Cursors, Position
from service.api.problems import invalid
from service.core.meeting_baas import v1
from service.core.meeting_baas.refusals import EVENT_NOT_FOUND
from service.flows.gateway import Gateway
from service.store import events, meeting_baas
from service.store.meeting_baas import EventsWanted
from service.store.tables import Found

PAGE: Final = 100


@get(f"{PREFIX}/calendar_events", **HIDDEN)
async def list_events(request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    query = Query(request)
    calendar_id = query.text("calendar_id", "calendarId")
    if calendar_id is None:
        raise invalid("calendar_id", "is required")
    return await _listed(request, gateway, calendar_id, query)


@get(f"{PREFIX}/calendars/{{uuid:str}}/events", **HIDDEN)
async def list_events_by_path(uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    """The older guide's way, with filters in a body."""
    return await _listed(request, gateway, uuid, Query(request, await PERHAPS.read(request)))


@get(f"{PREFIX}/calendar_events/{{uuid:str}}", **HIDDEN)
async def show(uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    return await _shown(request, gateway, uuid, None)


@get(f"{PREFIX}/calendars/{{uuid:str}}/events/{{event:str}}", **HIDDEN)
async def show_by_path(
    uuid: FromPath[str], event: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[bytes]:
    return await _shown(request, gateway, event, uuid)


async def known_event(
    conn: AsyncConnection, request: ApiRequest, event_id: Any, calendar_id: str | None = None
) -> Found:
    """The project's event (on that calendar, if one is named). Raises DialectError 404, also for what no id looks like."""
    wanted, within = uuid_of(event_id), uuid_of(calendar_id)
    if wanted is not None and (within is not None or calendar_id is None):
        row = await events.one(conn, request.auth.project_id, wanted, within)
        if row is not None:
            return row
    raise DialectError(404, EVENT_NOT_FOUND, "Event not found")


async def _listed(request: ApiRequest, gateway: Gateway, calendar_id: str, query: Query) -> Response[bytes]:
    project_id = request.auth.project_id
    wanted = _wanted(query, gateway.clock())
    async with gateway.database.read() as conn:
        calendar = await known_calendar(conn, request, calendar_id)
        cursors = Cursors(gateway.cipher, project_id, f"meeting-baas v1 events of {calendar.id}")
        place = cursors.read(query.text("cursor", most=4096), Position)
        found = await meeting_baas.events_page(conn, project_id, calendar.id, wanted, place, PAGE + 1)
        shown = await shown_v1(gateway, conn, project_id, found[:PAGE])
    last = found[PAGE - 1] if len(found) > PAGE else None
    following = None if last is None else cursors.write(Position(last.starts_at, last.id))
    return answer(v1.EventsV1(shown, following))


async def _shown(request: ApiRequest, gateway: Gateway, event_id: str, calendar_id: str | None) -> Response[bytes]:
    async with gateway.database.read() as conn:
        row = await known_event(conn, request, event_id, calendar_id)
        (shown,) = await shown_v1(gateway, conn, request.auth.project_id, [row])
    return answer(shown)


def _wanted(query: Query, now: datetime) -> EventsWanted:
    """The filters; without `status` what has not ended yet."""
    when = (query.text("status", most=64) or "upcoming").lower()
    if when not in {"upcoming", "past", "all"}:
        raise invalid("status", "accepts upcoming, past and all")
    return EventsWanted(
        starts_from=query.moment("start_date_gte", "startDateGte"),
        starts_until=query.moment("start_date_lte", "startDateLte"),
        updated_from=query.moment("updated_at_gte", "updatedAtGte"),
        attendee=query.text("attendee_email", "attendeeEmail", most=320),
        organizer=query.text("organizer_email", "organizerEmail", most=320),
        live_at=now if when == "upcoming" else None,
        ends_until=now if when == "past" else None,
    )


ROUTES: Final = [list_events, list_events_by_path, show, show_by_path]
