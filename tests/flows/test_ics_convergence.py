"""Random feeds over random days: after every sync the store is what a naive reader makes of the last feed that was whole."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from feed_server import event, feed, spelt
from flows.feed_stage import FeedStage, set_feed_stage

from service.core.schedule import Window, window_at
from service.store.cipher import Cipher
from service.store.database import Database

pytestmark = pytest.mark.anyio

PARIS = ZoneInfo("Europe/Paris")
STEPS = 25
Shown = tuple[datetime, datetime, str]
Truth = dict[str, Shown]


@pytest.fixture
async def stage(database: Database, cipher: Cipher, clock: Any, project: UUID) -> AsyncIterator[FeedStage]:
    async with set_feed_stage(database, cipher, clock, project, size=1) as stage:
        yield stage


class Publisher:
    """A feed that people write into, and what is in it, reckoned without any library."""

    def __init__(self, random: Random, now: datetime) -> None:
        self.random = random
        self.now = now
        self.made = 0
        self.events: dict[str, dict[str, Any]] = {}
        for _ in range(8):
            self.add()

    def add(self) -> None:
        self.made += 1
        # On the wall clock of Paris, whose clocks go forward within the month.
        start = (self.now + timedelta(days=self.random.randint(-40, 40), hours=self.random.randint(6, 20))).replace(
            minute=0
        )
        self.events[f"event-{self.made}@publisher"] = {
            "title": f"Event {self.made}",
            "start": start.replace(tzinfo=None),
            "minutes": self.random.choice([0, 30, 60, 24 * 60 * 3]),
            "every": self.random.choice([None, None, 1, 7]),
            "count": self.random.randint(1, 60),
            "removed": set(),
            "moved": {},
        }  # fmt: skip

    def act(self) -> None:
        name = self.random.choice(list(self.events))
        known = self.events[name]
        slot = self.random.randrange(known["count"])
        match self.random.choice(["add", "delete", "rename", "move", "exclude", "shift", "shorten", "nothing"]):
            case "add":
                self.add()
            case "delete" if len(self.events) > 4:
                del self.events[name]
            case "rename":
                known["title"] += "!"
            case "move":
                known["start"] += timedelta(hours=self.random.randint(-30, 30))
                known["removed"], known["moved"] = set(), {}
            case "exclude" if known["every"]:
                known["removed"].add(slot)
                known["moved"].pop(slot, None)
            case "shift" if known["every"] and slot not in known["removed"]:
                known["moved"][slot] = self.random.randint(-50, 50)
            case "shorten" if known["every"]:
                known["count"] = max(known["count"] // 2, 1)
                known["moved"] = {slot: hours for slot, hours in known["moved"].items() if slot < known["count"]}

    def text(self) -> bytes:
        parts = []
        for name, known in self.events.items():
            rule = [f"RRULE:FREQ=DAILY;INTERVAL={known['every']};COUNT={known['count']}"] if known["every"] else []
            gone = [f"EXDATE;TZID=Europe/Paris:{self.slot(known, each):%Y%m%dT%H%M%S}" for each in known["removed"]]
            local = f"DTSTART;TZID=Europe/Paris:{known['start']:%Y%m%dT%H%M%S}"
            lines = [
                "BEGIN:VEVENT",
                f"UID:{name}",
                local,
                f"DURATION:PT{known['minutes']}M",
                f"SUMMARY:{known['title']}",
            ]
            parts.append("\r\n".join([*lines, f"DTSTAMP:{spelt(self.now)}", *rule, *gone, "END:VEVENT"]))
            for each, hours in known["moved"].items():
                at = self.instant(self.slot(known, each))
                moved = at + timedelta(hours=hours)
                parts.append(event(name, known["title"], moved, f"RECURRENCE-ID:{spelt(at)}", minutes=known["minutes"]))
        self.random.shuffle(parts)
        return feed(*parts)

    def truth(self) -> Truth:
        found: Truth = {}
        for name, known in self.events.items():
            length = timedelta(minutes=known["minutes"])
            if not known["every"]:
                at = self.instant(known["start"])
                found[name] = (at, at + length, known["title"])
                continue
            for each in set(range(known["count"])) - known["removed"]:
                at = self.instant(self.slot(known, each))
                start = at + timedelta(hours=known["moved"].get(each, 0))
                found[f"{name}#{spelt(at)}"] = (start, start + length, known["title"])
        return found

    @staticmethod
    def slot(known: dict[str, Any], number: int) -> datetime:
        return known["start"] + timedelta(days=number * known["every"])

    @staticmethod
    def instant(local: datetime) -> datetime:
        return local.replace(tzinfo=PARIS).astimezone(UTC)


def within(truth: Truth, window: Window) -> Truth:
    return {name: shown for name, shown in truth.items() if window.overlaps(shown[0], shown[1])}


async def kept(stage: FeedStage, calendar_id: UUID) -> Truth:
    return {
        event.provider_event_id: (event.starts_at, event.ends_at, event.title or "")
        for event in await stage.events(calendar_id)
    }


def broken(random: Random, text: bytes) -> tuple[int, bytes]:
    return random.choice(
        [(200, b"<html>Back soon</html>"), (200, text[: len(text) // 2]), (200, b""), (503, b""), (404, b"")]
    )


@pytest.mark.parametrize("seed", range(6))
async def test_the_store_follows_a_random_feed(stage: FeedStage, seed: int):
    random = Random(seed)
    server, clock = stage.server, stage.clock
    publisher = Publisher(random, clock())
    server.text = publisher.text()
    has_validators = random.random() < 0.5
    calendar_id = await stage.add()
    await stage.sync()
    good, window = publisher.truth(), window_at(clock(), 30)
    for step in range(STEPS):
        assert within(await kept(stage, calendar_id), window) == within(good, window), f"after step {step}"
        clock.advance(minutes=random.choice([5, 20, 90, 60 * 26]))
        publisher.now = clock()
        for _ in range(random.randint(0, 4)):
            publisher.act()
        text = publisher.text()
        is_whole = random.random() > 0.25
        server.status, server.text = (200, text) if is_whole else broken(random, text)
        server.validator = f'"{step}"' if has_validators and is_whole else None
        await stage.sync_again(calendar_id)
        now = window_at(clock(), 30)
        if is_whole:
            good, window = publisher.truth(), now
        else:
            # What has come into the window since cannot be known.
            window = Window(now.start, window.end)
