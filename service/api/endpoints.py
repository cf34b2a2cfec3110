"""Routes of webhook endpoints: make, list, show, delete, and their secret."""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from service.api.auth import ApiRequest
from service.api.bodies import Body
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, entity_tag, json_page
from service.api.preconditions import expected_version
from service.api.problems import invalid, not_found
from service.api.views import EndpointView, NewEndpointView, SecretView, endpoint_view, new_endpoint_view
from service.core.catalogue import EVENT_TYPES
from service.errors import GatewayError
from service.flows.gateway import Gateway
from service.providers.addresses import Policy
from service.providers.guarded_http import resolve_and_judge
from service.store import calendars
from webhooks import endpoints
from webhooks.endpoints import EndpointDraft
from webhooks.outbox import covers

MOST_ENDPOINTS: Final = 500
"""Of one project: each message is one delivery to each of them."""

TypePattern = Annotated[str, Meta(min_length=1, max_length=64)]


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receiver to be. `event_types` are exact or end in `.*`; without any, all but the `event.*` family are sent."""

    url: Annotated[str, Meta(min_length=1, max_length=4096)]
    event_types: Annotated[list[TypePattern], Meta(min_length=1, max_length=50)] | None = None
    description: Annotated[str, Meta(max_length=500)] | None = None
    rate_limit: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    calendar_ids: Annotated[list[UUID], Meta(min_length=1, max_length=100)] | None = None
    ordering: Literal["best_effort", "fifo"] = "best_effort"
    format: Literal["standard"] = "standard"

    def __post_init__(self) -> None:
        for pattern in self.event_types or ():
            if not any(covers(pattern, known) for known in EVENT_TYPES):
                raise ValueError("`event_types` names a type that does not exist")


NEW: Final = Body[NewEndpoint](
    NewEndpoint,
    example={"url": "https://example.com/hooks", "event_types": ["calendar.*", "event.*"], "description": "Bots"},
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

    async def work(object_id: UUID) -> Response[NewEndpointView]:
        await resolve_and_judge(draft.url, policy, "webhook")
        view = await _stored(gateway, request.auth.project_id, draft, object_id)
        return Response(view, status_code=201, headers=entity_tag(view.version))

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
    async with gateway.database.read() as conn:
        found = await endpoints.page(conn, project_id, after=after, limit=limit + 1)
    shown = [msgspec.json.encode(endpoint_view(endpoint)) for endpoint in found[:limit]]
    return json_page(shown, cursors.write(found[limit - 1].id) if len(found) > limit else None)


@get(
    "/webhooks/endpoints/{endpoint_id:uuid}",
    operation_id="getEndpoint",
    summary="Show a webhook endpoint",
    tags=["Webhooks"],
)
async def show(endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[EndpointView]:
    async with gateway.database.read() as conn:
        found = await endpoints.get(conn, request.auth.project_id, endpoint_id)
    if found is None:
        raise not_found()
    return Response(endpoint_view(found), headers=entity_tag(found.version))


@delete(
    "/webhooks/endpoints/{endpoint_id:uuid}",
    operation_id="deleteEndpoint",
    summary="Stop sending webhooks to a URL",
    description="What has not been delivered is cancelled; what was sent stays in the messages' history.",
    tags=["Webhooks"],
    opt={"conditional": True},
)
async def remove(endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> None:
    project_id = request.auth.project_id
    version = expected_version(request)
    async with gateway.database.write() as conn:
        found = await endpoints.get(conn, project_id, endpoint_id)
        if found is None:
            raise not_found()
        if version is not None and found.version != version:
            raise GatewayError(412, "precondition_failed", f"The endpoint is at version {found.version}.")
        await endpoints.delete(conn, project_id, endpoint_id, now=gateway.clock())


@get(
    "/webhooks/endpoints/{endpoint_id:uuid}/secret",
    operation_id="getEndpointSecret",
    summary="Show the secret that signs an endpoint's webhooks",
    tags=["Webhooks"],
    opt={"scope": "admin"},
)
async def reveal(endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[SecretView]:
    async with gateway.database.write() as conn:
        secret = await endpoints.reveal(conn, gateway.cipher, request.auth.project_id, endpoint_id)
    if secret is None:
        raise not_found()
    return Response(SecretView(secret))


async def _stored(gateway: Gateway, project_id: UUID, draft: EndpointDraft, object_id: UUID) -> NewEndpointView:
    async with gateway.database.write() as conn:
        known = await endpoints.get(conn, project_id, object_id)
        if known is not None:
            # A run that died before it could answer has made it.
            secret = await endpoints.reveal(conn, gateway.cipher, project_id, object_id)
            return new_endpoint_view(known, secret or "")
        if len(await endpoints.page(conn, project_id, limit=MOST_ENDPOINTS)) >= MOST_ENDPOINTS:
            raise GatewayError(422, "validation_failed", f"A project has at most {MOST_ENDPOINTS} webhook endpoints.")
        await _check_calendars(conn, project_id, draft)
        made, secret = await endpoints.create(
            conn, gateway.cipher, project_id, draft, now=gateway.clock(), endpoint_id=object_id
        )
    return new_endpoint_view(made, secret)


async def _check_calendars(conn: AsyncConnection, project_id: UUID, draft: EndpointDraft) -> None:
    for calendar_id in draft.calendar_ids or ():
        if await calendars.one(conn, project_id, calendar_id) is None:
            raise invalid("calendar_ids", "names a calendar that does not exist")


ROUTES: Final = [create, list_endpoints, show, remove, reveal]
