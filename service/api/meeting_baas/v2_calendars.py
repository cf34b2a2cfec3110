"""Routes of calendars in v2: envelopes, cursors that lead both ways, and 409 for what is connected already."""

from typing import Any, Final
from uuid import UUID

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from service.api.auth import ApiRequest
from service.api.authorship import author
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.meeting_baas.asking import OBJECT, Query, credentials_of, optional_text, provider_named, uuid_of
from service.api.meeting_baas.envelopes import HIDDEN, answer
from service.api.meeting_baas.errors import PREFIX_V2, DialectError
from service.api.meeting_baas.lists import cut, marks, read_turn
from service.api.paging import Cursors
from service.api.problems import invalid
from service.core.credentials import KINDS
from service.core.meeting_baas import v2
from service.core.meeting_baas.identity import CalendarStatus
from service.core.meeting_baas.refusals import ALREADY_CONNECTED, CALENDAR_UNKNOWN, RECONNECT_NEEDED
from service.errors import GatewayError
from service.flows import connect, push
from service.flows.gateway import Gateway
from service.store import calendars, channels, meeting_baas
from service.store.tables import Found

CALENDARS: Final = f"{PREFIX_V2}/calendars"
CALENDAR: Final = f"{CALENDARS}/{{calendar_id:str}}"
OAUTH: Final = ("google", "microsoft")

_STATUSES: Final[tuple[str, ...]] = CalendarStatus.__args__  # type: ignore[attr-defined]
_PROVIDER: Final = ("calendar_platform", "platform", "provider")


@post(f"{CALENDARS}/list-raw", status_code=200, opt={"scope": "read"}, **HIDDEN)
async def look(request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    body = await OBJECT.read(request)
    credentials = credentials_of(body, provider_named(body, *_PROVIDER))

    async def work(_object_id: UUID) -> Response[bytes]:
        found = await connect.admit(gateway, credentials, gateway.clock())
        email = found.account.email or ""
        listed = [
            v2.RawCalendarV2(id=one.id, name=one.name, email=email, is_primary=one.is_primary)
            for one in found.calendars
        ]
        return answer(v2.Answer(data=listed))

    return await once(gateway, request, work)


@post(CALENDARS, status_code=201, **HIDDEN)
async def create(request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    body = await OBJECT.read(request)
    credentials = credentials_of(body, provider_named(body, *_PROVIDER))
    raw_calendar_id = optional_text(body, "raw_calendar_id", 1024)
    if raw_calendar_id is None:
        raise invalid("raw_calendar_id", "is required")
    wish = connect.NewCalendar(credentials=credentials, raw_calendar_id=raw_calendar_id, renews=False)

    async def work(object_id: UUID) -> Response[bytes]:
        try:
            row, _created = await connect.add(gateway, request.auth.project_id, wish, object_id, author(request))
        except connect.AlreadyConnected as error:
            raise DialectError(
                409,
                ALREADY_CONNECTED,
                "This calendar is connected already; its calendar_id stands in details.",
                details=str(error.calendar_id),
            ) from error
        return answer(v2.Answer(data=v2.created(row)), status=201)

    return await once(gateway, request, work)


@get(CALENDARS, **HIDDEN)
async def list_calendars(request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    query = Query(request)
    cursors = Cursors(gateway.cipher, request.auth.project_id, "meeting-baas calendars")
    turn = read_turn(query, cursors, UUID)
    wanted = meeting_baas.CalendarsWanted(
        email=query.text("account_email", most=320),
        platforms=query.several("calendar_platform", KINDS),
        statuses=query.several("status", _STATUSES),
    )
    async with gateway.database.read() as conn:
        found = await meeting_baas.calendars_page(
            conn, request.auth.project_id, wanted, turn.place, turn.limit + 1, backwards=turn.backwards
        )
    rows, behind, before = cut(turn, found)
    ends = (rows[0].id, rows[-1].id) if rows else None
    cursor, previous = marks(cursors, ends, behind=behind, before=before)
    listed = [v2.calendar_item(row) for row in rows]
    return answer(v2.PageV2(data=listed, cursor=cursor, prev_cursor=previous))


@get(CALENDAR, **HIDDEN)
async def show(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    wanted = path_uuid(calendar_id, "calendar_id")
    async with gateway.database.read() as conn:
        row = await known_calendar(conn, request, wanted)
        channel = await channels.serving(conn, wanted)
        quarantined = await calendars.quarantined_count(conn, wanted)
    details = v2.calendar_details(
        row,
        subscription_id=None if channel is None else channel.resource_id,
        expires_at=None if channel is None else channel.expires_at,
        quarantined=quarantined,
    )
    return answer(v2.Answer(data=details))


@patch(CALENDAR, **HIDDEN)
async def change(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    wanted = path_uuid(calendar_id, "calendar_id")
    body = await OBJECT.read(request)
    async with gateway.database.read() as conn:
        row = await known_calendar(conn, request, wanted)
    if row.provider not in OAUTH:
        raise invalid("calendar_id", f"is a calendar of provider {row.provider}, which has no OAuth credentials")
    patched = connect.CalendarPatch(credentials=credentials_of(body, row.provider))
    changed = await connect.change(gateway, request.auth.project_id, wanted, patched, author(request))
    return answer(v2.Answer(data=v2.changed(changed)))


@delete(CALENDAR, status_code=200, **HIDDEN)
async def remove(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    wanted = path_uuid(calendar_id, "calendar_id")
    async with gateway.database.read() as conn:
        await known_calendar(conn, request, wanted)
    await connect.remove(gateway, request.auth.project_id, wanted, by=author(request))
    return answer(v2.Answer(data=v2.Message("The calendar is disconnected, and its events are forgotten.")))


@post(f"{CALENDAR}/sync", status_code=200, **HIDDEN)
async def sync(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    wanted = path_uuid(calendar_id, "calendar_id")

    async def work(_object_id: UUID) -> Response[bytes]:
        async with gateway.database.read() as conn:
            await known_calendar(conn, request, wanted)
        try:
            await connect.resync(gateway, request.auth.project_id, wanted, full=True, by=author(request))
        except GatewayError as error:
            raise _reconnecting(error) from error
        return answer(v2.Answer(data=v2.Message("The calendar is being read anew.")))

    return await once(gateway, request, work)


@post(f"{CALENDAR}/resubscribe", status_code=200, **HIDDEN)
async def resubscribe(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    wanted = path_uuid(calendar_id, "calendar_id")

    async def work(_object_id: UUID) -> Response[bytes]:
        async with gateway.database.read() as conn:
            await known_calendar(conn, request, wanted)
        try:
            at = await push.renew(gateway, request.auth.project_id, wanted, author(request))
        except GatewayError as error:
            raise _reconnecting(error) from error
        return answer(v2.Answer(data=v2.Resubscribed(calendar_id=wanted, resubscribed_at=at)))

    return await once(gateway, request, work)


def path_uuid(text: Any, field: str) -> UUID:
    """The UUID of a path. Raises GatewayError 422 for what is none."""
    found = uuid_of(text)
    if found is None:
        raise invalid(field, "is not a UUID")
    return found


async def known_calendar(conn: AsyncConnection, request: ApiRequest, calendar_id: UUID) -> Found:
    """The project's calendar with this id. Raises DialectError 404."""
    row = await calendars.one(conn, request.auth.project_id, calendar_id)
    if row is None:
        raise DialectError(404, CALENDAR_UNKNOWN, "There is no calendar with this calendar_id.")
    return row


def _reconnecting(error: GatewayError) -> GatewayError:
    """A calendar that has lost its access is told of as the dialect tells of a token that cannot be refreshed."""
    return DialectError(401, RECONNECT_NEEDED, error.detail) if error.code == "conflict" else error


ROUTES: Final = [look, create, list_calendars, show, change, remove, sync, resubscribe]
