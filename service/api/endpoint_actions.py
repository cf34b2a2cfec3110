"""Routes of what can be done with a webhook endpoint: rotate its secret, test it, recover what failed; and the catalogue."""

from datetime import timedelta
from functools import cache
from typing import Final
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from service.api.auth import ApiRequest
from service.api.authorship import desk
from service.api.bodies import Body
from service.api.endpoint_shapes import Nothing, Recovery, Rotation
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.paging import Page, json_page
from service.api.webhook_refusals import told_as_problems
from service.api.webhook_views import (
    AttemptView,
    EventTypeView,
    PortalView,
    RedeliveryView,
    RotatedView,
    attempt_view,
)
from service.core.catalogue import CATALOGUE, schema_of
from service.flows.gateway import Gateway

ROTATION: Final = Body[Rotation](Rotation, example={"grace_seconds": 86_400}, when_empty=Rotation())
TEST: Final = Body[Nothing](Nothing, example={}, when_empty=Nothing())
PORTAL: Final = TEST
RECOVERY: Final = Body[Recovery](
    Recovery, example={"since": "2026-03-02T09:00:00Z", "until": "2026-03-02T12:00:00Z", "event_types": ["calendar.*"]}
)


@post(
    "/webhooks/endpoints/{endpoint_id:uuid}/rotate_secret",
    status_code=200,
    operation_id="rotateEndpointSecret",
    summary="Give an endpoint a new secret",
    description="Messages are signed with the new secret and with the old ones until `old_secrets_sign_until`: bring the new "
    "one to your receiver in the meantime. At most five old secrets sign; the oldest makes room. `grace_seconds` 0 ends "
    "the old ones at once.",
    tags=["Webhooks"],
    opt={"body": ROTATION},
)
async def rotate(endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[RotatedView]:
    body = await ROTATION.read(request)

    async def work(object_id: UUID) -> Response[RotatedView]:
        now, grace = gateway.clock(), timedelta(seconds=body.grace_seconds)
        with told_as_problems():
            secret = await desk(request, gateway).rotate(
                request.auth.project_id, endpoint_id, grace=grace, rotation_id=object_id, now=now
            )
        return Response(RotatedView(secret, now + grace), status_code=200)

    return await once(gateway, request, work)


@post(
    "/webhooks/endpoints/{endpoint_id:uuid}/test",
    status_code=200,
    operation_id="testEndpoint",
    summary="Send a test message now",
    description="`webhook.test` goes out once, whatever the endpoint subscribes to, and is not retried. The answer is the "
    "attempt, failed or not, and may take as long as a receiver may: 15 seconds. 409 when the endpoint is disabled.",
    tags=["Webhooks"],
    opt={"body": TEST},
)
async def test(endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[AttemptView]:
    await TEST.read(request)

    async def work(_object_id: UUID) -> Response[AttemptView]:
        with told_as_problems():
            attempt = await desk(request, gateway).test(request.auth.project_id, endpoint_id, now=gateway.clock())
        return Response(attempt_view(attempt), status_code=200)

    return await once(gateway, request, work)


@post(
    "/webhooks/endpoints/{endpoint_id:uuid}/recover",
    status_code=202,
    operation_id="recoverEndpoint",
    summary="Send again what failed",
    description="Messages that this endpoint has failed to take in a span of time are due again: same ids, same bytes, a new "
    "round of retries, behind what is new. What is past its retention is not there any more. 409 when the endpoint is "
    "disabled.",
    tags=["Webhooks"],
    opt={"body": RECOVERY},
)
async def recover(
    endpoint_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[RedeliveryView]:
    body = await RECOVERY.read(request)

    async def work(_object_id: UUID) -> Response[RedeliveryView]:
        with told_as_problems():
            count = await desk(request, gateway).recover(
                request.auth.project_id,
                endpoint_id,
                since=body.since,
                until=body.until,
                event_types=body.event_types,
                now=gateway.clock(),
            )
        return Response(RedeliveryView(count), status_code=202)

    return await once(gateway, request, work)


@post(
    "/webhooks/portal",
    status_code=200,
    operation_id="openPortal",
    summary="Make a link to the portal of endpoints",
    description="Whoever opens it sees and changes the project's endpoints at Svix, their secrets and what was sent; give it to "
    "the one person whom it is for. 409 where the gateway sends webhooks itself: there is a portal once `CALGATE_SVIX_TOKEN` "
    "is set.",
    tags=["Webhooks"],
    opt={"body": PORTAL, "scope": "admin"},
)
async def portal(request: ApiRequest, gateway: Injected[Gateway]) -> Response[PortalView]:
    await PORTAL.read(request)

    async def work(_object_id: UUID) -> Response[PortalView]:
        with told_as_problems():
            made = await desk(request, gateway).portal(request.auth.project_id, now=gateway.clock())
        return Response(PortalView(made.url, made.expires_at), status_code=200)

    return await once(gateway, request, work)


@get(
    "/webhooks/event_types",
    operation_id="listEventTypes",
    summary="List the types of webhooks",
    description="Each with a JSON Schema of its whole body, and an example.",
    tags=["Webhooks"],
    responses={200: ResponseSpec(Page[EventTypeView], description="All of them", generate_examples=False)},
)
async def list_event_types() -> Response[bytes]:
    return json_page(_catalogue(), None)


@cache
def _catalogue() -> tuple[bytes, ...]:
    return tuple(
        msgspec.json.encode(
            EventTypeView(
                type=each.name,
                description=each.description,
                on_request=each.on_request,
                schema=schema_of(each),
                example=dict(each.example),
            )
        )
        for each in CATALOGUE
    )


ROUTES: Final = [rotate, test, recover, portal, list_event_types]
