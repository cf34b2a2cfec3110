"""What happens without a request: one table of ticks, run by APScheduler in every replica, and drained before it ends.

    start ──► every tick at its interval, and at once when its topic is woken
    drain ──► pause ──► what runs may end (at most so many seconds) ──► shutdown

A tick only claims work and does it, so one replica more is harmless, and nothing is lost when one dies in the middle.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import uuid4

from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]

from service.flows import housekeeping, push
from service.flows.bots import Keeper, Launcher
from service.flows.gateway import Gateway
from service.flows.staleness import announce_stale
from service.flows.starting import Announcer
from service.flows.sync_calendar.syncer import Syncer
from service.flows.writing import Follower, Resumer
from service.observability import METRICS
from service.store import census, channels, leases, starts, workers
from service.store.database import DatabaseUnavailable
from service.store.wake import Listener
from webhooks import lateness
from webhooks.delivery import Deliverer

log: Final = logging.getLogger(__name__)

GRACE: Final = 15.0
"""How many seconds the work in flight has to end in, once the process was asked to stop."""

IDLE: Final = 3600.0
SEEN_LATELY: Final = timedelta(seconds=60)
HEARD: Final = timedelta(seconds=25)
"""Two heartbeats may be late; whoever was not heard of for longer gets no part of an endpoint's rate limit."""


class Tick(NamedTuple):
    """Something to do every `seconds`, and at once whenever `topic` is woken."""

    name: str
    seconds: float
    run: Callable[[], Awaitable[object]]
    topic: str | None = None


class _Pause(BaseTrigger):  # type: ignore[misc]
    """Next after so many seconds, not on a grid: after a day that a machine slept, nobody makes up for 86,400 ticks."""

    def __init__(self, seconds: float) -> None:
        self._pause = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        # The first run is not the trigger's: it is asked for at the start.
        del previous_fire_time
        return now + self._pause


class _Scheduler(AsyncIOScheduler):  # type: ignore[misc]
    """Goes by the wall clock, as APScheduler does, and with it when it is put back: its ticks would wait until it is there again."""

    _latest = datetime.min.replace(tzinfo=UTC)

    def wakeup(self) -> None:
        """Called by a timer, which no clock moves, when the next tick is due."""
        now, before = datetime.now(UTC), self._latest
        self._latest = now
        if now < before:
            for job in self.get_jobs():
                job.modify(next_run_time=now)
        super().wakeup()


class Jobs:
    """Runs ticks between `start` and `drain`; each is never twice at once in this process.

    `listen` is that of `service.store.wake.Wake`.
    """

    def __init__(self, ticks: Sequence[Tick], listen: Callable[[str], AbstractContextManager[Listener]]) -> None:
        self._runners = {tick.name: _Runner(tick) for tick in ticks}
        self._listen = listen
        self._scheduler: _Scheduler | None = None
        self._listeners: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; the first run of each tick is at once. To be called on the running loop."""
        # A late tick is better than a lost one, and one late tick is as good as five.
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler = _Scheduler(job_defaults=defaults, timezone="UTC")
        for runner in self._runners.values():
            tick = runner.tick
            self._scheduler.add_job(runner.on_time, _Pause(tick.seconds), id=tick.name)
            runner.ask()
            if tick.topic is not None:
                self._listeners.append(asyncio.create_task(self._follow(runner, tick.topic), name=f"wake {tick.topic}"))
        self._scheduler.start()

    async def drain(self, grace: float = GRACE) -> None:
        """Stop: nothing new begins, what runs has `grace` seconds to end and is cancelled then. May be called twice."""
        if self._scheduler is None:
            return
        scheduler, self._scheduler = self._scheduler, None
        scheduler.pause()
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)
        await asyncio.gather(*(runner.stop(grace) for runner in self._runners.values()))
        # APScheduler cancels what it believes to run; by now that is nothing.
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0)

    async def _follow(self, runner: "_Runner", topic: str) -> None:
        with self._listen(topic) as news:
            while True:
                if await news.wait(IDLE):
                    runner.ask()


class _Runner:
    """One tick: asked while it runs, it runs once more afterwards, so that no wish is lost."""

    def __init__(self, tick: Tick) -> None:
        self.tick = tick
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._stopped = False
        self._database_is_away = False

    def ask(self) -> None:
        if self._stopped:
            return
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"tick {self.tick.name}")

    async def on_time(self) -> None:
        """The same for APScheduler, which would run a plain function in a thread."""
        self.ask()

    async def stop(self, grace: float) -> None:
        self._stopped, self._again = True, False
        if self._task is None or self._task.done():
            return
        await asyncio.wait([self._task], timeout=grace)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._again:
            self._again = False
            started = time.perf_counter()
            await self._once()
            METRICS.ticked(self.tick.name, time.perf_counter() - started)

    async def _once(self) -> None:
        try:
            await self.tick.run()
        except DatabaseUnavailable as error:
            # An outage is one line when it begins and one when it is over, not one for each tick of it.
            if not self._database_is_away:
                log.warning("%s has to wait: %s", self.tick.name, error)
            self._database_is_away = True
        except Exception:
            log.exception("%s failed; it goes on with its next tick", self.tick.name)
        else:
            if self._database_is_away:
                log.info("%s goes on: the database is back", self.tick.name)
            self._database_is_away = False


class Workers(NamedTuple):
    """Those who do the work of a process with the role `worker` or `all`."""

    syncer: Syncer
    announcer: Announcer
    renewer: push.Renewer
    keeper: Keeper
    launcher: Launcher
    resumer: Resumer
    follower: Follower

    @classmethod
    def of(cls, gateway: Gateway) -> "Workers":
        """One of each."""
        return cls(
            Syncer(gateway),
            Announcer(gateway),
            push.Renewer(gateway),
            Keeper(gateway),
            Launcher(gateway),
            Resumer(gateway),
            Follower(gateway),
        )

    async def drain(self, grace: float) -> None:
        """Have them begin nothing more, and end within so many seconds what is in flight. Raises DatabaseUnavailable."""
        self.announcer.drain()
        self.keeper.drain()
        await asyncio.gather(
            self.syncer.drain(grace),
            self.renewer.drain(grace),
            self.launcher.drain(grace),
            self.resumer.drain(grace),
            self.follower.drain(grace),
        )


def ticks_of_worker(gateway: Gateway, workers: Workers, deliverer: Deliverer) -> list[Tick]:
    """Everything that a process with the role `worker` or `all` does by itself."""

    async def deliver() -> None:
        deliverer.wake()

    return [
        Tick("sync", 1, workers.syncer.run_due, "sync"),
        Tick("deliver", 1, deliver, "deliver"),
        Tick("endpoints", 5, deliverer.refresh, "endpoints"),
        Tick("starting", 1, workers.announcer.run_due, "starting"),
        Tick("bots", 1, workers.keeper.run_due, "bots"),
        Tick("bot runners", 1, workers.launcher.run_due, "bot runners"),
        Tick("writes", 1, workers.resumer.run_due, "writes"),
        Tick("managed events", 2, workers.follower.run_due, "managed"),
        Tick("push channels", 5, workers.renewer.run_due, "push"),
        Tick("heartbeat", 10, Heartbeat(gateway).beat),
        Tick("staleness", 15, lambda: announce_stale(gateway)),
        Tick("housekeeping", 60, lambda: housekeeping.tidy(gateway)),
        *ticks_of_everybody(gateway),
    ]


def ticks_of_everybody(gateway: Gateway) -> list[Tick]:
    """What every process does, because each is asked for its metrics."""
    return [Tick("backlog", 15, lambda: show_backlog(gateway)), Tick("census", 60, lambda: show_census(gateway))]


async def show_backlog(gateway: Gateway) -> None:
    """Show how far behind the work is. Raises DatabaseUnavailable."""
    now = gateway.clock()
    async with gateway.database.read() as conn:
        since = {
            "sync": await leases.oldest_due(conn, now),
            "delivery": await lateness.oldest_due(conn, now),
            "relay": await lateness.oldest_relay(conn, now),
            "announcement": await starts.next_look(conn),
            "push channel": await channels.oldest_due(conn, now),
        }
        at_work = await workers.count_seen(conn, now - SEEN_LATELY)
    METRICS.show_backlog({work: _age(moment, now) for work, moment in since.items()}, workers=at_work)


async def show_census(gateway: Gateway) -> None:
    """Show how everything stands, which takes a look at every calendar. Raises DatabaseUnavailable."""
    now = gateway.clock()
    async with gateway.database.read() as conn:
        METRICS.show_census(await census.take(conn, now), now)


class Heartbeat:
    """Says that this process claims work, and hears how many do: they share the rate limits of webhook endpoints."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._id, self._started_at = uuid4(), gateway.clock()

    async def beat(self) -> None:
        """Say so. Raises DatabaseUnavailable."""
        now = self._gateway.clock()
        async with self._gateway.database.write() as conn:
            await workers.report(conn, self._id, self._started_at, now)
            at_work = await workers.count_seen(conn, now - HEARD)
        if self._gateway.deliverer is not None:
            self._gateway.deliverer.share_rates(at_work)


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0
