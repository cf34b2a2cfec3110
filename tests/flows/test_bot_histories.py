"""Random histories of meetings and their bots: never two launches for one meeting, never none when its time came.

Moves, cancels, declines, links that come and go, plans that come and go, calendars that are deleted and connected again,
workers that die and start again, two at once, and clocks that jump. `BOT_SEEDS=200` plays more of them.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import pytest
from flows.bot_stage import ADA, GRACE, BotStage
from flows.stage import Stage
from sqlalchemy import select

from service.core.bots import COVERED
from service.core.event import DECLINED, EventView
from service.errors import GatewayError
from service.flows.bots import Keeper
from service.store.bot_tables import BotRow

pytestmark = pytest.mark.anyio
SEEDS = range(int(os.environ.get("BOT_SEEDS", "3")))
STEPS = int(os.environ.get("BOT_STEPS", "40"))
LEAD = timedelta(seconds=60)


class History:
    """One random history; `check` holds it to what a bot owes its meeting."""

    def __init__(self, stage: Stage, seed: int, *, by_runner: bool) -> None:
        self.random = Random(seed)
        self.stage = stage
        self.bots = BotStage(stage)
        self.by_runner = by_runner
        self.rows: list[str] = []
        self.calendars: dict[str, UUID] = {}
        self.planned: dict[str, bool] = {}
        self.log: list[str] = []
        self.latest = stage.clock()

    async def begin(self) -> None:
        await self.stage.subscribe("bot.*")
        if self.by_runner:
            await self.bots.name_runner()
        for email in (ADA, GRACE):
            self.stage.world.connect(email)
        for minutes in (10, 20, 45, 45, 60, 90, 120):
            self.rows.append(
                self.stage.world.add_meeting(ADA, f"at {minutes}", in_minutes=minutes, attendees=[GRACE])["id"]
            )
        for email in (ADA, GRACE):
            self.calendars[email] = await self.stage.connect(email)
        await self.stage.sync()
        for event in await self.coming():
            await self.plan(event)

    async def coming(self) -> list[EventView]:
        found = [event for each in self.calendars.values() for event in await self.stage.events(each)]
        return [event for event in found if event.ends_at > self.stage.clock()]

    async def plan(self, event: EventView) -> None:
        try:
            await self.bots.plan(event.id)
        except GatewayError:
            return
        self.planned[event.meeting_key] = True

    async def step(self) -> None:
        (name,) = self.random.choices(list(STEP_KINDS), WEIGHTS)
        self.log.append(f"{self.stage.clock():%H:%M:%S} {name}")
        await STEP_KINDS[name](self)
        self.stage.clock.advance(seconds=1)  # or the quota of a minute would be used up in a moment
        await self.sync()
        await self.bots.keep()
        await self.check()

    async def sync(self) -> None:
        for calendar_id in self.calendars.values():
            await self.stage.sync_again(calendar_id)

    async def launches(self) -> list[tuple[str, datetime]]:
        if self.by_runner:
            table = "bots"
            rows = await self._rows(table)
            return [(row.meeting_key, row.starts_at) for row in rows if row.launched_at is not None]
        told = [data for kind, data in await self.stage.messages() if kind == "bot.launch"]
        return [(data["meeting_key"], datetime.fromisoformat(data["starts_at"])) for data in told]

    async def _rows(self, table: str) -> list[Any]:
        bots = BotRow.metadata.tables[table]
        async with self.stage.gateway.database.read() as conn:
            return list((await conn.execute(select(bots).order_by(bots.c.id))).all())

    async def check(self) -> None:
        launches = await self.launches()
        by_key: dict[str, list[datetime]] = {}
        for key, start in launches:
            by_key.setdefault(key, []).append(start)
        for key, starts in by_key.items():
            apart = [later - earlier for earlier, later in pairwise(starts)]
            assert all(gap > COVERED for gap in apart), f"two for one: {key} {starts}\n" + "\n".join(self.log)
        if self.by_runner:
            assert set(self.bots.transport.launched.values()) <= {1}
        now = self.stage.clock()
        for event in await self.coming():
            if event.starts_at - LEAD > now or not self.planned.get(event.meeting_key):
                continue
            lead = await self._lead(event.meeting_key)
            if lead is None or lead.starts_at - LEAD > now or lead.ends_at <= now:
                continue
            covered = [start for start in by_key.get(event.meeting_key, []) if lead.starts_at - start <= COVERED]
            assert covered, f"none for {event.title} at {lead.starts_at}\n" + "\n".join(self.log)

    async def _lead(self, key: str) -> EventView | None:
        """The copy that leads, of those with a link that their owners have not declined."""
        meetings = [
            each
            for each in await self.stage.meetings(from_=self.stage.clock() - timedelta(hours=1))
            if each.meeting_key == key
        ]
        attended = [each.lead for each in meetings if each.lead.response_status != DECLINED]
        return attended[0] if attended else None

    # --- what may happen ---------------------------------------------------------------------------------------------

    def _row(self) -> str:
        return self.random.choice(self.rows)

    def _edit(self, **fields: Any) -> None:
        try:
            self.stage.world.edit_event(ADA, self._row(), fields)
        except Exception as error:  # noqa: BLE001 - it was cancelled before
            self.log.append(f"  not edited: {type(error).__name__}")

    async def wait(self) -> None:
        self.stage.clock.advance(seconds=self.random.choice([1, 20, 59, 60, 61, 300, 900]))
        self.latest = max(self.latest, self.stage.clock())

    async def move(self) -> None:
        try:
            self.stage.world.move_event(
                ADA, self._row(), by_minutes=self.random.choice([-30, -5, -1, 1, 5, 16, 40, 90])
            )
        except Exception as error:  # noqa: BLE001 - it was cancelled before
            self.log.append(f"  not moved: {type(error).__name__}")

    async def cancel(self) -> None:
        if self.random.random() < 0.2:
            try:
                self.stage.world.cancel_event(ADA, self._row())
            except Exception as error:  # noqa: BLE001 - for good
                self.log.append(f"  not cancelled: {type(error).__name__}")

    async def decline(self) -> None:
        self._edit(attendees=[{"email": ADA, "responseStatus": "declined"}, {"email": GRACE}])

    async def accept(self) -> None:
        self._edit(attendees=[{"email": ADA, "responseStatus": "accepted"}, {"email": GRACE}])

    async def unlink(self) -> None:
        self._edit(conferenceData=None, hangoutLink=None, location="the usual room")

    async def link(self) -> None:
        self._edit(location=f"https://zoom.us/j/9876543210{self.random.randrange(9)}")

    async def add(self) -> None:
        await self.add_in(self.random.choice([1, 2, 5, 30, 60]))

    async def end(self) -> None:
        """One more, so that every history has a launch."""
        await self.add_in(2)
        for _ in range(3):
            self.stage.clock.advance(seconds=61)
            await self.sync()
            await self.bots.keep()
            await self.check()
        assert await self.launches()

    async def add_in(self, minutes: int) -> None:
        row = self.stage.world.add_meeting(ADA, f"in {minutes}", in_minutes=minutes, attendees=[GRACE])
        self.rows.append(row["id"])
        await self.sync()
        for event in await self.coming():
            if event.provider_event_id == row["id"]:
                await self.plan(event)

    async def replan(self) -> None:
        for event in (await self.coming())[:1]:
            await self.plan(event)

    async def drop(self) -> None:
        events = await self.coming()
        if events:
            event = self.random.choice(events)
            await self.bots.drop(event.id)
            self.planned[event.meeting_key] = (await self.bots.shown(event.id)) is not None

    async def leave(self) -> None:
        if GRACE in self.calendars:
            await self.stage.remove(self.calendars.pop(GRACE))

    async def join(self) -> None:
        if GRACE not in self.calendars:
            self.calendars[GRACE] = await self.stage.connect(GRACE)

    async def restart(self) -> None:
        """A worker dies without a word, and another one begins."""
        self.bots.keeper.drain()
        self.bots.keeper = Keeper(self.bots.gateway)

    async def rivals(self) -> None:
        others = [Keeper(self.bots.gateway) for _ in range(2)]
        await asyncio.gather(self.sync(), *(keeper.run_due() for keeper in others))
        for keeper in others:
            keeper.drain()

    async def jump(self) -> None:
        """A clock that was wrong is put right: back, never before what it showed an hour ago."""
        self.stage.clock.advance(seconds=-self.random.choice([1, 60, 600]))


STEP_KINDS: dict[str, Callable[[History], Awaitable[None]]] = {
    name: getattr(History, name)
    for name in (
        "wait", "move", "cancel", "decline", "accept", "unlink", "link", "replan", "drop", "leave", "join", "restart",
        "rivals", "jump", "add",
    )
}  # fmt: skip
WEIGHTS = (8, 4, 1, 1, 3, 1, 3, 2, 1, 1, 1, 1, 1, 1, 1)


@pytest.mark.parametrize("by_runner", [False, True], ids=["webhook", "http"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_meeting_has_one_bot_and_never_none(stage: Stage, seed: int, by_runner: bool) -> None:
    history = History(stage, seed, by_runner=by_runner)
    await history.begin()
    try:
        for _ in range(STEPS):
            await history.step()
        await history.end()
    finally:
        await history.bots.aclose()
