"""The audit log from the command line: listed, and examined for tampering."""

import argparse
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import msgspec

from service.commands.session import DONE, CommandFailed, fail, load_settings, run, say
from service.core.audit import Entry, Head
from service.store import audit, projects
from service.store.audit import Wanted
from service.store.database import Database
from service.store.migrations import is_current

_HEAD: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


def show(options: argparse.Namespace) -> int:
    """Print the newest entries of a project's log."""
    return run(_show(options))


def verify(options: argparse.Namespace) -> int:
    """Say of every log where it ends, or where it is broken; 1 when one is."""
    return run(_verify(options))


async def _show(options: argparse.Namespace) -> int:
    async with _database() as database, database.read() as conn:
        project_id = await projects.find_project(conn, options.project)
        if project_id is None:
            raise CommandFailed(f"there is no project {options.project!r}")
        entries = await audit.page(conn, project_id, Wanted(), options.limit)
    for entry in entries:
        say(msgspec.json.encode(entry).decode() if options.json else _line(entry))
    return DONE


async def _verify(options: argparse.Namespace) -> int:
    noted = None if options.head is None else _noted(options.head)
    code = DONE
    async with _database() as database:
        async with database.read() as conn:
            found = await projects.every_project(conn)
        known = [row for row in found if options.project in {None, row.name}]
        if not known and options.project is not None:
            raise CommandFailed(f"there is no project {options.project!r}")
        if noted is not None and len(known) > 1:
            raise CommandFailed("--head is of one project: say which by --project")
        for row in known:
            code = max(code, await _examine(database, row.id, row.name, noted))
    return code


async def _examine(database: Database, project_id: UUID, name: str, noted: Head | None) -> int:
    # A snapshot for each, for a long one would keep a database from tidying up.
    async with database.read() as conn:
        head, broken = await audit.examine(conn, project_id, noted)
    if broken is not None:
        return fail(f"{name}: broken at {broken}: it is not there, or not as it was written")
    say(f"ok  {name}: {head.seq} entries, head {head}")
    return DONE


def _noted(text: str) -> Head:
    match = _HEAD.fullmatch(text.strip().lower())
    if match is None:
        raise CommandFailed("--head is what `calgate audit verify` has printed: SEQ:HASH")
    return Head(int(match[1]), match[2])


def _line(entry: Entry) -> str:
    said = [f"{name}={_text(detail)}" for name, detail in entry.details.items()]
    whence = entry.address or "-"
    who = f"{entry.actor.kind}:{entry.actor.id}"
    cells = [f"{entry.seq:>6}", f"{entry.at:%Y-%m-%dT%H:%M:%SZ}", f"{entry.action:<24}", entry.object.id, who, whence]
    # What others have named cannot move the cursor of a terminal.
    return "".join(sign if sign.isprintable() else "?" for sign in "  ".join([*cells, *said]))


def _text(detail: str | int | list[str]) -> str:
    return ",".join(detail) if isinstance(detail, list) else str(detail)


@asynccontextmanager
async def _database() -> AsyncIterator[Database]:
    async with Database.connect(load_settings().database_url) as database:
        if (database.path is not None and not database.path.exists()) or not await is_current(database):
            raise CommandFailed("the database is not at this version: run `calgate migrate` first")
        yield database
