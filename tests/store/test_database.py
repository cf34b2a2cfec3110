"""Transactions on both databases, and what a database that is gone looks like."""

import asyncio
import sqlite3
import tempfile
import threading
from pathlib import Path
from uuid import uuid4

import pytest
from contracts.store_contract import PROJECTS, StoreContract, seq_of
from sqlalchemy import text, update

from service.store.database import Database, DatabaseUnavailable, after_commit, postgresql_dsn, sqlite_path


class TestStore(StoreContract):
    pass


@pytest.mark.anyio
async def test_a_locked_file_is_unavailable_and_then_heals(sqlite_url: str) -> None:
    async with Database.connect(sqlite_url, busy_seconds=0.1) as database:
        other = sqlite3.connect(sqlite_path(sqlite_url), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="unavailable"):
            async with database.write():
                pass
        async with database.read() as conn:
            assert (await conn.execute(text("SELECT count(*) FROM projects"))).scalar_one() == 0
        other.execute("COMMIT")
        other.close()
        async with database.write() as conn:
            await conn.execute(update(PROJECTS).values(seq=1))


@pytest.mark.anyio
async def test_a_lock_held_for_a_moment_is_waited_for(sqlite_url: str) -> None:
    async with Database.connect(sqlite_url) as database:
        other = sqlite3.connect(sqlite_path(sqlite_url), isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        timer.start()
        async with database.write() as conn:
            await conn.execute(update(PROJECTS).values(seq=1))
        timer.join()
        other.close()


@pytest.mark.anyio
async def test_sqlite_is_durable_and_strict(sqlite_url: str) -> None:
    async with Database.connect(sqlite_url) as database, database.write() as conn:
        found = [
            (await conn.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert found == ["wal", 2, 1, 5000]


@pytest.mark.anyio
async def test_write_inside_write_is_refused_at_once(sqlite_url: str) -> None:
    async with Database.connect(sqlite_url) as database, database.write():
        with pytest.raises(RuntimeError, match="inside"):
            async with database.write():
                pass


@pytest.mark.anyio
async def test_after_commit_needs_a_transaction_that_commits(database: Database) -> None:
    async with database.read() as conn:
        with pytest.raises(RuntimeError, match="outside"):
            after_commit(conn, lambda: None)


@pytest.mark.anyio
async def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    databases = [Database.connect(f"sqlite:///{tmp_path / 'new.db'}") for _ in range(8)]

    async def touch(database: Database) -> None:
        async with database, database.write() as conn:
            await conn.execute(text("CREATE TABLE IF NOT EXISTS t (a INTEGER)"))

    await asyncio.gather(*(touch(database) for database in databases))


@pytest.mark.anyio
async def test_no_thread_is_left(sqlite_url: str) -> None:
    before = set(threading.enumerate())
    database = Database.connect(sqlite_url)
    async with database.write(), database.read(), database.read():
        ours = set(threading.enumerate()) - before
        assert len(ours) == 3
    await database.aclose()
    for thread in ours:
        thread.join(0.9)
        assert not thread.is_alive()


@pytest.mark.anyio
async def test_connections_cut_by_the_server_are_replaced(postgresql_url: str, postgresql_server, clock) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'calgate' AND datname = '{}'"
    name = postgresql_url.partition("/calgate_")[2].partition("?")[0]
    async with Database.connect(postgresql_url) as database:
        async with database.read(), database.read():
            pass  # two idle connections in the pool
        with pytest.raises(DatabaseUnavailable):  # noqa: PT012
            async with database.write() as conn:
                await postgresql_server.run(cut.format(f"calgate_{name}"))
                await conn.execute(text("SELECT 1"))
        for _ in range(3):
            async with database.write() as conn:
                assert (await conn.execute(text("SELECT 1"))).scalar_one() == 1


@pytest.mark.anyio
async def test_a_server_that_stops_is_unavailable_and_then_heals(postgresql_server) -> None:
    folder = Path(tempfile.gettempdir(), f"calgate-stop-{uuid4().hex}")
    other = type(postgresql_server)(folder)
    try:
        async with Database.connect(other.url) as database:
            async with database.write() as conn:
                await conn.execute(text("CREATE TABLE projects (seq integer)"))
                await conn.execute(text("INSERT INTO projects VALUES (7)"))
            other.server.stop()
            for _ in range(2):
                with pytest.raises(DatabaseUnavailable):
                    await seq_of(database)
            other.server.start()
            assert await seq_of(database) == 7
    finally:
        other.server.cleanup()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param("sqlite:///calgate.db", Path.cwd() / "calgate.db", id="relative"),
        pytest.param("sqlite:////var/lib/calgate.db", Path("/var/lib/calgate.db"), id="absolute"),
        pytest.param("postgresql://user:pw@db/calgate", None, id="postgresql"),
        pytest.param("postgresql://postgres:@/postgres?host=/run/pg", None, id="unix-socket"),
        pytest.param("postgres://db/calgate", None, id="short-name"),
    ],
)
def test_urls(url: str, path: Path | None) -> None:
    assert sqlite_path(url) == path


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://db/x", "postgresql+psycopg://db/x", "x", ""]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a database URL"):
        sqlite_path(url)


def test_what_only_libpq_knows_is_left_out() -> None:
    dsn = "postgresql://u:p%40ss@db:5433/calgate?sslmode=require&channel_binding=require"
    assert postgresql_dsn(dsn) == "postgresql://u:p%40ss@db:5433/calgate?sslmode=require"


@pytest.mark.anyio
async def test_a_new_sqlite_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    async with Database.connect(f"sqlite:///{path}") as database:
        async with database.write() as conn:
            await conn.exec_driver_sql("CREATE TABLE t (a)")
        modes = modes_of(tmp_path)
    assert modes["new.db"] == 0o600
    assert set(modes.values()) == {0o600}


def modes_of(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}
