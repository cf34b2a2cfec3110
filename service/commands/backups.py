"""What an operator does for the day after a disaster: copy the database while the gateway works, and go on from a copy."""

import argparse
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

from service.commands.session import DONE, CommandFailed, load_settings, run, say, utc_now
from service.core.audit import Author
from service.store import restores, workers
from service.store.database import Database, sqlite_path
from service.store.migrations import is_current

SILENT: Final = timedelta(seconds=30)
"""A worker that has said nothing for so long is not running."""

BUSY_SECONDS: Final = 30.0


def backup(options: argparse.Namespace) -> int:
    """Copy a SQLite database and its key file, while the gateway works."""
    return run(_backup(Path(options.file)))


def restored(_options: argparse.Namespace) -> int:
    """Go on from a database that was put back; for copies by `calgate backup` the start of the gateway does it."""
    return run(_restored())


async def _backup(target: Path) -> int:
    settings = load_settings()
    source = sqlite_path(settings.database_url)
    if source is None:
        raise CommandFailed("PostgreSQL copies its databases itself: pg_dump; after pg_restore run `calgate restored`")
    if not source.exists():
        raise CommandFailed(f"{source} does not exist")
    key_file = None if settings.secret_keys else source.with_name(f"{source.name}.key")
    targets = [target, *([target.with_name(f"{target.name}.key")] if key_file else [])]
    for path in targets:
        if path.exists():
            raise CommandFailed(f"{path} exists; a backup overwrites nothing")
    try:
        _copy(source, target)
        if key_file is not None:
            _copy_key(key_file, targets[1])
    except (sqlite3.Error, OSError) as error:
        for path in targets:
            path.unlink(missing_ok=True)
        raise CommandFailed(f"no backup was made: {error}") from error
    say(f"copied to {' and '.join(str(path) for path in targets)}")
    return DONE


def _copy(source: Path, target: Path) -> None:
    """A consistent copy, marked as one, that only its owner reads."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as live:
        live.execute("VACUUM INTO ?", (str(target),))
    with closing(sqlite3.connect(target)) as copy, copy:
        copy.execute("UPDATE keyring SET copied_at = ?", (f"{utc_now():%Y-%m-%d %H:%M:%S.%f}",))
    with target.open("rb") as written:
        os.fsync(written.fileno())


def _copy_key(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    shutil.copyfile(source, target)


async def _restored() -> int:
    settings = load_settings()
    async with Database.connect(settings.database_url) as database:
        await _check(database)
        now = utc_now()
        async with database.write() as conn:
            seen = await workers.last_seen(conn)
            if seen is not None and now - seen < SILENT:
                raise CommandFailed(
                    "a gateway works with this database: stop all of them first, and wait half a minute"
                )
            await restores.claim_copy(conn)
            count = await restores.carry_on(conn, now, Author.of_command("restored"))
    say(f"{count} projects go on from this copy: start the gateway, which reads every calendar anew")
    return DONE


async def _check(database: Database) -> None:
    if database.path is not None and not database.path.exists():
        raise CommandFailed(f"{database.path} does not exist")
    if not await is_current(database):
        raise CommandFailed("the database is not at this version: run `calgate migrate` first")
