"""People who go on editing their calendars at a simulated Google, whatever becomes of the gateway."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from simulator.google.world import World

MOST_EVENTS = 40
"""Live events of a calendar; beyond that somebody cancels one, so that a listing stays a page."""

Seen = tuple[str, datetime]
"""What is compared of an event: its title and its start."""


class Office:
    """Some accounts in a world, and what their owners do: new meetings, other titles, other times, cancellations."""

    def __init__(self, world: World, emails: Sequence[str], random: Random) -> None:
        self.world = world
        self.emails = emails
        self.edits = 0
        self._random = random
        for email in emails:
            world.connect(email)

    def edit(self) -> None:
        """One thing that somebody does."""
        random, email = self._random, self._random.choice(self.emails)
        rows = [row for row in self.world.read_truth(email) if row["summary"].startswith("edited")]
        self.edits += 1
        name = f"edited {self.edits}"
        what = random.random()
        if not rows or (what < 0.35 and len(rows) < MOST_EVENTS):
            self.world.add_meeting(email, name, in_minutes=60 + random.randrange(10_000))
            return
        event_id = random.choice(rows)["id"]
        if what < 0.6:
            self.world.edit_event(email, event_id, {"summary": name})
        elif what < 0.8:
            self.world.move_event(email, event_id, by_minutes=random.choice((-5, 5, 30)))
        else:
            self.world.cancel_event(email, event_id)

    async def work(self, pause: float) -> None:
        """Edit until cancelled, about every `pause` seconds."""
        while True:
            self.edit()
            await asyncio.sleep(self._random.random() * 2 * pause)

    def truth(self) -> dict[str, dict[str, Seen]]:
        """By account, the events that a perfect reader has, by Google's id."""
        return {
            email: {
                row["id"]: (row["summary"], _moment(row["start"]["dateTime"])) for row in self.world.read_truth(email)
            }
            for email in self.emails
        }

    def credentials(self, email: str) -> dict[str, Any]:
        """The body of a `POST /calendars`."""
        given = self.world.connect(email)
        return {"provider": "google", **{name: value for name, value in given.items() if name != "email"}}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
