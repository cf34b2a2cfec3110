"""The routes that providers call: no key but the channel's own proof, no answer but that it was understood."""

from typing import Final
from uuid import UUID

from litestar import post
from litestar.params import FromPath

from service.api.auth import PUBLIC, ApiRequest
from service.api.injection import Injected
from service.api.problems import by_status, not_found
from service.flows import push
from service.flows.gateway import Gateway
from service.flows.push import Storms

MOST_BYTES: Final = 256 * 1024


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
    if not await push.received(gateway, storms, "google", channel, request.headers):
        raise not_found()


ROUTES: Final = [receive_google]
