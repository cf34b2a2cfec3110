"""A calendar at Radicale with somebody who writes into it, with faults and other people in between."""

from asyncio import StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from forked_expander import ForkedExpander
from providers.loopback import response
from radicale_server import LOOPBACK, PASSWORD, USER, serve_radicale

from service.core.credentials import CaldavCredentials
from service.core.drafts import Draft, Patch
from service.core.schedule import Window
from service.core.sync import Listed
from service.providers.caldav.client import CaldavCalendar
from service.providers.caldav.writing import CaldavWriter
from service.providers.guarded_http import Slots
from service.providers.protocol import Access
from service.providers.writing import Place, Target

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=1), NOW + timedelta(days=60))
ZONE = "Europe/Paris"
FOLDER = f"/{USER}/work/"
KEY = "0f" * 16
AT = datetime(2026, 3, 10, 9, tzinfo=UTC)
LUNCH = Draft(title="Lunch", starts_at=AT, ends_at=AT + timedelta(hours=1), time_zone=ZONE)
WEEKLY = msgspec.structs.replace(LUNCH, recurrence=["RRULE:FREQ=WEEKLY;COUNT=6"])


class Desk:
    """A calendar at Radicale, its writer and its reader."""

    def __init__(self, server, expander, http) -> None:
        self.server = server
        self.place = Place(raw_calendar_id=server.add_calendar(FOLDER, "Work"), time_zone=ZONE)
        credentials = CaldavCredentials(server_url=server.url, username=USER, password=PASSWORD)
        self.access = Access(http=http, token=credentials.secret, client_key="c", user_key="u", email=USER)
        self.reader = CaldavCalendar(expander, LOOPBACK, clock=lambda: NOW)
        self.writer = CaldavWriter(expander, LOOPBACK, clock=lambda: NOW)

    async def rows(self) -> dict[str, Listed]:
        pages = self.reader.pages(
            self.access, self.place.raw_calendar_id, token=None, window=WINDOW, time_zone=self.place.time_zone
        )
        return {
            item.event.provider_event_id: item
            async for page in pages
            for item in page.items
            if isinstance(item, Listed)
        }

    async def create(self, draft: Draft = LUNCH, key: str = KEY):
        return await self.writer.create(self.access, self.place, draft, key=key)

    async def change(self, target: Target, *, strict: bool = False, **fields):
        return await self.writer.change(self.access, self.place, target, Patch(**fields), strict=strict)

    async def remove(self, target: Target, *, strict: bool = False) -> None:
        await self.writer.remove(self.access, self.place, target, notify=True, strict=strict)

    def text(self, path: str = f"{FOLDER}{KEY}.ics") -> str:
        status, _, body = self.server.call("GET", path)
        assert status == 200
        return body.decode().replace("\r\n ", "")

    def fail(self, method: str, status: int, *, after: bool, body: bytes = b"", times: int = 1, **headers: str) -> None:
        """The next requests of a method are answered so, carried out or not."""
        left = [times]

        def fault(asked: str, path: str, given: bytes, writer: StreamWriter) -> bool:
            if asked != method or not left[0]:
                return False
            left[0] -= 1
            if after:
                more = {"if_none_match": "*"} if method == "PUT" else {}
                self.server.call(method, path.replace("%40", "@"), given, content_type="text/calendar", **more)
            writer.write(response(body, status, **headers)) if status else writer.close()
            return True

        self.server.faults.append(fault)

    def meddle(self, path: str, old: str, new: str, times: int = 1) -> None:
        """Somebody else writes the event each time just before we do."""
        left = [times]

        def fault(asked: str, asked_path: str, given: bytes, writer: StreamWriter) -> bool:
            if asked in {"PUT", "DELETE"} and left[0]:
                left[0] -= 1
                text = self.server.call("GET", path)[2].decode()
                self.server.done("PUT", path, text.replace(old, f"{new}{left[0]}"), content_type="text/calendar")
            return False

        self.server.faults.append(fault)


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncIterator[Desk]:
    slots = Slots(1, LOOPBACK)
    async with ForkedExpander(size=1) as expander, serve_radicale(folder) as server, slots.borrow() as http:
        yield Desk(server, expander, http)
    await slots.aclose()


def slot(at: datetime) -> str:
    return f"{FOLDER}{KEY}.ics#{at:%Y%m%dT%H%M%SZ}"
