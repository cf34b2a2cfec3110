"""All there is in a simulation: gateways on machines of their own, Google and its users, receivers, and what happens to them.

story ──► people edit ──► Google ──push──► gateways ──webhook──► receivers
  └──► crashes, restarts, clocks that jump, bad weather, and long rests between
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx
from simulation.chronicle import STORY, Chronicle
from simulation.inline_sqlite import dialler, noting_loans
from simulation.machines import Machine, keep_account, true_time
from simulation.network import Network
from simulation.receiver import Receiver
from simulation.stand_ins import standing_in
from simulation.virtual_loop import VirtualLoop

from service.app import create_app
from service.settings import RateLimit, Settings
from service.store.api_keys import create_key
from service.store.cipher import generate_key
from service.store.database import Database
from service.store.projects import create_project
from simulator.app import create_app as create_google
from simulator.google.world import World

T = TypeVar("T")
GATEWAY, GOOGLE = "gateway.example", "google.example"

HEED = 0.5
"""Seconds before something becomes due from which on every tick is lived through."""

LATER = HEED + 0.5
"""So much later is it met with where the tick that looks for it is a slow one: after a leap every tick comes at once."""

SHORTEST_LEAP = 2.0
STEP = 0.8

_NEXT_DUE = """
              SELECT min(due_at), :dozing FROM calendars
    UNION ALL SELECT min(next_at), 0 FROM webhook_deliveries WHERE state = 'pending'
    UNION ALL SELECT min(announce_at), 0 FROM events
    UNION ALL SELECT min(due_at), :later FROM pushes
    UNION ALL SELECT min(due_at), :later FROM channels WHERE state IN ('opening', 'closing')
    UNION ALL SELECT min(look_at), :later + :dozing FROM freshness
    UNION ALL SELECT min(next_try_at), 0 FROM bots
    UNION ALL SELECT min(look_at), 0 FROM bot_looks
"""
"""When rows become due, all that a gateway's ticks look for; and with how many seconds more."""


class Replica:
    """A gateway that runs, and its end."""

    def __init__(self, machine: Machine, app: Any) -> None:
        self.machine = machine
        self.app = app
        self.stops = asyncio.Event()
        self.is_ready = asyncio.Event()
        self.life = machine.run(self._live())

    async def _live(self) -> None:
        async with self.app:
            self.is_ready.set()
            await self.stops.wait()


class City:
    """Told by a story what happens. `now` is the true time; `api` is the client of the gateways' user."""

    def __init__(self, loop: VirtualLoop, seed: str, path: Path) -> None:
        self.seed = seed
        self.loop = loop
        self.path = path
        self.random = Random(f"{seed}:story")
        self.chronicle = Chronicle(self.now)
        self.network = Network(self.chronicle, seed)
        self.world = World(self.now, Random(f"{seed}:google").getrandbits(32))
        self.google = Machine("google", loop)
        self.replicas: dict[str, Replica] = {}
        self.receivers: dict[str, Receiver] = {}
        self.api = httpx.AsyncClient(transport=self.network.transport(), base_url=f"https://{GATEWAY}", timeout=60)
        self.settings: dict[str, Any] = {}
        self._starts = 0
        self._look = sqlite3.connect(path, timeout=0, isolation_level=None)

    def now(self) -> datetime:
        return true_time(self.loop)

    # --- gateways ---

    async def found(self) -> None:
        """A project with a key, on the empty database."""
        loop = self.loop
        loop.addresses = self.network.addresses
        self.network.host(GOOGLE).serve(self.google, create_google(self.world, transport=self.network.transport()))
        founder = Machine("founder", loop)

        async def write() -> str:
            dial = dialler(founder, Random(f"{self.seed}:founder"))
            async with Database.connect(self._url, dial=dial) as database, database.write() as conn:
                project = await create_project(conn, "acme", self.now())
                return await create_key(conn, project, "admin", self.now())

        self.api.headers["authorization"] = f"Bearer {await founder.run(write())}"
        self.settings = {"database_url": self._url, "secret_keys": generate_key(), **self.settings}

    @property
    def _url(self) -> str:
        return f"sqlite:///{self.path}"

    async def start(self, name: str = "one", *, ahead: timedelta = timedelta()) -> None:
        """Start a gateway; with the name of one that is gone, it is that one again."""
        self.chronicle.tell(STORY, f"starts {name}")
        self._starts += 1
        machine, chance = Machine(name, self.loop), f"{self.seed}:{name}:{self._starts}"
        machine.ahead = ahead
        app = create_app(
            self._settings(),
            clock=machine.now,
            draw=Random(f"{chance}:draw").random,
            transport=self.network.transport,
            connect=partial(Database.connect, dial=dialler(machine, Random(f"{chance}:disk"))),
        )
        replica = self.replicas[name] = Replica(machine, app)
        done, _ = await asyncio.wait(
            [replica.life, self.loop.create_task(replica.is_ready.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        if replica.life in done:
            replica.life.result()
        self.network.host(GATEWAY).serve(machine, app)

    def _settings(self) -> Settings:
        given: dict[str, Any] = {
            "public_url": f"https://{GATEWAY}",
            "google_api_url": f"https://{GOOGLE}/calendar/v3",
            "google_token_url": f"https://{GOOGLE}/token",
            "rate_limit": RateLimit(1_000_000, 1_000_000),  # its bucket is filled by the computer's own clock
            **self.settings,
        }
        return Settings(**given)

    async def crash(self, name: str = "one") -> None:
        """Take the power away from a gateway."""
        self.chronicle.tell(STORY, f"crashes {name}")
        replica = self.replicas.pop(name)
        self.network.host(GATEWAY).servers.pop(replica.machine, None)
        await replica.machine.lose_power()

    async def stop(self, name: str = "one") -> None:
        """Ask a gateway to end, and wait for it."""
        self.chronicle.tell(STORY, f"stops {name}")
        replica = self.replicas.pop(name)
        self.network.host(GATEWAY).servers.pop(replica.machine, None)
        replica.stops.set()
        await replica.life
        await replica.machine.lose_power()

    def put_clock(self, name: str, **by: float) -> None:
        """Move a gateway's wall clock, forward or back, as somebody does who sets it."""
        self.chronicle.tell(STORY, f"puts the clock of {name} by {by}")
        self.replicas[name].machine.ahead += timedelta(**by)

    def at_work(self, task: str) -> str:
        """The only gateway that has a task of a name that begins so."""
        (name,) = {
            name
            for name, replica in self.replicas.items()
            if any(each.get_name().startswith(task) for each in replica.machine.tasks)
        }
        return name

    # --- people ---

    def at_google(self, act: Callable[..., T], *given: Any, **named: Any) -> T:
        """Something that somebody does there."""
        done = self.google.call(partial(act, *given, **named))
        self.chronicle.tell("people", f"{act.__name__} {given}: {done}"[:200])
        return done

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """A request to the gateways that has to succeed; its JSON."""
        answer = await self.api.request(method, path, **more)
        if not answer.is_success:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    async def connect(self, email: str, **wish: Any) -> str:
        """Connect the calendar of an account, which is made when it is new; the id of the calendar."""
        given = self.at_google(self.world.connect, email)
        named = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
        made = await self.ask("POST", "/calendars", json={"provider": "google", **named, **wish})
        calendar_id: str = made["id"]
        return calendar_id

    async def subscribe(self, *types: str, name: str = "receiver.example", **wish: Any) -> Receiver:
        """A receiver of these types (none named: the default), which verifies what it gets."""
        receiver = self.receivers[name] = Receiver(name, self.now, self.chronicle)
        self.network.host(name).serve(Machine(name, self.loop), receiver)
        body = {"url": receiver.url, **wish, **({"event_types": list(types)} if types else {})}
        made = await self.ask("POST", "/webhooks/endpoints", json=body)
        receiver.id, receiver.secret = made["id"], made["secret"]
        return receiver

    async def page_through(self, path: str, **query: Any) -> list[Any]:
        """Every object of a list."""
        found: list[Any] = []
        cursor = None
        while True:
            page = await self.ask("GET", path, params={"limit": 250, **query, **({"cursor": cursor} if cursor else {})})
            found += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    # --- time ---

    async def rest(self, *, dozing: float = 0.0, **duration: float) -> None:
        """Let time pass. Seconds in which nothing can become due, and nobody waits for an answer, are leapt over.

        Where `dozing`, calendars may be read and looked at so many seconds late, as on a machine that sleeps now and then.
        """
        end = self.loop.time() + timedelta(**duration).total_seconds()
        while (left := end - self.loop.time()) > 0:
            await asyncio.sleep(min(STEP, left))
            free = min(self._idle_for(dozing), end - self.loop.time())
            if free >= SHORTEST_LEAP:
                self.loop.leap(free)

    async def rest_until(self, moment: datetime, *, dozing: float = 0.0) -> None:
        await self.rest(dozing=dozing, seconds=(moment - self.now()).total_seconds())

    async def until(self, is_so: Callable[[], bool], *, step: float = 1.0, **limit: float) -> None:
        """Rest until something is so, looking every `step` seconds. Raises AssertionError after `limit`."""
        end = self.now() + timedelta(**limit)
        while not is_so():
            if self.now() >= end:
                raise AssertionError(f"still not so after {limit}")
            await self.rest(seconds=step)

    def _idle_for(self, dozing: float) -> float:
        now = self.loop.time()
        machines = [replica.machine for replica in self.replicas.values()]
        is_used = self.network.in_flight or self.google.tasks or now - self.network.last_used < 0.5
        if is_used or any(machine.is_busy for machine in machines):
            return 0
        if not machines:
            return float("inf")
        shown = max(machine.now() for machine in machines)
        rows = self._look.execute(_NEXT_DUE, {"later": LATER, "dozing": dozing}).fetchall()
        found = [(text, more) for text, more in rows if text is not None]
        pauses = [
            (datetime.fromisoformat(text).replace(tzinfo=UTC) - shown).total_seconds() + more for text, more in found
        ]
        return min(pauses, default=float("inf")) - HEED

    def rows(self, query: str, *given: Any) -> list[Any]:
        """What the database holds, to look at."""
        return self._look.execute(query, given).fetchall()

    async def close(self) -> None:
        for name in list(self.replicas):
            await self.crash(name)
        await self.google.lose_power()
        for host in self.network.hosts.values():
            for machine in host.servers:
                await machine.lose_power()
        await self.api.aclose()
        self._look.close()


Story = Callable[[City], Awaitable[T]]


def simulate(story: Story[T], template: Path, folder: Path, *, seed: int = 0, **settings: Any) -> tuple[T, Chronicle]:
    """Run a story on a copy of an empty, migrated database; what it came to, and its history.

    The story is told at the true time 0 with one gateway, named `one`, and nothing connected; `settings` are the
    gateways'. Raises AssertionError for faults that no history may have.
    """
    path = folder / f"{len(list(folder.iterdir()))}.db"
    shutil.copy(template, path)
    loop = VirtualLoop()
    keep_account(loop)
    try:
        with standing_in(loop, f"{seed}"), noting_loans():
            return loop.run_until_complete(_tell(story, loop, f"{seed}", path, settings))
    finally:
        loop.close()
        for left in folder.glob(f"{path.name}*"):
            left.unlink()


async def _tell(
    story: Story[T], loop: VirtualLoop, seed: str, path: Path, settings: dict[str, Any]
) -> tuple[T, Chronicle]:
    city = City(loop, seed, path)
    city.settings = settings
    loop.set_exception_handler(lambda _loop, context: city.chronicle.faults.append(repr(context)))
    with city.chronicle.hearing():
        try:
            await city.found()
            await city.start()
            result = await story(city)
        finally:
            await city.close()
    if city.chronicle.faults:
        raise AssertionError("\n".join(city.chronicle.faults))
    return result, city.chronicle
