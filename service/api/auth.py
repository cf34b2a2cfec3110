"""Who is asking, and what the key allows: `read` < `write` < `admin`."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from service.api.limits import RateLimiter, too_many
from service.api.meeting_baas.errors import KEY_HEADERS, dialect_of
from service.api.problems import by_status
from service.errors import GatewayError
from service.providers.look_ups import on_behalf_of
from service.settings import RateLimit
from service.store import api_keys
from service.store.api_keys import Principal
from service.store.database import Database

ApiRequest = Request[Any, Principal, State]
"""A request with a key: `request.auth` says whose."""

PUBLIC: Final = {"public": True}
"""`opt` of a route that needs no key."""

SCOPES: Final = ("read", "write", "admin")
FAILURES_PER_SECOND: Final = 2
FAILURES_AT_ONCE: Final = 100
_LONGEST_KEY: Final = 256


class KeyDesk:
    """Looks keys up, one read transaction at a time; who comes during one shares the next.

    Each look-up begins after the request that asks, so a key that was revoked is refused at once; under load one
    transaction serves many requests.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, asyncio.Future[Principal | None]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def find(self, presented: str) -> Principal | None:
        """Whose key it is, or None. Raises DatabaseUnavailable."""
        future = self._waiting.get(presented)
        if future is None:
            future = self._waiting[presented] = asyncio.get_running_loop().create_future()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        # Shielded: one client that hangs up must not cancel the answer that others wait for.
        return await asyncio.shield(future)

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                await self._answer(batch)
        finally:
            self._worker = None

    async def _answer(self, batch: dict[str, asyncio.Future[Principal | None]]) -> None:
        try:
            async with self._database.look() as conn:
                found = {presented: await api_keys.find(conn, presented) for presented in batch}
        except Exception as error:  # noqa: BLE001 (each waiting request raises it)
            for future in batch.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()
            return
        for presented, future in batch.items():
            if not future.done():
                future.set_result(found[presented])


class Authentication(ASGIMiddleware):
    """Finds the project behind a request's key and holds the key to its rate.

    Wrong keys count against the client's address in a bucket of their own, so that they cannot use up anybody's rate; a
    right key from the same address is still served.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, database: Database, rate: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._desk = KeyDesk(database)
        self._requests = RateLimiter(rate.per_second, rate.burst, clock)
        self._failures = RateLimiter(FAILURES_PER_SECOND, FAILURES_AT_ONCE, clock)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Sets `scope["auth"]`. Raises GatewayError 400, 401 or 429."""
        if not scope["route_handler"].opt.get("public"):
            principal = scope["auth"] = await self._principal(scope)  # type: ignore[arg-type]
            with on_behalf_of(principal.project_id):
                await next_app(scope, receive, send)
        else:
            await next_app(scope, receive, send)

    async def _principal(self, scope: HTTPScope) -> Principal:
        presented = presented_key(scope)
        principal = await self._desk.find(presented) if presented else None
        if principal is None:
            client = scope["client"]
            if wait := self._failures.take(client[0] if client else ""):
                raise too_many(wait, "Too many requests with a wrong API key, or none, from this address.")
            raise by_status(401)
        if wait := self._requests.take(principal.key_id):
            raise too_many(wait, "This API key has used up its requests for the moment.")
        return principal


def check_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: GET needs `read`, everything else `write`, unless the route's `opt` names another `scope`.

    Raises GatewayError 403, which names the missing scope.
    """
    if handler.opt.get("public"):
        return
    needed = needed_scope(handler.opt, str(connection.scope.get("method")))
    principal: Principal = connection.scope["auth"]
    if SCOPES.index(principal.scope) < SCOPES.index(needed):
        raise GatewayError(403, "forbidden", f"This needs an API key with the scope `{needed}`.")


def needed_scope(opt: Mapping[str, Any], method: str) -> str:
    """The scope that a route asks for."""
    return str(opt.get("scope") or ("read" if method in {"GET", "HEAD", "OPTIONS"} else "write"))


def presented_key(scope: HTTPScope) -> str:
    """The key as it came, or an empty text for what cannot be one. Raises GatewayError 400."""
    bearers = [value for name, value in scope["headers"] if name == b"authorization"]
    is_foreign = dialect_of(scope["path"]) is not None
    kinds = (*KEY_HEADERS, b"x-api-key") if is_foreign else (b"x-api-key",)
    found = [[value for name, value in scope["headers"] if name == kind] for kind in kinds]
    if len(bearers) > 1 or any(len(values) > 1 for values in found):
        raise GatewayError(400, "bad_request", "A request carries one API key: this one has the header twice.")
    keys = [value for values in found for value in values]
    if bearers and not (is_foreign and keys):
        scheme, _, key = bearers[0].partition(b" ")
        raw = key.strip() if scheme.lower() == b"bearer" else b""
    else:
        raw = keys[0].strip() if keys else b""
    # A key is ASCII by its making; comparing anything else would raise where a 401 is due.
    return raw.decode() if len(raw) <= _LONGEST_KEY and raw.isascii() else ""
