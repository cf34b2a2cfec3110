"""Routes of events: lists of a calendar and of the project, one event now or as it was, its history."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from service.api.auth import ApiRequest
from service.api.injection import Injected
from service.api.paging import (
    DEFAULT_LIMIT,
    Cursor,
    Cursors,
    Limit,
    Moment,
    Page,
    Position,
    entity_tag,
    json_bytes,
    json_page,
    moment,
)
from service.api.problems import invalid, not_found
from service.api.views import EventWithSource
from service.core.announcements import Change
from service.core.event import EventView
from service.errors import GatewayError
from service.flows.gateway import Gateway
from service.store import calendars, changes, events
from service.store.events import EventFilter

DEFAULT_WINDOW: Final = timedelta(days=30)

Text = Annotated[str | None, QueryParameter(max_length=1024)]
Include = Annotated[
    Literal["raw"] | None, QueryParameter(description="`raw`: also the provider's row, as it was received.")
]
AsOf = Annotated[
    str | None,
    QueryParameter(
        description="The event as it was at this moment (RFC 3339); 404 before calgate knew it, 410 when that is no "
        "longer kept.",
        max_length=64,
    ),
]
_PAGE: Final = {200: ResponseSpec(Page[EventView], description="A page", generate_examples=False)}


async def event_filter(
    from_: Annotated[
        str | None, QueryParameter(max_length=64, name="from", description="What ends after this moment.")
    ] = None,
    until: Annotated[str | None, QueryParameter(max_length=64, description="What starts before this moment.")] = None,
    status: Annotated[
        Literal["confirmed", "tentative", "cancelled"] | None, QueryParameter(description="The event's status.")
    ] = None,
    updated_after: Moment = None,
    has_meeting: Annotated[bool | None, QueryParameter(description="With a link to join, or without.")] = None,
    platform: Annotated[
        str | None, QueryParameter(max_length=1024, description="`zoom`, `google_meet`, `microsoft_teams`, ...")
    ] = None,
    attendee: Annotated[str | None, QueryParameter(max_length=1024, description="An attendee's address.")] = None,
    organizer: Annotated[str | None, QueryParameter(max_length=1024, description="The organizer's address.")] = None,
    series_id: Text = None,
    ical_uid: Text = None,
) -> EventFilter:
    """The filters that every list of events has."""
    return EventFilter(
        from_=moment(from_, "from"),
        until=moment(until, "until"),
        status=status,
        updated_after=moment(updated_after, "updated_after"),
        has_meeting=has_meeting,
        platform=platform,
        attendee=attendee,
        organizer=organizer,
        series_id=series_id,
        ical_uid=ical_uid,
    )


@get(
    "/events",
    operation_id="listEvents",
    summary="List the project's events",
    description="By start time. Without `from` and `until`: from now to 30 days ahead.",
    tags=["Events"],
    responses=_PAGE,
)
async def list_events(
    request: ApiRequest,
    gateway: Injected[Gateway],
    wanted: Injected[EventFilter],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    if wanted.from_ is None and wanted.until is None:
        now = gateway.clock()
        wanted = msgspec.structs.replace(wanted, from_=now, until=now + DEFAULT_WINDOW)
    cursors = Cursors(gateway.cipher, request.auth.project_id, "events")
    after = cursors.read(cursor, Position)
    async with gateway.database.read() as conn:
        rows = await events.listed(conn, request.auth.project_id, wanted, after, limit + 1)
    return _page(rows, limit, cursors)


@get(
    "/calendars/{calendar_id:uuid}/events",
    operation_id="listCalendarEvents",
    summary="List a calendar's events",
    description="By start time.",
    tags=["Events"],
    responses=_PAGE,
)
async def list_calendar_events(
    calendar_id: FromPath[UUID],
    request: ApiRequest,
    gateway: Injected[Gateway],
    wanted: Injected[EventFilter],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, f"events of {calendar_id}")
    after = cursors.read(cursor, Position)
    mine = msgspec.structs.replace(wanted, calendar_id=calendar_id)
    async with gateway.database.read() as conn:
        rows = await events.listed(conn, project_id, mine, after, limit + 1)
        if not rows and await calendars.one(conn, project_id, calendar_id) is None:
            raise not_found()
    return _page(rows, limit, cursors)


@get(
    "/events/{event_id:uuid}",
    operation_id="getEvent",
    summary="Show an event",
    tags=["Events"],
    responses={200: ResponseSpec(EventWithSource, description="The event", generate_examples=False)},
    opt={"statuses": (410,)},
)
async def show(
    event_id: FromPath[UUID],
    request: ApiRequest,
    gateway: Injected[Gateway],
    include: Include = None,
    as_of: AsOf = None,
) -> Response[bytes]:
    return await _shown(request, gateway, event_id, None, include, as_of)


@get(
    "/calendars/{calendar_id:uuid}/events/{event_id:uuid}",
    operation_id="getCalendarEvent",
    summary="Show an event of a calendar",
    tags=["Events"],
    responses={200: ResponseSpec(EventWithSource, description="The event", generate_examples=False)},
    opt={"statuses": (410,)},
)
async def show_of_calendar(
    calendar_id: FromPath[UUID],
    event_id: FromPath[UUID],
    request: ApiRequest,
    gateway: Injected[Gateway],
    include: Include = None,
    as_of: AsOf = None,
) -> Response[bytes]:
    return await _shown(request, gateway, event_id, calendar_id, include, as_of)


@get(
    "/events/{event_id:uuid}/history",
    operation_id="getEventHistory",
    summary="List an event's changes, newest first",
    description="As far back as the change log is kept, also after the event's calendar was deleted.",
    tags=["Events"],
    responses={200: ResponseSpec(Page[Change], description="A page", generate_examples=False)},
)
async def history(
    event_id: FromPath[UUID],
    request: ApiRequest,
    gateway: Injected[Gateway],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, f"history of {event_id}")
    before = cursors.read(cursor, int)
    async with gateway.database.read() as conn:
        found = await changes.history(conn, project_id, event_id, before, limit + 1)
        if not found and await events.one(conn, project_id, event_id) is None:
            raise not_found()
    following = cursors.write(found[limit - 1][0]) if len(found) > limit else None
    return json_page((body for _seq, body in found[:limit]), following)


async def _shown(
    request: ApiRequest,
    gateway: Gateway,
    event_id: UUID,
    calendar_id: UUID | None,
    include: str | None,
    as_of: str | None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    at = moment(as_of, "as_of")
    if at is not None and include is not None:
        raise invalid("include", "is kept for the newest version only: leave out as_of")
    async with gateway.database.read() as conn:
        row = await events.one(conn, project_id, event_id, calendar_id)
        if row is None:
            raise not_found()
        if at is not None:
            return json_bytes(await _at(conn, project_id, row, at))
        body = events.view(row)
        if include == "raw":
            body = await _with_source(conn, event_id, body)
    return json_bytes(body, headers=entity_tag(row.version))


async def _with_source(conn: AsyncConnection, event_id: UUID, body: bytes) -> bytes:
    source = await events.source(conn, event_id)
    return body[:-1] + b',"raw":' + (source or b"null") + b"}"


async def _at(conn: AsyncConnection, project_id: UUID, row: Row[Any], at: datetime) -> bytes:
    if at >= row.updated_at:
        return events.view(row)
    if at < row.created_at:
        raise not_found()
    body = await changes.as_of(conn, project_id, row.id, at)
    if body is None:
        # Today's version is not what it was then.
        raise GatewayError(410, "past_retention", "What the event was at that moment is no longer kept.")
    return body


def _page(rows: Any, limit: int, cursors: Cursors) -> Response[bytes]:
    last: Row[Any] | None = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else cursors.write(Position(last.starts_at, last.id))
    return json_page(map(events.view, rows[:limit]), following)


ROUTES: Final = [list_events, list_calendar_events, show, show_of_calendar, history]
