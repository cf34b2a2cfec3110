"""A database file that is full every now and then: what was acknowledged is stored, and nothing else, and it heals."""

import random
from uuid import UUID

import httpx
import pytest
from flows.stage import Stage
from sqlalchemy import select, text

from service.store.database import Database
from webhooks import endpoints
from webhooks.tables import endpoints as table

pytestmark = pytest.mark.anyio
POSTS = 200
ROOMY = 2**30


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The limit is SQLite's own."""
    return sqlite_url


async def limit(database: Database, pages: int) -> None:
    """Let the file grow to so many pages, at least those that it has: one more is `SQLITE_FULL`, as on a full disk."""
    async with database.write() as conn:
        await conn.execute(text(f"PRAGMA max_page_count = {pages}"))


def has_key(number: int) -> bool:
    return number % 2 == 1


async def post(call: httpx.AsyncClient, number: int) -> httpx.Response:
    body = {"url": f"http://127.0.0.1:8999/{number}", "description": "x" * (number * 37 % 500)}
    headers = {"idempotency-key": f"post {number}"} if has_key(number) else {}
    return await call.post("/webhooks/endpoints", json=body, headers=headers)


async def stored(stage: Stage) -> dict[str, int]:
    """The ids of all endpoints and their numbers; each is whole: its secret opens, and the audit log has it once."""
    found: dict[str, int] = {}
    async with stage.gateway.database.read() as conn:
        for row in (await conn.execute(select(table.c.id, table.c.url))).all():
            secret = await endpoints.reveal(conn, stage.gateway.cipher, stage.project, UUID(str(row.id)))
            assert secret is not None
            found[str(row.id)] = int(row.url.rpartition("/")[2])
        acts = text("SELECT object_id FROM audit_entries WHERE action = 'endpoint.created'")
        assert sorted((await conn.execute(acts)).scalars()) == sorted(found)
    return found


async def test_what_is_acknowledged_is_stored_while_the_disk_fills_and_heals(
    call: httpx.AsyncClient, stage: Stage
) -> None:
    chance, database = random.Random(70), stage.gateway.database
    acknowledged: dict[str, int] = {}
    refused: list[int] = []
    for number in range(POSTS):
        if chance.random() < 0.2:
            await limit(database, chance.choice([1, ROOMY]))
        answer = await post(call, number)
        if answer.status_code == 201:
            acknowledged[answer.json()["id"]] = number
        else:
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
            assert answer.headers["retry-after"] == "2"
            refused.append(number)
    await limit(database, ROOMY)
    assert len(acknowledged) > POSTS // 4
    assert len(refused) > POSTS // 50, "the limit was never met"

    kept = await stored(stage)
    assert acknowledged.items() <= kept.items()
    # With a key the work may be done when its answer cannot be kept: that is what a repetition is for.
    assert all(has_key(number) and number in refused for number in set(kept.values()) - set(acknowledged.values()))

    stage.clock.advance(61)  # by then a first request that did not end is taken for dead
    for number in refused:
        answer = await post(call, number)
        assert answer.status_code == 201, answer.text
    assert sorted((await stored(stage)).values()) == list(range(POSTS))
    async with database.read() as conn:
        assert (await conn.execute(text("PRAGMA integrity_check"))).scalars().all() == ["ok"]
        assert (await conn.execute(text("PRAGMA foreign_key_check"))).all() == []
