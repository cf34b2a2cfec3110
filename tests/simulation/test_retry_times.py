"""When a webhook that nobody takes is sent again: over three days and more, through restarts, never early, ten times."""

from typing import Any

from simulation.city import City
from simulation.receiver import Arrival

ADA = "ada@example.com"
PAUSES = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600]
LOOKED_FOR_EVERY = 1.0
WAY = 0.1
"""There and back, in the network of the simulation."""


def test_retries_come_in_time_and_never_early(told: Any) -> None:
    async def story(city: City) -> tuple[list[list[Arrival]], list[Any]]:
        receiver = await city.subscribe("event.created")
        receiver.mood = lambda _: 500
        await city.connect(ADA)
        await city.rest(seconds=5)
        for number in range(5):
            city.at_google(city.world.add_meeting, ADA, f"meeting {number}", in_minutes=600, meet=False)
        await city.rest(hours=1)
        await city.crash()
        await city.rest(seconds=3)
        await city.start()
        await city.rest(hours=29)
        await city.stop()
        await city.start()
        await city.rest(hours=54)
        by_message: dict[str, list[Arrival]] = {}
        for arrival in receiver.arrivals:
            by_message.setdefault(arrival.id, []).append(arrival)
        return list(by_message.values()), await city.page_through("/webhooks/messages")

    (attempts, messages), _ = told(story)

    assert [len(each) for each in attempts] == [10] * 5
    assert {len({arrival.body for arrival in each}) for each in attempts} == {1}
    late = []
    for each in attempts:
        for pause, before, after in zip(PAUSES, each, each[1:], strict=False):
            waited = (after.at - before.at).total_seconds()
            assert pause <= waited <= pause * 1.1 + LOOKED_FOR_EVERY + WAY, (pause, waited)
            late.append((waited - pause) / pause)
    # The jitter is there: nobody gets everything at once.
    assert max(late[3:]) > 0.05
    assert [delivery["status"] for message in messages for delivery in message["deliveries"]] == ["failed"] * 5
