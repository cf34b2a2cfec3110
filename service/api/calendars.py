"""Routes of calendars: connect, list, show, change, let go, resync."""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET

from service.api.auth import ApiRequest
from service.api.authorship import author
from service.api.bodies import Body
from service.api.credentials import (
    CHANGE,
    CONNECT,
    LOOK,
    CalendarChange,
    Look,
    renewed_credentials,
    spelled,
    stated_credentials,
)
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.link_choices import stored_hosts
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, entity_tag, json_page
from service.api.preconditions import expected_version
from service.api.problems import invalid, not_found
from service.api.views import CalendarView, RawCalendarsView, ResyncView, SyncView, calendar_view, sync_view
from service.core.credentials import Credentials
from service.flows import connect
from service.flows.gateway import Gateway
from service.store import calendars
from service.store.calendars import CalendarFilter
from service.store.tables import Found

MOST_METADATA_FILTERS: Final = 10


class Resync(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether to list everything again instead of only what changed."""

    full: bool = False


RESYNC: Final = Body[Resync](Resync, when_empty=Resync(), example={"full": False})

Status = Annotated[
    Literal["syncing", "active", "error", "disconnected"] | None, QueryParameter(description="How the calendar stands.")
]


@get(
    "/calendars/raw",
    operation_id="lookAtCalendars",
    summary="List an account's calendars",
    description="What the provider lists for these credentials, before anything is connected. Stores nothing.",
    tags=["Calendars"],
    opt={"body": LOOK},
)
async def look(request: ApiRequest, gateway: Injected[Gateway]) -> Response[RawCalendarsView]:
    return await _look(gateway, await LOOK.read(request))


@post(
    "/calendars/raw",
    operation_id="lookAtCalendarsByPost",
    summary="List an account's calendars (for clients that cannot send a body with GET)",
    tags=["Calendars"],
    status_code=200,
    opt={"body": LOOK, "scope": "read"},
)
async def look_by_post(request: ApiRequest, gateway: Injected[Gateway]) -> Response[RawCalendarsView]:
    wish = await LOOK.read(request)

    async def work(_object_id: UUID) -> Response[RawCalendarsView]:
        return await _look(gateway, wish)

    return await once(gateway, request, work)


@post(
    "/calendars",
    operation_id="connectCalendar",
    summary="Connect a calendar",
    description="Checks the credentials with the provider at once. A calendar that is connected already keeps its id, "
    "gets these credentials and is read anew (200).",
    tags=["Calendars"],
    opt={"body": CONNECT},
    responses={200: ResponseSpec(CalendarView, description="It was connected already", generate_examples=False)},
)
async def create(request: ApiRequest, gateway: Injected[Gateway]) -> Response[CalendarView]:
    body = await CONNECT.read(request)
    wish = connect.NewCalendar(
        credentials=stated_credentials(body),
        raw_calendar_id=body.raw_calendar_id,
        name=body.name,
        metadata=body.metadata,
        horizon_days=body.horizon_days,
        link_preference=body.link_preference,
        meeting_hosts=None if body.meeting_hosts is None else stored_hosts(body.meeting_hosts),
    )

    async def work(object_id: UUID) -> Response[CalendarView]:
        row, created = await connect.add(gateway, request.auth.project_id, wish, object_id, author(request))
        return _answer(row, status=201 if created else 200)

    return await once(gateway, request, work)


@get(
    "/calendars",
    operation_id="listCalendars",
    summary="List connected calendars",
    description="In the order in which they were connected. `metadata.KEY=VALUE` selects by a value of `metadata`.",
    tags=["Calendars"],
    responses={200: ResponseSpec(Page[CalendarView], description="A page", generate_examples=False)},
)
async def list_calendars(
    request: ApiRequest,
    gateway: Injected[Gateway],
    provider: Annotated[
        str | None, QueryParameter(description="`google`, `microsoft`, `caldav` or `ics`.", max_length=64)
    ] = None,
    status: Status = None,
    email: Annotated[str | None, QueryParameter(description="The account's address.", max_length=320)] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, "calendars")
    wanted = CalendarFilter(provider=spelled(provider), status=status, email=email, metadata=_metadata_filter(request))
    async with gateway.database.read() as conn:
        rows = await calendars.listed(conn, project_id, wanted, cursors.read(cursor, UUID), limit + 1)
    shown = [msgspec.json.encode(calendar_view(row)) for row in rows[:limit]]
    return json_page(shown, cursors.write(rows[limit - 1].id) if len(rows) > limit else None)


@get("/calendars/{calendar_id:uuid}", operation_id="getCalendar", summary="Show a calendar", tags=["Calendars"])
async def show(calendar_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[CalendarView]:
    return await _shown(gateway, request, calendar_id)


@patch(
    "/calendars/{calendar_id:uuid}",
    operation_id="changeCalendar",
    summary="Give a calendar new credentials or other settings",
    description="Credentials have the shape of `POST /calendars`, or are a lone `refresh_token`, `password` or `url`, which "
    "takes the place of the one that the calendar has. They must belong to the same account (a feed may get another address), "
    "and start the calendar anew: its status goes to `syncing`. With another `link_preference` or other `meeting_hosts` its stored events are examined again, without asking the provider.",
    tags=["Calendars"],
    opt={"body": CHANGE, "conditional": True},
)
async def change(
    calendar_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[CalendarView]:
    body = await CHANGE.read(request)
    wanted = connect.CalendarPatch(
        credentials=await _renewed(gateway, request, calendar_id, body),
        name=body.name,
        metadata=body.metadata,
        horizon_days=body.horizon_days,
        link_preference=body.link_preference,
        meeting_hosts=stored_hosts(body.meeting_hosts) if isinstance(body.meeting_hosts, list) else body.meeting_hosts,
        expected_version=expected_version(request),
    )
    return _answer(await connect.change(gateway, request.auth.project_id, calendar_id, wanted, author(request)))


@delete(
    "/calendars/{calendar_id:uuid}",
    operation_id="deleteCalendar",
    summary="Let a calendar go",
    description="Stops the provider's push, forgets secrets and events, and announces `calendar.deleted`. The user's grant "
    "is not revoked.",
    tags=["Calendars"],
    opt={"conditional": True},
)
async def remove(calendar_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> None:
    await connect.remove(gateway, request.auth.project_id, calendar_id, expected_version(request), author(request))


@post(
    "/calendars/{calendar_id:uuid}/resync",
    operation_id="resyncCalendar",
    summary="Read a calendar now",
    description="Due at once, whatever its back-off says; a pause that the provider asked for is kept. 409 when it is "
    "disconnected.",
    tags=["Calendars"],
    status_code=202,
    opt={"body": RESYNC},
)
async def resync(
    calendar_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[CalendarView]:
    wish = await RESYNC.read(request)

    async def work(_object_id: UUID) -> Response[CalendarView]:
        await connect.resync(gateway, request.auth.project_id, calendar_id, full=wish.full, by=author(request))
        return await _shown(gateway, request, calendar_id, status=202)

    return await once(gateway, request, work)


@post(
    "/calendars/resync",
    operation_id="resyncCalendars",
    summary="Read every calendar of the project now",
    tags=["Calendars"],
    status_code=202,
    opt={"body": RESYNC},
)
async def resync_all(request: ApiRequest, gateway: Injected[Gateway]) -> Response[ResyncView]:
    wish = await RESYNC.read(request)

    async def work(_object_id: UUID) -> Response[ResyncView]:
        count = await connect.resync_all(gateway, request.auth.project_id, full=wish.full, by=author(request))
        return Response(ResyncView(count), status_code=202)

    return await once(gateway, request, work)


@get(
    "/calendars/{calendar_id:uuid}/sync",
    operation_id="getCalendarSync",
    summary="Show how a calendar's synchronisation stands",
    tags=["Calendars"],
)
async def show_sync(calendar_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[SyncView]:
    async with gateway.database.read() as conn:
        row = await calendars.one(conn, request.auth.project_id, calendar_id)
        if row is None:
            raise not_found()
        quarantined = await calendars.quarantined_count(conn, calendar_id)
    return Response(sync_view(row, quarantined, gateway.clock()))


async def _look(gateway: Gateway, wish: Look) -> Response[RawCalendarsView]:
    return Response(RawCalendarsView(await connect.look(gateway, stated_credentials(wish))), status_code=200)


async def _renewed(
    gateway: Gateway, request: ApiRequest, calendar_id: UUID, body: CalendarChange
) -> Credentials | connect.NewSecret | None:
    if body.provider is UNSET and not body.given:
        return None
    async with gateway.database.read() as conn:
        row = await calendars.one(conn, request.auth.project_id, calendar_id)
    if row is None:
        raise not_found()
    return renewed_credentials(body, row.provider)


async def _shown(
    gateway: Gateway, request: ApiRequest, calendar_id: UUID, *, status: int = 200
) -> Response[CalendarView]:
    async with gateway.database.read() as conn:
        row = await calendars.one(conn, request.auth.project_id, calendar_id)
    if row is None:
        raise not_found()
    return _answer(row, status=status)


def _answer(row: Found, *, status: int = 200) -> Response[CalendarView]:
    return Response(calendar_view(row), status_code=status, headers=entity_tag(row.version))


def _metadata_filter(request: ApiRequest) -> dict[str, str]:
    found = {
        name.removeprefix("metadata."): value
        for name, value in request.query_params.items()
        if name.startswith("metadata.") and name != "metadata."
    }
    if len(found) > MOST_METADATA_FILTERS:
        raise invalid("metadata", f"has more than {MOST_METADATA_FILTERS} filters")
    return found


ROUTES: Final = [
    look,
    look_by_post,
    create,
    list_calendars,
    show,
    change,
    remove,
    resync,
    resync_all,
    show_sync,
]
