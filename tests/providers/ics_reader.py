"""What the tests of feeds share: a feed that is read as rounds do, each going on from the one before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from feed_server import LOOPBACK, FeedServer, event, feed, serve_feed
from forked_expander import ForkedExpander
from settable_clock import Clock

from service.core.schedule import Window
from service.core.sync import Listed, Page
from service.providers.guarded_http import Slots
from service.providers.ics.client import FEED, IcsFeed
from service.providers.protocol import Access, RawCalendar

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=1), NOW + timedelta(days=30))
STANDUP = event("standup", "Standup", NOW + timedelta(days=1))
WEEK = [event(f"day-{number}", f"Day {number}", NOW + timedelta(days=number)) for number in range(20)]
PAGE = b"<!DOCTYPE html>\n<html><body>Please sign in</body></html>"


class Reader:
    """Reads the feed of a server as rounds do, each going on from the one before."""

    def __init__(self, server: FeedServer, provider: IcsFeed, http: httpx.AsyncClient, clock: Clock) -> None:
        self.server = server
        self.provider = provider
        self.clock = clock
        self.http = http
        self.url = server.url
        self.token: str | None = None

    @property
    def access(self) -> Access:
        return Access(http=self.http, token=self.url, client_key="", user_key="")

    async def read(self, zone: str | None = "Europe/Paris") -> Page:
        pages = self.provider.pages(self.access, FEED, token=self.token, window=WINDOW, time_zone=zone)
        (page,) = [page async for page in pages]
        self.token = page.token
        return page

    async def calendar(self) -> RawCalendar:
        (found,) = await self.provider.calendars(self.access)
        return found

    async def stretch(self) -> list[str]:
        window = Window(WINDOW.end - timedelta(hours=1), WINDOW.end + timedelta(hours=3))
        listing = self.provider.stretch(self.access, FEED, window=window, time_zone="Europe/Paris")
        return [item.event.provider_event_id async for item in listing if isinstance(item, Listed)]


@asynccontextmanager
async def open_reader(**bounds: Any) -> AsyncIterator[Reader]:
    """A reader, and a publisher whose feed has one event; `bounds` are those of the process that reads."""
    clock = Clock(NOW)
    slots = Slots(1, LOOPBACK)
    async with ForkedExpander(size=1, **bounds) as expander, serve_feed() as server, slots.borrow() as http:
        server.text = feed(STANDUP)
        yield Reader(server, IcsFeed(expander, LOOPBACK, clock=clock), http, clock)
    await slots.aclose()


def titles(page: Page) -> list[str]:
    return sorted(item.event.title or "" for item in page.items if isinstance(item, Listed))


def ids(page: Page) -> list[str]:
    return sorted(item.event.provider_event_id for item in page.items if isinstance(item, Listed))
