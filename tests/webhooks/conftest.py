"""What the tests of webhooks share: a bench on either database."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from webhook_bench import Bench
from webhook_stores import opened


@pytest.fixture(scope="session")
def webhooks_postgresql_url(postgresql_server: Any) -> Iterator[str]:
    """An empty database of this worker's own."""
    name = f"webhooks_{uuid4().hex}"
    asyncio.run(postgresql_server.run(f"CREATE DATABASE {name}"))
    yield postgresql_server.url_of(name).replace("postgresql://", "postgresql+asyncpg://")
    asyncio.run(postgresql_server.run(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def webhooks_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'webhooks.db'}"
    url: str = request.getfixturevalue("webhooks_postgresql_url")
    return url


@pytest.fixture
async def bench(webhooks_url: str, anyio_backend: str) -> AsyncIterator[Bench]:
    async with opened(webhooks_url) as store, AsyncExitStack() as stack:
        yield Bench(store, stack)
