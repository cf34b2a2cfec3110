"""Wall clocks that are put forward and back: work goes on, nothing is lost, nothing is said twice."""

from datetime import timedelta
from typing import Any

import pytest
from simulation.city import City

ADA = "ada@example.com"
POLL = 60


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
            city.at_google(lambda name=f"meeting {number}": city.world.add_meeting(ADA, name, in_minutes=60))
            await city.until(lambda count=number: len(receiver.accepted) > count, minutes=30)
            waits.append((receiver.arrivals[-1].at - made_at).total_seconds())
        return waits

    waits, _ = told(story, public_url=None, poll_seconds=POLL)

    # Nothing is on today: twice the interval, and a tenth of it.
    assert max(waits) <= 2 * POLL * 1.1 + 2, waits
