"""A week in a city, as a seed has it: people edit, providers and networks have bad days, gateways die and come back."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from uuid import UUID

from convergence.history import People
from convergence.plots import GooglePlot
from simulation.audience import Audience
from simulation.chronicle import STORY
from simulation.city import GATEWAY, GOOGLE, City
from simulation.network import Weather
from simulation.receiver import Arrival

FAIR = Weather()
ACT = Callable[[], Awaitable[str]]


class Week:
    """The seed's own story; `tell` answers what is wrong at its end."""

    def __init__(self, city: City, days: float, *, to_the_end: bool) -> None:
        self.city = city
        self.days = days
        self.to_the_end = to_the_end
        self.random: Random = city.random
        self.plot = GooglePlot()
        self.unreachable_until = city.now()

    async def tell(self) -> list[str]:
        city = self.city
        if self.random.random() < 0.6:
            await city.start("two")
        receiver = await city.subscribe("event.*", "calendar.*", "meeting.starting")
        receiver.mood = self._mood
        self.audience = Audience(city, receiver)
        second = self.plot.furnish(city.world, self.random)
        self.people = People(city.world, self.random, city.now, [*self.plot.people, second])
        city.at_google(self._act, 12)
        for name in self.people.calendars[:2]:
            await self._connect(name)
        end = city.now() + timedelta(days=self.days)
        while city.now() < end:
            await self._step()
        return await self._end() if self.to_the_end else []

    async def _step(self) -> None:
        acts: list[tuple[int, ACT]] = [
            (10, self._edit), (6, self._rest), (2, self._crash), (1, self._restart), (2, self._cloud), (2, self._clear),
            (3, self._trouble), (1, self._close_receiver), (1, self._expire), (1, self._lose_tokens), (1, self._set_clock),
            (1, self._connect_another),
        ]  # fmt: skip
        act = self.random.choices([act for _, act in acts], [weight for weight, _ in acts])[0]
        self.city.chronicle.tell(STORY, f"{act.__name__}: {await act()}")
        await self.city.rest(seconds=self.random.choice([0.05, 2, 20, 600, 4000, 20_000]))

    async def _edit(self) -> str:
        return self.city.at_google(self._act, self.random.randint(1, 4))

    def _act(self, times: int) -> str:
        return "; ".join(self.people.act() for _ in range(times))

    async def _rest(self) -> str:
        hours = self.random.choice([1, 3, 9])
        await self.city.rest(hours=hours)
        return f"{hours} h"

    async def _crash(self) -> str:
        """In the middle of whatever goes on; the other, where there is one, carries on alone for a while."""
        name = self.random.choice(list(self.city.replicas))
        if self.random.random() < 0.7:
            self.city.at_google(self._act, 1)
            await self.city.rest(seconds=self.random.random() * 0.4)
        await self.city.crash(name)
        away = self.random.choice([0.1, 5, 40, 3000])
        await self.city.rest(seconds=away)
        await self.city.start(name)
        return f"{name} for {away} s"

    async def _restart(self) -> str:
        name = self.random.choice(list(self.city.replicas))
        await self.city.stop(name)
        await self.city.rest(seconds=1)
        await self.city.start(name)
        return name

    async def _cloud(self) -> str:
        host = self.random.choice([GOOGLE, GATEWAY, self.audience.receiver.name])
        words = ["refused", "lost", "broken", "late", "failed", *(["twice"] if host != GOOGLE else [])]
        shares = {word: self.random.choice([0.02, 0.1, 0.3]) for word in self.random.sample(words, 2)}
        self.city.network.host(host).weather = Weather(**shares, slowest=self.random.choice([0.05, 0.5, 3]))
        return f"{host} {shares}"

    async def _clear(self) -> str:
        for host in self.city.network.hosts.values():
            host.weather = FAIR
        self.city.at_google(self.city.world.clear_faults)
        return "fair weather"

    async def _trouble(self) -> str:
        preset = self.random.choice(self.plot.faults)
        skip, times = self.random.choice([0, 0, 1, 2]), self.random.choice([1, 1, 1, 3])
        endpoint = self.plot.endpoint(preset)
        self.city.at_google(self.city.world.add_fault, preset, endpoint=endpoint, skip=skip, times=times)
        return f"{preset} {times} times after {skip}"

    async def _close_receiver(self) -> str:
        hours = self.random.choice([0.1, 1, 8])
        self.unreachable_until = self.city.now() + timedelta(hours=hours)
        return f"{hours} h"

    async def _expire(self) -> str:
        return f"{self.city.at_google(self.city.world.expire_access_tokens)} access tokens"

    async def _lose_tokens(self) -> str:
        name = self.random.choice([None, *self.people.calendars])
        self.city.at_google(self.city.world.invalidate_sync_tokens, name)
        return f"{name or 'all'}"

    async def _set_clock(self) -> str:
        """By no more than receivers forgive."""
        name = self.random.choice(list(self.city.replicas))
        ahead = self.random.choice([-120, -10, 0, 10, 120])
        self.city.replicas[name].machine.ahead = timedelta(seconds=ahead)
        return f"{name} is {ahead} s ahead"

    async def _connect_another(self) -> str:
        missing = [name for name in self.people.calendars if name not in self.audience.calendars]
        if (
            not missing
            or any(host.weather != FAIR for host in self.city.network.hosts.values())
            or self.city.world.faults
        ):
            return "nobody"
        await self._connect(missing[0])
        return missing[0]

    async def _connect(self, name: str) -> None:
        is_person = name in self.plot.people
        wish = {} if is_person else {"raw_calendar_id": name}
        made = await self.city.connect(name if is_person else self.plot.people[0], **wish)
        self.audience.calendars[name] = UUID(made)

    def _mood(self, _arrival: Arrival) -> int | None:
        if self.city.now() >= self.unreachable_until:
            return 200
        return self.random.choice([500, 503, 429, 404, None])

    async def _end(self) -> list[str]:
        """Troubles cease, time passes, everything is read once more: now all must agree."""
        city = self.city
        await self._clear()
        self.unreachable_until = city.now()
        for replica in city.replicas.values():
            replica.machine.ahead = timedelta()
        await city.rest(hours=2)
        for name, calendar_id in self.audience.calendars.items():
            if (await city.ask("GET", f"/calendars/{calendar_id}"))["status"] == "disconnected":
                await self._connect(name)
        # The longest that anything is waited with after a failure: a day, and a tenth of it.
        await city.rest(hours=27)
        await city.ask("POST", "/calendars/resync", json={})
        await city.rest(minutes=2)
        return [*await self.audience.compare(), *self._channels()]

    def _channels(self) -> list[str]:
        """Each calendar is watched by one channel of those that Google has."""
        now = self.city.now()
        counted = {
            name: sum(channel.expires_at > now for channel in self.city.world.watchers.get(name, []))
            for name in self.audience.calendars
        }
        return [f"{name} has {count} channels" for name, count in counted.items() if count != 1]


async def tell_week(city: City, days: float = 7, *, to_the_end: bool = True) -> list[str]:
    """Live through one; what is wrong when it has come to rest, which takes more than a day after `days`."""
    try:
        return await Week(city, days, to_the_end=to_the_end).tell()
    except AssertionError as error:
        return [f"{error}"]
