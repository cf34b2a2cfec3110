"""Many meetings that start at one moment: all are written down before the first of them is sent."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flows.stage import Stage
from sqlalchemy import func, select

from service.flows.starting import Announcer
from service.store import starts
from service.store.database import DatabaseUnavailable
from service.store.projects import create_project
from service.store.tables import Table
from webhooks.message import Dispatch, Lease

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
STARTS = Table.metadata.tables["meeting_starts"]


class Desk:
    """Stands where the deliverer stands, and writes down how many were handed over each time."""

    def __init__(self) -> None:
        self.handed_over: list[int] = []

    def lease(self, now: datetime) -> Lease:
        return Lease(uuid4(), now + timedelta(seconds=30))

    def submit(self, dispatches: Sequence[Dispatch]) -> None:
        self.handed_over.append(len(dispatches))


@pytest.fixture
async def three_due(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Three meetings whose lead time has come, each looked at in a transaction of its own."""
    monkeypatch.setattr("service.flows.starting.AT_ONCE", 1)
    monkeypatch.setattr("service.flows.starting.HELD_SECONDS", 3600.0)
    await stage.subscribe("meeting.starting")
    stage.world.connect(ADA)
    for number in range(3):
        stage.world.add_meeting(ADA, f"{number}", in_minutes=60)
    await stage.connect(ADA)
    await stage.sync()
    stage.clock.advance(minutes=50)
    return stage


async def test_what_is_written_together_is_sent_together(three_due: Stage) -> None:
    desk = Desk()
    announcer = Announcer(replace(three_due.gateway, deliverer=desk))
    assert await announcer.run_due() == 3
    assert desk.handed_over == [3]


async def test_the_first_does_not_wait_for_the_thousandth(three_due: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.flows.starting.HELD_SECONDS", 0.0)
    desk = Desk()
    announcer = Announcer(replace(three_due.gateway, deliverer=desk))
    assert await announcer.run_due() == 3
    assert desk.handed_over == [1, 1, 1]


async def test_what_was_written_is_sent_although_the_next_could_not_be(
    three_due: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = starts.claim

    async def claim_two(conn: Any, now: datetime, *more: Any) -> Any:
        known = (await conn.execute(select(func.count()).select_from(STARTS))).scalar_one()
        if known == 2:
            raise DatabaseUnavailable("gone for a moment")
        return await claim(conn, now, *more)

    monkeypatch.setattr(starts, "claim", claim_two)
    desk = Desk()
    announcer = Announcer(replace(three_due.gateway, deliverer=desk))
    with pytest.raises(DatabaseUnavailable):
        await announcer.run_due()
    assert desk.handed_over == [2]


async def test_a_meeting_of_another_project_is_not_behind_all_of_a_large_ones(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.flows.starting.AT_ONCE", 4)
    await stage.subscribe("meeting.starting")
    stage.world.connect(ADA)
    for number in range(20):
        stage.world.add_meeting(ADA, f"{number}", in_minutes=60)
    await stage.connect(ADA)
    async with stage.gateway.database.write() as conn:
        stage.project = await create_project(conn, "other", stage.clock())
    await stage.subscribe("meeting.starting")
    stage.world.connect("other@example.com")
    stage.world.add_meeting("other@example.com", "theirs", in_minutes=61)
    await stage.connect("other@example.com")
    await stage.sync()
    stage.clock.advance(minutes=51)
    said = [title for title, lead_seconds in await stage.announce() if lead_seconds == 600]
    assert (len(said), said.index("theirs") < 4) == (21, True)
