"""States of consent pages as stored: used once, by the browser they belong to, in time; on both databases."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from service.core.hosted import Wish
from service.store import oauth_states
from service.store.cipher import Cipher, KeyRing, generate_key
from service.store.database import Database
from service.store.keyring import rotate
from service.store.oauth_states import Walk
from service.store.tables import Table

pytestmark = pytest.mark.anyio

STATES = Table.metadata.tables["oauth_states"]


def walk_of(project: UUID, browser: str | None = None) -> Walk:
    return Walk(project, uuid4(), "google", "the verifier", Wish(user_id="u", scopes=["a"]), browser)


async def stored(
    database: Database, cipher: Cipher, project: UUID, now: datetime, browser: str | None = None
) -> tuple[str, Walk]:
    state, walk = oauth_states.make_state(cipher, "google"), walk_of(project, browser)
    async with database.write() as conn:
        await oauth_states.add(conn, cipher, state, walk, now, now + timedelta(minutes=10))
    return state, walk


async def take(
    database: Database, cipher: Cipher, state: str, now: datetime, browser: str | None = None, provider: str = "google"
) -> Walk | None:
    async with database.write() as conn:
        return await oauth_states.take(conn, cipher, state, provider, browser, now)


async def test_a_walk_comes_back_as_it_was(database: Database, cipher: Cipher, project: UUID, clock: Any) -> None:
    state, walk = await stored(database, cipher, project, clock())
    assert await take(database, cipher, state, clock()) == walk
    assert await take(database, cipher, state, clock()) is None


async def test_of_a_hundred_who_bring_one_state_one_gets_it(
    database: Database, cipher: Cipher, project: UUID, clock: Any
) -> None:
    state, walk = await stored(database, cipher, project, clock())
    found = await asyncio.gather(*(take(database, cipher, state, clock()) for _ in range(100)))
    assert [each for each in found if each is not None] == [walk]


@pytest.mark.parametrize(
    ("mine", "theirs", "gets"),
    [
        pytest.param(None, None, True, id="nobody's"),
        pytest.param(None, "b", True, id="the first's"),
        pytest.param("a", "a", True, id="its own"),
        pytest.param("a", "b", False, id="another's"),
        pytest.param("a", None, False, id="no browser"),
    ],
)
async def test_whose_it_is(
    database: Database,
    cipher: Cipher,
    project: UUID,
    clock: Any,
    mine: str | None,
    theirs: str | None,
    gets: bool,
) -> None:
    state, _ = await stored(database, cipher, project, clock(), mine)
    assert (await take(database, cipher, state, clock(), theirs) is not None) is gets
    # Who must not have it has not used it up.
    assert (await take(database, cipher, state, clock(), mine) is None) is gets


async def test_it_is_over_in_time_and_for_one_provider(
    database: Database, cipher: Cipher, project: UUID, clock: Any
) -> None:
    state, _ = await stored(database, cipher, project, clock())
    assert await take(database, cipher, state, clock(), provider="zoom") is None
    assert await take(database, cipher, state, clock() + timedelta(minutes=10)) is None
    assert await take(database, cipher, state, clock() + timedelta(seconds=599)) is not None


async def test_neither_state_nor_verifier_is_readable_in_the_row(
    database: Database, cipher: Cipher, project: UUID, clock: Any
) -> None:
    state, _ = await stored(database, cipher, project, clock(), "the cookie")
    async with database.read() as conn:
        row = (await conn.execute(select(STATES))).one()
    written = repr(tuple(row))
    assert [part for part in (*state.split("."), "the verifier", "the cookie") if part in written] == []


def test_who_made_a_state_is_seen_without_a_database(cipher: Cipher) -> None:
    state = oauth_states.make_state(cipher, "google")
    random, proof = state.split(".")
    assert (len(random), len(proof)) == (43, 43)
    assert oauth_states.is_ours(cipher, "google", state)
    stranger = Cipher(KeyRing.parse(generate_key()))
    for other, ring, provider in (
        (state, cipher, "microsoft"),
        (state, stranger, "google"),
        (f"{random}.{'A' * 43}", cipher, "google"),
        (f"{'A' * 43}.{proof}", cipher, "google"),
        (f"{state}.{proof}", cipher, "google"),
        (f"{random}.ö", cipher, "google"),
        ("\ud800.x", cipher, "google"),
        ("", cipher, "google"),
    ):
        assert not oauth_states.is_ours(ring, provider, other), other


async def test_a_new_first_key_ends_no_walk(database: Database, project: UUID, clock: Any) -> None:
    old = generate_key()
    before, after = Cipher(KeyRing.parse(old)), Cipher(KeyRing.parse(f"{generate_key()},{old}"))
    state, walk = await stored(database, before, project, clock())
    await rotate(database, after)
    assert oauth_states.is_ours(after, "google", state)
    assert await take(database, after, state, clock()) == walk


async def test_what_is_over_is_forgotten(database: Database, cipher: Cipher, project: UUID, clock: Any) -> None:
    for _ in range(3):
        await stored(database, cipher, project, clock())
    fresh, _ = await stored(database, cipher, project, clock() + timedelta(hours=1))
    async with database.write() as conn:
        assert await oauth_states.purge(conn, clock() + timedelta(minutes=30), 2) == 2
        assert await oauth_states.purge(conn, clock() + timedelta(minutes=30), 2) == 1
        assert (await conn.execute(select(func.count()).select_from(STATES))).scalar_one() == 1
    assert await take(database, cipher, fresh, clock() + timedelta(hours=1)) is not None
