"""`calgate import meeting-baas`: which calendars a Meeting BaaS account has, and which of them have yet to be connected here.

The vendor hands out no credentials, so this reads lists and writes nothing: what is missing has to be posted again.
"""

import argparse
import sys
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.commands.session import DONE, CommandFailed, load_settings, run, say
from service.store import calendars, projects
from service.store.calendars import CalendarFilter
from service.store.database import Database
from service.store.migrations import is_current

T = TypeVar("T")

SECONDS: Final = 30.0
MOST_PAGES: Final = 1000
PAGE: Final = 250
MOST_BYTES: Final = 16 * 1024 * 1024
HEADINGS: Final = ("calendar there", "provider", "account", "status there", "here")


class Theirs(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar of the vendor's: `raw_calendar_id` is known of v1's lists only."""

    calendar_id: str
    provider: str
    email: str
    status: str | None = None
    raw_calendar_id: str | None = None


class Found(Theirs, frozen=True, kw_only=True):
    """The same beside our own: the ids of this project's calendars of that account, and what is left to do."""

    connected_as: list[str]
    to_do: str | None


class _V2Calendar(msgspec.Struct):
    calendar_id: str
    calendar_platform: str = ""
    account_email: str = ""
    status: str | None = None


class _V2Page(msgspec.Struct):
    data: list[_V2Calendar]
    cursor: str | None = None


class _V1Calendar(msgspec.Struct):
    uuid: str
    email: str = ""
    google_id: str | None = None


def meeting_baas(options: argparse.Namespace) -> int:
    """List the calendars of a Meeting BaaS account and say which credentials are to be posted here."""
    return run(_import(options))


async def _import(options: argparse.Namespace) -> int:
    key = sys.stdin.readline().strip() if options.api_key == "-" else options.api_key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise CommandFailed("--api-key is the key of your Meeting BaaS account, or - to read it from standard input")
    theirs = await _list_theirs(options.url, key)
    found = await _beside_ours(theirs, options.project)
    if options.json:
        for calendar in found:
            say(msgspec.json.encode(calendar).decode())
        return DONE
    _show(found, options.project)
    return DONE


async def _list_theirs(url: str, key: str) -> list[Theirs]:
    """Every calendar of v2's list, and those that only v1's has."""
    try:
        base = httpx.URL(url.rstrip("/"))
    except httpx.InvalidURL:
        base = httpx.URL("")
    if base.scheme not in {"http", "https"} or not base.host:
        raise CommandFailed("--url is an http(s) address")
    known: dict[str, Theirs] = {}
    async with httpx.AsyncClient(timeout=SECONDS, headers={"x-meeting-baas-api-key": key}) as client:
        # Accounts may have one of the two, and the other one refuses them.
        refusals = [refusal for read in (_read_v2, _read_v1) if (refusal := await _tried(read(client, base, known)))]
    if len(refusals) == 2:
        raise refusals[0]
    return list(known.values())


async def _tried(reading: Coroutine[Any, Any, None]) -> CommandFailed | None:
    try:
        await reading
    except CommandFailed as refusal:
        return refusal
    return None


async def _read_v2(client: httpx.AsyncClient, base: httpx.URL, known: dict[str, Theirs]) -> None:
    query = {"limit": str(PAGE)}
    for _ in range(MOST_PAGES):
        page = await _get(client, f"{base}/v2/calendars", query, _V2Page)
        known |= {each.calendar_id: _from_v2(each) for each in page.data}
        if page.cursor is None or page.cursor == query.get("cursor"):
            break
        query["cursor"] = page.cursor


async def _read_v1(client: httpx.AsyncClient, base: httpx.URL, known: dict[str, Theirs]) -> None:
    for old in await _get(client, f"{base}/calendars/", {}, list[_V1Calendar]):
        known[old.uuid] = _with_v1(known.get(old.uuid), old)


async def _get(client: httpx.AsyncClient, url: str, query: dict[str, str], shape: type[T]) -> T:
    """What is at an address of the vendor's. Raises CommandFailed, which names neither key nor answer."""
    what = httpx.URL(url).copy_with(query=None)
    try:
        async with client.stream("GET", url, params=query) as response:
            if response.status_code in {401, 403}:
                raise CommandFailed(
                    f"{what} refuses the API key ({response.status_code}): copy it again from the dashboard"
                )
            if response.status_code != 200:
                raise CommandFailed(f"{what} answered {response.status_code}: try again later, or check --url")
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise CommandFailed(f"{what} answered with more than {MOST_BYTES} bytes: check --url")
        return msgspec.json.decode(content, type=shape)
    except httpx.HTTPError as error:
        raise CommandFailed(f"{what} cannot be read ({type(error).__name__}): check --url and the network") from None
    except msgspec.DecodeError:
        raise CommandFailed(f"{what} did not answer with a list of calendars: check --url") from None


def _from_v2(calendar: _V2Calendar) -> Theirs:
    return Theirs(
        calendar_id=calendar.calendar_id,
        provider=calendar.calendar_platform.lower(),
        email=calendar.account_email,
        status=calendar.status,
    )


def _with_v1(known: Theirs | None, old: _V1Calendar) -> Theirs:
    """What both lists say of one calendar; v1 does not say whose it is, and its Google ids look like addresses."""
    if known is not None:
        return msgspec.structs.replace(known, raw_calendar_id=old.google_id)
    return Theirs(calendar_id=old.uuid, provider="", email=old.email, raw_calendar_id=old.google_id)


async def _beside_ours(theirs: Iterable[Theirs], project: str) -> list[Found]:
    async with Database.connect(load_settings().database_url) as database:
        if not await is_current(database):
            raise CommandFailed("the database is not at this version: run `calgate migrate` first")
        async with database.read() as conn:
            project_id = await projects.find_project(conn, project)
            if project_id is None:
                raise CommandFailed(
                    f"there is no project {project}: `calgate keys create --project {project}` makes it"
                )
            ours = await _ours(conn, project_id)
    return [_found(calendar, ours) for calendar in theirs]


async def _ours(conn: AsyncConnection, project_id: UUID) -> list[Any]:
    ours: list[Any] = []
    while True:
        after = ours[-1].id if ours else None
        page = await calendars.listed(conn, project_id, CalendarFilter(), after=after, limit=PAGE)
        ours += page
        if len(page) < PAGE:
            return ours


def _found(calendar: Theirs, ours: Iterable[Any]) -> Found:
    mine = [
        str(row.id)
        for row in ours
        if (row.email or "").casefold() == calendar.email.casefold()
        and calendar.provider in {"", row.provider}
        and calendar.raw_calendar_id in {None, row.raw_calendar_id}
    ]
    names = "client_id, client_secret and refresh_token"
    to_do = None if mine else f"POST /calendars with the {names} that Meeting BaaS was given for {calendar.email}"
    return Found(**msgspec.structs.asdict(calendar), connected_as=mine, to_do=to_do)


def _show(found: list[Found], project: str) -> None:
    rows = [
        (
            each.calendar_id,
            each.provider or "?",
            each.email,
            each.status or "",
            ", ".join(each.connected_as) or "missing",
        )
        for each in found
    ]
    widths = [max(len(row[column]) for row in (HEADINGS, *rows)) for column in range(len(HEADINGS))]
    for row in (HEADINGS, *rows):
        say("  ".join(_plain(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    missing = [each for each in found if each.to_do]
    say("")
    say(f"{len(found)} calendars at Meeting BaaS, {len(found) - len(missing)} of them connected in project {project}.")
    if missing:
        say("Meeting BaaS tells nobody's credentials, so post these again (client_id, client_secret, refresh_token):")
        for email, provider in sorted({(each.email, each.provider) for each in missing}):
            say(f"  {_plain(email)}  ({provider or 'google or microsoft'})")


def _plain(text: str) -> str:
    """Text of somebody else's that cannot move the cursor of a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
