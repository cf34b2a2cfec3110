"""Delivers push notices by HTTP beside the API, bounded in number and time, and retried as the providers do."""

import asyncio
import logging

import httpx

from simulator.google.pushes import Push
from simulator.google.world import World
from simulator.microsoft.notices import Notice
from simulator.microsoft.world import MicrosoftWorld
from simulator.wire import ask_url

MOST_AT_ONCE = 32
RETRIED = {500, 502, 503, 504}
logger = logging.getLogger(__name__)


class Postman:
    """Carries the pushes of one world from the event loop it was attached on."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._world: World | MicrosoftWorld | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()

    def attach(self, world: World | MicrosoftWorld) -> None:
        """Begin to deliver, on the running loop; once is enough."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._world, self._loop = world, loop
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._under_way = set()
        self._client = None
        world.wake = self._wake
        self._collect()

    async def flush(self) -> None:
        """Wait until everything owed now has been tried, at most for some seconds."""
        self._collect()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=5)

    async def close(self) -> None:
        if self._world is not None:
            self._world.wake = lambda: None
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
        self._client = self._loop = None

    def _wake(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        if self._world is None:
            return
        for push in self._world.take_pushes():
            task = asyncio.ensure_future(self._deliver(push, self._world))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _deliver(self, push: Push, world: World | MicrosoftWorld) -> None:
        await asyncio.sleep(push.delay)
        for pause in (*world.push_rules.retry_delays, None):
            push.attempts += 1
            async with self._slots:
                status = await self._post(push, world.push_rules.timeout)
            world.counters["push"] += 1
            if status not in RETRIED or pause is None:
                return
            await asyncio.sleep(pause)

    async def ask(self, url: str) -> tuple[int, str, str]:
        """POST nothing to a URL that is to prove alive. Raises TimeoutError or OSError."""
        return await ask_url(self._opened(), url)

    async def _post(self, push: Push, limit: float) -> int:
        """The status; an address that cannot be reached counts as 503."""
        client, body = self._opened(), push.body if isinstance(push, Notice) else b""
        try:
            async with asyncio.timeout(limit):
                response = await client.post(push.address, headers=push.headers, content=body, timeout=limit)
        except (httpx.HTTPError, TimeoutError, OSError, AttributeError) as error:
            # anyio asks a connection for its address, and has none when the other side dies as it is made.
            logger.info("push to %s failed: %r", push.address, error)
            return 503
        return response.status_code

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport,
                verify=False,  # noqa: S501 - a simulator meets test certificates
                trust_env=False,
                timeout=10,
            )
        return self._client
