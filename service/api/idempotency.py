"""`Idempotency-Key` on POST: the first answer is kept and given again, so that a client may repeat what it is unsure of."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import MediaType, Response
from uuid_utils.compat import uuid7

from service.api.auth import ApiRequest
from service.api.bodies import read_bytes
from service.api.problems import answer as problem
from service.api.problems import invalid
from service.errors import GatewayError
from service.flows.gateway import Gateway
from service.store import idempotency
from service.store.idempotency import Conflict, Fresh, Name, Replay, Running

HEADER: Final = "idempotency-key"
REPLAYED: Final = "idempotency-replayed"

_ACCEPTED: Final = re.compile(r"[\x20-\x7e]{1,255}")
_NOT_KEPT: Final = frozenset({401, 403, 408, 413, 429})

Work = Callable[[UUID], Awaitable[Response[Any]]]
"""Makes the answer; whatever it creates takes the given id, so that a repetition after a crash cannot create twice."""


async def once(gateway: Gateway, request: ApiRequest, work: Work) -> Response[Any]:
    """Do the work, or give the kept answer of the first request that had this key.

    Kept are answers and refusals that the same request would get again; after a fault (5xx) the key is free for another
    try. To be called behind the guards, so that a key of less scope is never given somebody else's answer.
    Raises GatewayError 400 for a malformed key, 409 while the first request is running, 422 for another body.
    """
    key = _key(request)
    if key is None:
        return await work(uuid7())
    name = Name(request.auth.project_id, f"POST {request.scope['path_template']}", key)
    claim = await _claim(gateway, name, await _fingerprint(request))
    if isinstance(claim, Replay):
        return Response(claim.body, status_code=claim.status, headers=claim.headers | {REPLAYED: "true"})
    return await _first(gateway, request, name, claim, work)


async def _claim(gateway: Gateway, name: Name, fingerprint: bytes) -> Fresh | Replay:
    async with gateway.database.write() as conn:
        claim = await idempotency.begin(
            conn, gateway.cipher, name, fingerprint=fingerprint, now=gateway.clock(), new_object_id=uuid7()
        )
    match claim:
        case Conflict():
            raise invalid("Idempotency-Key", "was used before with another request")
        case Running():
            raise GatewayError(409, "conflict", "The first request with this Idempotency-Key is still running.")
    return claim


async def _first(gateway: Gateway, request: ApiRequest, name: Name, claim: Fresh, work: Work) -> Response[Any]:
    try:
        response = _rendered(await work(claim.object_id))
    except GatewayError as error:
        response = _rendered(problem(error, request.scope))
    except Exception:
        await _abandon(gateway, name, claim)
        raise
    status = response.status_code or 200
    if status >= 500 or status in _NOT_KEPT:
        await _abandon(gateway, name, claim)
        return response
    async with gateway.database.write() as conn:
        await idempotency.finish(
            conn, gateway.cipher, name, status=status, headers=dict(response.headers), body=response.content
        )
    return response


async def _abandon(gateway: Gateway, name: Name, claim: Fresh) -> None:
    async with gateway.database.write() as conn:
        await idempotency.abandon(conn, name, claim)


def _rendered(response: Response[Any]) -> Response[bytes]:
    """The response as bytes, its media type among the headers: what can be kept and given again."""
    body = response.content if isinstance(response.content, bytes) else msgspec.json.encode(response.content)
    kind = str(response.media_type or MediaType.JSON.value)
    return Response(body, status_code=response.status_code, headers={**response.headers, "content-type": kind})


def _key(request: ApiRequest) -> str | None:
    given = request.headers.getall(HEADER, [])
    if not given:
        return None
    if len(given) > 1 or not _ACCEPTED.fullmatch(given[0]):
        raise GatewayError(
            400, "bad_request", "An Idempotency-Key is one value of 1 to 255 printable ASCII characters."
        )
    return str(given[0])


async def _fingerprint(request: ApiRequest) -> bytes:
    """A hash of what was asked: the path, for it may name an object, and the body."""
    return hashlib.sha256(request.scope["path"].encode() + b"\0" + await read_bytes(request)).digest()
