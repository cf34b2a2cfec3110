"""Asking Graph: what every request carries, whom a link may be sent to, and how pages follow each other."""

import asyncio
import contextlib
import hashlib
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from service.errors import CalendarGone, CursorExpired, TransientFault
from service.observability import METRICS
from service.providers.exchange import Answer, ask
from service.providers.lenient import UNREADABLE, repair
from service.providers.microsoft.answers import judge
from service.providers.microsoft.wire import WirePage
from service.providers.protocol import Access

MOST_PAGES: Final = 1000
MOST_IDLE_PAGES: Final = 25
"""Pages in a row without a row that is new after which a listing counts as endless; empty ones are nothing unusual."""

AT_ONCE: Final = 2
"""Calls to one mailbox at the same time; Exchange refuses the fifth (graph/throttling-limits)."""

PREFERENCES: Final = 'odata.maxpagesize=200, outlook.timezone="UTC", IdType="ImmutableId"'
"""They hold for one request alone, those along a link included (graph/outlook-immutable-id)."""

_page: Final = msgspec.json.Decoder(WirePage)


class EndlessListing(TransientFault):
    """The pages of a listing go on without bringing anything."""


class Graph:
    """Graph at one address; `clock` answers the present moment (UTC), against which a Retry-After is reckoned."""

    def __init__(self, url: str, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._root = url.rstrip("/")
        self._origin = _origin(httpx.URL(self._root))
        self._mailboxes: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()

    def url(self, path: str, params: Mapping[str, str] | None = None) -> str:
        """The address of a resource; `path` is escaped already."""
        query = "&".join(f"{name}={quote(value, safe='(),/:$')}" for name, value in (params or {}).items())
        return f"{self._root}{path}?{query}" if query else f"{self._root}{path}"

    async def pages(self, access: Access, url: str) -> AsyncIterator[WirePage]:
        """Page after page along the links, as they come. Raises EndlessListing when they bring nothing new."""
        seen: set[int] = set()
        links: set[bytes] = set()
        idle = 0
        while True:
            page = _decode_page((await self.get(access, url)).body)
            rows = {hash(bytes(row)) for row in page.value or ()}
            idle = 0 if rows - seen else idle + 1
            seen |= rows
            yield page
            if page.next_link is None:
                return
            link = hashlib.blake2b(page.next_link.encode(), digest_size=16).digest()
            if link in links or len(links) >= MOST_PAGES or idle >= MOST_IDLE_PAGES:
                raise EndlessListing("the pages do not end")
            links.add(link)
            url = page.next_link

    async def get(self, access: Access, url: str) -> Answer:
        """The good answer to a question. Raises one of `service.errors.ProviderError` for any other."""
        answer = await self.call(access, "GET", url)
        if answer.status != 200:
            raise judge(answer.status, answer.headers, answer.body, self.clock())
        return answer

    async def call(
        self, access: Access, method: str, url: str, *, json: Any = None, if_match: str | None = None
    ) -> Answer:
        """One request and its answer, of any status; `if_match` is the etag that must hold.

        Raises CursorExpired for an address that is not Graph's.
        """
        checked = self._checked(url)
        await access.take_turn(self.clock)
        outcome = "no_answer"
        headers = {"prefer": PREFERENCES, "authorization": f"Bearer {access.token}", "accept-encoding": "gzip"}
        if if_match:
            headers["if-match"] = if_match
        try:
            async with self._mailbox(access):
                answer = await ask(access.http, method, checked, headers=headers, json=json)
            outcome = "ok" if answer.is_good else str(answer.status)
        finally:
            METRICS.called("microsoft", outcome)
        return answer

    @contextlib.asynccontextmanager
    async def _mailbox(self, access: Access) -> AsyncIterator[None]:
        # Who is only just connecting has no key yet, and must not wait for everybody else who is.
        key = access.user_key or access.token
        turns = self._mailboxes.get(key)
        if turns is None:
            turns = self._mailboxes[key] = asyncio.Semaphore(AT_ONCE)
        async with turns:
            yield

    def _checked(self, link: str) -> httpx.URL:
        """Links come from answers and from the store: the access token goes to Graph alone."""
        try:
            url = httpx.URL(link)
        except httpx.InvalidURL:
            url = None
        if url is None or _origin(url) != self._origin:
            raise CursorExpired("a link leads away from Graph")
        return url


def segment(identifier: str) -> str:
    """An id as a part of a path. Raises CalendarGone for what would lead to another resource."""
    # "." and ".." cannot be escaped in a path.
    if identifier in {"", ".", ".."}:
        raise CalendarGone("not an id")
    return quote(identifier, safe="")


def rfc3339(at: datetime) -> str:
    """An instant as Graph's parameters have it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _decode_page(body: bytes) -> WirePage:
    try:
        page = _page.decode(body)
    except UNREADABLE:
        try:
            page = _page.decode(repair(body))
        except (*UNREADABLE, ValueError):
            raise TransientFault("a page cannot be read") from None
    if page.value is None:
        raise TransientFault("a page has no rows")
    return page
