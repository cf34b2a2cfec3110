"""An endpoint that fails for five days is disabled, once, whatever restarts there were; one that does not, is not."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from simulation.city import City
from simulation.receiver import Arrival, Receiver

ADA = "ada@example.com"
EDIT_EVERY = timedelta(hours=16)
EDITS = 9
RESTARTS = 5


class Lived(NamedTuple):
    """What is left of six days: the receivers, and their endpoints as the API shows them."""

    dead: Receiver
    shaky: Receiver
    good: Receiver
    shown: dict[str, Any]
    recovered: list[Arrival]


async def six_days(city: City) -> Lived:
    dead, shaky, good = [
        await city.subscribe("event.*", "webhook.*", name=f"{name}.example") for name in ("dead", "shaky", "good")
    ]
    began = city.now()
    dead.mood = lambda _: city.random.choice([500, 404, 503])
    # One success in all that time, on the last day but one.
    shaky.mood = lambda _: 200 if timedelta(days=4) < city.now() - began < timedelta(days=4, hours=9) else 500
    await city.connect(ADA)
    ends = sorted(began + timedelta(hours=city.random.uniform(0, 6 * 24)) for _ in range(RESTARTS))
    for number in range(EDITS):
        city.at_google(city.world.add_meeting, ADA, f"meeting {number}", in_minutes=600, meet=False)
        until = began + EDIT_EVERY * (number + 1)
        while ends and ends[0] < until:
            await city.rest_until(ends.pop(0))
            await (city.crash() if len(ends) % 2 else city.stop())
            await city.rest(seconds=30)
            await city.start()
        await city.rest_until(until)
    shown = {each["url"]: each for each in await city.page_through("/webhooks/endpoints")}
    count = len(dead.arrivals)
    dead.mood = lambda _: 200
    await city.ask("PATCH", f"/webhooks/endpoints/{dead.id}", json={"state": "enabled"})
    await city.rest(minutes=2)
    return Lived(dead, shaky, good, shown, dead.arrivals[count:])


def test_five_days_of_failure_disable_an_endpoint_once_through_restarts(told: Any) -> None:
    lived, _ = told(six_days, seed=3)

    first, disabled = lived.dead.arrivals[0].at, lived.shown[lived.dead.url]
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "failing")
    # At the first attempt that fails after five days have passed, and there is one for every edit.
    since = datetime.fromisoformat(disabled["disabled_at"]) - first
    assert timedelta(days=5) <= since <= timedelta(days=5) + EDIT_EVERY + timedelta(seconds=5)
    assert lived.shown[lived.shaky.url]["status"] == lived.shown[lived.good.url]["status"] == "enabled"
    for receiver in (lived.shaky, lived.good):
        receiver_was_told = [
            arrival.data for arrival in receiver.arrivals if arrival.type == "webhook.endpoint_disabled"
        ]
        assert {"endpoint_id": lived.dead.id, "reason": "failing"} in receiver_was_told
    assert len(lived.good.told("webhook.endpoint_disabled")) == 1
    assert len(lived.good.told("event.created")) == EDITS
    # What had its ten attempts by then is failed; the rest waited, and comes when the endpoint is enabled again.
    attempts = Counter(arrival.id for arrival in lived.dead.arrivals)
    waited = {arrival.id for arrival in lived.recovered}
    assert len(waited) == len(lived.recovered) >= EDITS / 2
    assert {count for message, count in attempts.items() if message not in waited} == {10}
    assert all(arrival.at - first > since + timedelta(hours=1) for arrival in lived.recovered)
