"""A publisher of ICS feeds on loopback, that does whatever publishers do, and the feeds that it publishes."""

from asyncio import StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from email.message import Message
from email.parser import HeaderParser
from ipaddress import ip_network
from typing import Any

from providers.loopback import Loopback, response, serve_script

from service.providers.addresses import Policy

LOOPBACK = Policy(allow_networks=(ip_network("127.0.0.0/8"),))
SECRET = "private-9f1c0ffee"
PATH = f"/{SECRET}/basic.ics"

Route = Callable[[Message], bytes]
"""Of a request's headers: the answer as it goes over the wire."""


class FeedServer:
    """One feed at PATH, whose `text` is given with `headers` and `status`; `validator` is its ETag, `routes` other paths.

    `asked` are path and headers of every request; `script`, while there is one, answers in the place of everything.
    """

    def __init__(self) -> None:
        self.text = feed()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.validator: str | None = None
        self.routes: dict[str, Route] = {}
        self.script: Callable[[StreamWriter], Any] | None = None
        self.asked: list[tuple[str, Message]] = []
        self.loopback: Loopback

    @property
    def url(self) -> str:
        return f"{self.loopback.url}{PATH}"

    @property
    def conditions(self) -> list[str | None]:
        """The ETags that the feed was asked with."""
        return [headers["if-none-match"] for _, headers in self.asked]

    def answer(self, path: str, headers: Message) -> bytes:
        if path in self.routes:
            return self.routes[path](headers)
        if path != PATH:
            return response(b"no such feed", 404)
        if self.validator is None:
            return response(self.text, self.status, **self.headers)
        if headers["if-none-match"] == self.validator:
            return response(b"", 304, etag=self.validator, **self.headers)
        return response(self.text, self.status, etag=self.validator, **self.headers)

    async def _converse(self, request: bytes, writer: StreamWriter) -> None:
        line, _, rest = request.decode().partition("\r\n")
        path, headers = line.split(" ")[1], HeaderParser().parsestr(rest)
        self.asked.append((path, headers))
        if self.script is not None:
            await self.script(writer)
        else:
            writer.write(self.answer(path, headers))


@asynccontextmanager
async def serve_feed() -> AsyncIterator[FeedServer]:
    server = FeedServer()
    async with serve_script(server._converse) as loopback:
        server.loopback = loopback
        yield server


def feed(*events: str, name: str = "Team", zone: str | None = "Europe/Paris", lines: tuple[str, ...] = ()) -> bytes:
    """A feed of these components, with more `lines` in its head."""
    head = [f"X-WR-CALNAME:{name}", *([f"X-WR-TIMEZONE:{zone}"] if zone else []), *lines]
    whole = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//publisher//EN", *head, *events, "END:VCALENDAR", ""]
    return "\r\n".join(whole).encode()


def event(uid: str | None, title: str, start: datetime | date, *lines: str, minutes: int = 60) -> str:
    """A VEVENT; a day is one of a day's length."""
    if isinstance(start, datetime):
        times = [f"DTSTART:{spelt(start)}", f"DTEND:{spelt(start + timedelta(minutes=minutes))}"]
    else:
        times = [f"DTSTART;VALUE=DATE:{start:%Y%m%d}"]
    named = [f"UID:{uid}"] if uid is not None else []
    return "\r\n".join(
        ["BEGIN:VEVENT", *named, "DTSTAMP:20260101T000000Z", *times, f"SUMMARY:{title}", *lines, "END:VEVENT"]
    )


def spelt(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
