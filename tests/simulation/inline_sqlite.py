"""SQLite without a thread: statements run where they are awaited, so that their order is the seed's."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from simulation.machines import Machine, this_machine
from sqlalchemy import event
from sqlalchemy.pool import Pool

from service.store.sqlite_driver import STATEMENTS_KEPT, Connection, Cursor

BUSY_PAUSE = 0.005
SLOW_SHARE, SLOWEST = 0.1, 0.004
"""How many statements take time that others can be quicker in, and how long at most, in seconds."""

# The simulated machines lose power, the computer does not: what was written need not be waited for.
INSTEAD = {"PRAGMA synchronous = FULL": "PRAGMA synchronous = OFF"}


class InlineConnection(Connection):
    """The driver's connection with its statements run at once; a lock that another machine has is waited for."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], machine: Machine, busy_seconds: float, random: Random
    ) -> None:
        super().__init__(connect, iter_chunk_size=64)
        self._machine = machine
        self._busy_seconds = busy_seconds
        self._random = random
        self._connection = connect()
        self._tx: Any = _AtOnce()
        machine.plugs.append(self)

    def pull(self) -> None:
        """Closed without a commit, as the system does for a process that is gone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._running = False

    @property
    def is_busy(self) -> bool:
        """Whether a transaction is under way."""
        return self._connection is not None and self._connection.in_transaction

    async def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        self.pull()
        if self in self._machine.plugs:
            self._machine.plugs.remove(self)

    def cursor(self) -> Any:
        return InlineCursor(self)

    async def _execute(self, fn: Callable[..., Any], *args: Any, **named: Any) -> Any:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._busy_seconds
        while True:
            if self._connection is None:
                raise ValueError("Connection closed")
            try:
                answer = fn(*args, **named)
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or loop.time() >= end:
                    raise
            await asyncio.sleep(BUSY_PAUSE)
        # What is done is done, also for who is cancelled while the answer is on its way.
        await asyncio.sleep(self._random.random() * SLOWEST if self._random.random() < SLOW_SHARE else 0)
        return answer


class _AtOnce:
    """Stands where a connection has the queue to its thread, which SQLAlchemy writes to past the connection."""

    def put_nowait(self, order: tuple[asyncio.Future[Any], Callable[[], Any]]) -> None:
        future, work = order
        future.set_result(work())


class InlineCursor(Cursor):
    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> "InlineCursor":
        return await super().execute(INSTEAD.get(sql, sql), parameters)


@contextmanager
def noting_loans() -> Iterator[None]:
    """Have every machine know which connections are out of their pools."""

    def lend(_connection: Any, record: Any, _loan: Any) -> None:
        if (machine := this_machine()) is not None:
            machine.lent[record] = None

    def take_back(_connection: Any, record: Any) -> None:
        if (machine := this_machine()) is not None:
            machine.lent.pop(record, None)

    event.listen(Pool, "checkout", lend)
    event.listen(Pool, "checkin", take_back)
    try:
        yield
    finally:
        event.remove(Pool, "checkout", lend)
        event.remove(Pool, "checkin", take_back)


def dialler(machine: Machine, random: Random) -> Callable[[Path, float], Awaitable[InlineConnection]]:
    """What a database on this machine is opened with."""

    async def dial(path: Path, busy_seconds: float) -> InlineConnection:
        if not machine.is_alive:
            raise sqlite3.OperationalError("the machine is down")

        def connect() -> sqlite3.Connection:
            # Never waiting in SQLite: nobody else would get on with what is waited for.
            return sqlite3.connect(path, timeout=0, isolation_level=None, cached_statements=STATEMENTS_KEPT)

        return InlineConnection(connect, machine, busy_seconds, random)

    return dial
