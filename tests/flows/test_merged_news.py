"""A consumer who is told of syncs late, and of several at once, has in the end what the store has."""

import random
from typing import Any

import msgspec
import pytest
from flows.stage import Stage
from sqlalchemy import select, update

from webhooks import tables

pytestmark = pytest.mark.anyio
PEOPLE = ("ada@example.com", "grace@example.com")


class Consumer:
    """Applies `calendar.sync_events` by reading the change log from `first_seq` to `last_seq`, and asks nothing else."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.copy: dict[str, Any] = {}
        self.messages = 0

    async def take(self, fate: random.Random, share: float) -> None:
        """Some of what is due arrives, in any order; what was merged never does."""
        due = select(tables.deliveries.c.id, tables.messages.c.body).join(tables.messages)
        async with self.stage.gateway.database.write() as conn:
            rows = list((await conn.execute(due.where(tables.deliveries.c.state == "pending"))).all())
            fate.shuffle(rows)
            arriving = [row for row in rows if fate.random() < share]
            for row in arriving:
                await conn.execute(
                    update(tables.deliveries)
                    .where(tables.deliveries.c.id == row.id)
                    .values(state="delivered", attempts=1)
                )
        for row in arriving:
            await self._apply(msgspec.json.decode(row.body)["data"])

    async def _apply(self, sync: dict[str, Any]) -> None:
        self.messages += 1
        for change in await self.stage.changes(after=sync["first_seq"] - 1):
            if change.seq > sync["last_seq"] or str(change.calendar_id) != sync["calendar_id"]:
                continue
            known = self.copy.get(str(change.event_id))
            if known is None or known.version < change.event.version:
                self.copy[str(change.event_id)] = change.event


@pytest.mark.parametrize("seed", range(6))
async def test_a_consumer_ends_with_what_is_stored(stage: Stage, seed: int) -> None:
    fate = random.Random(seed)
    await stage.subscribe("calendar.sync_events")
    calendars = {email: await stage.connect(email) for email in PEOPLE}
    consumer = Consumer(stage)
    made: dict[str, list[str]] = {email: [] for email in PEOPLE}
    for _ in range(25):
        email = fate.choice(PEOPLE)
        known = made[email]
        if not known or fate.random() < 0.4:
            known.append(stage.world.add_meeting(email, f"plan {len(known)}", in_minutes=fate.randint(30, 900))["id"])
        elif fate.random() < 0.7:
            stage.world.move_event(email, fate.choice(known), by_minutes=fate.randint(1, 90))
        else:
            stage.world.cancel_event(email, known.pop(fate.randrange(len(known))))
        stage.clock.advance(seconds=5)
        await stage.sync_again(calendars[email])
        if fate.random() < 0.3:
            await consumer.take(fate, fate.random())
    await consumer.take(fate, 1.0)

    stored = {str(event.id): event for one in calendars.values() for event in await stage.events(one, live=False)}
    assert consumer.copy == stored
    async with stage.gateway.database.read() as conn:
        states = list((await conn.execute(select(tables.deliveries.c.state))).scalars())
    assert set(states) == {"delivered", "merged"}
    assert consumer.messages == states.count("delivered")
