"""Routes of calendars in v1: bare objects, the four fields of credentials in every body, an id that stays."""

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
from service.api.meeting_baas.errors import PREFIX, DialectError
from service.core.meeting_baas import v1
from service.core.meeting_baas.refusals import CALENDAR_UNKNOWN
from service.flows import connect
from service.flows.gateway import Gateway
from service.store import calendars, meeting_baas
from service.store.tables import Found

PROVIDER: Final = ("platform", "provider")
LARGEST_INT32: Final = 2**31 - 1

_LOST: Final = "The calendar has lost its access: PATCH it with new credentials."


@get([f"{PREFIX}/calendars/raw", f"{PREFIX}/raw_calendars"], opt={"scope": "read"}, **HIDDEN)
async def look(request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    """The older guide's way: a GET with a body."""
    return await _look(request, gateway)


@post(f"{PREFIX}/calendars/raw", status_code=200, opt={"scope": "read"}, **HIDDEN)
async def look_by_post(request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    async def work(_object_id: UUID) -> Response[bytes]:
        return await _look(request, gateway)

    return await once(gateway, request, work)


@post(f"{PREFIX}/calendars", status_code=200, **HIDDEN)
async def create(request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    """A calendar that is connected already keeps its id and gets these credentials."""
    body = await OBJECT.read(request)
    wish = connect.NewCalendar(
        credentials=credentials_of(body, provider_named(body, *PROVIDER)),
        raw_calendar_id=optional_text(body, "raw_calendar_id", 1024),
    )

    async def work(object_id: UUID) -> Response[bytes]:
        row, _created = await connect.add(gateway, request.auth.project_id, wish, object_id, author(request))
        return answer(v1.ConnectedV1(await _shown(gateway, row)))

    return await once(gateway, request, work)


@get(f"{PREFIX}/calendars", **HIDDEN)
async def list_calendars(request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    async with gateway.database.read() as conn:
        rows = await meeting_baas.every_calendar(conn, request.auth.project_id)
        resources = await meeting_baas.resource_ids(conn, [row.id for row in rows])
    return answer([v1.calendar(row, resources.get(row.id)) for row in rows])


@get(f"{PREFIX}/calendars/{{uuid:str}}", **HIDDEN)
async def show(uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    async with gateway.database.read() as conn:
        row = await known_calendar(conn, request, uuid)
    return answer(await _shown(gateway, row))


@patch(f"{PREFIX}/calendars/{{uuid:str}}", **HIDDEN)
async def change(uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    """New credentials; bots that are planned stay planned, for their meetings do."""
    body = await OBJECT.read(request)
    async with gateway.database.read() as conn:
        row = await known_calendar(conn, request, uuid)
    wanted = connect.CalendarPatch(credentials=credentials_of(body, provider_named(body, *PROVIDER)))
    changed = await connect.change(gateway, request.auth.project_id, row.id, wanted, author(request))
    return answer(v1.ConnectedV1(await _shown(gateway, changed)))


@delete(f"{PREFIX}/calendars/{{uuid:str}}", status_code=200, **HIDDEN)
async def remove(uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    async with gateway.database.read() as conn:
        row = await known_calendar(conn, request, uuid)
    await connect.remove(gateway, request.auth.project_id, row.id, by=author(request))
    return Response(b"", status_code=200, media_type="text/plain")


@post(f"{PREFIX}/calendars/resync_all", status_code=200, **HIDDEN)
async def resync_all(request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    """`days` is understood and makes no difference: each calendar is read as far ahead as it is kept."""
    Query(request).whole("days", 30, -LARGEST_INT32, LARGEST_INT32)

    async def work(_object_id: UUID) -> Response[bytes]:
        read, lost = await connect.resync_each(gateway, request.auth.project_id, author(request))
        return answer(v1.ResyncedV1(synced_calendars=read, errors=[(calendar_id, _LOST) for calendar_id in lost]))

    return await once(gateway, request, work)


@get(f"{PREFIX}/bots/webhooks/calendar", **HIDDEN)
async def describe_webhooks() -> Response[bytes]:
    """What the vendor's v1 documents by a route: its one webhook about calendars."""
    return answer(_WEBHOOKS)


async def known_calendar(conn: AsyncConnection, request: ApiRequest, calendar_id: Any) -> Found:
    """The calendar that a path or a parameter names. Raises DialectError 404, also for what no id looks like."""
    wanted = uuid_of(calendar_id)
    row = None if wanted is None else await calendars.one(conn, request.auth.project_id, wanted)
    if row is None:
        raise DialectError(404, CALENDAR_UNKNOWN, "Calendar not found")
    return row


async def _look(request: ApiRequest, gateway: Gateway) -> Response[bytes]:
    body = await OBJECT.read(request)
    credentials = credentials_of(body, provider_named(body, *PROVIDER))
    found = await connect.admit(gateway, credentials, gateway.clock())
    email = found.account.email
    return answer(
        v1.RawCalendarsV1([v1.raw_calendar(one.id, email, is_primary=one.is_primary) for one in found.calendars])
    )


async def _shown(gateway: Gateway, row: Found) -> v1.CalendarV1:
    async with gateway.database.read() as conn:
        resources = await meeting_baas.resource_ids(conn, [row.id])
    return v1.calendar(row, resources.get(row.id))


_WEBHOOKS: Final = {
    "description": "Sent to endpoints of the format meeting_baas_v1 whenever a calendar's events have changed. Fetch "
    "each event that is named, or list those with updated_at_gte=last_updated_ts; deleted ones say deleted: true.",
    "method": "POST",
    "headers": {"content-type": "application/json", "x-meeting-baas-api-key": "the endpoint's secret"},
    "events": {
        "calendar.sync_events": {
            "event": "calendar.sync_events",
            "data": {
                "calendar_id": "0199f3a2-5a0d-7e24-8c11-9b3d47a6e0f2",
                "last_updated_ts": "2026-03-02T09:00:00Z",
                "affected_event_uuids": ["0199f3a2-5a0e-7b11-9d20-0c5f7a1e2b3c"],
            },
        }
    },
}

ROUTES: Final = [
    look,
    look_by_post,
    create,
    list_calendars,
    show,
    change,
    remove,
    resync_all,
    describe_webhooks,
]
