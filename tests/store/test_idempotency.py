"""Idempotency keys: one run for a key, its answer for everybody else."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from service.store.cipher import Cipher, KeyRing, Unreadable, generate_key
from service.store.database import Database
from service.store.idempotency import Conflict, Fresh, Name, Replay, Running, abandon, begin, finish, purge
from service.store.tables import IdempotencyRow

pytestmark = pytest.mark.anyio


@pytest.fixture
def name(project: UUID) -> Name:
    return Name(project, "POST /calendars", "key-1")


@pytest.fixture
def ask(database: Database, cipher: Cipher, name: Name, clock):
    async def ask(fingerprint: bytes = b"f", of: Name = name):
        async with database.write() as conn:
            return await begin(conn, cipher, of, fingerprint=fingerprint, now=clock(), new_object_id=uuid4())

    return ask


async def test_of_a_hundred_at_once_one_runs(ask) -> None:
    answers = await asyncio.gather(*(ask() for _ in range(100)))
    assert sum(isinstance(answer, Fresh) for answer in answers) == 1
    assert sum(isinstance(answer, Running) for answer in answers) == 99


async def test_the_answer_is_given_again_and_kept_sealed(database: Database, cipher: Cipher, name: Name, ask) -> None:
    await ask()
    async with database.write() as conn:
        await finish(conn, cipher, name, status=201, headers={"location": "/x"}, body=b"whsec_secret")
        await finish(conn, cipher, name, status=500, headers={}, body=b"late")
        row = (await conn.execute(select(IdempotencyRow.metadata.tables["idempotency_keys"]))).one()
    assert b"whsec" not in row.answer
    assert await ask() == Replay(201, {"location": "/x"}, b"whsec_secret")
    assert await ask(b"other body") == Conflict()
    for other in (name._replace(project_id=uuid4()), name._replace(route="POST /x"), name._replace(key="key-2")):
        assert isinstance(await ask(of=other), Fresh)
    another = Cipher(KeyRing.parse(generate_key()))
    async with database.write() as conn:
        with pytest.raises(Unreadable):
            await begin(conn, another, name, fingerprint=b"f", now=row.created_at, new_object_id=uuid4())


async def test_a_run_that_died_is_taken_over_with_its_object(ask, clock) -> None:
    first = await ask()
    clock.advance(59)
    assert await ask() == Running()
    clock.advance(1)
    assert await ask() == Fresh(first.object_id, clock())
    assert await ask() == Running()


async def test_work_that_failed_leaves_the_key_free(database: Database, name: Name, ask, clock) -> None:
    first = await ask()
    async with database.write() as conn:
        await abandon(conn, name, first)
    second = await ask(b"other body")
    assert isinstance(second, Fresh)
    assert second.object_id != first.object_id


async def test_one_who_was_taken_for_dead_cannot_abandon(database: Database, name: Name, ask, clock) -> None:
    first = await ask()
    clock.advance(60)
    await ask()
    async with database.write() as conn:
        await abandon(conn, name, first)
    assert await ask() == Running()


async def test_a_day_later_the_key_is_new(database: Database, cipher: Cipher, name: Name, ask, clock) -> None:
    first = await ask()
    async with database.write() as conn:
        await finish(conn, cipher, name, status=201, headers={}, body=b"{}")
    clock.advance(hours=23, minutes=59)
    assert isinstance(await ask(), Replay)
    clock.advance(minutes=1)
    second = await ask(b"other body")
    assert isinstance(second, Fresh)
    assert second.object_id != first.object_id


async def test_old_keys_are_forgotten(database: Database, name: Name, ask, clock) -> None:
    await ask()
    clock.advance(hours=12)
    await ask(of=name._replace(key="key-2"))
    clock.advance(hours=12)
    async with database.write() as conn:
        assert await purge(conn, clock()) == 1
        assert await purge(conn, clock()) == 0
