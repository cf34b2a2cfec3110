"""Delivers push notices by HTTP beside the API, bounded in number and time, and retried as Google does."""

import asyncio
import logging

import httpx

from simulator.google.pushes import Push
from simulator.google.world import World

MOST_AT_ONCE = 32
RETRIED = {500, 502, 503, 504}
logger = logging.getLogger(__name__)


class Postman:
    """Carries the pushes of one world from the event loop it was attached on."""

    def __init__(self) -> None:
        self._world: World | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()

    def attach(self, world: World) -> None:
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
        while self._world.pushes:
            task = asyncio.ensure_future(self._deliver(self._world.pushes.popleft(), self._world))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _deliver(self, push: Push, world: World) -> None:
        await asyncio.sleep(push.delay)
        for pause in (*world.push_rules.retry_delays, None):
            push.attempts += 1
            async with self._slots:
                status = await self._post(push, world.push_rules.timeout)
            world.counters["push"] += 1
            if status not in RETRIED or pause is None:
                return
            await asyncio.sleep(pause)

    async def _post(self, push: Push, limit: float) -> int:
        """The status; an address that cannot be reached counts as 503."""
        if self._client is None:
            self._client = httpx.AsyncClient(verify=False, trust_env=False)  # noqa: S501 - a simulator meets test certificates
        try:
            async with asyncio.timeout(limit):
                response = await self._client.post(push.address, headers=push.headers, content=b"", timeout=limit)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            logger.info("push to %s failed: %r", push.address, error)
            return 503
        return response.status_code
