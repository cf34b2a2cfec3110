"""Random edits on both sides, with faults and crashes, come to rest: the store is the provider's, and nothing echoes."""

import os
from collections import Counter

import pytest
from flows.stage import Stage
from flows.two_way import ADA, History
from sqlalchemy import func, select

from service.flows.writing import reaching
from service.store.writing_tables import EventWriteRow
from simulator.google.world import World

pytestmark = pytest.mark.anyio
SEEDS = int(os.environ.get("TWO_WAY_SEEDS", "4"))
STEPS = int(os.environ.get("TWO_WAY_STEPS", "40"))


@pytest.fixture
def world(clock: object) -> World:
    return World(clock, seed=7)


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "PAUSES", (0.0005,))
    monkeypatch.setattr(reaching, "PATIENCE", 0.5)


@pytest.mark.parametrize("direction", ["both", "outbound"])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_history_converges_and_nothing_echoes(stage: Stage, seed: int, direction: str):
    calendar = await stage.connect(ADA)
    await stage.sync()
    history = History(stage, calendar, seed, direction=direction)
    await history.begin(sync_buffers_to_calendar=True, cancel_if_declined_or_deleted=seed % 2 == 0)
    await history.play(STEPS)
    await history.rest()

    assert await history.stored_titles() == history.true_titles()
    table = EventWriteRow.metadata.tables["event_writes"]
    async with stage.gateway.database.read() as conn:
        open_ = select(func.count()).select_from(table).where(table.c.state.in_(["pending", "undoing"]))
        assert (await conn.execute(open_)).scalar_one() == 0

    managed = await history.managed()
    singles = [(row, event) for row, event in managed if row.series_id is None]
    assert all(event is not None and event.fingerprint == row.written for row, event in singles)
    buffers = Counter(buffer["id"] for row, _ in managed for buffer in row.buffers)
    shown = [row["id"] for row in stage.world.read_truth(ADA) if row["summary"] == "Buffer"]
    assert sorted(buffers.elements()) == sorted(shown)

    # Nothing that we wrote has made work for us, nor comes back as news.
    before = await stage.last_seq()
    await history.rest()
    assert await stage.last_seq() == before
    changes = await stage.changes()
    foreign = [each for each in changes if each.cause != "write"]
    assert len([each for each in foreign if each.kind == "created"]) <= history.theirs
    assert len(foreign) <= history.theirs + len(history.refused)
