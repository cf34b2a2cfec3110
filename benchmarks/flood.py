"""A calendar of 10,000 events is connected: how many webhooks its first sync sends, and what it costs in memory.

The real process reads a simulated Google page by page; an endpoint subscribes to everything. Memory is the highest resident
set of the process and of those that it started, against that of a process which has read a calendar of ten events.
"""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final

import databases
import journeys  # noqa: F401  (before what it leads to)
import measure
import msgspec
from gateway_process import GatewayProcess
from killing import client, until_watched
from measure import Options, Row
from office import Office
from recording_receiver import Receiver, listening

from service.store.cipher import generate_key
from simulator.google.world import World
from simulator.server import serve

EVENTS: Final = 10_000
MOST_MEGABYTES: Final = 200


def fill(world: World, email: str, count: int) -> None:
    """So many meetings in the coming four weeks, each with a link and some text."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    for number in range(count):
        begins = start + timedelta(minutes=number * 4 % (28 * 24 * 60))
        event: dict[str, Any] = {
            "summary": f"meeting {number}",
            "description": "What was said last time, and what is to be said now. " * 6,
            "location": f"https://meet.google.com/abc-{number:05d}-xyz",
            "start": {"dateTime": begins.isoformat(), "timeZone": "UTC"},
            "end": {"dateTime": (begins + timedelta(minutes=30)).isoformat(), "timeZone": "UTC"},
            "attendees": [{"email": f"guest{guest}@example.org"} for guest in range(4)],
        }
        world.add_event(email, event)


def peak(pid: int) -> float:
    """Megabytes of a process and its children at their highest."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for each in (str(pid), *children):
        status = Path(f"/proc/{each}/status").read_text()
        total += int(status.partition("VmHWM:")[2].split()[0])
    return total / 1024


async def connect(gateway: GatewayProcess, office: Office, email: str) -> float:
    """Connect an account and wait until it is active and watched; seconds."""
    began = monotonic()
    async with client(gateway) as http:
        answer = await http.post("/calendars", json=office.credentials(email))
        assert answer.status_code == 201, answer.text
        await until_watched(http, [answer.json()["id"]], seconds=120)
    return monotonic() - began


async def measure_database(kind: databases.Server, events: int) -> AsyncIterator[Row]:
    world, receiver = World(seed=4), Receiver()
    office = Office(world, ["few@example.com", "many@example.com"], Random(4))
    fill(world, "few@example.com", 10)
    fill(world, "many@example.com", events)
    with TemporaryDirectory(prefix="calgate-flood-") as folder:
        async with databases.fresh(kind) as url, serve(world) as google, listening(receiver) as hook:
            gateway = GatewayProcess.beside(google, Path(folder), url, SECRET_KEYS=generate_key())
            try:
                await gateway.start()
                await connect(gateway, office, "few@example.com")
                before = peak(gateway.pid or 0)
                async with client(gateway) as http:
                    made = await http.post("/webhooks/endpoints", json={"url": f"{hook}/hook", "event_types": ["*"]})
                    assert made.status_code == 201, made.text
                seconds = await connect(gateway, office, "many@example.com")
                await receiver.until_quiet(2)
                after = peak(gateway.pid or 0)
            finally:
                await gateway.kill()
    for row in rows_of(kind.name, receiver, events, seconds, (before, after)):
        yield row


def rows_of(name: str, receiver: Receiver, events: int, seconds: float, memory: tuple[float, float]) -> list[Row]:
    kinds = Counter(msgspec.json.decode(body)["type"] for body in receiver.bodies.values())
    (news,) = receiver.told("calendar.sync_events")
    assert (news["initial"], news["change_count"]) == (True, events), news
    before, after = memory
    about = kinds["calendar.sync_events"] + sum(number for kind, number in kinds.items() if kind.startswith("event."))
    text = f"{about} for {events:,} events"
    others = ", ".join(sorted(kind for kind in kinds if kind != "calendar.sync_events"))
    return [
        Row(name, "webhooks about the events of a first sync", text, "", about, 1, at_most=True),
        Row(name, "other webhooks meanwhile", others, ""),
        Row(
            name,
            "memory at its highest, MB more than with ten events",
            f"{after - before:.0f} ({after:.0f} in all)",
            f"{before:.0f}",
            after - before,
            MOST_MEGABYTES,
            at_most=True,
        ),
        Row(name, "seconds until it is active and watched", f"{seconds:.1f}", ""),
    ]


async def main(given: Options) -> AsyncIterator[Row]:
    for name in given.databases:
        async with databases.server(name) as kind:
            async for row in measure_database(kind, given.count):
                yield row


if __name__ == "__main__":
    measure.run(main, __doc__, count=measure.Count("events", EVENTS, quick=2000))
