"""The question of a bot scheduler stays an indexed one, in every form it can be asked; so do the marks of stale copies."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from itertools import product
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import meetings
from service.store.database import Database
from service.store.meetings import Wanted
from service.store.tables import Table

pytestmark = pytest.mark.anyio
CALENDARS, EVENTS = 20, 4000
EVENT_INDEXES = {
    "ix_events_project_id_starts_at_ends_at",
    "ix_events_long_meetings",
    "ix_events_project_id_meeting_key",
}


@pytest.fixture
async def calendars(database: Database, project: UUID, clock: Any) -> list[UUID]:
    """Twenty calendars with events over thirty days, each meeting on two of them, a few of them long."""
    now: datetime = clock()
    tables = Table.metadata.tables
    stamps = {"created_at": now, "updated_at": now}
    client = {"id": uuid4(), "project_id": project, "provider": "google", "client_id": "c", "tenant": "", **stamps}
    connection = {"id": uuid4(), "project_id": project, "oauth_client_id": client["id"], "provider": "google", **stamps}
    ids = [uuid4() for _ in range(CALENDARS)]
    async with database.write() as conn:
        await conn.execute(insert(tables["oauth_clients"]), client | {"client_secret": b""})
        await conn.execute(insert(tables["connections"]), connection | {"account": "a", "refresh_token": b""})
        owned = {"project_id": project, "connection_id": connection["id"], "oauth_client_id": client["id"], **stamps}
        owned |= {"provider": "google", "account": "a", "calendar_name": "", "horizon_days": 30, "status": "active"}
        await conn.execute(
            insert(tables["calendars"]),
            [
                owned | {"id": each, "raw_calendar_id": each.hex, "announced_status": "active", "metadata": {}}
                for each in ids
            ],
        )
        await conn.execute(insert(tables["events"]), [_event(project, ids, number, now) for number in range(EVENTS)])
    async with database.write() as conn:
        await conn.execute(text("ANALYZE"))
    return ids


def _event(project: UUID, calendars: list[UUID], number: int, now: datetime) -> dict[str, Any]:
    starts_at = now + timedelta(minutes=10 * (number // 2))
    is_long = number % 100 == 0
    return {
        "id": UUID(int=number),
        "project_id": project,
        "calendar_id": calendars[number % CALENDARS],
        "provider_event_id": str(number),
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=9 if is_long else 1),
        "status": "confirmed",
        "platform": "zoom",
        "is_meeting": True,
        "is_long": is_long,
        "response_status": "accepted",
        "rank": number % 2,
        "meeting_key": f"key-{number // 2}",
        "fingerprint": b"",
        "body": str(UUID(int=number)),
        "created_at": now,
        "updated_at": now,
    }


async def plan_of(database: Database, ask: Callable[[AsyncConnection], Awaitable[Any]]) -> str:
    """How the database goes about the last statement of `ask`."""
    asked: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    async with database.write() as conn:
        event.listen(conn.sync_connection, "before_cursor_execute", note)
        try:
            await ask(conn)
        finally:
            event.remove(conn.sync_connection, "before_cursor_execute", note)
        statement, parameters = asked[-1]
        if conn.dialect.name == "postgresql":
            # Some thousand rows are read faster without an index: whether one would serve is the question.
            await conn.execute(text("SET LOCAL enable_seqscan = off"))
            return "\n".join((await conn.exec_driver_sql(f"EXPLAIN {statement}", parameters)).scalars())
        found = await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row.detail for row in found)


def scans_events(plan: str) -> bool:
    """Whether all events of the database are gone through."""
    lines = [line.strip(" ->") for line in plan.splitlines()]
    whole = ("Seq Scan on events", "SCAN events", "SCAN other", "SCAN mine")
    return any(line.startswith(whole) and "USING INDEX" not in line for line in lines)


async def test_leads_are_found_by_indexes_whatever_is_asked(
    database: Database, project: UUID, calendars: list[UUID], clock: Any
) -> None:
    start = clock() + timedelta(days=3)
    for declined, platform, calendar_id, goes_on in product(
        (False, True), (None, "zoom"), (None, calendars[0]), (False, True)
    ):
        wanted = Wanted(
            from_=start,
            until=start + timedelta(days=1),
            include_declined=declined,
            platform=platform,
            calendar_id=calendar_id,
        )
        after = (start + timedelta(hours=6), "key-450") if goes_on else None

        plan = await plan_of(database, lambda conn: meetings.leads(conn, project, wanted, after, 101))  # noqa: B023

        assert not scans_events(plan), plan
        assert {name for name in EVENT_INDEXES if name in plan} == EVENT_INDEXES, plan


@pytest.mark.parametrize("mark", [meetings.mark_stale, meetings.mark_fresh])
async def test_marks_touch_their_calendars_alone(database: Database, calendars: list[UUID], mark: Any) -> None:
    plan = await plan_of(database, lambda conn: mark(conn, calendars[:3]))

    assert not scans_events(plan), plan


async def test_a_copy_is_stale_once_and_fresh_again(database: Database, project: UUID, calendars: list[UUID]) -> None:
    events = Table.metadata.tables["events"]
    ranks = {}
    async with database.write() as conn:
        await conn.execute(update(events).where(events.c.id == UUID(int=20)).values(rank=16))
        for step, mark in enumerate(
            [meetings.mark_fresh, meetings.mark_stale, meetings.mark_stale, meetings.mark_fresh]
        ):
            await mark(conn, calendars[:2])
            rows = await conn.execute(events.select().where(events.c.id.in_([UUID(int=n) for n in (0, 1, 2, 20)])))
            ranks[step] = {row.id.int: row.rank for row in rows}
        await meetings.mark_stale(conn, [])
        await meetings.mark_fresh(conn, [])

    fresh, stale = {0: 0, 1: 1, 2: 0, 20: 16}, {0: 8, 1: 9, 2: 0, 20: 24}
    assert ranks == {0: fresh, 1: stale, 2: stale, 3: fresh}


@pytest.mark.parametrize("seed", range(4))
async def test_the_list_and_the_announcements_elect_alike(
    database: Database, project: UUID, calendars: list[UUID], clock: Any, seed: int
) -> None:
    drawn = Random(seed)
    events = Table.metadata.tables["events"]
    wanted = Wanted(from_=clock(), until=clock() + timedelta(hours=8))
    async with database.write() as conn:
        for number in range(96):
            comes: dict[str, Any] = {"response_status": drawn.choice(["accepted", "declined", "needsAction", None])}
            comes |= {"is_meeting": drawn.random() < 0.8, "meeting_key": f"key-{drawn.randrange(16)}"}
            comes["rank"] = 16 if comes["response_status"] == "declined" else drawn.randrange(4)
            await conn.execute(update(events).where(events.c.id == UUID(int=number)).values(comes))
        await meetings.mark_stale(conn, calendars[::3])
        keys = list(dict.fromkeys(f"key-{number // 2}" for number in range(200)))
        listed = {row.meeting_key: row for row in await meetings.leads(conn, project, wanted, None, 250)}
        elected: dict[str, list[UUID]] = {}
        for row in await meetings.elected(conn, [project], keys):
            elected.setdefault(row.meeting_key, []).append(row.calendar_id)
        copies: dict[str, list[UUID]] = {}
        for row in await meetings.copies(conn, project, keys, include_declined=False):
            copies.setdefault(row.meeting_key, []).append(row.calendar_id)
        bodies = {row.id: row for row in await conn.execute(events.select())}

    assert copies == elected
    assert len(listed) > 10
    for key, row in listed.items():
        assert UUID(row.body) == _first(bodies.values(), key), key
        assert row.is_shared or len(elected[key]) == 1


def _first(rows: Iterable[Any], key: str) -> UUID:
    """The lead by the rule, spelled out."""
    attended = [row for row in rows if row.meeting_key == key and row.is_meeting and row.response_status != "declined"]
    found: UUID = min(attended, key=lambda row: (row.rank, row.id)).id
    return found
