"""HTTP clients for the way out, in slots of one connection each, and the guard that judges an address before dialling it.

    Slots.borrow ──► httpx.AsyncClient ──► Transport ──► (Guard: look up, judge every address, dial the judged one)

One httpx client with many connections scans them all at each request; single-connection clients that share one TLS
context do ten times as much. The guard sits below the URL, where the connection is made, so that a name whose address
changes between two requests is judged anew each time; TLS still checks the certificate against the name.
"""

import asyncio
import contextlib
import functools
import http.cookiejar
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final, cast

import httpcore
import httpx

from service.errors import GatewayError
from service.providers.addresses import (
    Address,
    Policy,
    is_ordinary,
    judge_url,
    ordinary_rule,
    port_of,
)
from service.providers.look_ups import look_up, on_behalf_of
from service.providers.metering import Meter, MeteredBody, MeteredStream

KEEP_ALIVE_SECONDS: Final = 55.0
"""A little less than the minute after which common load balancers hang up."""

MOST_DIALLED: Final = 6

Resolve = Callable[[str, int], Awaitable[list[Address]]]
"""Answers every address of a host; none when it has none."""

TransportFactory = Callable[[ssl.SSLContext, Policy | None], httpx.AsyncBaseTransport]


class DialRefused(httpx.ConnectError):
    """No connection was made, by our own decision; `kind` says why."""

    kind = "blocked_address"


class AddressBlocked(DialRefused):
    """The host leads, in whole or in part, to an address that may not be dialled."""


class HostUnknown(DialRefused):
    """The host's name has no address, or none in time."""

    kind = "dns"


async def resolve_and_judge(url: str, policy: Policy, purpose: str, *, resolve: Resolve = look_up) -> None:
    """Judge a URL that a user gives us, by its text and by where it leads now; `purpose` as in `judge_url`.

    Raises GatewayError 422 `blocked_url`. It is a courtesy to the user: the guard judges again at every connection.
    """
    parsed = judge_url(url, policy, purpose)
    addresses = await resolve(parsed.raw_host.decode("ascii"), port_of(parsed))
    if not addresses:
        raise GatewayError(422, "blocked_url", "The URL names a host that does not resolve.")
    if not is_ordinary(parsed, purpose) and not all(policy.is_excepted(address) for address in addresses):
        raise GatewayError(422, "blocked_url", f"The URL {ordinary_rule(purpose)}.")
    if not all(policy.permits(address, port_of(parsed)) for address in addresses):
        raise GatewayError(422, "blocked_url", "The URL leads to an address that is not public.")


class Guard(httpcore.AsyncNetworkBackend):
    """Makes connections for httpcore, only where the policy permits every address of the host."""

    def __init__(
        self, policy: Policy, resolve: Resolve = look_up, network: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._network = network or httpcore.AnyIOBackend()
        self.meter = Meter()
        self.only_into_open_networks = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the addresses that were judged; they are tried in the resolver's order.

        Raises AddressBlocked or HostUnknown, which httpx passes on as they are, and httpcore's own errors.
        """
        addresses = (await self._judged(host, port))[:MOST_DIALLED]
        patience = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                stream = await self._network.connect_tcp(str(address), port, patience, local_address, socket_options)
                return MeteredStream(stream, self.meter)
        stream = await self._network.connect_tcp(str(addresses[-1]), port, patience, local_address, socket_options)
        return MeteredStream(stream, self.meter)

    async def _judged(self, host: str, port: int) -> list[Address]:
        """Every address of a host, when each may be dialled."""
        if self._policy.is_own_name(host, port):
            raise AddressBlocked("the host is this gateway")
        addresses = await self._resolve(host, port)
        if not addresses:
            raise HostUnknown("the host does not resolve")
        if not all(self._policy.permits(address, port) for address in addresses):
            raise AddressBlocked("the host leads to an address that is not public")
        if self.only_into_open_networks and not all(self._policy.is_excepted(address) for address in addresses):
            raise AddressBlocked("what is sent over http would go to a public address")
        return addresses

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Transport(httpx.AsyncHTTPTransport):
    """httpx's transport over a pool of one connection; httpx has no parameter for the pool's network, so the pool is ours."""

    def __init__(self, tls: ssl.SSLContext, guard: Guard | None = None) -> None:
        self._guard = guard
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            http1=True,
            http2=False,
            network_backend=guard,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; its extension `project` says for whom, where the context does not (`look_ups.on_behalf_of`).

        Raises DialRefused where the guard refuses, and httpx's own errors: ProtocolError, too, for a redirect to what
        httpx cannot read, which it would break off at with an error of another library.
        """
        guard = self._guard
        if guard is None:
            return await super().handle_async_request(request)
        await self._prepare(request, guard)
        project = request.extensions.get("project")
        with on_behalf_of(project) if project is not None else contextlib.nullcontext():
            response = await super().handle_async_request(request)
        try:
            _check_redirect(request, response)
        except httpx.ProtocolError:
            await response.aclose()
            raise
        response.stream = MeteredBody(cast("httpx.AsyncByteStream", response.stream), guard.meter)
        return response

    async def _prepare(self, request: httpx.Request, guard: Guard) -> None:
        """See that nothing is sent over a connection that was judged for less, or that has an answer waiting already."""
        strict = request.url.scheme == "http" and not _says_nothing(request)
        if (strict and not guard.only_into_open_networks) or any(map(_has_leftovers, self._pool.connections)):
            await self._pool.aclose()
        guard.only_into_open_networks = strict
        guard.meter.restart()

    @property
    def is_quiet(self) -> bool:
        """Whether no answer is still being read."""
        return all(connection.is_idle() or connection.is_closed() for connection in self._pool.connections)


def _says_nothing(request: httpx.Request) -> bool:
    # A feed may be public at an http address; a password or a user's news go unencrypted into open networks alone.
    return request.method == "GET" and "authorization" not in request.headers


def _has_leftovers(connection: httpcore.AsyncConnectionInterface) -> bool:
    """Whether the server has sent more than its answer: it would be taken for the answer to the next request."""
    http11 = getattr(connection, "_connection", None)
    return http11 is not None and connection.is_idle() and http11._h11_state.trailing_data[0] != b""  # noqa: SLF001


def _check_redirect(request: httpx.Request, response: httpx.Response) -> None:
    if not response.has_redirect_location:
        return
    try:
        target = httpx.URL(response.headers["location"])
        _ = (target.host, request.url.join(target).host)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise httpx.ProtocolError("the answer redirects to what is no URL") from None


@functools.cache
def shared_tls() -> ssl.SSLContext:
    """The TLS context of every client: making one costs as much as forty requests (18 ms)."""
    return httpx.create_ssl_context()


def open_transport(tls: ssl.SSLContext, guard: Policy | None) -> httpx.AsyncBaseTransport:
    """The transport of one slot, guarded where there is a policy."""
    return Transport(tls, None if guard is None else Guard(guard))


class Slots:
    """A bounded set of HTTP clients, each with one connection and one borrower at a time.

    The client returned last is lent first, so that few connections stay warm rather than many cold. `guard` is None
    where the operator chose the host (a provider), and the policy where a user did. Redirects are not followed,
    proxies in the environment not used, cookies not kept. Who waits for something while holding a slot must not need
    another slot of the same set for it.
    """

    def __init__(
        self,
        size: int,
        guard: Policy | None = None,
        transport_factory: TransportFactory | None = None,
        timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[httpx.AsyncClient, httpx.AsyncBaseTransport]] = []
        self._guard = guard
        self._open_transport = transport_factory or open_transport
        self._timeout = httpx.Timeout(timeout)
        self._tls = tls
        self._closed = False

    @contextlib.asynccontextmanager
    async def borrow(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client, the borrower's alone until the exit; waits while all are lent."""
        async with self._free:
            client, transport = self._idle.pop() if self._idle else self._open()
            kept = False
            try:
                yield client
                kept = True
            finally:
                if isinstance(transport, Transport):
                    # An answer left half read would block the next borrower; an error alone costs no connection.
                    kept = transport.is_quiet
                if kept and not self._closed:
                    self._idle.append((client, transport))
                else:
                    await client.aclose()

    async def aclose(self) -> None:
        """Close the idle clients now and each lent one when it comes back."""
        self._closed = True
        while self._idle:
            client, _transport = self._idle.pop()
            await client.aclose()

    def _open(self) -> tuple[httpx.AsyncClient, httpx.AsyncBaseTransport]:
        transport = self._open_transport(self._tls or shared_tls(), self._guard)
        deaf = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        # Google compresses only for agents that name gzip; a stranger's answer is not worth unpacking.
        agent, encoding = ("calgate (gzip)", "gzip") if self._guard is None else ("calgate", "identity")
        client = httpx.AsyncClient(
            transport=transport,
            timeout=self._timeout,
            trust_env=False,
            follow_redirects=False,
            cookies=deaf,
            headers={"user-agent": agent, "accept-encoding": encoding, "accept": "*/*"},
        )
        return client, transport
