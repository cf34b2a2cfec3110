"""One transaction for many small results: a commit costs more than the rows in it.

Results that arrive while a transaction is being written go into the next one together. When a group fails for a reason
that is not the database's state, its items are tried one by one, so that one bad item harms nobody else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import Database, DatabaseUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class GroupCommit(Generic[Item, Result]):
    """Writes items in groups: `write` gets a connection and some items, and answers one result for each.

    `weigh` says how many rows an item stands for; a group closes at `most` rows. `gather` (seconds) is how long the
    first item of a group waits for company.
    """

    def __init__(
        self,
        database: Database,
        write: Callable[[AsyncConnection, Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        weigh: Callable[[Item], int],
        most: int = 1000,
        gather: float = 0.002,
    ) -> None:
        self._database = database
        self._write = write
        self._weigh = weigh
        self._most = most
        self._gather = gather
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._flusher: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Write an item with the next group; returns once it is committed. Raises what the write raised."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        return await future

    async def _flush(self) -> None:
        await asyncio.sleep(self._gather)
        while group := self._take():
            try:
                await self._write_patiently(group)
            except DatabaseUnavailable as error:
                _fail(group, error)
            except Exception as error:  # noqa: BLE001 - the submitters are told, whatever it is
                if len(group) == 1:
                    _fail(group, error)
                    continue
                _log.exception("a group of %d results could not be written; trying them one by one", len(group))
                await self._write_singly(group)

    async def _write_patiently(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            await self._write_group(group)
        except DatabaseUnavailable:
            # Perhaps no more than a lost race for a lock, which the next try wins.
            await self._write_group(group)

    async def _write_singly(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        for pair in group:
            try:
                await self._write_group([pair])
            except Exception as error:  # noqa: BLE001 - the submitter is told, whatever it is
                _fail([pair], error)

    async def _write_group(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        async with self._database.write() as conn:
            results = await self._write(conn, [item for item, _ in group])
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        rows = count = 0
        for item, _ in self._waiting:
            rows += self._weigh(item)
            count += 1
            if rows >= self._most:
                break
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group


def _fail(group: Sequence[tuple[object, asyncio.Future[Result]]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
