"""Wall clocks that are put forward and back: work goes on, nothing is lost, nothing is said twice."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from simulation.audience import Audience
from simulation.city import City
from simulation.receiver import Receiver

ADA, GRACE = "ada@example.com", "grace@example.com"
POLL = 60


def has_taken(receiver: Receiver, count: int) -> bool:
    return len(receiver.accepted) >= count


@pytest.mark.parametrize(
    "jumps",
    [
        pytest.param([timedelta(hours=-1)], id="an-hour-back"),
        pytest.param([timedelta(days=-7)], id="a-week-back"),
        pytest.param([timedelta(days=1)], id="a-day-forward"),
        pytest.param([timedelta(days=365), timedelta(days=-365)], id="a-year-forward-and-right-again"),
    ],
)
def test_what_is_polled_from_then_on_is_polled_in_time(told: Any, jumps: list[timedelta]) -> None:
    async def story(city: City) -> list[float]:
        receiver = await city.subscribe("event.created")
        receiver.minds_the_time = False
        await city.connect(ADA)
        await city.rest(minutes=5)
        for jump in jumps:
            city.put_clock("one", seconds=jump.total_seconds())
            await city.rest(seconds=3)
        # By the new clock it may not be due for long; whoever wants it now, gets it now and in its rhythm again.
        await city.ask("POST", "/calendars/resync", json={})
        waits = []
        for number in range(3):
            await city.rest(seconds=5)
            made_at = city.now()
            city.at_google(city.world.add_meeting, ADA, f"meeting {number}", in_minutes=60)
            await city.until(partial(has_taken, receiver, number + 1), minutes=30)
            waits.append((receiver.arrivals[-1].at - made_at).total_seconds())
        return waits

    waits, _ = told(story, public_url=None, poll_seconds=POLL)

    # Nothing is on today: twice the interval, and a tenth of it.
    assert max(waits) <= 2 * POLL * 1.1 + 2, waits


@pytest.mark.parametrize(
    "ahead",
    [
        pytest.param({"one": timedelta(hours=1)}, id="one-an-hour-ahead"),
        pytest.param({"one": timedelta(hours=-1)}, id="one-an-hour-behind"),
        pytest.param({"one": timedelta(days=1), "two": timedelta(hours=-1)}, id="one-a-day-ahead-the-other-behind"),
    ],
)
def test_two_whose_clocks_disagree_lose_nothing_and_say_nothing_twice(told: Any, ahead: dict[str, timedelta]) -> None:
    async def story(city: City) -> list[str]:
        await city.start("two")
        receiver = await city.subscribe("event.*", "calendar.*")
        receiver.minds_the_time = False
        audience = Audience(city, receiver)
        for email in (ADA, GRACE):
            audience.calendars[email] = UUID(await city.connect(email))
        await city.rest(minutes=1)
        for name, by in ahead.items():
            city.put_clock(name, seconds=by.total_seconds())
        for number in range(8):
            city.at_google(city.world.add_meeting, ADA, f"meeting {number}", attendees=[GRACE])
            receiver.mood = lambda _: city.random.choice([200, 500])
            if number in {3, 6}:
                # Somebody dies right when there is something to do.
                name = "one" if number == 3 else "two"
                await city.rest(seconds=city.random.random() * 0.3)
                await city.crash(name)
                await city.rest(seconds=40)
                await city.start(name, ahead=ahead.get(name, timedelta()))
            await city.rest(minutes=city.random.choice([0.1, 1, 20]))
        receiver.mood = lambda _: 200
        for replica in city.replicas.values():
            replica.machine.ahead = timedelta()
        # What the clock that was ahead has put off is due when it would have been by that clock.
        await city.rest(hours=27, dozing=3600)
        await city.ask("POST", "/calendars/resync", json={})
        await city.rest(minutes=1)
        return await audience.compare()

    wrong, _ = told(story)

    assert wrong == []
