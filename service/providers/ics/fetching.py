"""Getting the text of a feed: redirects judged and followed by hand, in bounded time and size; nothing but GET is sent.

No redirect is remembered. A permanent one would have to be kept sealed, because an address is a secret and cursors are
not sealed; and a network that asks visitors to sign in redirects for good, too. Following it each time costs one request.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import httpx
import msgspec

from service.errors import AddressRefused, ProviderError, RequestRefused, Throttled, TransientFault
from service.observability import METRICS
from service.providers.addresses import Policy
from service.providers.exchange import DEADLINE, LARGEST_PAGE, Answer, ask, retry_after
from service.providers.ics.address import fingerprint, follow

MOST_REDIRECTS: Final = 5
LONGEST_VALIDATOR: Final = 1024
ACCEPT: Final = "text/calendar, text/plain;q=0.5, */*;q=0.1"

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REFUSALS: Final = frozenset({401, 403, 404, 410})
_PASSING: Final = frozenset({408, 421, 423, 425})


class Validators(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a conditional question is asked with (RFC 9110, section 8.8), and of which address (`at`) the server said it."""

    at: str
    etag: str | None = None
    modified: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The condition; of two the server heeds the stronger one that it knows."""
        given = {"if-none-match": self.etag, "if-modified-since": self.modified}
        return {name: value for name, value in given.items() if value}


class Fetched(msgspec.Struct, frozen=True):
    """A feed's answer; without a `body` it is as it was."""

    body: bytes | None
    headers: Mapping[str, str]
    validators: Validators


async def fetch(
    http: httpx.AsyncClient,
    url: httpx.URL,
    policy: Policy,
    known: Validators | None,
    now: datetime,
    *,
    deadline: float = DEADLINE,
) -> Fetched:
    """Ask for a feed, once, within `deadline` seconds for all its redirects; with `known`, only for what is new.

    Raises AddressRefused (401, 403, 404, 410), Throttled, TransientFault and RequestRefused, and GatewayError 422
    `blocked_url` for a redirect to where nobody may be sent.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    for _ in range(MOST_REDIRECTS + 1):
        # The validators are those of one address: another's 304 would speak of something else.
        at = fingerprint(url)
        condition = known.headers if known is not None and known.at == at else {}
        answer = await _ask(http, url, condition, end - loop.time())
        if answer.status == 304 and condition and known is not None:
            return Fetched(None, answer.headers, known)
        if answer.status in {200, 203}:
            return Fetched(answer.body, answer.headers, _validators(at, answer.headers))
        if answer.status not in _REDIRECTS:
            raise judge(answer.status, answer.headers, now)
        try:
            url = follow(url, answer.headers["location"], policy)
        except (KeyError, ValueError):
            raise TransientFault(f"http_{answer.status} to no address") from None
    raise TransientFault(f"more than {MOST_REDIRECTS} redirects")


def judge(status: int, headers: Mapping[str, str], now: datetime) -> ProviderError:
    """The error that an answer stands for which has no feed."""
    named = f"http_{status}"
    asked = retry_after(headers, now)
    if status in _REFUSALS:
        return AddressRefused(named)
    if status == 429:
        return Throttled(named, asked)
    if status >= 500 or status in _PASSING or status < 400:
        return TransientFault(named, asked)
    return RequestRefused(named)


async def _ask(http: httpx.AsyncClient, url: httpx.URL, condition: Mapping[str, str], seconds: float) -> Answer:
    if seconds <= 0:
        raise TransientFault("timeout")
    outcome = "no_answer"
    try:
        answer = await ask(
            http, "GET", url, headers={"accept": ACCEPT, **condition}, limit=LARGEST_PAGE, deadline=seconds
        )
        outcome = "ok" if answer.is_good else str(answer.status)
    finally:
        METRICS.called("ics", outcome)
    return answer


def _validators(at: str, headers: Mapping[str, str]) -> Validators:
    etag, modified = (headers.get(name, "") for name in ("etag", "last-modified"))
    return Validators(
        at,
        etag if 0 < len(etag) <= LONGEST_VALIDATOR else None,
        modified if 0 < len(modified) <= 64 else None,
    )
