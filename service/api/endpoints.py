"""Routes of webhook endpoints: make, list, show, change, delete, and their secret."""

from collections.abc import Collection, Iterable
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from msgspec import UNSET

from service.api.auth import ApiRequest, presented_key
from service.api.authorship import desk
from service.api.bodies import Body
from service.api.endpoint_shapes import EndpointChange, NewEndpoint, check_types
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, entity_tag, json_page
from service.api.preconditions import expected_version
from service.api.problems import field_problem, invalid_fields
from service.api.webhook_refusals import told_as_problems
from service.api.webhook_views import (
    EndpointView,
    NewEndpointView,
    SecretView,
    endpoint_view,
    new_endpoint_view,
)
from service.core.meeting_baas.notices import KEY_HEADER, V1
from service.errors import FieldProblem
from service.flows.gateway import Gateway
from service.providers.addresses import Policy
from service.providers.guarded_http import resolve_and_judge
from service.store import calendars
from webhooks.endpoints import EndpointDraft

NEW: Final = Body[NewEndpoint](
    NewEndpoint,
    example={"url": "https://example.com/hooks", "event_types": ["calendar.*", "event.*"], "description": "Bots"},
)

CHANGE: Final = Body[EndpointChange](
    EndpointChange, example={"event_types": None, "rate_limit": 20, "state": "enabled"}, when_empty=EndpointChange()
)


@post(
    "/webhooks/endpoints",
    operation_id="createEndpoint",
    summary="Have webhooks sent to a URL",
    description="The answer holds the secret that signs them (Standard Webhooks).",
    tags=["Webhooks"],
    opt={"body": NEW},
)
async def create(
    request: ApiRequest, gateway: Injected[Gateway], policy: Injected[Policy]
) -> Response[NewEndpointView]:
    wish = await NEW.read(request)
    draft = msgspec.convert(wish, EndpointDraft, from_attributes=True)
    if wish.format == V1:
        # The only proof that receivers of v1 know: the key that its owner calls the API with.
        draft = msgspec.structs.replace(draft, headers={KEY_HEADER: presented_key(request.scope)})

    async def work(object_id: UUID) -> Response[NewEndpointView]:
        await resolve_and_judge(draft.url, policy, "webhook")
        await _check_calendars(gateway, request.auth.project_id, draft.calendar_ids)
        with told_as_problems():
            made, secret = await desk(request, gateway).create(
                request.auth.project_id, draft, endpoint_id=object_id, now=gateway.clock()
            )
        return Response(new_endpoint_view(made, secret), status_code=201, headers=entity_tag(made.version))

    return await once(gateway, request, work)


@get(
    "/webhooks/endpoints",
    operation_id="listEndpoints",
    summary="List webhook endpoints",
    tags=["Webhooks"],
    responses={200: ResponseSpec(Page[EndpointView], description="A page", generate_examples=False)},
)
async def list_endpoints(
    request: ApiRequest,
    gateway: Injected[Gateway],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, "endpoints")
    after = cursors.read(cursor, UUID)
    with told_as_problems():
        found = await gateway.desk.page(project_id, after=after, limit=limit + 1, now=gateway.clock())
    shown = [msgspec.json.encode(endpoint_view(endpoint)) for endpoint in found[:limit]]
    return json_page(shown, cursors.write(found[limit - 1].id) if len(found) > limit else None)


@get(
    "/webhooks/endpoints/{endpoint_id:uuid}",
    operation_id="getEndpoint",
    summary="Show a webhook endpoint",
    tags=["Webhooks"],
)
async def show(endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[EndpointView]:
    with told_as_problems():
        found = await gateway.desk.get(request.auth.project_id, endpoint_id, now=gateway.clock())
    return Response(endpoint_view(found), headers=entity_tag(found.version))


@patch(
    "/webhooks/endpoints/{endpoint_id:uuid}",
    operation_id="changeEndpoint",
    summary="Change a webhook endpoint, or enable it again",
    description="A new `url` is judged as that of a new endpoint. What waited while the endpoint was disabled is due at once, "
    "behind what is new. What is sent from the answer on goes by the change: of what waits, that which new filters do not "
    "cover is cancelled, and an `ordering` of `best_effort` lets go what waited for its turn. An `ordering` of `fifo` holds "
    "for what comes. An endpoint of the format `meeting_baas_v1` that gets another `url` sends the key of this request there.",
    tags=["Webhooks"],
    opt={"body": CHANGE, "conditional": True},
)
async def change(
    endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway], policy: Injected[Policy]
) -> Response[EndpointView]:
    project_id = request.auth.project_id
    body = await CHANGE.read(request)
    version = expected_version(request)
    with told_as_problems():
        held = await gateway.desk.get(project_id, endpoint_id, now=gateway.clock())
    try:
        check_types(body.event_types, [held.format])
    except ValueError as error:
        raise invalid_fields([field_problem(str(error))]) from None
    wish: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    if body.ordering is None:
        wish["ordering"] = "best_effort"
    if body.url is not UNSET:
        await resolve_and_judge(body.url, policy, "webhook")
        if held.format == V1:
            # The key of whoever names an address is sent there, never that of somebody who has named another.
            wish["headers"] = {KEY_HEADER: presented_key(request.scope)}
    await _check_calendars(gateway, project_id, wish.get("calendar_ids"), held=held.calendar_ids)
    with told_as_problems():
        changed = await desk(request, gateway).change(
            project_id, endpoint_id, wish, version=version, now=gateway.clock()
        )
    return Response(endpoint_view(changed), headers=entity_tag(changed.version))


@delete(
    "/webhooks/endpoints/{endpoint_id:uuid}",
    operation_id="deleteEndpoint",
    summary="Stop sending webhooks to a URL",
    description="What has not been delivered is cancelled; what was sent stays in the messages' history.",
    tags=["Webhooks"],
    opt={"conditional": True},
)
async def remove(endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> None:
    version = expected_version(request)
    with told_as_problems():
        await desk(request, gateway).delete(request.auth.project_id, endpoint_id, version=version, now=gateway.clock())


@get(
    "/webhooks/endpoints/{endpoint_id:uuid}/secret",
    operation_id="getEndpointSecret",
    summary="Show the secret that signs an endpoint's webhooks",
    tags=["Webhooks"],
    opt={"scope": "admin"},
)
async def reveal(endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[SecretView]:
    with told_as_problems():
        return Response(SecretView(await desk(request, gateway).reveal(request.auth.project_id, endpoint_id)))


async def _check_calendars(
    gateway: Gateway, project_id: UUID, calendar_ids: Iterable[UUID] | None, held: Collection[UUID] | None = None
) -> None:
    """Raises GatewayError 422 for calendars that the project does not have, but for those that an endpoint has already.

    What an endpoint shows may be written back to it, also after one of its calendars was deleted.
    """
    new = [(n, each) for n, each in enumerate(calendar_ids or ()) if each not in (held or ())]
    if not new:
        return
    async with gateway.database.read() as conn:
        unknown = [n for n, each in new if await calendars.one(conn, project_id, each) is None]
    if unknown:
        places = ", ".join(f"[{n}]" for n in unknown)
        raise invalid_fields([FieldProblem("calendar_ids", f"names calendars that do not exist, at {places}")])


ROUTES: Final = [create, list_endpoints, show, change, remove, reveal]
