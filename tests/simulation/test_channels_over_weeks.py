"""Push channels over a month: never a moment without one, never two for long, and every edit comes by push."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from simulation.city import City
from simulation.receiver import Arrival

ADA = "ada@example.com"
DAYS = 30
LOOK_EVERY = timedelta(hours=16)
DOZING = 4 * 3600.0
"""With push a calendar is read every hour all the same, which is not what this is about."""

CHANNEL_LIFE = timedelta(days=7)


class Watched(NamedTuple):
    """What was seen: how many channels lived at each look, how long each edit was on its way, who was asked what."""

    living: list[int]
    waits: list[timedelta]
    opened: list[datetime]
    stopped: int
    statuses: set[int]
    refreshed: int
    pushed: list[str]


async def month(city: City) -> Watched:
    receiver = await city.subscribe("event.created")
    await city.connect(ADA)
    await city.rest(minutes=1)
    living, waits = [], []
    for number in range(int(timedelta(days=DAYS) / LOOK_EVERY)):
        made_at = city.now()
        title = f"meeting {number}"
        city.at_google(city.world.add_meeting, ADA, title, in_minutes=600, meet=False)
        await city.rest(seconds=6)
        arrival = next(
            each for each in receiver.arrivals if each.type == "event.created" and each.data["event"]["title"] == title
        )
        waits.append(arrival.at - made_at)
        living.append(sum(channel.expires_at > city.now() for channel in city.world.watchers[ADA]))
        await city.rest_until(made_at + LOOK_EVERY - timedelta(minutes=1), dozing=DOZING)
        await city.rest_until(made_at + LOOK_EVERY)
    calls = city.world.calls
    return Watched(
        living,
        waits,
        [call.at for call in calls if call.endpoint == "events.watch"],
        sum(call.endpoint == "channels.stop" for call in calls),
        {call.status for call in calls},
        sum(call.endpoint == "token" for call in calls),
        [each.data["cause"] for each in receiver.told("event.created")],
    )


def test_a_month_of_push(told: Any) -> None:
    watched, _ = told(month, retention_days=7)

    assert set(watched.living) == {1}
    assert max(watched.waits) < timedelta(seconds=3)
    assert set(watched.pushed) == {"push"}
    lives = [after - before for before, after in zip(watched.opened, watched.opened[1:], strict=False)]
    assert len(lives) >= DAYS // 6
    assert all(0.75 * CHANNEL_LIFE <= life <= 0.85 * CHANNEL_LIFE + timedelta(seconds=6) for life in lives)
    assert watched.stopped == len(lives)
    # Tokens are renewed before they end: nobody was ever refused.
    assert watched.statuses <= {200, 204}
    assert watched.refreshed > DAYS * 24 / 6


def test_an_edit_between_a_channel_and_its_successor_is_told_once(told: Any) -> None:
    async def story(city: City) -> tuple[int, int, list[Arrival], timedelta]:
        receiver = await city.subscribe("event.created")
        await city.connect(ADA)
        await city.rest(minutes=1)
        ((due,),) = city.rows("SELECT due_at FROM pushes")
        renewal = datetime.fromisoformat(due).replace(tzinfo=UTC)
        await city.rest_until(renewal - timedelta(minutes=2), dozing=DOZING)
        await city.until(lambda: len(city.world.watchers[ADA]) == 2, step=0.1, minutes=4)
        made_at, before = city.now(), len(city.network.sent)
        city.at_google(city.world.add_meeting, ADA, "Review", in_minutes=600, meet=False)
        await city.rest(minutes=1)
        pushed = {sent.path for sent in city.network.sent[before:] if sent.sender == "google"}
        waited = receiver.arrivals[0].at - made_at
        return len(pushed), len(city.world.watchers[ADA]), receiver.arrivals, waited

    (channels_heard, channels_left, arrivals, waited), _ = told(story)

    assert channels_heard == 2
    assert channels_left == 1
    assert len(arrivals) == 1
    assert waited < timedelta(seconds=3)
