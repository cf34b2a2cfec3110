"""What a gateway does by itself in days: saying that a calendar is stale, and forgetting what is old."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from simulation.city import GOOGLE, City
from simulation.network import Weather

ADA = "ada@example.com"
PROMISE = timedelta(hours=3)
"""Three times the hour that a calendar with push rests for."""

LOOKED_FOR_EVERY = timedelta(seconds=15)


def test_a_calendar_is_stale_once_for_each_outage_through_restarts(told: Any) -> None:
    async def story(city: City) -> list[tuple[timedelta, timedelta]]:
        receiver = await city.subscribe("calendar.stale")
        await city.connect(ADA)
        outages = []
        for hours in (2, 9, 5):
            await city.rest(hours=2)
            began = city.now()
            city.network.host(GOOGLE).weather = Weather(refused=0.5, failed=0.5)
            await city.rest(hours=hours / 2)
            await city.crash()
            await city.start()
            await city.rest(hours=hours / 2)
            city.network.host(GOOGLE).weather = Weather()
            # In the worst case an hour is waited between two tries.
            await city.rest(hours=1.5)
            outages.append((began, city.now()))
        return [
            (arrival.at - datetime.fromisoformat(arrival.data["last_synced_at"]), arrival.at - began)
            for arrival in receiver.arrivals
            for began, ended in outages
            if began <= arrival.at < ended
        ]

    said, _ = told(story)

    # The first was over before the promise was broken.
    assert len(said) == 2
    for unverified, outage in said:
        assert PROMISE <= unverified <= PROMISE + LOOKED_FOR_EVERY + timedelta(seconds=1)
        assert outage > timedelta(hours=1)


class Kept(NamedTuple):
    """What is still there at the end: of the log and of the messages all, of the calendar what the API lists."""

    until: datetime
    from_the_start: int
    changes: list[Any]
    messages: list[Any]
    events: list[Any]
    attempts: int


def test_what_is_older_than_its_retention_is_forgotten_and_nothing_else(told: Any) -> None:
    days, kept = 6, 2

    async def story(city: City) -> Kept:
        await city.subscribe("event.*")
        calendar = await city.connect(ADA)
        await city.rest(minutes=1)
        for number in range(days):
            city.at_google(city.world.add_meeting, ADA, f"day {number}", in_minutes=60, meet=False)
            await city.rest(hours=24 if number < days - 1 else 20, dozing=5400)
        await city.rest(minutes=2)
        past = await city.api.get("/changes", params={"after": 0})
        oldest = int(past.json()["detail"].partition("the oldest is ")[2].split(".")[0])
        return Kept(
            city.now(),
            past.status_code,
            (await city.ask("GET", "/changes", params={"after": oldest - 1}))["data"],
            await city.page_through("/webhooks/messages"),
            await city.page_through(f"/calendars/{calendar}/events"),
            city.rows("SELECT count(*) FROM webhook_attempts")[0][0],
        )

    left, _ = told(story, retention_days=kept)

    assert left.from_the_start == 410
    since = left.until - timedelta(days=kept, minutes=2)
    for times in (
        [change["at"] for change in left.changes],
        [message["created_at"] for message in left.messages],
        [event["ends_at"] for event in left.events],
    ):
        assert len(times) == kept
        assert min(map(datetime.fromisoformat, times)) >= since
    assert left.attempts == kept
