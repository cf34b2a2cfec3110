"""Announcements between processes over one connection of their own: LISTEN and NOTIFY of PostgreSQL.

postgresql.org/docs/current/sql-notify.html. A server that is gone is dialled again until it is back.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]

from service.store.database import dial_postgresql

CHANNEL: Final = "calgate"
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
KEEPALIVE_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 5.0

_SEND: Final = "SELECT pg_notify('calgate', topic) FROM unnest($1::text[]) AS topic"
_GONE: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Notices:
    """Calls `receive(topic)` for what other processes send, and `missed()` when anything may have been missed."""

    def __init__(self, dsn: str, receive: Callable[[str], None], missed: Callable[[], None]) -> None:
        self._dsn = dsn
        self._receive = receive
        self._missed = missed
        self._topics: set[str] = set()
        self._something = asyncio.Event()

    def send(self, topic: str) -> None:
        """Tell the other processes, soon; one topic many times in a moment is one notice."""
        self._topics.add(topic)
        self._something.set()

    async def run(self) -> None:
        """Listen and send until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                connection = await dial_postgresql(self._dsn)
            except _GONE:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            pause = FIRST_PAUSE_SECONDS
            try:
                await self._talk(connection)
            except _GONE:
                await asyncio.sleep(pause)
            finally:
                with suppress(*_GONE):
                    await connection.close(timeout=1)

    async def _talk(self, connection: Any) -> None:
        own = connection.get_server_pid()

        def received(_connection: object, sender: int, _channel: str, topic: str) -> None:
            if sender != own:  # our own listeners have been told already
                self._receive(topic)

        connection.add_termination_listener(lambda _: self._something.set())
        await connection.add_listener(CHANNEL, received)
        self._missed()
        while not connection.is_closed():
            topics = set(self._topics)
            if topics:
                await connection.execute(_SEND, list(topics), timeout=ANSWER_SECONDS)
                self._topics -= topics
            self._something.clear()
            if self._topics or connection.is_closed():
                continue
            try:
                async with asyncio.timeout(KEEPALIVE_SECONDS):
                    await self._something.wait()
            except TimeoutError:
                # A connection that broke without a word (a firewall, a dead host) is found out by asking.
                await connection.execute("SELECT 1", timeout=ANSWER_SECONDS)
