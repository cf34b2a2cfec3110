"""Is anything late, and may requests be sent here: each reason with what to do, and soon enough to be an alarm."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flows.stage import Stage
from sqlalchemy import select, text, update

from service import jobs
from service.api import health
from service.api.draining import Draining
from service.api.health import Probe
from service.core.schedule import LEAST_PROMISE
from service.flows.staleness import announce_stale
from service.observability import METRICS
from service.store import keyring, readiness, workers
from service.store.cipher import Cipher, KeyRing, generate_key
from service.store.database import Database, DatabaseUnavailable
from webhooks import health as endpoint_health
from webhooks import outbox, tables
from webhooks.message import Notice

pytestmark = pytest.mark.anyio


class Watch:
    """Seconds, for a probe."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def probe(stage: Stage, cipher: Cipher) -> Probe:
    async with stage.gateway.database.write() as conn:
        await keyring.prove(conn, cipher)
    return Probe(stage.gateway, Draining(), Watch())


async def reasons(probe: Probe, stage: Stage, seconds: float = 2) -> list[str]:
    probe._clock.at += seconds  # type: ignore[attr-defined]
    stage.clock.advance(seconds)
    return await probe.reasons()


def shown(name: str) -> dict[str, float]:
    """The samples of a metric, by its labels."""
    found = re.findall(rf"^{name}(\{{[^}}]*\}})? (\S+)$", METRICS.exposition()[0].decode(), re.MULTILINE)
    return {labels.strip("{}"): float(value) for labels, value in found}


async def beat(stage: Stage) -> None:
    await jobs.Heartbeat(stage.gateway).beat()


async def test_a_new_gateway_is_ready_and_waits_a_while_for_a_worker(probe: Probe, stage: Stage) -> None:
    assert await reasons(probe, stage) == []
    [reason] = await reasons(probe, stage, 60)
    assert reason.startswith("worker: none was heard of ever; start `calgate serve --role worker`")
    await beat(stage)
    assert await reasons(probe, stage) == []


async def test_a_worker_that_dies_is_told_within_a_minute(probe: Probe, stage: Stage) -> None:
    await beat(stage)
    died_at = stage.clock()
    while not (found := await reasons(probe, stage, 5)):
        assert stage.clock() - died_at < timedelta(seconds=60)
    assert stage.clock() - died_at > timedelta(seconds=30), "a beat or two may be late"
    assert found[0].startswith(f"worker: none was heard of since {died_at:%Y-%m-%dT%H:%M:%SZ}; start")


class Sharer:
    """Stands where the deliverer stands, and hears with how many it shares the rate limits of endpoints."""

    processes = 1

    def share_rates(self, processes: int) -> None:
        self.processes = processes


async def test_workers_hear_of_each_other_to_share_rate_limits(stage: Stage) -> None:
    sharers = [Sharer(), Sharer()]
    hearts = [jobs.Heartbeat(replace(stage.gateway, deliverer=each)) for each in sharers]  # type: ignore[arg-type]
    for heart in [*hearts, hearts[0]]:
        await heart.beat()
    assert [each.processes for each in sharers] == [2, 2]
    for _ in range(3):
        stage.clock.advance(10)
        await hearts[0].beat()
    assert sharers[0].processes == 1, "the other was not heard of any more"


async def test_a_stall_is_seen_in_the_metrics_within_a_minute(stage: Stage) -> None:
    """Nothing claims any more; what becomes due shows as overdue with the next measurement (every 15 s)."""
    await stage.connect()
    await jobs.show_backlog(stage.gateway)
    assert shown("calgate_oldest_due_seconds")['work="sync"'] == 0
    for seconds in (15, 30, 45):
        stage.clock.advance(15)
        await jobs.show_backlog(stage.gateway)
        assert shown("calgate_oldest_due_seconds")['work="sync"'] == seconds
    assert shown("calgate_oldest_due_seconds")['work="push channel"'] == 45
    await stage.sync()
    await jobs.show_backlog(stage.gateway)
    assert shown("calgate_oldest_due_seconds")['work="sync"'] == 0


async def test_what_has_been_due_for_five_minutes_is_a_reason(probe: Probe, stage: Stage) -> None:
    await stage.connect()
    await stage.subscribe()
    since = stage.clock()
    await stage.connect("grace@example.com")
    stage.clock.advance(295)
    await beat(stage)
    assert await reasons(probe, stage, 4) == []
    told = await reasons(probe, stage, 2)
    expected = f"the oldest has been due since {since:%Y-%m-%dT%H:%M:%SZ}; see"
    assert [reason.partition(": ")[0] for reason in told] == ["sync", "delivery"]
    assert all(expected in reason for reason in told)


@pytest.mark.parametrize("held", ["order", "rate"])
async def test_what_waits_for_its_own_endpoint_is_no_reason(probe: Probe, stage: Stage, held: str) -> None:
    endpoint, calendar = await stage.subscribe(), uuid4()
    changed = {"ordering": "fifo"} if held == "order" else {"rate_limit": 1}
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(tables.endpoints).values(changed))
        notice = Notice(stage.project, "calendar.active", {}, stage.clock(), calendar_id=calendar)
        await outbox.put(conn, [notice] * 4, now=stage.clock())
        first = (
            await conn.execute(select(tables.deliveries.c.id).order_by(tables.deliveries.c.id).limit(1))
        ).scalar_one()
        later = stage.clock() + timedelta(hours=1)
        if held == "order":
            await conn.execute(update(tables.deliveries).where(tables.deliveries.c.id == first).values(next_at=later))
    stage.clock.advance(minutes=50)
    await beat(stage)
    async with stage.gateway.database.write() as conn:
        await endpoint_health.count(conn, {endpoint: endpoint_health.Count(1, 0, stage.clock())}, now=stage.clock())
    assert await reasons(probe, stage) == []
    stage.clock.advance(minutes=16)
    await beat(stage)
    assert [reason.partition(": ")[0] for reason in await reasons(probe, stage)] == ["delivery"]


async def test_a_foreign_key_ring_is_a_reason(probe: Probe, stage: Stage) -> None:
    foreign = Cipher(KeyRing.parse(generate_key()))
    async with stage.gateway.database.write() as conn:
        await conn.execute(
            text("UPDATE keyring SET canary = :canary"), {"canary": foreign.seal(keyring.CANARY, keyring.CANARY_PLACE)}
        )
    assert (await reasons(probe, stage))[0].startswith("key ring: CALGATE_SECRET_KEYS does not open this database; set")


async def test_tables_of_another_version_are_a_reason(probe: Probe, stage: Stage) -> None:
    async with stage.gateway.database.write() as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = 'other'"))
    assert await reasons(probe, stage) == ["database: its tables are not of this version; run `calgate migrate`"]


async def test_too_little_room_is_a_reason_before_the_disk_is_full(
    probe: Probe, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LEAST_ROOM", 2**62)
    told = await reasons(probe, stage)
    if stage.gateway.database.dialect == "sqlite":
        assert re.fullmatch(r"disk: \d+ MiB are left beside the database; make room before it is full", told[0])
    else:
        assert told == []


async def test_a_full_disk_is_told_apart(probe: Probe, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(_conn: Any) -> None:
        error = DatabaseUnavailable("full")
        error.is_full = True
        raise error

    monkeypatch.setattr(readiness, "try_to_write", write)
    assert await reasons(probe, stage) == ["disk: the database's is full; make room, nothing else is needed"]


async def test_a_full_sqlite_file_is_known_as_full(sqlite_url: str) -> None:
    async with Database.connect(sqlite_url) as database:
        async with database.write() as conn:
            pages = (await conn.execute(text("PRAGMA page_count"))).scalar_one()
            await conn.execute(text(f"PRAGMA max_page_count = {pages}"))
            await conn.execute(text("CREATE TEMP TABLE unrelated (x)"))
        with pytest.raises(DatabaseUnavailable) as told:
            async with database.write() as conn:
                await conn.execute(text("CREATE TABLE filler AS SELECT randomblob(1000000) AS x"))
        assert told.value.is_full


async def test_a_database_that_takes_no_write_in_time_is_told_in_time(
    probe: Probe, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.2)
    async with stage.gateway.database.write() as conn:
        await conn.execute(text("UPDATE keyring SET id = id"))
        [reason] = await asyncio.create_task(reasons(probe, stage))
    assert reason.startswith("database: it took no write within 0 s")
    assert await reasons(probe, stage) == []


@pytest.mark.parametrize(("ahead", "told"), [pytest.param(1.9, 0, id="close"), pytest.param(-2.1, 1, id="off")])
def test_a_clock_that_is_off_is_a_reason(ahead: float, told: int) -> None:
    found = health._judge_clock(timedelta(seconds=ahead))
    assert len(found) == told
    assert all("-2.1 s off the database's; let both keep time by NTP" in reason for reason in found)


async def test_the_databases_clock_is_ours(database: Database) -> None:
    async with database.read() as conn:
        assert abs(await readiness.clock_offset(conn)) < readiness.CLOCK_TOLERANCE


async def test_many_askers_are_answered_by_one_look(
    probe: Probe, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    write = readiness.try_to_write

    async def counted(conn: Any) -> None:
        looks.append(1)
        await write(conn)

    monkeypatch.setattr(readiness, "try_to_write", counted)
    for _ in range(50):
        await reasons(probe, stage, 0.01)
    assert len(looks) == 1


async def test_workers_that_are_long_gone_are_forgotten(stage: Stage) -> None:
    database, clock = stage.gateway.database, stage.clock
    for _ in range(3):
        async with database.write() as conn:
            await workers.report(conn, uuid4(), clock(), clock())
        clock.advance(hours=20)
    assert await stage.count("workers") == 2


async def test_the_census_tells_who_is_late(stage: Stage) -> None:
    await stage.subscribe()
    ids = [await stage.connect(f"user{number}@example.com") for number in range(3)]
    await stage.sync()
    await stage.renew_channels()
    ids.append(await stage.connect("unread@example.com"))
    stage.clock.advance(LEAST_PROMISE.total_seconds() + 60)
    assert await announce_stale(stage.gateway) == 4
    await stage.sync_again(ids[0])
    await jobs.show_census(stage.gateway)
    assert shown("calgate_stale_calendars") == {'provider="google"': 0.0}
    stage.clock.advance(hours=4)
    await announce_stale(stage.gateway)
    await jobs.show_census(stage.gateway)
    assert shown("calgate_calendars") == {'status="active"': 4.0}
    assert shown("calgate_stale_calendars") == {'provider="google"': 4.0}
    assert shown("calgate_calendar_lag_seconds") == {'provider="google"': 4 * 3600.0}
    assert shown("calgate_promise_overdue_seconds")['provider="google"'] >= 3600.0
    assert shown("calgate_push_channels") == {'provider="google",state="open"': 3.0}
    assert shown("calgate_outbox")['state="due"'] > 0
    assert shown("calgate_sync_age_seconds_count")['provider="google"'] >= 3
