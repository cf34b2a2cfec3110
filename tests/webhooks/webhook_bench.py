"""What tests of webhooks act on: a project with its store, clock, receivers and deliverers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select
from webhook_receivers import Behaviour, Receiver, answers, listening
from webhook_stores import Store

from webhooks import endpoints, outbox, tables
from webhooks.delivery import Deliverer
from webhooks.endpoints import Endpoint, EndpointDraft
from webhooks.message import Dispatch, Lease, Notice
from webhooks.settings import DeliverySettings


class Clock:
    """A clock that stands still until it is set. It starts at the real time, which verifiers compare with."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **spans: float) -> datetime:
        self.now += timedelta(**spans)
        return self.now


class PlacedCipher:
    """A cipher that only binds to the place: opening elsewhere fails, as authenticated encryption does."""

    def __init__(self) -> None:
        self.opened = 0

    def seal(self, plaintext: bytes, place: str) -> bytes:
        return place.encode() + b"\0" + plaintext[::-1]

    def open(self, sealed: bytes, place: str) -> bytes:
        self.opened += 1
        prefix, _, ciphertext = sealed.partition(b"\0")
        if prefix != place.encode():
            raise ValueError("sealed for another place")
        return ciphertext[::-1]


class LoopbackClients:
    """Slots without a guard: a single-connection client each."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.transport = transport
        self.idle: list[httpx.AsyncClient] = []

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[httpx.AsyncClient]:
        client = self.idle.pop() if self.idle else self._made()
        try:
            yield client
        finally:
            self.idle.append(client)

    def _made(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        transport = self.transport or httpx.AsyncHTTPTransport(verify=False, trust_env=False, limits=limits)
        return httpx.AsyncClient(transport=transport, trust_env=False)

    async def close(self) -> None:
        for client in self.idle:
            await client.aclose()


class Bench:
    """A project with its store, clock, receivers and deliverers: what most tests act on."""

    def __init__(self, store: Store, stack: AsyncExitStack) -> None:
        self.store = store
        self.clock = Clock()
        self.cipher = PlacedCipher()
        self.project_id = uuid4()
        self.observed: list[str] = []
        self._stack = stack

    async def receiver(self, behaviour: Behaviour = answers()) -> Receiver:  # noqa: B008
        return await self._stack.enter_async_context(listening(behaviour))

    async def endpoint(self, url: str, *, project_id: UUID | None = None, **fields: Any) -> tuple[Endpoint, str]:
        async with self.store.write() as conn:
            draft = EndpointDraft(url=url, **fields)
            return await endpoints.create(conn, self.cipher, project_id or self.project_id, draft, now=self.clock())

    def deliverer(self, clients: LoopbackClients | None = None, **settings: Any) -> Deliverer:
        """A deliverer without jitter, drained at the end of the test."""
        slots = clients or LoopbackClients()
        made = Deliverer(
            self.store,
            slots,
            self.cipher,
            self.clock,
            DeliverySettings(user_agent="calgate/1.2.3", **settings),
            observe=lambda kind, _seconds: self.observed.append(kind),
            jitter=lambda: 0.0,
        )

        async def close() -> None:
            self.store.is_lost = False
            await made.drain(0.05)
            await slots.close()

        self._stack.push_async_callback(close)
        return made

    def notice(self, type: str = "calendar.active", data: Any = None, **fields: Any) -> Notice:  # noqa: A002
        project_id = fields.pop("project_id", self.project_id)
        return Notice(project_id=project_id, type=type, data={} if data is None else data, at=self.clock(), **fields)

    async def put(self, *notices: Notice, lease: Lease | None = None) -> list[Dispatch]:
        async with self.store.write() as conn:
            return await outbox.put(conn, notices, now=self.clock(), lease=lease)

    async def publish(self, deliverer: Deliverer, count: int = 1, **fields: Any) -> list[Dispatch]:
        """Put notices and submit them, as the settling flow does."""
        notices = [self.notice(data={"n": n}, **fields) for n in range(count)]
        dispatches = await self.put(*notices, lease=deliverer.lease())
        deliverer.submit(dispatches)
        return dispatches

    async def rows(self, table: str) -> list[Any]:
        stored = tables.metadata.tables[f"webhook_{table}"]
        return await self.rows_of(stored, stored.c.id)

    async def rows_of(self, stored: Any, *order: Any) -> list[Any]:
        async with self.store.engine.connect() as fresh:  # sees the database even while the deliverer does not
            conn = await fresh.execution_options(begin="BEGIN")
            return list((await conn.execute(select(stored).order_by(*order))).all())

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows("deliveries")]

    async def attempts(self, count: int) -> list[Any]:
        """Wait until that many attempts are recorded."""
        return await self.until(lambda: self.rows("attempts"), lambda rows: len(rows) >= count)

    async def until(
        self, read: Callable[[], Awaitable[Any]], done: Callable[[Any], bool], seconds: float = 30.0
    ) -> Any:
        async with asyncio.timeout(seconds):
            while not done(found := await read()):
                await asyncio.sleep(0.005)  # a database has no event to wait for
        return found
