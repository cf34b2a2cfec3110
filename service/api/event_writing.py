"""Routes that write events at their provider: made, made of a sentence, changed, deleted."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Response, delete, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET

from service.api.auth import ApiRequest
from service.api.bodies import Body
from service.api.event_shapes import EventChanges, EventWish, Sentence, draft_of, patch_of, told
from service.api.idempotency import HEADER, once
from service.api.injection import Injected
from service.api.paging import entity_tag, json_bytes
from service.api.preconditions import expected_version
from service.api.problems import not_found
from service.core.event import EventView, decode_event
from service.flows import writing
from service.flows.gateway import Gateway
from service.flows.writing import Job, Meant
from service.store import calendars, events

WholeSeries = Annotated[
    bool, QueryParameter(description="Of an occurrence of a series: the whole series is meant, not this one alone.")
]
Notify = Annotated[
    bool | None,
    QueryParameter(description="Whether guests get mail; default: yes, unless `disable_attendee_notification` is set."),
]

CREATE: Final[Body[EventWish]] = Body(
    EventWish,
    examples={
        "with a call": {
            "title": "Review",
            "starts_at": "2026-12-01T09:00:00Z",
            "ends_at": "2026-12-01T09:30:00Z",
            "time_zone": "Europe/Berlin",
            "attendees": [{"email": "guest@example.com"}],
            "conference": "google_meet",
        },
        "of whole days": {"title": "Holidays", "start_date": "2026-12-24", "end_date": "2026-12-27"},
    },
)
CHANGE: Final[Body[EventChanges]] = Body(EventChanges, example={"starts_at": "2026-12-01T10:00:00Z"})
SENTENCE: Final[Body[Sentence]] = Body(Sentence, example={"text": "Lunch with Sarah tomorrow at 1pm"})

_EVENT: Final = ResponseSpec(EventView, description="The event", generate_examples=False)
_REFUSALS: Final = (409, 503)


@post(
    "/calendars/{calendar_id:uuid}/events",
    operation_id="createEvent",
    summary="Write an event into a calendar",
    description="At the provider, exactly once, also after a time-out there. After 503 nothing is left of it, unless the same "
    "request comes again with the same `Idempotency-Key`: it then goes on where the first broke off. 409 when the "
    "connection validates availability and the time is taken.",
    tags=["Writing"],
    responses={201: _EVENT},
    opt={"body": CREATE, "statuses": _REFUSALS},
)
async def create(calendar_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    wish = await CREATE.read(request)
    zone = await _zone_of(gateway, request.auth.project_id, calendar_id)
    return await _create(request, gateway, calendar_id, _job(wish, zone))


@post(
    "/connections/{connection_id:uuid}/events",
    operation_id="createEventOfConnection",
    summary="Write an event into a connection's primary calendar",
    description="As `POST /calendars/{calendar_id}/events`, into the calendar that the setting `primary_calendar` names, by "
    "default the account's own primary one. 409 when that is not among `selected_calendars`.",
    tags=["Writing"],
    responses={201: _EVENT},
    opt={"body": CREATE, "statuses": _REFUSALS},
)
async def create_of_connection(
    connection_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[bytes]:
    wish = await CREATE.read(request)
    calendar = await writing.primary_calendar(gateway, request.auth.project_id, connection_id)
    return await _create(request, gateway, calendar.id, _job(wish, calendar.time_zone))


@post(
    "/calendars/{calendar_id:uuid}/events/quick_add",
    operation_id="quickAddEvent",
    summary="Write an event of a sentence into a calendar",
    description="Google reads the sentence itself, unless `event_privacy`, `event_defaults` or `validate_availability` of the "
    "connection has a say in it; for other providers it is read here, in the calendar's time zone.",
    tags=["Writing"],
    responses={201: _EVENT},
    opt={"body": SENTENCE, "statuses": _REFUSALS},
)
async def quick_add(calendar_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    wish = await SENTENCE.read(request)
    return await _create(request, gateway, calendar_id, Job(text=wish.text, notify=told(wish)))


@patch(
    "/events/{event_id:uuid}",
    operation_id="changeEvent",
    summary="Change an event at its provider",
    description="With `If-Match` only the version that its author has seen: 412 when the provider's copy has moved on.",
    tags=["Writing"],
    responses={200: _EVENT},
    opt={"body": CHANGE, "statuses": _REFUSALS, "conditional": True},
)
async def change(
    event_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway], series: WholeSeries = False
) -> Response[bytes]:
    wish = await CHANGE.read(request)
    project_id = request.auth.project_id
    async with gateway.database.read() as conn:
        row = await events.one(conn, project_id, event_id)
        place = await events.place_of(conn, project_id, event_id)
        calendar = await calendars.one(conn, project_id, place.calendar_id) if place is not None else None
    if row is None or calendar is None:
        raise not_found()
    asked = patch_of(wish, decode_event(events.view(row)), calendar.time_zone)
    meant = _meant(request, event_id, series, told(wish))
    found = await writing.change_event(
        gateway,
        project_id,
        meant,
        asked,
        buffer_before=None if wish.buffer_before is UNSET else wish.buffer_before,
        buffer_after=None if wish.buffer_after is UNSET else wish.buffer_after,
    )
    return await _shown(gateway, project_id, found, status=200)


@delete(
    "/events/{event_id:uuid}",
    operation_id="deleteEvent",
    summary="Delete an event at its provider",
    description="With `If-Match` only the version that its author has seen.",
    tags=["Writing"],
    status_code=204,
    opt={"statuses": _REFUSALS, "conditional": True},
)
async def remove(
    event_id: FromPath[UUID],
    request: ApiRequest,
    gateway: Injected[Gateway],
    series: WholeSeries = False,
    notify: Notify = None,
) -> None:
    await writing.remove_event(gateway, request.auth.project_id, _meant(request, event_id, series, notify))


def _job(wish: EventWish, zone: str | None) -> Job:
    return Job(
        draft=draft_of(wish, zone),
        notify=told(wish),
        buffer_before=wish.buffer_before,
        buffer_after=wish.buffer_after,
    )


async def _create(request: ApiRequest, gateway: Gateway, calendar_id: UUID, job: Job) -> Response[bytes]:
    project_id = request.auth.project_id
    key = request.headers.get(HEADER)
    request_key = writing.digest(project_id, request.scope["path"], key) if key is not None else None

    async def work(object_id: UUID) -> Response[Any]:
        found = await writing.create_event(
            gateway, project_id, calendar_id, job, event_id=object_id, request_key=request_key
        )
        return await _shown(gateway, project_id, found, status=201)

    return await once(gateway, request, work)


async def _shown(gateway: Gateway, project_id: UUID, event_id: UUID, *, status: int) -> Response[bytes]:
    async with gateway.database.read() as conn:
        row = await events.one(conn, project_id, event_id)
    if row is None:
        raise not_found()  # deleted since, with its calendar
    headers = entity_tag(row.version)
    if status == 201:
        headers["location"] = f"/events/{event_id}"
    return json_bytes(events.view(row), status=status, headers=headers)


async def _zone_of(gateway: Gateway, project_id: UUID, calendar_id: UUID) -> str | None:
    async with gateway.database.read() as conn:
        row = await calendars.one(conn, project_id, calendar_id)
    if row is None:
        raise not_found()
    zone: str | None = row.time_zone
    return zone


def _meant(request: ApiRequest, event_id: UUID, series: bool, notify: bool | None) -> Meant:
    return Meant(event_id=event_id, is_series=series, version=expected_version(request), notify=notify)


ROUTES: Final = [create, create_of_connection, quick_add, change, remove]
