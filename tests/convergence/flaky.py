"""A database that goes away as a seed wants it: before a transaction, before its commit, after it, or for good."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import Database, DatabaseUnavailable


class FlakyDatabase(Database):
    """`share` of all moments at which a database can go away are such moments; once killed, nothing is written.

    `strike_after(n)` lets exactly one moment be such a moment, after `n` that are not.
    """

    random = Random(0)
    share = 0.0
    is_killed = False
    _left: int | None = None

    def strike_after(self, moments: int | None) -> None:
        self._left = moments

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        self._strike()
        async with super().read() as conn:
            yield conn

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncConnection]:
        self._strike()
        async with super().look() as conn:
            yield conn

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        self._strike()
        async with super().write() as conn:
            yield conn
            self._strike()
        # The commit took place, and its answer is lost.
        self._strike()

    def _strike(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == -1:
                raise DatabaseUnavailable("the test took the database away")
        if self.is_killed or (self.share and self.random.random() < self.share):
            raise DatabaseUnavailable("the test took the database away")
