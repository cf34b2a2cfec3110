"""API keys from the command line: made, listed, revoked."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from service.commands.session import DONE, CommandFailed, load_settings, run, say, utc_now
from service.core.audit import Author
from service.store import api_keys, projects
from service.store.database import Database
from service.store.migrations import is_current, upgrade

HEADINGS = ("id", "project", "key", "scope", "created", "revoked")


def create(options: argparse.Namespace) -> int:
    """Print a new key, alone, so that it can be piped."""
    return run(_create(options))


def show(_options: argparse.Namespace) -> int:
    """Print every key but its secret."""
    return run(_show())


def revoke(options: argparse.Namespace) -> int:
    """Revoke a key by its id."""
    return run(_revoke(options))


async def _create(options: argparse.Namespace) -> int:
    name: str = options.project.strip()
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise CommandFailed("a project's name is 1 to 200 printable characters")
    async with _database(may_make=True) as database, database.write() as conn:
        by = Author.of_command("keys create")
        project_id = await projects.create_project(conn, name, utc_now(), by)
        key = await api_keys.create_key(conn, project_id, options.scope, utc_now(), by)
    say(key)
    return DONE


async def _show() -> int:
    async with _database() as database, database.read() as conn:
        keys = await api_keys.list_keys(conn)
    rows = [
        (str(key.id), key.project, f"{key.prefix}_…", key.scope, _day(key.created_at), _day(key.revoked_at))
        for key in keys
    ]
    widths = [max(len(row[column]) for row in (HEADINGS, *rows)) for column in range(len(HEADINGS))]
    for row in (HEADINGS, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return DONE


async def _revoke(options: argparse.Namespace) -> int:
    try:
        key_id = UUID(options.id)
    except ValueError:
        raise CommandFailed("a key's id is a UUID, as `calgate keys list` shows it") from None
    async with _database() as database, database.write() as conn:
        if not await api_keys.revoke(conn, key_id, utc_now(), Author.of_command("keys revoke")):
            raise CommandFailed(f"there is no key {key_id}")
    return DONE


@asynccontextmanager
async def _database(*, may_make: bool = False) -> AsyncIterator[Database]:
    """The database, at the version of this program; with `may_make` an empty one gets its tables."""
    url = load_settings().database_url
    async with Database.connect(url) as database:
        if may_make and await database.is_empty():
            await upgrade(url)
        if not await is_current(database):
            raise CommandFailed("the database is not at this version: run `calgate migrate` first")
        yield database


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""
