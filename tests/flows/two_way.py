"""A two-way history: random edits on both sides of a managed calendar, faults and crashes, and then peace."""

import asyncio
import dataclasses
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flows.faulty_writer import FaultyWriter, Killed
from flows.stage import Stage
from sqlalchemy import select, update
from uuid_utils.compat import uuid7

from service.core.drafts import Draft, Guest, Patch
from service.errors import GatewayError
from service.flows import writing
from service.flows.writing import Follower, Job, Meant, Resumer
from service.store import events
from service.store.connection_tables import ConnectionRow
from service.store.writing_tables import ManagedEventRow

ADA, GUEST = "ada@example.com", "guest@example.com"
_managed = ManagedEventRow.metadata.tables["managed_events"]
TWICE = "RRULE:FREQ=DAILY;COUNT=2"
MOST_ROWS = 3
"""That are made and cancelled where one event becomes such a series, or the other way round."""
DAY = datetime(2026, 3, 4, 8, tzinfo=UTC)


class History:
    """Plays steps of a seed upon a stage, and says what was done."""

    def __init__(self, stage: Stage, calendar: UUID, seed: int, *, direction: str = "both") -> None:
        self.stage, self.calendar, self.direction = stage, calendar, direction
        self.dice = random.Random(seed)
        self.writer = FaultyWriter(stage.gateway.writers["google"], random.Random(seed + 1), before=0.1, after=0.1)
        self.gateway = dataclasses.replace(stage.gateway, writers={"google": self.writer})
        self.ours: set[UUID] = set()
        self.theirs = 0
        self.count = 0
        self.refused: list[str] = []

    async def begin(self, **settings: Any) -> None:
        wanted = {"sync_direction": self.direction, **settings}
        table = ConnectionRow.metadata.tables["connections"]
        async with self.gateway.database.write() as conn:
            await conn.execute(update(table).values(settings=wanted))

    async def play(self, steps: int) -> None:
        """Random deeds of both sides, one after the other or at once, with the gateway's own work in between."""
        deeds = [
            self._create,
            self._create,
            self._change,
            self._change,
            self._repeat,
            self._remove,
            self._edit,
            self._edit,
            self._answer,
        ]
        deeds += [self._work, self._work]
        for _ in range(steps):
            self.writer.killed = 0.05
            chosen = self.dice.choices(deeds, k=self.dice.choice([1, 1, 2]))
            await asyncio.gather(*(self._survive(deed) for deed in chosen))

    async def rest(self) -> None:
        """No more faults, and everything that is due is done until nothing is."""
        self.writer.heal()
        for _ in range(6):
            self.stage.clock.advance(900)
            await self._work()

    async def _survive(self, deed: Any) -> None:
        try:
            await deed()
        except GatewayError as error:
            if error.status == 503:
                self.refused.append(error.detail)  # of which nobody knew whether it was done
        except Killed:
            return

    async def _work(self) -> None:
        self.stage.clock.advance(self.dice.choice([1, 60, 600]))
        await self.stage.sync()
        resumer = Resumer(self.gateway)
        await resumer.run_due()
        await resumer.idle()
        follower = Follower(self.gateway)
        while await follower.run_due():
            await follower.idle()

    async def _create(self) -> None:
        self.count += 1
        start = DAY + timedelta(minutes=30 * self.dice.randrange(400))
        draft = Draft(
            title=f"Ours {self.count}",
            starts_at=start,
            ends_at=start + timedelta(minutes=30),
            attendees=[Guest(email=GUEST)] if self.dice.random() < 0.3 else [],
        )
        job = Job(draft=draft, buffer_before=self.dice.choice([0, 0, 15]))
        request_key = self.dice.choice([None, writing.digest("two-way", self.count)])
        made = await writing.create_event(
            self.gateway, self.stage.project, self.calendar, job, event_id=uuid7(), request_key=request_key
        )
        self.ours.add(made)

    async def _change(self) -> None:
        if self.ours:
            self.count += 1
            start = DAY + timedelta(minutes=30 * self.dice.randrange(400))
            patch = self.dice.choice(
                [Patch(title=f"Changed {self.count}"), Patch(starts_at=start, ends_at=start + timedelta(minutes=45))]
            )
            meant = Meant(event_id=self._one(), version=self.dice.choice([None, None, 1, 2]))
            await writing.change_event(self.gateway, self.stage.project, meant, patch)

    async def _repeat(self) -> None:
        """Make a series of an event of ours, or one event of a series."""
        if not self.ours:
            return
        chosen = self._one()
        async with self.gateway.database.read() as conn:
            row = await events.place_of(conn, self.stage.project, chosen)
        is_series = row is not None and row.series_id is not None
        patch = Patch(recurrence=[] if is_series else [TWICE])
        meant = Meant(event_id=chosen, is_series=is_series)
        self.ours.add(await writing.change_event(self.gateway, self.stage.project, meant, patch))

    async def _remove(self) -> None:
        if self.ours and self.dice.random() < 0.5:
            await writing.remove_event(self.gateway, self.stage.project, Meant(event_id=self._one()))

    async def _edit(self) -> None:
        """Somebody at the provider changes, moves, deletes or makes something, or has it come once more."""
        rows = [row for row in self.stage.world.read_truth(ADA) if row["summary"] != "Buffer"]
        self.theirs += 1
        deed = self.dice.choice(["title", "move", "delete", "make", "repeat"])
        if deed == "make" or not rows:
            self.stage.world.add_meeting(ADA, f"Theirs {self.theirs}", in_minutes=60 * (1 + self.dice.randrange(200)))
            return
        row = self.dice.choice(rows)
        if deed == "title":
            self.stage.world.edit_event(ADA, row["id"], {"summary": f"Edited {self.theirs}"})
        elif deed == "move":
            self.stage.world.move_event(ADA, row["id"], by_minutes=15 * self.dice.randrange(1, 8))
        elif deed == "repeat":
            self.theirs += MOST_ROWS
            series_id = row.get("recurringEventId")
            self.stage.world.edit_event(ADA, series_id or row["id"], {"recurrence": None if series_id else [TWICE]})
        else:
            self.stage.world.cancel_event(ADA, row["id"])

    async def _answer(self) -> None:
        rows = [row for row in self.stage.world.read_truth(ADA) if row.get("attendees")]
        if rows:
            self.theirs += 1
            self.stage.world.respond(
                ADA, self.dice.choice(rows)["id"], GUEST, self.dice.choice(["accepted", "declined"])
            )

    def _one(self) -> UUID:
        return self.dice.choice(sorted(self.ours))

    async def stored_titles(self) -> list[tuple[str, str]]:
        """Every live event of the store: its title and its start."""
        found = await self.stage.events(self.calendar)
        return sorted((each.title or "", each.starts_at.isoformat()) for each in found)

    def true_titles(self) -> list[tuple[str, str]]:
        """The same of the provider."""
        rows = self.stage.world.read_truth(ADA)
        return sorted(
            (row.get("summary", ""), datetime.fromisoformat(row["start"]["dateTime"]).astimezone(UTC).isoformat())
            for row in rows
        )

    async def managed(self) -> list[Any]:
        """The managed rows, and the fingerprints of their events as stored."""
        async with self.gateway.database.read() as conn:
            rows = (await conn.execute(select(_managed).where(_managed.c.calendar_id == self.calendar))).all()
            known = await events.known(conn, self.calendar, rows=None)
            return [(row, known.get(row.provider_event_id)) for row in rows]
