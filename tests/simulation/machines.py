"""Machines that gateways run on: each has a clock that may be wrong, and can lose power at any moment."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from simulation.virtual_loop import VirtualLoop

T = TypeVar("T")
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""When the loop's time is 0: a Monday morning."""

MOST_ROUNDS = 10_000


class Plug(Protocol):
    """What is open on a machine, and is shut without a word when its power goes."""

    @property
    def is_busy(self) -> bool: ...

    def pull(self) -> None: ...


class Machine:
    """Where a process runs. Whatever it starts, tasks and timers, is known by its context and dies with it."""

    def __init__(self, name: str, loop: VirtualLoop) -> None:
        self.name = name
        self.loop = loop
        self.ahead = timedelta()
        self.is_alive = True
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.plugs: list[Plug] = []
        self.lent: dict[Any, None] = {}  # SQLAlchemy's records of the connections that are out of their pools
        self.last_id = 0
        self._context = copy_context()
        self._context.run(_machine.set, self)

    def __repr__(self) -> str:
        return self.name

    def now(self) -> datetime:
        """The moment that its clock shows."""
        return true_time(self.loop) + self.ahead

    @property
    def is_busy(self) -> bool:
        """Whether something is open there that is in the middle of something."""
        return any(plug.is_busy for plug in self.plugs)

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task there."""
        return self.loop.create_task(work, context=self._context.copy())

    def call(self, work: Callable[[], T]) -> T:
        """Run a function there."""
        return self._context.copy().run(work)

    def note_end(self, task: asyncio.Task[Any]) -> None:
        self.tasks.pop(task, None)
        if not self.is_alive and not task.cancelled():
            task.exception()  # nobody is left to ask for it

    async def lose_power(self) -> None:
        """Stop everything where it stands. What its programs would still do on the way out reaches nobody."""
        self.is_alive = False
        for plug in self.plugs:
            plug.pull()
        self.loop.forget_timers(lambda context: context.get(_machine) is self)
        for _ in range(MOST_ROUNDS):
            if not self.tasks:
                break
            for task in list(self.tasks):
                task.cancel()
            await asyncio.sleep(0)
        if self.tasks:
            raise AssertionError(f"{self.name} does not die: {list(self.tasks)}")
        for record in self.lent:
            record.fairy_ref = None  # nobody is to complain that they were never given back


_machine: ContextVar[Machine | None] = ContextVar("machine", default=None)


def this_machine() -> Machine | None:
    """Where the running code runs; None for what is outside of all machines: people, and the story itself."""
    return _machine.get()


def machine_of(context: Context) -> Machine | None:
    return context.get(_machine)


def true_time(loop: VirtualLoop) -> datetime:
    return START + timedelta(microseconds=round(loop.time() * 1e6))


def keep_account(loop: VirtualLoop) -> None:
    """Have every machine know its tasks."""

    def note(task: asyncio.Task[Any], context: Context | None) -> None:
        machine = this_machine() if context is None else machine_of(context)
        if machine is not None:
            machine.tasks[task] = None
            task.add_done_callback(machine.note_end)

    loop.on_task = note


def make_id(moment: datetime, last: int, chance: int) -> UUID:
    """A UUID version 7 above the last of its machine, whatever its clock says; `chance` are 62 random bits."""
    milliseconds = int(moment.timestamp() * 1000)
    counted = max(milliseconds << 12, last + 1)
    return UUID(int=(counted >> 12) << 80 | 0x7 << 76 | (counted & 0xFFF) << 64 | 0b10 << 62 | chance)
