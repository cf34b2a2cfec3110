"""What every test may ask for: a database of either kind that is migrated and its own, a cipher, a clock, a project."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from own_postgresql import TEMPLATE, PostgreSQL
from settable_clock import Clock
from standing_dialects import standing_dialects

from service.store.cipher import Cipher, KeyRing, generate_key
from service.store.database import Database
from service.store.migrations import upgrade
from service.store.projects import create_project

pytest.register_assert_rewrite("contracts")


def pytest_xdist_auto_num_workers() -> int:
    """Three for two cores: a test waits about as long as it computes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + cores // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that nobody waits for it at the end."""
    items.sort(key=lambda item: item.path.parent.name not in ("journeys", "simulation"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _standing_dialects() -> Iterator[None]:
    with standing_dialects():
        yield


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


@pytest.fixture
def usual_url(request: pytest.FixtureRequest) -> str:
    """A migrated database for what behaves alike on both: SQLite, or PostgreSQL with TESTS_DATABASE=postgresql."""
    url: str = request.getfixturevalue(f"{os.environ.get('TESTS_DATABASE') or 'sqlite'}_url")
    return url


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
