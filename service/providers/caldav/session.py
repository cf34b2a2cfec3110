"""One login at one server: who may be asked, who is told the password, redirects, and answers within bounds.

A password is sent to the origin that the user named, to the same host over https, or within iCloud, whose accounts lie
on hosts of its own, and to nobody else, whoever sends us there. Basic goes over https alone, or into a network that
the operator has opened; Digest (RFC 7616) where the server asks for it. A 401 to credentials ends the call: servers
lock accounts out.
"""

import asyncio
import base64
from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import httpx

from service.core.credentials import CaldavCredentials
from service.errors import GatewayError, GrantRejected, ProviderError, RequestRefused, TransientFault
from service.observability import METRICS
from service.providers.addresses import Policy, is_ordinary, judge_url, port_of
from service.providers.caldav.answers import ICLOUD, NotDav, TooMuch, judge
from service.providers.caldav.logins import Logins, key_of
from service.providers.caldav.wire import Garbled, Multistatus, read_multistatus
from service.providers.exchange import DEADLINE, LARGEST_PAGE, TOO_LARGE, Answer, ask
from service.providers.guarded_http import AddressBlocked
from service.providers.look_ups import look_up
from service.providers.protocol import Access

MOST_REDIRECTS: Final = 5
REPORT_DEADLINE: Final = 60.0
"""Seconds; a large calendar's first listing takes a small server long, of which it says nothing at first."""

PARSED_AT_ONCE: Final = 128 * 1024
"""Octets; a larger answer is parsed beside the event loop."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Reply(NamedTuple):
    """An answer, and the address that gave it in the end."""

    answer: Answer
    url: httpx.URL


class Found(NamedTuple):
    """A multistatus, and the address that gave it in the end."""

    multistatus: Multistatus
    url: httpx.URL

    def join(self, href: str) -> httpx.URL:
        """Where a href in it leads. Raises NotDav for what is no address."""
        try:
            joined = self.url.join(href)
        except (httpx.InvalidURL, ValueError):
            raise NotDav("a href that is no address") from None
        if joined.scheme not in {"http", "https"} or not joined.host:
            raise NotDav("a href that is no address")
        return joined


class Session:
    """Asks a server in the name of one login, each question within bounds of size, time and redirects."""

    def __init__(
        self,
        access: Access,
        login: CaldavCredentials,
        *,
        policy: Policy,
        clock: Callable[[], datetime],
        logins: Logins,
    ) -> None:
        self.login = login
        self.home = self._judged(login.server_url, policy)
        self._access = access
        self._policy = policy
        self._clock = clock
        self._logins = logins
        self._open: set[tuple[str, str, int]] = set()

    async def multistatus(
        self, method: str, url: httpx.URL, body: bytes, *, depth: int | None = None, has_token: bool = False
    ) -> Found:
        """The rows that a PROPFIND or a REPORT answers with. Raises what `answers.judge` says of any other answer."""
        headers = {"content-type": "application/xml; charset=utf-8"}
        if depth is not None:
            headers["depth"] = str(depth)
        answer, final = await self.ask(method, url, body, headers)
        if answer.status != 207:
            raise self.error(answer, final, has_token=has_token)
        try:
            if len(answer.body) > PARSED_AT_ONCE:
                return Found(await asyncio.to_thread(read_multistatus, answer.body), final)
            return Found(read_multistatus(answer.body), final)
        except Garbled as error:
            raise TransientFault(f"answer unreadable: {error}") from None

    async def ask(
        self, method: str, url: httpx.URL, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """The answer of any status but a redirect and 401. Raises GrantRejected, RequestRefused and TransientFault."""
        for _ in range(MOST_REDIRECTS + 1):
            await self._check(url)
            knows = self._may_know(url)
            answer = await self._authorized(method, url, body, headers or {}) if knows else await self._send(
                method, url, body, headers or {}
            )  # fmt: skip
            if answer.status == 401:
                raise RequestRefused(f"the server hands over to {url.host}: give an address there as server_url")
            target = answer.headers.get("location", "") if answer.status in _REDIRECTS else ""
            if not target:
                return Reply(answer, url)
            url = self._redirected(url, target)
        raise TransientFault("the redirects do not end")

    def error(self, answer: Answer, url: httpx.URL, *, has_token: bool = False) -> ProviderError:
        """What an answer that is no result stands for."""
        return judge(
            answer.status, answer.headers, answer.body, self._clock(), host=url.host.lower(), has_token=has_token
        )

    def _redirected(self, url: httpx.URL, target: str) -> httpx.URL:
        try:
            joined = url.join(target).copy_with(fragment=None)
        except (httpx.InvalidURL, ValueError):
            raise TransientFault("a redirect to no address") from None
        if url.scheme == "https" and joined.scheme == "http" and joined.host == url.host and joined.port is None:
            # A proxy that takes off TLS, and an application behind it that does not know: nobody means plain http.
            joined = joined.copy_with(scheme="https", port=url.port)
        if url.scheme == "https" and joined.scheme != "https":
            raise RequestRefused("the server redirects from https to http")
        return self._judged(str(joined), self._policy)

    def _judged(self, url: str, policy: Policy) -> httpx.URL:
        try:
            return judge_url(url, policy, "caldav")
        except GatewayError as error:
            raise RequestRefused(f"blocked_url: {error.detail}") from None

    async def _check(self, url: httpx.URL) -> None:
        """That http, or an unusual port, leads into a network which the operator has opened."""
        self._judged(str(url), self._policy)
        if is_ordinary(url, "caldav") or _origin(url) in self._open:
            return
        addresses = await look_up(url.raw_host.decode("ascii"), port_of(url))
        if not addresses:
            raise TransientFault("network: HostUnknown")
        if not all(self._policy.is_excepted(address) for address in addresses):
            raise RequestRefused("blocked_url: the URL must use https and port 443 or 8443")
        self._open.add(_origin(url))

    def _may_know(self, url: httpx.URL) -> bool:
        if _origin(url) == _origin(self.home):
            return True
        if url.scheme != "https":
            return False
        here, there = self.home.host.lower(), url.host.lower()
        return (here == there and self.home.scheme == "http") or (here.endswith(ICLOUD) and there.endswith(ICLOUD))

    async def _authorized(self, method: str, url: httpx.URL, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        login = self.login
        key = key_of(_origin(url), login.username, login.password)
        if self._logins.is_refused(key, self._clock()):
            raise GrantRejected("http_401")
        known = self._logins.digest(key)
        flow = _begin(known, method, url) if known else None
        first = (next(flow).headers.get("authorization") if flow else None) or _basic(login)
        answer = await self._send(method, url, body, {**headers, "authorization": first})
        if answer.status != 401:
            return answer
        self._logins.forget_digest(key)
        is_over = known is None and "basic" in _schemes(answer)
        auth = known or httpx.DigestAuth(login.username, login.password)
        if flow is None:
            # Most servers take Basic: a question of Digest is prepared for those alone that ask for it.
            flow = _begin(auth, method, url)
            next(flow)
        second = None if is_over else _answer_challenge(flow, answer)
        if second is not None:
            answer = await self._send(method, url, body, {**headers, "authorization": second})
        if answer.status == 401:
            self._logins.refuse(key, self._clock())
            raise GrantRejected("http_401")
        self._logins.keep_digest(key, auth)
        return answer

    async def _send(self, method: str, url: httpx.URL, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        await self._access.take_turn(self._clock)
        outcome = "no_answer"
        try:
            answer = await ask(
                self._access.http,
                method,
                url,
                headers=headers,
                content=body,
                limit=LARGEST_PAGE,
                deadline=REPORT_DEADLINE if method == "REPORT" else DEADLINE,
                patience=REPORT_DEADLINE if method == "REPORT" else None,
            )
            outcome = "ok" if answer.is_good else str(answer.status)
        except TransientFault as error:
            if error.reason == TOO_LARGE:
                raise TooMuch(TOO_LARGE) from None
            if isinstance(error.__cause__, AddressBlocked):
                raise RequestRefused("blocked_url: the URL leads to an address that is not public") from None
            raise
        finally:
            METRICS.called("caldav", outcome)
        return answer


def _begin(auth: httpx.DigestAuth, method: str, url: httpx.URL) -> Generator[httpx.Request, httpx.Response, None]:
    return auth.auth_flow(httpx.Request(method, url))


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host.lower(), port_of(url)


def _basic(login: CaldavCredentials) -> str:
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _schemes(answer: Answer) -> set[str]:
    values = httpx.Headers(answer.headers).get_list("www-authenticate")
    return {value.strip().partition(" ")[0].lower() for value in values}


def _answer_challenge(flow: Generator[httpx.Request, httpx.Response, None], answer: Answer) -> str | None:
    """The header that answers a Digest challenge; None where there is none that we can answer."""
    challenged = httpx.Response(401, headers=answer.headers, request=httpx.Request("GET", "http://unused.example"))
    try:
        header: str | None = flow.send(challenged).headers.get("authorization")
    except StopIteration:
        return None
    except (httpx.ProtocolError, NotImplementedError, KeyError, ValueError):
        raise RequestRefused("the server asks for a Digest of a kind that is not supported") from None
    return header
