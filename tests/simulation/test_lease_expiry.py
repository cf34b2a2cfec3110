"""What a gateway that died was at work on: another takes it over when its lease runs out, and not a moment sooner."""

from datetime import timedelta
from typing import Any

from simulation.city import GOOGLE, City
from simulation.network import Weather
from simulation.receiver import Arrival

ADA = "ada@example.com"
LEASE = 30.0
TICK = 1.0
WAY = 0.1


def listings(city: City, since: float) -> list[tuple[float, str]]:
    """When and by whom events were listed."""
    return [(sent.at, sent.sender) for sent in city.network.sent if sent.path.endswith("/events") and sent.at >= since]


async def two_gateways(city: City) -> None:
    await city.start("two")
    await city.connect(ADA)
    await city.rest(minutes=1)


def test_a_calendar_that_was_being_read(told: Any) -> None:
    async def story(city: City) -> tuple[float, str, list[tuple[float, str]]]:
        receiver = await city.subscribe("event.created")
        await two_gateways(city)
        city.network.host(GOOGLE).weather = Weather(lost=1.0)
        since = city.loop.time()
        city.at_google(city.world.add_meeting, ADA, "Review", in_minutes=600)
        await city.until(lambda: city.network.in_flight > 0, seconds=5, step=0.05)
        claimed_at = city.loop.time()
        reader = city.at_work("sync 0")
        await city.crash(reader)
        city.network.host(GOOGLE).weather = Weather()
        await city.until(lambda: bool(receiver.accepted), minutes=2)
        return claimed_at, reader, listings(city, since)

    (claimed_at, dead, reads), _ = told(story)

    survivors = [(at - claimed_at, reader) for at, reader in reads if reader != dead]
    assert [reader for _, reader in survivors] == ["two" if dead == "one" else "one"]
    assert LEASE - WAY <= survivors[0][0] <= LEASE + TICK + WAY


def test_a_webhook_that_was_being_sent(told: Any) -> None:
    async def story(city: City) -> list[Arrival]:
        receiver = await city.subscribe("event.created")
        await two_gateways(city)
        receiver.mood = lambda _: None
        city.at_google(city.world.add_meeting, ADA, "Review", in_minutes=600)
        await city.until(lambda: bool(receiver.arrivals), seconds=5, step=0.05)
        await city.crash(city.at_work("webhooks slot"))
        receiver.mood = lambda _: 200
        await city.rest(hours=1)
        return receiver.arrivals

    arrivals, _ = told(story)

    assert len(arrivals) == 2
    assert arrivals[0].id == arrivals[1].id
    assert arrivals[0].body == arrivals[1].body
    waited = (arrivals[1].at - arrivals[0].at).total_seconds()
    assert LEASE - 2 * WAY <= waited <= LEASE + TICK + WAY


def test_a_calendar_whose_reader_lives_is_its_own_for_as_long_as_it_takes(told: Any) -> None:
    async def story(city: City) -> tuple[float, set[str], int]:
        receiver = await city.subscribe("calendar.sync_events")
        await city.start("two")
        city.at_google(city.world.add_account, ADA)
        for number in range(24):
            city.at_google(city.world.add_meeting, ADA, f"meeting {number}", in_minutes=600)
        city.world.set(largest_page=4)
        city.world.add_fault("latency", endpoint="events.list", times=6, seconds=9)
        since = city.loop.time()
        await city.connect(ADA)
        await city.until(lambda: bool(receiver.accepted), minutes=3)
        read = listings(city, since)
        return city.loop.time() - since, {reader for _, reader in read}, len(read)

    (took, readers, pages), _ = told(story, public_url=None)

    assert took > LEASE + TICK
    assert len(readers) == 1
    assert pages == 6


def test_work_that_is_given_back_at_the_end_waits_for_no_lease(told: Any) -> None:
    async def story(city: City) -> float:
        receiver = await city.subscribe("event.created")
        await two_gateways(city)
        city.network.host(GOOGLE).weather = Weather(lost=1.0)
        city.at_google(city.world.add_meeting, ADA, "Review", in_minutes=600)
        made_at = city.now()
        await city.until(lambda: city.network.in_flight > 0, seconds=5, step=0.05)
        reader = city.at_work("sync 0")
        city.network.host(GOOGLE).weather = Weather()
        await city.stop(reader)
        await city.until(lambda: bool(receiver.accepted), minutes=2)
        return (receiver.arrivals[0].at - made_at) / timedelta(seconds=1)

    took, _ = told(story)

    assert took < 20
