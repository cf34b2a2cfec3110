"""Migrations: they make the tables that the code has, together or not at all, once, and are known to be done."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from service.store import migrations
from service.store.api_keys import create_key, list_keys
from service.store.database import Database
from service.store.migrations import MigrationError, folder, head, is_current, upgrade

REBUILD = '''"""Rebuild a table that others refer to."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{down}"


def upgrade() -> None:
    with op.batch_alter_table("projects") as batch:
        batch.alter_column("name", existing_type=sa.String(), nullable=True)
        batch.add_column(sa.Column("note", sa.String(), nullable=True))
    {more}
'''


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty_url(anyio_backend: str, request, tmp_path: Path, postgresql_server) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    name = f"calgate_{uuid4().hex}"
    await postgresql_server.run(f"CREATE DATABASE {name}")
    yield postgresql_server.url_of(name)
    await postgresql_server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def next_version(tmp_path: Path):
    """A copy of the migrations with one more, which ends with the given line."""

    def make(more: str = "") -> Path:
        where = tmp_path / "migrations"
        shutil.copytree(folder(), where)
        (where / "versions" / "9999_rebuild.py").write_text(REBUILD.format(down=head(), more=more))
        return where

    return make


def config(**attributes: object) -> Config:
    config = Config(attributes=attributes)
    config.set_main_option("script_location", str(folder()))
    return config


def test_the_head_is_alembics() -> None:
    script = ScriptDirectory.from_config(config())
    assert script.get_heads() == [head()]
    names = [Path(revision.path).name.partition("_")[0] for revision in script.walk_revisions()]
    assert names == [revision.revision for revision in script.walk_revisions()] == sorted(names, reverse=True)


@pytest.mark.anyio
async def test_the_tables_are_those_of_the_code(database: Database) -> None:
    def check(connection: Connection) -> None:
        command.check(config(connection=connection))  # raises with the difference

    async with migrations.connect(database.url) as own, own.write() as conn:
        await conn.run_sync(check)


@pytest.mark.anyio
async def test_partial_indexes_are_partial(database: Database) -> None:
    query = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE name = 'ix_calendars_due'",
        "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_calendars_due'",
    }[database.dialect]
    async with database.read() as conn:
        assert "due_at IS NOT NULL" in (await conn.execute(text(query))).scalar_one()


@pytest.mark.anyio
async def test_an_empty_database_is_brought_to_head_once(empty_url: str) -> None:
    async with Database.connect(empty_url) as database:
        assert not await is_current(database)
        await asyncio.gather(*(upgrade(empty_url) for _ in range(3)))  # replicas that start together
        assert await is_current(database)
        async with database.read() as conn:
            assert (await conn.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one() == 1


@pytest.mark.anyio
async def test_a_database_of_a_newer_program_is_left_alone(database: Database) -> None:
    async with database.write() as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = 'future'"))
    assert not await is_current(database)
    with pytest.raises(MigrationError, match="does not know"):
        await upgrade(database.url)


@pytest.mark.anyio
async def test_rebuilding_a_table_keeps_what_refers_to_it(database: Database, project, clock, next_version) -> None:
    async with database.write() as conn:
        await create_key(conn, project, "read", clock())
    await upgrade(database.url, next_version())
    async with database.read() as conn:
        assert len(await list_keys(conn)) == 1
        assert (await conn.execute(text("SELECT note FROM projects"))).scalar_one() is None


@pytest.mark.anyio
async def test_a_migration_that_fails_leaves_nothing(database: Database, project, next_version) -> None:
    with pytest.raises(ZeroDivisionError):
        await upgrade(database.url, next_version("raise ZeroDivisionError"))
    assert await is_current(database)
    async with database.read() as conn:
        assert "note" not in set((await conn.execute(text("SELECT * FROM projects"))).keys())


@pytest.mark.anyio
async def test_a_migration_that_breaks_references_is_undone(sqlite_url: str, clock, next_version) -> None:
    where = next_version(
        """op.execute("INSERT INTO pushes (calendar_id, project_id, failures) VALUES ('a', 'b', 0)")"""
    )
    with pytest.raises(MigrationError, match="1 rows that refer to nothing"):
        await upgrade(sqlite_url, where)
    async with Database.connect(sqlite_url) as database:
        assert await is_current(database)


def test_a_migrated_database_is_served_without_alembic(sqlite_url: str) -> None:
    program = f"""
import asyncio, sys
from service.store.database import Database
from service.store.migrations import is_current

async def main():
    async with Database.connect({sqlite_url!r}) as database:
        assert await is_current(database)

asyncio.run(main())
assert not {{"alembic", "asyncpg"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_versions_import_nothing_of_ours() -> None:
    for path in (folder() / "versions").glob("*.py"):
        assert "service" not in path.read_text()
        assert "sqlmodel" not in path.read_text()
