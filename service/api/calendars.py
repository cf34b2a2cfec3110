"""Routes of calendars: connect, list, show, change, let go, resync."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from service.api.auth import ApiRequest
from service.api.bodies import Body
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.link_choices import LinkPreference, MeetingHosts, check_hosts, stored_hosts
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, entity_tag, json_page
from service.api.preconditions import expected_version
from service.api.problems import invalid, not_found
from service.api.views import CalendarView, RawCalendarsView, ResyncView, SyncView, calendar_view, sync_view
from service.core.credentials import Credentials, GoogleCredentials, Identifier, Secret
from service.flows import connect
from service.flows.gateway import Gateway
from service.store import calendars
from service.store.calendars import CalendarFilter
from service.store.tables import Found

LARGEST_METADATA: Final = 4096
MOST_METADATA_FILTERS: Final = 10

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Horizon = Annotated[int, Meta(ge=1, le=365)]
Metadata = dict[Annotated[str, Meta(min_length=1, max_length=255)], Any]

_OF_GOOGLE: Final = ("client_id", "client_secret", "refresh_token")


class LookGoogle(GoogleCredentials, frozen=True, kw_only=True, tag="google", forbid_unknown_fields=True):
    """A Google account, to list its calendars."""


class ConnectGoogle(GoogleCredentials, frozen=True, kw_only=True, tag="google", forbid_unknown_fields=True):
    """A Google calendar to connect; without `raw_calendar_id` the account's primary one."""

    raw_calendar_id: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    name: Name | None = None
    metadata: Metadata | None = None
    horizon_days: Horizon | None = None
    link_preference: LinkPreference | None = None
    meeting_hosts: MeetingHosts | None = None

    def __post_init__(self) -> None:
        _check_metadata(self.metadata)
        check_hosts(self.meeting_hosts)


class CalendarChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credentials or settings of a calendar to change; what is not there stays.

    A `refresh_token` alone is one for the OAuth client that the calendar has; another client, or a new secret, comes
    with its `client_id`, `client_secret` and `refresh_token`. `null` brings a setting back to its default, which for
    `link_preference` and `meeting_hosts` is what the project decides.
    """

    provider: Literal["google"] | UnsetType = UNSET
    client_id: Identifier | UnsetType = UNSET
    client_secret: Secret | UnsetType = UNSET
    refresh_token: Secret | UnsetType = UNSET
    name: Name | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    horizon_days: Horizon | UnsetType | None = UNSET
    link_preference: LinkPreference | UnsetType | None = UNSET
    meeting_hosts: MeetingHosts | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        _check_metadata(self.metadata)
        check_hosts(self.meeting_hosts)
        given = [name for name in _OF_GOOGLE if getattr(self, name) is not UNSET]
        if given and given != ["refresh_token"]:
            for name in _OF_GOOGLE:
                if name not in given:
                    raise ValueError(f"`{name}` is required with {' and '.join(given)}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, horizon_days={self.horizon_days!r})"


class Resync(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether to list everything again instead of only what changed."""

    full: bool = False


_CREDENTIALS: Final = {
    "provider": "google",
    "client_id": "123456789012-abc.apps.googleusercontent.com",
    "client_secret": "the OAuth client's secret",
    "refresh_token": "the user's refresh token",
}

LOOK: Final = Body[LookGoogle](LookGoogle, example=_CREDENTIALS)
CONNECT: Final = Body[ConnectGoogle](
    ConnectGoogle, example=_CREDENTIALS | {"name": "Ana's calendar", "metadata": {"user": "42"}}
)
CHANGE: Final = Body[CalendarChange](CalendarChange, example={"name": "Ana's calendar", "horizon_days": 60})
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
        credentials=_credentials(body),
        raw_calendar_id=body.raw_calendar_id,
        name=body.name,
        metadata=body.metadata,
        horizon_days=body.horizon_days,
        link_preference=body.link_preference,
        meeting_hosts=None if body.meeting_hosts is None else stored_hosts(body.meeting_hosts),
    )

    async def work(object_id: UUID) -> Response[CalendarView]:
        row, created = await connect.add(gateway, request.auth.project_id, wish, object_id)
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
    provider: Annotated[str | None, QueryParameter(description="`google`.", max_length=64)] = None,
    status: Status = None,
    email: Annotated[str | None, QueryParameter(description="The account's address.", max_length=320)] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, "calendars")
    wanted = CalendarFilter(provider=provider, status=status, email=email, metadata=_metadata_filter(request))
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
    description="Credentials have the shape of `POST /calendars`, or are a `refresh_token` alone for the OAuth client that "
    "the calendar has. They must belong to the same account, and start the calendar anew: its status goes to `syncing`. With "
    "another `link_preference` or other `meeting_hosts` its stored events are examined again, without asking the provider.",
    tags=["Calendars"],
    opt={"body": CHANGE, "conditional": True},
)
async def change(
    calendar_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[CalendarView]:
    body = await CHANGE.read(request)
    wanted = connect.CalendarPatch(
        credentials=_new_credentials(body),
        name=body.name,
        metadata=body.metadata,
        horizon_days=body.horizon_days,
        link_preference=body.link_preference,
        meeting_hosts=stored_hosts(body.meeting_hosts) if isinstance(body.meeting_hosts, list) else body.meeting_hosts,
        expected_version=expected_version(request),
    )
    return _answer(await connect.change(gateway, request.auth.project_id, calendar_id, wanted))


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
    await connect.remove(gateway, request.auth.project_id, calendar_id, expected_version(request))


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
        await connect.resync(gateway, request.auth.project_id, calendar_id, full=wish.full)
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
        count = await connect.resync_all(gateway, request.auth.project_id, full=wish.full)
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


async def _look(gateway: Gateway, wish: LookGoogle) -> Response[RawCalendarsView]:
    return Response(RawCalendarsView(await connect.look(gateway, _credentials(wish))), status_code=200)


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


def _credentials(body: GoogleCredentials) -> Credentials:
    return GoogleCredentials(
        client_id=body.client_id, client_secret=body.client_secret, refresh_token=body.refresh_token
    )


def _new_credentials(body: CalendarChange) -> Credentials | connect.NewSecret | None:
    if body.refresh_token is UNSET:
        return None
    if body.client_id is UNSET or body.client_secret is UNSET:
        return connect.NewSecret(body.refresh_token)
    return GoogleCredentials(
        client_id=body.client_id, client_secret=body.client_secret, refresh_token=body.refresh_token
    )


def _check_metadata(metadata: Metadata | UnsetType | None) -> None:
    if metadata and len(msgspec.json.encode(metadata)) > LARGEST_METADATA:
        raise ValueError(f"`metadata` is larger than {LARGEST_METADATA} bytes of JSON")


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
