"""Routes of connections: which accounts a user has connected, how they stand, what is wanted of them, and letting them go."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from service.api.auth import ApiRequest
from service.api.authorship import author
from service.api.connection_shapes import (
    CHANGE,
    NOTHING,
    RESYNC,
    AccountCalendarView,
    ConnectedView,
    ConnectionSyncView,
    ConnectionView,
    StatusName,
    calendar_views,
    connection_sync_view,
    connection_view,
)
from service.api.credentials import spelled
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, entity_tag, json_page
from service.api.preconditions import expected_version
from service.api.problems import not_found
from service.core.connection import ACTIVE, ERROR, WITHOUT_CALENDARS
from service.flows import connect
from service.flows.gateway import Gateway
from service.store import connection_views
from service.store.connection_views import ConnectionFilter, Pictured

MOST_OF_A_USER: Final = 250
LONGEST_USER_ID: Final = 255


@get(
    "/connections",
    operation_id="listConnections",
    summary="List connections",
    description="Accounts that users have connected, by the hosted flow or by `POST /calendars`, in the order in which they "
    "came.",
    tags=["Connections"],
    responses={200: ResponseSpec(Page[ConnectionView], description="A page", generate_examples=False)},
)
async def list_connections(
    request: ApiRequest,
    gateway: Injected[Gateway],
    provider: Annotated[
        str | None, QueryParameter(description="`google`, `microsoft`, `caldav`, `ics` or `zoom`.", max_length=64)
    ] = None,
    status: Annotated[StatusName | None, QueryParameter(description="How the connection stands.")] = None,
    user_id: Annotated[
        str | None, QueryParameter(description="The integrator's own name of its user.", max_length=LONGEST_USER_ID)
    ] = None,
    email: Annotated[str | None, QueryParameter(description="The account's address.", max_length=320)] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, "connections")
    wanted = ConnectionFilter(provider=spelled(provider), status=status, user_id=user_id, email=email)
    async with gateway.database.read() as conn:
        found = await connection_views.listed(conn, project_id, wanted, cursors.read(cursor, UUID), limit + 1)
    shown = [msgspec.json.encode(connection_view(each)) for each in found[:limit]]
    return json_page(shown, cursors.write(found[limit - 1].row.id) if len(found) > limit else None)


@get(
    "/connections/status",
    operation_id="getConnectionStatus",
    summary="Ask whether a user is connected",
    description="`connected` when one of the user's connections at least needs nothing of the user: it is `active`, or in an "
    "`error` that passes or that is not the user's. A Zoom account alone does not count, for it has no calendars. A user that "
    "nobody knows is not connected; that is no error.",
    tags=["Connections"],
)
async def show_status(
    request: ApiRequest,
    gateway: Injected[Gateway],
    user_id: Annotated[str | None, QueryParameter(description="The integrator's own name of its user.")] = None,
) -> Response[ConnectedView]:
    if not user_id or len(user_id) > LONGEST_USER_ID or "\0" in user_id:
        return Response(ConnectedView(connected=False, connections=[]))
    async with gateway.database.read() as conn:
        found = await connection_views.listed(
            conn, request.auth.project_id, ConnectionFilter(user_id=user_id), None, MOST_OF_A_USER
        )
    shown = [connection_view(each) for each in found]
    connected = any(each.status in {ACTIVE, ERROR} and each.provider not in WITHOUT_CALENDARS for each in shown)
    return Response(ConnectedView(connected, shown))


@get(
    "/connections/{connection_id:uuid}", operation_id="getConnection", summary="Show a connection", tags=["Connections"]
)
async def show(
    connection_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[ConnectionView]:
    return _answer(await _picture(gateway, request, connection_id))


@patch(
    "/connections/{connection_id:uuid}",
    operation_id="changeConnection",
    summary="Change what is wanted of a connection",
    description="Settings, all optional; `docs/connections.md` says what each does. Calendars that come to "
    "`selected_calendars`, or go from it, are connected and let go in one transaction with the settings. 422 "
    "`calendar_not_found` for a calendar that the account does not have.",
    tags=["Connections"],
    opt={"body": CHANGE, "conditional": True},
)
async def change(
    connection_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[ConnectionView]:
    wanted = (await CHANGE.read(request)).patch(expected_version(request))
    project_id = request.auth.project_id
    return _answer(await connect.change_connection(gateway, project_id, connection_id, wanted, author(request)))


@delete(
    "/connections/{connection_id:uuid}",
    operation_id="deleteConnection",
    summary="Let a connection go",
    description="Every calendar of it is let go as by `DELETE /calendars/{id}`, and the tokens are forgotten. The user's grant "
    "is not revoked.",
    tags=["Connections"],
    opt={"conditional": True},
)
async def remove(connection_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> None:
    version = expected_version(request)
    await connect.remove_connection(gateway, request.auth.project_id, connection_id, version, author(request))


@get(
    "/connections/{connection_id:uuid}/calendars",
    operation_id="listConnectionCalendars",
    summary="List the calendars of a connection's account",
    description="The provider is asked. `selected` ones are kept in step; `PATCH` of the connection chooses them.",
    tags=["Connections"],
    responses={200: ResponseSpec(Page[AccountCalendarView], description="All of them", generate_examples=False)},
)
async def list_calendars(
    connection_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[bytes]:
    found = await _picture(gateway, request, connection_id)
    listed = await connect.provider_calendars(gateway, found.row)
    return json_page([msgspec.json.encode(each) for each in calendar_views(found, listed)], None)


@post(
    "/connections/{connection_id:uuid}/refresh",
    operation_id="refreshConnection",
    summary="Renew a connection's token now",
    description="The connection as it stands then: what the provider refuses is told in its `status`. Calendars that had lost "
    "the grant start anew with it. Where there is a password or an address instead of a token, the calendars are read now.",
    tags=["Connections"],
    status_code=200,
    opt={"body": NOTHING},
)
async def refresh(
    connection_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[ConnectionView]:
    await NOTHING.read(request)

    async def work(_object_id: UUID) -> Response[ConnectionView]:
        await connect.refresh(gateway, request.auth.project_id, connection_id, author(request))
        return _answer(await _picture(gateway, request, connection_id))

    return await once(gateway, request, work)


@post(
    "/connections/{connection_id:uuid}/resync",
    operation_id="resyncConnection",
    summary="Read a connection's calendars now",
    description="Due at once, whatever their back-off says. 409 when all of them are disconnected.",
    tags=["Connections"],
    status_code=202,
    opt={"body": RESYNC},
)
async def resync(
    connection_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[ConnectionView]:
    wish = await RESYNC.read(request)

    async def work(_object_id: UUID) -> Response[ConnectionView]:
        project_id = request.auth.project_id
        await connect.resync_connection(gateway, project_id, connection_id, full=wish.full_sync, by=author(request))
        return _answer(await _picture(gateway, request, connection_id), status=202)

    return await once(gateway, request, work)


@post(
    "/connections/{connection_id:uuid}/set_primary",
    operation_id="setPrimaryConnection",
    summary="Make a connection the primary one of its user",
    description="The others of the same `user_id` are not primary any more. 409 for a Zoom account, which has no calendars.",
    tags=["Connections"],
    status_code=200,
    opt={"body": NOTHING},
)
async def set_primary(
    connection_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[ConnectionView]:
    await NOTHING.read(request)

    async def work(_object_id: UUID) -> Response[ConnectionView]:
        await connect.set_primary(gateway, request.auth.project_id, connection_id, author(request))
        return _answer(await _picture(gateway, request, connection_id))

    return await once(gateway, request, work)


@get(
    "/connections/{connection_id:uuid}/sync",
    operation_id="getConnectionSync",
    summary="Show how a connection's synchronisation stands",
    tags=["Connections"],
)
async def show_sync(
    connection_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[ConnectionSyncView]:
    async with gateway.database.read() as conn:
        found = await connection_views.picture(conn, request.auth.project_id, connection_id)
        if found is None:
            raise not_found()
        aside = await connection_views.set_aside(conn, [one.id for one in found.calendars])
    return Response(connection_sync_view(found, aside, gateway.clock()))


async def _picture(gateway: Gateway, request: ApiRequest, connection_id: UUID) -> Pictured:
    async with gateway.database.read() as conn:
        found = await connection_views.picture(conn, request.auth.project_id, connection_id)
    if found is None:
        raise not_found()
    return found


def _answer(found: Pictured, *, status: int = 200) -> Response[ConnectionView]:
    return Response(connection_view(found), status_code=status, headers=entity_tag(found.row.version))


ROUTES: Final = [
    list_connections,
    show_status,
    show,
    change,
    remove,
    list_calendars,
    refresh,
    resync,
    set_primary,
    show_sync,
]
