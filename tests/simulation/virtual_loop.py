"""An event loop on virtual time: when nobody has anything to do, it is at once the moment that the next one waits for."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from service.providers.look_ups import ask_system

Addresses = Callable[[str], list[str]]

TURN = 1e-6
"""Seconds that a turn of the loop takes at least: who looks again until a moment has come would never see it come."""


class Stuck(Exception):
    """Everybody waits, and nobody for a moment in time: real work on a thread or a socket, or a deadlock."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs tasks and timers of asyncio in one thread, without sockets, threads and processes.

    `time()` begins at 0 and moves when all tasks wait: to the next timer. What would run on a thread runs at once.
    `addresses` answers what a host name resolves to; `on_task` is told of each new task with its context.
    """

    def __init__(self) -> None:
        super().__init__()
        self._moment = 0.0
        self._selector = _Idleness(self)  # what the loop asks how long to sleep
        self._clock_resolution = 1e-7
        self.addresses: Addresses = lambda _host: []
        self.on_task: Callable[[asyncio.Task[Any], Context | None], None] = lambda _task, _context: None
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._moment

    def leap(self, seconds: float) -> None:
        """Let time pass in which nothing runs, as on a machine that is suspended: what was due meanwhile is late."""
        if seconds < 0:
            raise ValueError("time does not go back; a wall clock may")
        self._moment += seconds

    def forget_timers(self, is_forgotten: Callable[[Context], bool]) -> None:
        """Cancel the timers that were set in such a context."""
        for handle in list(self._scheduled):  # type: ignore[attr-defined]
            if is_forgotten(handle._context):
                handle.cancel()

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        done = self.create_future()
        try:
            done.set_result(self.addresses(*args) if func is ask_system else func(*args))
        except Exception as error:  # noqa: BLE001 - for whoever awaits it
            done.set_exception(error)
        return done

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **more)
        self.on_task(task, more.get("context"))
        return task

    def _process_events(self, event_list: Any) -> None:
        """There are no sockets, and so no events of theirs."""

    def _write_to_self(self) -> None:
        """Nobody sleeps: there is nobody to be woken from another thread."""


class _Idleness:
    """Stands where a loop has its selector: asked to sleep, it moves the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            waiting = [str(task.get_coro()) for task in asyncio.all_tasks(self._loop)]
            raise Stuck(f"{len(waiting)} tasks wait for what will never happen: {waiting[:5]}")
        self._loop._moment += max(timeout, TURN)
        return []
