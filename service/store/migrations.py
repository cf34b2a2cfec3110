"""Bringing a database to the version that this program needs, and knowing cheaply whether it is there.

Alembic takes a second to import, so only `upgrade` does; a process that finds its database up to date never pays for it.
"""

import importlib.util
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import Database

_LOCK: Final = 0x63616C67617465  # "calgate": any number that no other program locks in our database
_VERSION: Final = text("SELECT version_num FROM alembic_version")


class MigrationError(Exception):
    """A database that cannot be brought to this program's version; the message is one line."""


def folder() -> Path:
    """Where Alembic's environment is: beside the `service` package, in a checkout and when installed."""
    spec = importlib.util.find_spec("migrations")
    if spec is None or not spec.submodule_search_locations:
        raise MigrationError("the package `migrations` is not installed beside `service`")
    return Path(spec.submodule_search_locations[0])


def head(where: Path | None = None) -> str:
    """The newest version, from the names of the files, which begin with it and are in order: 0001_initial.py."""
    names = ((where or folder()) / "versions").glob("[0-9]*_*.py")
    return max(path.name.partition("_")[0] for path in names)


async def is_current(database: Database) -> bool:
    """Whether the database is at `head()`; False for an empty one. Raises DatabaseUnavailable."""
    try:
        async with database.read() as conn:
            return (await conn.execute(_VERSION)).scalar_one_or_none() == head()
    except (OperationalError, ProgrammingError):  # no such table
        return False


async def upgrade(url: str, where: Path | None = None) -> None:
    """Run what is missing, in one transaction: it is all there afterwards, or nothing of it.

    Replicas that start together take turns, and the later ones find it done. Raises MigrationError when the database was
    made by a newer program, and DatabaseUnavailable.
    """
    async with connect(url) as database, database.write() as conn:
        if database.dialect == "postgresql":
            await conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await conn.run_sync(_run, where or folder())
        await _check_references(conn)


def connect(url: str) -> Database:
    """A database to migrate: SQLite rebuilds a table to alter it, and must not delete what refers to the old one.

    (sqlite.org/lang_altertable.html, section 7: foreign keys are switched off around it.)
    """
    return Database.connect(url, foreign_keys=False, connections=1, busy_seconds=30)


def _run(connection: Connection, where: Path) -> None:
    from alembic import command  # noqa: PLC0415 (a second, see above)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(where).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise MigrationError(f"the database is of a version that this program does not know ({error})") from error


async def _check_references(conn: AsyncConnection) -> None:
    if conn.dialect.name != "sqlite":
        return
    broken: list[Any] = list(await conn.execute(text("PRAGMA foreign_key_check")))
    if broken:
        raise MigrationError(f"the migration would leave {len(broken)} rows that refer to nothing; nothing was changed")
