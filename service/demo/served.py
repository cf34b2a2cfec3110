"""The demo's cast at Radicale, a real CalDAV server, which also gives out each of its calendars as an ICS feed."""

import asyncio
import importlib.util
import secrets
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx

from service.commands.listening import LOOPBACK
from service.commands.session import CommandFailed
from service.demo.cast import AHEAD, Cast, Person
from service.demo.processes import START_SECONDS, free_port, inherited, last_words, running
from service.demo.written import invitation, surprise, week

HOST: Final = "sales@customer.example"
PEOPLE: Final = ("ada@example.com", "grace@example.com")
PAUSE: Final = 0.05
CALENDAR_TEXT: Final = {"content-type": "text/calendar; charset=utf-8"}

RIGHTS: Final = """\
[root]
user: .+
collection:
permissions: R

[own]
user: .+
collection: {user}(/.*)?
permissions: RrWw

[feeds]
user: .*
collection: [^/]+/[^/]+
permissions: i
"""
"""To users the way to their own calendars, and everything there; to whoever knows a calendar's address, to get it whole and nothing else."""


class Shelf(NamedTuple):
    """Somebody's calendar on the server; a part of its address can only be known, not guessed."""

    email: str
    password: str
    url: str


@dataclass(kw_only=True)
class Served(Cast):
    """Writes into both calendars as calendar programs do that have received the host's mail."""

    http: httpx.AsyncClient
    shelves: tuple[Shelf, ...]
    sequence: int = 0

    async def add(self) -> None:
        await self._write((datetime.now(UTC) + AHEAD).replace(microsecond=0))

    async def move(self, starts_at: datetime) -> None:
        self.sequence += 1
        await self._write(starts_at)

    async def cancel(self) -> None:
        for shelf in self.shelves:
            await self._put(shelf, "DELETE", "kick-off.ics")

    def invitation(self) -> list[str]:
        shelf = self.shelves[0]
        text = surprise(datetime.now(UTC)).decode().replace("\r\n", "\\r\\n")
        login = f"-u {shelf.email}:{shelf.password}"
        put = f"curl -s {login} -X PUT -H 'Content-Type: text/calendar' {shelf.url}surprise.ics --data-binary $'{text}'"
        return [put, f"curl -s {login} {shelf.url}"]

    async def fill(self) -> None:
        """A week of meetings for each."""
        for number, shelf in enumerate(self.shelves):
            await self._put(shelf, "PUT", "", week(shelf.email, number, datetime.now(UTC)))

    async def _write(self, starts_at: datetime) -> None:
        answers = dict(zip(PEOPLE, ("ACCEPTED", "NEEDS-ACTION"), strict=True))
        text = invitation(starts_at, host=self.host, answers=answers, sequence=self.sequence)
        for shelf in self.shelves:
            await self._put(shelf, "PUT", "kick-off.ics", text)

    async def _put(self, shelf: Shelf, method: str, name: str, text: bytes | None = None) -> None:
        login = (shelf.email, shelf.password)
        try:
            answer = await self.http.request(
                method, f"{shelf.url}{name}", content=text, headers=CALENDAR_TEXT, auth=login
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise CommandFailed(f"Radicale did not take a {method}: {error}") from error


def caldav(folder: Path) -> AbstractAsyncContextManager[Served]:
    """Each person's calendar by address of the server, name and password."""
    return _served(
        folder,
        lambda url, shelf: {"server_url": url, "username": shelf.email, "password": shelf.password},
        provider="caldav",
        label="CalDAV",
        settings={"CALGATE_POLL_SECONDS": "1"},
        given="with the server's address, a user name and a password",
        hears="poll",
        how="CalDAV has no push: the gateway looks again, here every second or two (CALGATE_POLL_SECONDS)",
    )


def ics(folder: Path) -> AbstractAsyncContextManager[Served]:
    """Each person's calendar by the address under which it is published."""
    return _served(
        folder,
        lambda _url, shelf: {"url": shelf.url},
        provider="ics",
        label="feeds",
        settings={},
        given="by the secret address of its feed",
        hears="resync",
        how="a feed is read every five minutes at most; the demo does not wait, and asks after each change",
    )


@asynccontextmanager
async def _served(
    folder: Path, credentials: Callable[[str, Shelf], dict[str, str]], **more: Any
) -> AsyncIterator[Served]:
    async with _radicale(folder) as (url, shelves), httpx.AsyncClient(trust_env=False) as http:
        first, second = (Person(each.email, credentials(url, each)) for each in shelves)
        people = (first, second)
        cast = Served(kind="Radicale", url=url, people=people, host=HOST, http=http, shelves=shelves, **more)
        await cast.fill()
        yield cast


@asynccontextmanager
async def _radicale(folder: Path) -> AsyncIterator[tuple[str, tuple[Shelf, ...]]]:
    """Radicale as anybody would start it; raises CommandFailed where it is not installed.

    It is a program beside ours and no part of it: its licence is the GPL.
    """
    if importlib.util.find_spec("radicale") is None:
        raise CommandFailed(
            "this demo needs the CalDAV server Radicale, which calgate itself does not: pip install radicale"
        )
    port, log = free_port(), folder / "radicale.log"
    url = f"http://{LOOPBACK}:{port}"
    shelves = tuple(
        Shelf(email, secrets.token_hex(8), f"{url}/{quote(email)}/{secrets.token_hex(8)}/") for email in PEOPLE
    )
    users, rights = folder / "users", folder / "rights"
    users.write_text("".join(f"{each.email}:{each.password}\n" for each in shelves))
    rights.write_text(RIGHTS)
    options = {
        "--config": "",  # nobody's own
        "--server-hosts": f"{LOOPBACK}:{port}",
        "--auth-type": "htpasswd",
        "--auth-htpasswd-filename": str(users),
        "--auth-htpasswd-encryption": "plain",
        "--rights-type": "from_file",
        "--rights-file": str(rights),
        "--storage-filesystem-folder": str(folder / "collections"),
        "--logging-level": "warning",
    }
    arguments = [word for option in options.items() for word in option]
    async with running("-m", "radicale", *arguments, environment=inherited(), log=log) as process:
        if not await _listens(port, process):
            raise CommandFailed(f"Radicale did not start: {last_words(log)}")
        yield url, shelves


async def _listens(port: int, process: Process) -> bool:
    """Whether it does, once it does; False when it has ended, or is not quick enough."""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection(LOOPBACK, port)
                except OSError:
                    await asyncio.sleep(PAUSE)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return True
    return False
