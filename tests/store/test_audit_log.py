"""The audit log on both databases: one chain per project, whoever writes at once, and what an examination finds."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
from settable_clock import Clock
from sqlalchemy import delete, insert, select, update

from service.core.audit import GATEWAY, Actor, Author, Entry, Head, hash_of, next_entry, start_of
from service.store import audit
from service.store.audit import Verdict, Wanted
from service.store.database import Database
from service.store.projects import create_project
from service.store.tables import Table

pytestmark = pytest.mark.anyio

ENTRIES = Table.metadata.tables["audit_entries"]
HEADS = Table.metadata.tables["audit_heads"]
KEY = Author(actor=Actor("api_key", str(uuid4())), request_id="req-7", address="2001:db8::7")


async def write(database: Database, project: UUID, clock: Clock, count: int) -> None:
    for number in range(count):
        async with database.write() as conn:
            act = KEY.did("calendar.changed", f"calendar-{number % 2}", fields=["name"])
            await audit.append(conn, project, act, clock())


async def read(database: Database, project: UUID) -> list[Entry]:
    async with database.read() as conn:
        return (await audit.page(conn, project, Wanted(), 1000))[::-1]


async def examine(database: Database, project: UUID, noted: Head | None = None) -> Verdict:
    async with database.read() as conn:
        return await audit.examine(conn, project, noted)


async def tamper(database: Database, *statements: Any) -> None:
    async with database.write() as conn:
        for statement in statements:
            await conn.execute(statement)


async def test_an_entry_comes_back_as_it_was_written(database: Database, project: UUID, clock: Clock) -> None:
    now = datetime(2026, 3, 2, 14, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    async with database.write() as conn:
        written = await audit.append(conn, project, KEY.did("key.created", "k", scope="admin"), now)
    found = (await read(database, project))[-1]
    assert found == written
    assert hash_of(found) == found.hash
    assert (found.actor, found.address, found.details) == (KEY.actor, "2001:db8::7", {"scope": "admin"})


async def test_twenty_who_write_at_once_make_one_chain(database: Database, project: UUID, clock: Clock) -> None:
    other = uuid4()  # a log that nobody has begun, so that all of them want to
    async with asyncio.timeout(30):
        await asyncio.gather(*(write(database, one, clock, 2) for one in [project, other] * 10))
    for one in (project, other):
        found = await read(database, one)
        begun = 20 if one == other else 21
        assert [entry.seq for entry in found] == list(range(1, begun + 1))
        assert len({entry.previous for entry in found}) == begun, "no two go on behind the same"
        assert await examine(database, one) == Verdict(Head(begun, found[-1].hash), None)


async def write_and_fail(database: Database, project: UUID, clock: Clock) -> None:
    async with database.write() as conn:
        await audit.append(conn, project, KEY.did("calendar.deleted", "x"), clock())
        raise ArithmeticError


async def test_acts_that_are_one_change_stand_behind_each_other(
    database: Database, project: UUID, clock: Clock
) -> None:
    async with database.write() as conn:
        acts = [KEY.did("calendar.deleted", f"calendar-{number}") for number in range(3)]
        written = await audit.append_each(conn, project, acts, clock())
        assert await audit.append_each(conn, project, [], clock()) == []
    assert (await read(database, project))[1:] == written
    assert [entry.seq for entry in written] == [2, 3, 4]
    assert (await examine(database, project)).broken is None


async def test_what_is_rolled_back_leaves_nothing(database: Database, project: UUID, clock: Clock) -> None:
    await write(database, project, clock, 1)
    before = await examine(database, project)
    with pytest.raises(ArithmeticError):
        await write_and_fail(database, project, clock)
    assert await examine(database, project) == before
    await write(database, project, clock, 1)
    assert [entry.seq for entry in await read(database, project)] == [1, 2, 3]


async def test_an_act_upon_everything_is_in_every_log(database: Database, project: UUID, clock: Clock) -> None:
    async with database.write() as conn:
        names = [f"project-{number}" for number in range(5)]
        projects = [project, *[await create_project(conn, name, clock()) for name in names]]
    async with database.write() as conn:
        await audit.append_to_all(conn, GATEWAY.did("project.restored", ""), clock())
    for one in projects:
        newest = (await read(database, one))[-1]
        assert (newest.action, newest.object.id, newest.seq) == ("project.restored", str(one), 2)
        assert (await examine(database, one)).broken is None


def change(project: UUID, number: int, **values: Any) -> Any:
    return update(ENTRIES).where(ENTRIES.c.project_id == project, ENTRIES.c.seq == number).values(**values)


def drop(project: UUID, *seqs: int) -> Any:
    return delete(ENTRIES).where(ENTRIES.c.project_id == project, ENTRIES.c.seq.in_(seqs))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("actor_id", "somebody else", id="actor"),
        pytest.param("action", "calendar.deleted", id="action"),
        pytest.param("object_id", "calendar-9", id="object"),
        pytest.param("at", datetime(2026, 3, 2, 9, 0, 1, tzinfo=UTC), id="time"),
        pytest.param("address", None, id="address"),
        pytest.param("details", {"fields": ["metadata"]}, id="details"),
        pytest.param("hash", "0" * 64, id="hash"),
    ],
)
async def test_a_changed_field_is_found(
    database: Database, project: UUID, clock: Clock, field: str, value: Any
) -> None:
    await write(database, project, clock, 5)
    await tamper(database, change(project, 4, **{field: value}))
    assert (await examine(database, project)).broken == 4


async def test_a_removed_entry_is_found(database: Database, project: UUID, clock: Clock) -> None:
    await write(database, project, clock, 5)
    await tamper(database, drop(project, 3))
    assert (await examine(database, project)).broken == 3


async def test_swapped_entries_are_found(database: Database, project: UUID, clock: Clock) -> None:
    await write(database, project, clock, 5)
    await tamper(database, change(project, 3, seq=99), change(project, 5, seq=3), change(project, 99, seq=5))
    assert (await examine(database, project)).broken == 3


async def test_an_inserted_entry_is_found(database: Database, project: UUID, clock: Clock) -> None:
    await write(database, project, clock, 3)
    entries = await read(database, project)
    later = next_entry(project, Head(1, entries[0].hash), KEY.did("key.revoked", "x"), clock())
    rows = [audit._stored(later)]
    await tamper(database, change(project, 4, seq=5), change(project, 3, seq=4), change(project, 2, seq=3))
    await tamper(database, insert(ENTRIES).values(rows))
    assert (await examine(database, project)).broken == 3, "it fits where it stands, and what is behind it does not"


async def test_an_end_that_was_cut_off_is_found_by_the_head(database: Database, project: UUID, clock: Clock) -> None:
    await write(database, project, clock, 5)
    await tamper(database, drop(project, 5, 6))
    assert (await examine(database, project)).broken == 5


async def test_an_entry_put_behind_the_head_is_found(database: Database, project: UUID, clock: Clock) -> None:
    await write(database, project, clock, 2)
    entries = await read(database, project)
    forged = next_entry(project, Head(3, entries[-1].hash), KEY.did("key.revoked", "x"), clock())
    await tamper(database, insert(ENTRIES).values(audit._stored(forged)))
    assert (await examine(database, project)).broken == 4


async def rewrite(database: Database, project: UUID, entries: Sequence[Entry]) -> None:
    """What somebody does who may write everything: all entries anew, all hashes right, and the head moved along."""
    head, acts = start_of(project), []
    for entry in entries:
        author = Author(actor=entry.actor, address="203.0.113.9")
        made = next_entry(project, head, author.did(entry.action, entry.object.id), entry.at)
        head = Head(made.seq, made.hash)
        acts.append(audit._stored(made))
    statements = [delete(ENTRIES).where(ENTRIES.c.project_id == project), insert(ENTRIES).values(acts)]
    moved = update(HEADS).where(HEADS.c.project_id == project).values(**head._asdict())
    await tamper(database, *statements, moved)


async def test_only_a_noted_head_betrays_who_made_everything_anew(
    database: Database, project: UUID, clock: Clock
) -> None:
    await write(database, project, clock, 4)
    entries = await read(database, project)
    noted, middle = (Head(entry.seq, entry.hash) for entry in (entries[4], entries[2]))
    for note in (None, noted, middle):
        assert (await examine(database, project, note)).broken is None
    await rewrite(database, project, entries)
    assert (await examine(database, project)).broken is None, "this is what a chain cannot show"
    assert (await examine(database, project, noted)).broken == 5
    assert (await examine(database, project, middle)).broken == 3
    await rewrite(database, project, entries[:3])
    assert (await examine(database, project, noted)).broken == 4, "cut off, and the head moved back"


async def test_a_log_longer_than_a_piece_is_read_whole(
    database: Database, project: UUID, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PIECE", 3)
    await write(database, project, clock, 7)
    assert (await examine(database, project)).head.seq == 8
    await tamper(database, change(project, 7, address=None))
    assert (await examine(database, project)).broken == 7


async def test_entries_are_listed_newest_first_and_by_what_is_asked_for(
    database: Database, project: UUID, clock: Clock
) -> None:
    start = clock()
    await write(database, project, clock, 4)
    clock.advance(3600)
    async with database.write() as conn:
        await audit.append(conn, project, Author.of_command("keys create").did("key.created", "k"), clock())

    async def seqs(limit: int = 10, **wanted: Any) -> list[int]:
        async with database.read() as conn:
            return [entry.seq for entry in await audit.page(conn, project, Wanted(**wanted), limit)]

    assert await seqs() == [6, 5, 4, 3, 2, 1]
    assert await seqs(2) == [6, 5]
    assert await seqs(2, before=5) == [4, 3]
    assert await seqs(action="calendar.changed") == [5, 4, 3, 2]
    assert await seqs(actor=KEY.actor.id) == [5, 4, 3, 2]
    assert await seqs(actor="keys create") == [6]
    assert await seqs(actor="command") == [6]
    assert await seqs(object_id="calendar-1") == [5, 3]
    assert await seqs(since=start + timedelta(minutes=1)) == [6]
    assert await seqs(until=start + timedelta(minutes=1), action="project.created") == [1]
    async with database.read() as conn:
        assert await audit.page(conn, uuid4(), Wanted(), 10) == [], "another project's are not shown"


async def test_nothing_of_an_entry_is_lost_on_the_way_to_its_row(
    database: Database, project: UUID, clock: Clock
) -> None:
    await write(database, project, clock, 1)
    async with database.read() as conn:
        row = (await conn.execute(select(ENTRIES).where(ENTRIES.c.seq == 2))).one()
    assert set(row._mapping) == {*audit._stored((await read(database, project))[1])}
