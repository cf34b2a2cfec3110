"""Ticks: at once when woken, never twice at once, through an outage, and drained before the end."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.jobs import Jobs, Tick
from service.store.database import DatabaseUnavailable
from service.store.wake import Listener

pytestmark = pytest.mark.anyio


class Wakes:
    """Wake-ups by hand."""

    def __init__(self) -> None:
        self.listeners: dict[str, Listener] = {}

    @contextmanager
    def listen(self, topic: str) -> Iterator[Listener]:
        self.listeners[topic] = Listener()
        yield self.listeners[topic]


class Work:
    """A tick that counts its runs and can be held back."""

    def __init__(self, *failures: Exception) -> None:
        self.begun = self.ended = self.at_once = self.most_at_once = 0
        self.failures = list(failures)
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> None:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            if self.failures:
                raise self.failures.pop(0)
            self.ended += 1
        finally:
            self.at_once -= 1


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_tick_runs_at_the_start_and_then_by_the_clock():
    work = Work()
    jobs = Jobs([Tick("work", 0.05, work)], Wakes().listen)
    jobs.start()
    await until(lambda: work.ended >= 3)
    await jobs.drain()


async def test_a_wake_up_does_not_wait_for_the_clock():
    work, wakes = Work(), Wakes()
    jobs = Jobs([Tick("work", 3600, work, "sync")], wakes.listen)
    jobs.start()
    await until(lambda: work.ended == 1)
    wakes.listeners["sync"].rouse()
    await until(lambda: work.ended == 2)
    await jobs.drain()


async def test_ten_wake_ups_during_a_run_are_one_more_run_and_none_beside_it():
    work, wakes = Work(), Wakes()
    work.gate.clear()
    jobs = Jobs([Tick("work", 3600, work, "sync")], wakes.listen)
    jobs.start()
    await until(lambda: work.begun == 1)
    for _ in range(10):
        await asyncio.sleep(0)
        wakes.listeners["sync"].rouse()
    await asyncio.sleep(0.02)
    work.gate.set()
    await until(lambda: work.ended == 2)
    await asyncio.sleep(0.02)
    assert (work.begun, work.most_at_once) == (2, 1)
    await jobs.drain()


async def test_an_outage_of_the_database_is_one_line_and_the_tick_goes_on(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "service.jobs")
    away = DatabaseUnavailable("the database is unavailable (08006)")
    work = Work(away, away, away)
    jobs = Jobs([Tick("work", 0.01, work)], Wakes().listen)
    jobs.start()
    await until(lambda: work.ended >= 2)
    await jobs.drain()
    told = [record.getMessage() for record in caplog.records if record.name == "service.jobs"]
    assert told == [
        "work has to wait: the database is unavailable (08006)",
        "work goes on: the database is back",
    ]


async def test_a_bug_in_one_tick_is_logged_with_its_traceback_and_stops_nothing(caplog: pytest.LogCaptureFixture):
    work, other = Work(RuntimeError("bug")), Work()
    jobs = Jobs([Tick("work", 0.01, work), Tick("other", 0.01, other)], Wakes().listen)
    jobs.start()
    await until(lambda: work.ended and other.ended)
    await jobs.drain()
    assert [record.exc_info[1].args for record in caplog.records if record.exc_info] == [("bug",)]


async def test_draining_lets_the_work_in_flight_end_and_begins_nothing_new():
    work, wakes = Work(), Wakes()
    work.gate.clear()
    jobs = Jobs([Tick("work", 0.01, work, "sync")], wakes.listen)
    jobs.start()
    await until(lambda: work.begun == 1)
    drained = asyncio.create_task(jobs.drain(grace=5))
    await asyncio.sleep(0.05)
    assert not drained.done()
    work.gate.set()
    await drained
    assert (work.begun, work.ended) == (1, 1)
    await jobs.drain()


async def test_work_that_does_not_end_in_time_is_cancelled():
    work = Work()
    work.gate.clear()
    jobs = Jobs([Tick("work", 3600, work)], Wakes().listen)
    jobs.start()
    await until(lambda: work.begun == 1)
    await jobs.drain(grace=0.02)
    assert (work.ended, work.at_once) == (0, 0)
