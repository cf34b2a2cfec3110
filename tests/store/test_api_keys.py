"""API keys: shown once, found in constant time, refused in whatever form they are not."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from service.store.api_keys import create_key, find, list_keys, revoke
from service.store.database import Database
from service.store.projects import create_project, ensure_default, find_project
from service.store.tables import ApiKeyRow

pytestmark = pytest.mark.anyio


async def test_a_key_is_found_by_what_was_shown_once(database: Database, project: UUID, clock) -> None:
    async with database.write() as conn:
        keys = {scope: await create_key(conn, project, scope, clock()) for scope in ("read", "write", "admin")}
    async with database.read() as conn:
        for scope, key in keys.items():
            principal = await find(conn, key)
            assert principal is not None
            assert (principal.project_id, principal.scope) == (project, scope)
        stored = (await conn.execute(select(ApiKeyRow.metadata.tables["api_keys"]))).mappings().all()
    for key in keys.values():
        assert key not in repr(stored)
        assert key[13:] not in repr(stored)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"), id="last-character"),
        pytest.param(lambda key: key[:13] + "A" * 43, id="right-prefix"),
        pytest.param(lambda key: "cgk_00000000" + key[12:], id="unknown-prefix"),
        pytest.param(lambda key: key + "A", id="longer"),
        pytest.param(lambda key: key[:-1], id="shorter"),
        pytest.param(lambda key: key.upper(), id="upper-case"),
        pytest.param(lambda key: key[:-1] + "é", id="not-ascii"),
        pytest.param(lambda key: key[:-1] + "\0", id="nul"),
        pytest.param(lambda key: "cgk_" + "\uff11" * 8 + key[12:], id="full-width-digits"),
        pytest.param(lambda key: key[:-1] + "\n", id="new-line"),
        pytest.param(lambda key: key * 200, id="10-kB"),
        pytest.param(lambda key: key[:-1] + "\udcff", id="surrogate"),
        pytest.param(lambda key: "", id="empty"),
    ],
)
async def test_whatever_is_not_the_key_finds_nobody(database: Database, project: UUID, clock, change) -> None:
    async with database.write() as conn:
        key = await create_key(conn, project, "admin", clock())
        assert await find(conn, change(key)) is None
        assert await find(conn, key) is not None


async def test_a_revoked_key_is_refused_and_still_listed(database: Database, project: UUID, clock) -> None:
    async with database.write() as conn:
        key, other = [await create_key(conn, project, "read", clock()) for _ in range(2)]
        principal = await find(conn, key)
        assert principal is not None
        assert await revoke(conn, principal.key_id, clock())
        assert not await revoke(conn, uuid4(), clock())
        revoked_at = clock()
        clock.advance(60)
        assert await revoke(conn, principal.key_id, clock())  # again: nothing changes
        assert await find(conn, key) is None
        assert await find(conn, other) is not None
        listed = await list_keys(conn)
    assert [(row.project, row.prefix, row.revoked_at) for row in listed] == [
        ("acme", key[:12], revoked_at),
        ("acme", other[:12], None),
    ]


async def test_keys_are_listed_by_project(database: Database, project: UUID, clock) -> None:
    async with database.write() as conn:
        another = await create_project(conn, "other", clock())
        await create_key(conn, another, "read", clock())
        assert await list_keys(conn, project) == []
        assert [row.project for row in await list_keys(conn, another)] == ["other"]


async def test_a_project_is_made_once(database: Database, project: UUID, clock) -> None:
    async with database.write() as conn:
        assert await create_project(conn, "acme", clock()) == project == await find_project(conn, "acme")
        assert await find_project(conn, "nobody") is None


async def test_only_an_empty_database_gets_the_default_project(database: Database, clock) -> None:
    async with database.write() as conn:
        made = await ensure_default(conn, clock())
        assert made == await find_project(conn, "default")
        assert made is not None
        assert await ensure_default(conn, clock()) is None
