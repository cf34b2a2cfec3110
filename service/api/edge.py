"""The outermost layer: what holds for every request and every response, also for those that no route answers."""

import asyncio
import re
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

from service.api.problems import invalid, spoken
from service.errors import GatewayError

BODY_SECONDS: Final = 30.0
MOST_HEADER_BYTES: Final = 64 * 1024 - 4096
MOST_HEADERS: Final = 200

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_READS_ANYTHING: Final = re.compile(r"/connections/status|/connect/(links/.*|[^/]+/callback)")
"""Paths that judge their parameters themselves: browsers are answered with pages, and a status is never an error."""

_ALWAYS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
]
_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_STRICT: Final = (b"strict-transport-security", b"max-age=31536000")


class Edge:
    """Wraps an ASGI application.

    Gives every request an id (the caller's own when it is sane) and every response the headers of a careful API; refuses
    unknown hosts and oversized headers; answers HEAD as GET without a body; gives a body `body_seconds` to arrive.
    `allowed_hosts` are names, `*.name` for what is below one, empty or `*` for any; health checks, which come to an
    address, are not asked. Once `is_ending`, each answer is the last of its connection, so that none is hung up on.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Sequence[str] = (),
        body_seconds: float = BODY_SECONDS,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._is_ending = is_ending
        self._hosts = frozenset(host for host in allowed_hosts if not host.startswith("*."))
        self._domains = tuple(host[1:] for host in allowed_hosts if host.startswith("*."))
        self._any_host = not allowed_hosts or "*" in self._hosts
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        await self._serve(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        identity = given if _SANE_ID.fullmatch(given) else uuid4().hex.encode()
        state["request_id"] = identity.decode()
        sender = _sender(scope, send, identity, self._is_ending)
        if (error := self._refusal(scope)) is not None:
            await _refuse(error, scope, sender)
            return
        is_head = state["is_head"] = scope["method"] == "HEAD"
        # A copy: the server below judges the length of the body by the method in its own scope.
        asked: HTTPScope = {**scope, "method": "GET"} if is_head else scope
        try:
            await self._app(asked, _bounded(receive, self._body_seconds), sender)
        finally:
            if is_head:
                scope["path_template"] = asked.get("path_template", "")  # for an access log further out

    def _refusal(self, scope: HTTPScope) -> GatewayError | None:
        headers = scope["headers"]
        if not isinstance(headers, list):
            headers = scope["headers"] = list(headers)
        if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > MOST_HEADER_BYTES:
            return GatewayError(431, "headers_too_large", "The request's headers are too large.")
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
            return GatewayError(400, "bad_request", "A request needs exactly one Host header.")
        if not self._any_host and not scope["path"].startswith("/health/") and not self._is_ours(hosts):
            return GatewayError(400, "bad_request", "This host name is not answered here: see CALGATE_ALLOWED_HOSTS.")
        if b"%00" in scope["query_string"] and not _READS_ANYTHING.fullmatch(scope["path"]):
            # PostgreSQL's text cannot hold it, and no parameter means anything by it.
            return invalid("", "the query string has a NUL character")
        return None

    def _is_ours(self, hosts: Sequence[bytes]) -> bool:
        name = hosts[0].decode("latin-1").lower() if hosts else ""
        name = name.rpartition(":")[0] if re.search(r":\d*$", name) else name
        return name in self._hosts or name.endswith(self._domains)


def _sender(scope: HTTPScope, send: Send, identity: bytes, is_ending: Callable[[], bool]) -> Send:
    bodiless = scope["method"] == "HEAD"
    added = [*_ALWAYS, (b"x-request-id", identity)]
    if scope["scheme"] == "https":
        added.append(_STRICT)

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            names = {name for name, _ in headers}
            headers += [pair for pair in added if pair[0] not in names]
            if _POLICY[0] not in names:
                headers.append(_POLICY)
            if is_ending() and b"connection" not in names:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        elif bodiless and message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return send_with_headers


def _bounded(receive: Receive, seconds: float) -> Receive:
    deadline = monotonic() + seconds
    is_complete = False

    async def receive_in_time() -> HTTPReceiveMessage:
        nonlocal is_complete
        if is_complete:
            return await receive()  # type: ignore[return-value]
        try:
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                message: Any = await receive()
        except TimeoutError:
            raise GatewayError(408, "request_timeout", "The body did not arrive in time.") from None
        is_complete = not message.get("more_body", False)
        return message  # type: ignore[no-any-return]

    return receive_in_time


async def _refuse(error: GatewayError, scope: HTTPScope, send: Send) -> None:
    status, kind, body = spoken(error, scope)
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
