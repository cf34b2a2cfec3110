"""The routes that providers call: no key but the channel's own proof, no answer but that it was understood."""

from typing import Any, Final
from uuid import UUID

from litestar import MediaType, Response, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath

from service.api.auth import PUBLIC, ApiRequest
from service.api.injection import Injected
from service.api.problems import by_status, not_found
from service.flows import push
from service.flows.gateway import Gateway
from service.flows.push import Storms

MOST_BYTES: Final = 256 * 1024
LONGEST_TOKEN: Final = 4096

_VALIDATED: Final = {
    200: ResponseSpec(
        str, media_type=MediaType.TEXT, description="The validation token, as it came", generate_examples=False
    ),
    202: ResponseSpec(None, description="Taken", generate_examples=False),
}


@post(
    "/push/google/{channel:uuid}",
    operation_id="receiveGooglePush",
    summary="Google tells that a calendar changed",
    description="For Google's servers. The headers carry everything; a body is not read. A notice that is forged, stale or "
    "for an unknown channel is answered 404 and does nothing.",
    tags=["Push"],
    status_code=204,
    opt=PUBLIC,
)
async def receive_google(
    channel: FromPath[UUID],
    request: ApiRequest,
    gateway: Injected[Gateway],
    storms: Injected[Storms],
) -> None:
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:12]) > MOST_BYTES:
        raise by_status(413)
    if not await push.received(gateway, storms, "google", request.headers, channel_id=channel):
        raise not_found()


@post(
    "/push/microsoft",
    operation_id="receiveMicrosoftPush",
    summary="Microsoft Graph tells that calendars changed",
    description="For Microsoft's servers. The body has many notices, each with a secret of its own; those that are forged "
    "are passed over, and a request without any other is answered 404. With `?validationToken=` the answer is that token as "
    "plain text, by which Graph sees that the address is ours.",
    tags=["Push"],
    status_code=202,
    responses=_VALIDATED,
    opt={**PUBLIC, "statuses": (404,)},
)
async def receive_microsoft(
    request: ApiRequest, gateway: Injected[Gateway], storms: Injected[Storms]
) -> Response[None]:
    return await _take_microsoft(request, gateway, storms)


@post(
    "/push/microsoft/lifecycle",
    operation_id="receiveMicrosoftLifecycle",
    summary="Microsoft Graph tells of its subscriptions",
    description="The same for notices about a subscription itself: that it must be renewed, was removed, or missed something.",
    tags=["Push"],
    status_code=202,
    responses=_VALIDATED,
    opt={**PUBLIC, "statuses": (404,)},
)
async def receive_microsoft_lifecycle(
    request: ApiRequest, gateway: Injected[Gateway], storms: Injected[Storms]
) -> Response[None]:
    return await _take_microsoft(request, gateway, storms)


async def _take_microsoft(request: ApiRequest, gateway: Gateway, storms: Storms) -> Response[Any]:
    token = request.query_params.get("validationToken")
    if token is not None:
        # Graph waits for this while our own request for a subscription waits for Graph: nothing here may take a lock.
        if len(token) > LONGEST_TOKEN:
            raise not_found()
        return Response(
            token, status_code=200, media_type=MediaType.TEXT, headers={"x-content-type-options": "nosniff"}
        )
    if not await push.received(gateway, storms, "microsoft", request.headers, await request.body()):
        raise not_found()
    return Response(None, status_code=202)


ROUTES: Final = [receive_google, receive_microsoft, receive_microsoft_lifecycle]
