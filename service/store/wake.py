"""Telling those who wait that there is something to do, in this process at once and in the others a moment later.

    with wake.listen("sync") as news:          # before looking, so that nothing falls between looking and waiting
        while not claimed(...):
            await news.wait(60)

    async with database.write() as conn:
        wake.after(conn, "sync")               # said when the transaction is committed, and not if it is rolled back

A notice that gets lost is harmless: whoever waits looks again after its timeout. Topics: `sync`, `deliver`,
`endpoints`, `starting`, `changes:{project_id}`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import Database, after_commit, postgresql_dsn

if TYPE_CHECKING:
    from service.store.notices import Notices


class Listener:
    """One who waits. What is announced while nobody waits ends the next wait at once."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 (running out of it is an answer here)
        """Whether there was an announcement, before or within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def rouse(self) -> None:
        self._news.set()


class Wake:
    """The announcements around one database. To be entered (or started and stopped) where PostgreSQL may be below."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: dict[str, set[Listener]] = {}
        self._notices: Notices | None = None
        self._talk: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to hear what other processes announce (PostgreSQL). Does not wait for the server."""
        if self._database.dialect == "postgresql" and self._talk is None:
            from service.store.notices import Notices  # noqa: PLC0415 (asyncpg: 60 ms that SQLite does without)

            self._notices = Notices(postgresql_dsn(self._database.url), self.rouse, self._rouse_all)
            self._talk = asyncio.create_task(self._notices.run(), name="wake")

    async def stop(self) -> None:
        """Hang up, and let everybody who waits look once more."""
        if self._talk is not None:
            self._talk.cancel()
            with suppress(asyncio.CancelledError):
                await self._talk
            self._talk = self._notices = None
        self._rouse_all()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def after(self, conn: AsyncConnection, topic: str) -> None:
        """Announce when the transaction of `conn`, from `Database.write()`, has been committed; costs no statement.

        Not by NOTIFY in the transaction: PostgreSQL lets only one such transaction commit at a time.
        """
        after_commit(conn, partial(self.announce, topic))

    def announce(self, topic: str) -> None:
        """Announce now. Never inside a transaction: a listener would look before there is something to see."""
        self.rouse(topic)
        if self._notices is not None:
            self._notices.send(topic)

    @contextmanager
    def listen(self, topic: str) -> Iterator[Listener]:
        """A listener that hears everything from here on."""
        listener = Listener()
        self._listeners.setdefault(topic, set()).add(listener)
        try:
            yield listener
        finally:
            others = self._listeners[topic]
            others.discard(listener)
            if not others:
                del self._listeners[topic]

    async def wait(self, topic: str, timeout: float) -> bool:  # noqa: ASYNC109 (as above)
        """Whether the topic is announced within `timeout` seconds; what was announced before does not count."""
        with self.listen(topic) as listener:
            return await listener.wait(timeout)

    def rouse(self, topic: str) -> None:
        """Announce now, in this process alone."""
        for listener in self._listeners.get(topic, ()):
            listener.rouse()

    def _rouse_all(self) -> None:
        for topic in self._listeners:
            self.rouse(topic)
