"""One seed: a random history against a random fate, and at its end the question whether everybody has the same."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import msgspec
from convergence.flaky import FlakyDatabase
from convergence.plots import PLOTS
from convergence.receivers import LogReader, WebhookReceiver, differences
from flows.stage import Stage, set_stage
from settable_clock import Clock

from service.core.announcements import Change
from service.core.event import EventView, decode_event
from service.core.meeting_links.choices import inherited_rules
from service.core.meeting_links.evidence import DEFAULT_RULES, LinkRules
from service.core.meeting_links.finding import find
from service.core.schedule import window_at
from service.errors import GatewayError
from service.flows import connect, project
from service.store import calendars, examinations, projects
from service.store.cipher import Cipher, KeyRing, generate_key
from service.store.database import Database, DatabaseUnavailable
from service.store.projects import create_project

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Play:
    """The stage hands, the actors and the audience of one seed."""

    def __init__(self, seed: int, url: str, steps: int, provider: str) -> None:
        self.seed = seed
        self.plot = PLOTS[provider]
        self.random = Random(seed)
        self.url = url
        self.steps = steps
        self.clock = Clock(START)
        self.world = self.plot.world(self.clock, seed)
        self.cipher = Cipher(KeyRing.parse(generate_key()))
        self.log: list[str] = []
        self.calendars: dict[str, UUID] = {}
        self.workers: list[tuple[Stage, FlakyDatabase]] = []
        self.reader, self.receiver = LogReader(), WebhookReceiver()
        self.project = UUID(int=0)
        self.is_quiet = True

    async def run(self) -> list[str]:
        """Play it; what is not as it should be, in words."""
        async with AsyncExitStack() as stack:
            self.watcher = await stack.enter_async_context(Database.connect(self.url))
            async with self.watcher.write() as conn:
                self.project = await create_project(conn, "acme", self.clock())
            self.audience = await stack.enter_async_context(
                set_stage(self.watcher, self.cipher, self.clock, self.project, self.world, judged=False)
            )
            await self.audience.subscribe("event.*", "calendar.*")
            self._people()
            await self._open()
            try:
                await self._connect_some(2)
                for number in range(self.steps):
                    # Each step has its own chance: how the threads of one step fell does not change the next one.
                    self.random = self.people.random = Random(f"{self.seed}:{number}")
                    await self._step()
                    await self._look()
                return await self._end()
            finally:
                await self._close()

    def _people(self) -> None:
        second = self.plot.furnish(self.world, self.random)
        self.people = self.plot.actors(self.world, self.random, self.clock, [*self.plot.people, second])
        for _ in range(25):
            self.log.append(self.people.act())

    async def _open(self) -> None:
        """Two workers, each with a gateway and a database of its own."""
        for _ in range(2):
            database = FlakyDatabase.connect(self.url)
            await self._hire(database)

    async def _hire(self, database: FlakyDatabase) -> None:
        database.random, draw = Random(self.random.random()), Random(self.random.random()).random
        stack = AsyncExitStack()
        await stack.enter_async_context(database)
        stage = await stack.enter_async_context(
            set_stage(database, self.cipher, self.clock, self.project, self.world, judged=False, draw=draw)
        )
        stage.left = stack
        self.workers.append((stage, database))

    async def _dismiss(self, index: int) -> None:
        stage, _ = self.workers.pop(index)
        with suppress(DatabaseUnavailable):
            await stage.left.aclose()

    async def _close(self) -> None:
        while self.workers:
            await self._dismiss(0)

    async def _connect_some(self, most: int) -> None:
        missing = [name for name in self.people.calendars if name not in self.calendars]
        for name in missing[:most]:
            owner = name if name in self.plot.people else self.plot.people[0]
            wish = {} if name in self.plot.people else {"raw_calendar_id": name}
            with suppress(GatewayError, DatabaseUnavailable):
                self.calendars[name], _ = await self._worker().post(self.world.connect(owner), **wish)
                self.log.append(f"connected {name}")

    def _worker(self) -> Stage:
        return self.random.choice(self.workers)[0]

    async def _step(self) -> None:
        acts: list[tuple[int, Callable[[], Awaitable[str]]]] = [
            (12, self._act), (8, self._sync), (3, self._sync_both), (3, self._crash), (2, self._edit_meanwhile),
            (5, self._push), (3, self._poll), (3, self._pass_time), (1, self._pass_days), (4, self._fault),
            (2, self._clear_faults), (1, self._expire), (1, self._lose_tokens), (1, self._database), (1, self._resync),
            (1, self._patch), (2, self._choose), (1, self._reconnect), (1, self._more), (1, self._channels),
        ]  # fmt: skip
        weights, choices = [weight for weight, _ in acts], [act for _, act in acts]
        act = self.random.choices(choices, weights)[0]
        self.is_quiet = act != self._edit_meanwhile
        with suppress(DatabaseUnavailable):
            self.log.append(f"{self.clock():%m-%d %H:%M:%S} {act.__name__}: {await act()}")
        # Where a claim failed, what was claimed before it still runs.
        for stage, _ in self.workers:
            await stage.syncer.idle()

    async def _act(self) -> str:
        return "; ".join(self.people.act() for _ in range(self.random.randint(1, 4)))

    async def _sync(self) -> str:
        return f"{await self._worker().sync()} calendars"

    async def _sync_both(self) -> str:
        counts = await asyncio.gather(*(stage.sync() for stage, _ in self.workers), return_exceptions=True)
        return f"{counts}"

    async def _edit_meanwhile(self) -> str:
        """People go on while a sync is reading."""
        running = asyncio.create_task(self._worker().sync())
        done = []
        while not running.done():
            for _ in range(self.random.randint(1, 40)):
                await asyncio.sleep(0)
            if len(done) < 6:
                done.append(self.people.act())
        with suppress(DatabaseUnavailable):
            await running
        return "; ".join(done)

    async def _crash(self) -> str:
        """A worker dies somewhere in a sync: what it has not committed is lost, and a new one comes in its place."""
        index = self.random.randrange(2)
        stage, database = self.workers[index]
        running = asyncio.create_task(stage.sync())
        ticks = self.random.choice([5, 50, 200, 800])
        for _ in range(self.random.randint(0, ticks)):
            await asyncio.sleep(0)
        database.is_killed = True
        running.cancel()
        with suppress(asyncio.CancelledError, DatabaseUnavailable):
            await running
        await self._dismiss(index)
        fresh = FlakyDatabase.connect(self.url)
        fresh.share = database.share
        await self._hire(fresh)
        return f"after at most {ticks} ticks"

    async def _push(self) -> str:
        owed = self.world.take_pushes()
        carried = []
        for push in owed:
            if self.random.random() < 0.7:
                carried += [push] * self.random.choice([1, 1, 2])
        self.random.shuffle(carried)
        stage = self._worker()
        taken = [await stage.take(push) for push in carried]
        return f"{sum(taken)} taken of {len(owed)}"

    async def _poll(self) -> str:
        if not self.calendars:
            return "nothing"
        chosen = self.random.choice(list(self.calendars.values()))
        async with self.watcher.write() as conn:
            await calendars.make_due(conn, chosen, self.clock(), "poll")
        return f"{chosen}"

    async def _pass_time(self) -> str:
        return f"{self.clock.advance(self.random.choice([1, 5, 31, 70, 600, 3700]))}"

    async def _pass_days(self) -> str:
        return f"{self.clock.advance(hours=self.random.choice([5, 24, 50, 100]))}"

    async def _fault(self) -> str:
        preset = self.random.choice(self.plot.faults)
        skip, times = self.random.choice([0, 0, 1, 2]), self.random.choice([1, 1, 1, 3])
        endpoint = self.plot.endpoint(preset)
        self.world.add_fault(preset, endpoint=endpoint, skip=skip, times=times)
        return f"{preset} {times} times after {skip}"

    async def _clear_faults(self) -> str:
        self.world.clear_faults()
        return ""

    async def _expire(self) -> str:
        return f"{self.world.expire_access_tokens()} access tokens"

    async def _lose_tokens(self) -> str:
        calendar = self.random.choice([None, *self.people.calendars])
        self.world.invalidate_sync_tokens(calendar)
        return f"{calendar or 'all'}"

    async def _database(self) -> str:
        share = self.random.choice([0, 0, 0.02, 0.2])
        for _, database in self.workers:
            database.share = share
        return f"{share}"

    async def _resync(self) -> str:
        full = self.random.random() < 0.5
        await connect.resync_all(self._worker().gateway, self.project, full=full)
        return f"{full=}"

    async def _patch(self) -> str:
        name, horizon = self._pick(), self.random.choice([10, 30, 40])
        if name is not None:
            patch = connect.CalendarPatch(horizon_days=horizon)
            await connect.change(self._worker().gateway, self.project, self.calendars[name], patch)
        return f"horizon of {name} {horizon}"

    async def _choose(self) -> str:
        """The project, or a calendar for itself, decides anew about links."""
        room = {"host": "rooms.example.org", "platform": "jitsi"}
        preference = self.random.choice([None, "typed", "structured"])
        hosts = self.random.choice([None, [], ["rooms.example.org"], [room]])
        name, gateway = self.random.choice([None, self._pick()]), self._worker().gateway
        if name is None:
            patch = project.ProjectPatch(link_preference=preference, meeting_hosts=hosts)
            await project.change(gateway, self.project, patch)
        else:
            own = connect.CalendarPatch(link_preference=preference, meeting_hosts=hosts)
            await connect.change(gateway, self.project, self.calendars[name], own)
        return f"{name or 'the project'}: {preference}, {hosts}"

    async def _reconnect(self) -> str:
        name = self._pick()
        if name is not None:
            with suppress(GatewayError):
                await self._renew_credentials(self._worker(), name)
        return f"{name}"

    async def _renew_credentials(self, stage: Stage, name: str) -> None:
        given = self.world.connect(name if name in self.plot.people else self.plot.people[0])
        patch = connect.CalendarPatch(credentials=stage.cast.credentials(given))
        await connect.change(stage.gateway, self.project, self.calendars[name], patch)

    def _pick(self) -> str | None:
        return self.random.choice(list(self.calendars)) if self.calendars else None

    async def _more(self) -> str:
        await self._connect_some(1)
        return ""

    async def _channels(self) -> str:
        return f"{await self._worker().renew_channels()}"

    async def _look(self) -> None:
        """The audience keeps up, and believes no false news."""
        news = await self.reader.pull(self.audience)
        await self.receiver.receive(self.audience)
        if self.is_quiet:
            await self._doubt(news)

    async def _doubt(self, news: list[Change]) -> None:
        names = {calendar_id: name for name, calendar_id in self.calendars.items()}
        for change in news:
            if change.kind == "cancelled" and change.calendar_id in names:
                # What was moved out of the window while nobody could tell is as good as gone.
                truth = self._truth(names[change.calendar_id], 9)
                event = truth.get(change.event.provider_event_id)
                assert event is None, f"said to be cancelled, but is there: {change.event}"

    def _truth(self, name: str, days: int, rules: LinkRules = DEFAULT_RULES) -> dict[str, tuple[Any, ...]]:
        """What a perfect consumer would have of a calendar, with the links that it would have by these rules."""
        window = window_at(self.clock(), days)
        found = {}
        cast = self.audience.cast
        provider = self.audience.gateway.providers[cast.name]
        for row in cast.truth(name, window):
            link = find(provider.evidence(msgspec.json.encode(row)), rules)
            start, end, title, _, attendees = cast.seen(row)
            found[row["id"]] = (start, end, title, link.meeting and link.meeting.url, attendees)
        return found

    async def _end(self) -> list[str]:
        """Faults cease, time passes, everything is read once more: now all must agree."""
        self.world.clear_faults()
        for _, database in self.workers:
            database.share = 0.0
        await self._connect_some(10)
        self.is_quiet = True
        for _ in range(8):
            self.clock.advance(hours=2)
            for stage, _ in self.workers:
                await stage.sync()
            await self._look()
            for name, calendar_id in self.calendars.items():
                if (await self.audience.calendar(calendar_id)).status == "disconnected":
                    await self._renew_credentials(self.workers[0][0], name)
        for calendar_id in self.calendars.values():
            async with self.watcher.write() as conn:
                await calendars.make_due(conn, calendar_id, self.clock(), "poll")
        for stage, _ in self.workers:
            await stage.sync()
        await self._look()
        return await self._compare()

    async def _compare(self) -> list[str]:
        said: list[str] = []
        store: dict[UUID, EventView] = {}
        for name, calendar_id in self.calendars.items():
            row = await self.audience.calendar(calendar_id)
            if row.status != "active" or row.retry_at is not None:
                said.append(f"{name} is {row.status}: {row.error_message}, again at {row.retry_at}")
            said += await self._examine(name, row)
            days = row.horizon_days
            rules = examinations.rules_of(row)
            truth, kept = self._truth(name, days, rules), await self.audience.stored(calendar_id, days=days)
            said += [f"{name}: not stored: {key} {truth[key]}" for key in truth.keys() - kept.keys()]
            said += [f"{name}: stored, but gone: {key} {kept[key]}" for key in kept.keys() - truth.keys()]
            said += [
                f"{name}: {key} is {truth[key]}, stored as {kept[key]}"
                for key in truth.keys() & kept.keys()
                if truth[key] != kept[key]
            ]
            store |= {event.id: event for event in await self.audience.events(calendar_id)}
        said += differences("the reader of the log", self.reader.copy, store)
        said += differences("the receiver of webhooks", self.receiver.copy, store)
        if await self.audience.last_seq() != self.reader.last:
            said.append(f"the log ends at {self.reader.last}, its number is {await self.audience.last_seq()}")
        return said

    async def _examine(self, name: str, row: Any) -> list[str]:
        """Whether every stored link is what today's rules say of the row that is kept beside it."""
        async with self.watcher.read() as conn:
            decided = await projects.settings(conn, self.project)
            kept = await examinations.page(conn, row.id, None, 10_000)
        own = (row.link_preference, row.meeting_hosts)
        rules = inherited_rules(*own, decided.link_preference, decided.meeting_hosts)
        said = [f"{name} goes by other rules: {row.link_rules}"] if examinations.rules_of(row) != rules else []
        if not examinations.is_examined(row):
            said.append(f"{name} was examined in epoch {row.examined_epoch}, and is in {row.link_epoch}")
        provider = self.audience.gateway.providers[row.provider]
        for each in kept:
            event, link = decode_event(each.body), find(provider.evidence(each.raw or b""), rules)
            if (event.meeting, event.meeting_hint) != (link.meeting, link.hint):
                said.append(f"{name}: {each.provider_event_id} has {event.meeting}, by the rules {link.meeting}")
        return said


async def play(seed: int, url: str, *, steps: int = 60, provider: str = "google") -> tuple[list[str], list[str]]:
    """Run one seed on an empty, migrated database: (what is wrong, the history)."""
    log = logging.getLogger("service")
    level = log.level
    log.setLevel(logging.CRITICAL)
    it = Play(seed, url, steps, provider)
    try:
        return await it.run(), it.log
    except AssertionError as error:
        return [f"false news: {error}"], it.log
    finally:
        log.setLevel(level)
