"""What the floors share: single-connection httpx clients, and one writer over the bare driver that commits in groups."""

import asyncio
import sqlite3
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import aiosqlite
import asyncpg  # type: ignore[import-untyped]
import httpx

GATHER: Final = 0.005
"""Seconds for which the first result of a group waits for company."""

CLIENTS: Final = 32

Statement = tuple[str, Sequence[Sequence[Any]]]
"""SQL and the rows to execute it for."""


class Store(Protocol):
    """A bare connection."""

    async def write(self, statements: Sequence[Statement]) -> None:
        """One transaction of executemanys."""
        ...


class SQLiteStore:
    """aiosqlite under the pragmas that calgate runs with."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def write(self, statements: Sequence[Statement]) -> None:
        def work() -> None:
            driver: sqlite3.Connection = self._connection._conn
            driver.execute("BEGIN IMMEDIATE")
            with driver:  # commits, or rolls back
                for sql, rows in statements:
                    driver.executemany(sql, rows)

        # All of it in one turn of the connection's thread: the least that it can cost.
        await self._connection._execute(work)  # type: ignore[no-untyped-call]


class PostgreSQLStore:
    """asyncpg."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    async def write(self, statements: Sequence[Statement]) -> None:
        async with self._turn, self._connection.transaction():
            for sql, rows in statements:
                await self._connection.executemany(sql, rows)


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """The bare driver's connection to a database."""
    if not url.startswith("sqlite"):
        connection = await asyncpg.connect(url)
        try:
            yield PostgreSQLStore(connection)
        finally:
            await connection.close()
        return
    async with aiosqlite.connect(url.removeprefix("sqlite:///"), isolation_level=None, cached_statements=512) as file:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY", "cache_size = -16384"):
            await file.execute(f"PRAGMA {pragma}")
        yield SQLiteStore(file)


class Writer:
    """Takes results one by one and writes them in groups: `make` turns a group into statements."""

    def __init__(self, store: Store, make: Callable[[Sequence[Any]], Sequence[Statement]], most: int) -> None:
        self._store = store
        self._make = make
        self._most = most
        self._waiting: list[tuple[Any, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, item: Any) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        await done

    async def _run(self) -> None:
        await asyncio.sleep(GATHER)
        while self._waiting:
            group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                await self._store.write(self._make([item for item, _ in group]))
            except Exception as error:  # noqa: BLE001  (whoever submitted has to hear of it)
                for _, done in group:
                    done.set_exception(error)
            else:
                for _, done in group:
                    done.set_result(None)


@asynccontextmanager
async def open_clients(count: int = CLIENTS) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Httpx clients of one connection each, under one TLS context."""
    tls: ssl.SSLContext = httpx.create_ssl_context()
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    clients = [httpx.AsyncClient(verify=tls, limits=limits, trust_env=False) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            await client.aclose()


async def for_each(
    clients: Sequence[httpx.AsyncClient],
    items: Sequence[Any],
    work: Callable[[httpx.AsyncClient, Any], Awaitable[None]],
) -> None:
    """Do all items, one at a time on each client."""
    left = iter(items)

    async def serve(client: httpx.AsyncClient) -> None:
        for item in left:
            await work(client, item)

    await asyncio.gather(*(serve(client) for client in clients))
