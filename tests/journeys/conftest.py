"""What a journey may start from besides a migrated database: an empty one, and a log that is put back after it."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest

fcntl: ModuleType | None = None
with suppress(ImportError):  # Windows has none
    import fcntl


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Gateways that run for real take turns: several at once would find no core to themselves."""
    if fcntl is None:
        yield
        return
    shared_by_workers = tmp_path_factory.getbasetemp().parent
    with (shared_by_workers / "journey").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.fixture
async def bare_postgresql_url(anyio_backend: str, postgresql_server: Any) -> AsyncIterator[str]:
    """An empty PostgreSQL database of the test's own."""
    name = f"calgate_{uuid4().hex}"
    await postgresql_server.run(f"CREATE DATABASE {name}")
    yield postgresql_server.url_of(name)
    await postgresql_server.run(f"DROP DATABASE {name} WITH (FORCE)")
