"""A gateway on a stage over a publisher of feeds: real sockets, real processes that read, and a clock that is moved."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from feed_server import LOOPBACK, FeedServer, serve_feed
from flows.stage import Stage
from forked_expander import ForkedExpander
from uuid_utils.compat import uuid7

from service.core.credentials import IcsCredentials
from service.flows import connect
from service.flows.gateway import Gateway
from service.providers.guarded_http import Slots
from service.providers.quotas import Quotas
from service.providers.registry import make_providers, make_push_readers
from service.providers.tokens import Tokens
from service.settings import Settings
from service.store.cipher import Cipher
from service.store.connections import ConnectionTokens
from service.store.database import Database
from service.store.wake import Wake
from webhooks.local_desk import LocalDesk

URLS = {"google_api_url": "http://google.test", "google_token_url": "http://google.test"}


class FeedStage(Stage):
    """A gateway, and the feed that it reads."""

    server: FeedServer

    async def add(self, url: str | None = None, **wish: Any) -> UUID:
        new = connect.NewCalendar(credentials=IcsCredentials(url=url or self.server.url), **wish)
        row, _ = await connect.add(self.gateway, self.project, new, uuid7())
        return row.id

    async def titles(self, calendar_id: UUID) -> list[str]:
        return sorted(event.title or "" for event in await self.events(calendar_id))

    async def told(self) -> list[tuple[str, str]]:
        """Type and title of everything announced of events."""
        return [(kind, data["event"]["title"]) for kind, data in await self.messages() if kind.startswith("event.")]

    async def status(self, calendar_id: UUID) -> tuple[str, str | None]:
        row = await self.calendar(calendar_id)
        return row.status, row.error_code

    async def pass_time(self, calendar_id: UUID) -> None:
        """Go on to when the calendar is due, and sync what is."""
        row = await self.calendar(calendar_id)
        self.clock.advance(max((row.due_at - self.clock()).total_seconds(), 0))
        assert await self.sync() == 1


@asynccontextmanager
async def set_feed_stage(
    database: Database, cipher: Cipher, clock: Any, project: UUID, **bounds: Any
) -> AsyncIterator[FeedStage]:
    """`bounds` are those of the processes that read."""
    slots, token_slots = Slots(4, LOOPBACK), Slots(2)
    async with serve_feed() as server, ForkedExpander(**bounds) as expander, Wake(database) as wake:
        providers = make_providers(**URLS, clock=clock, policy=LOOPBACK, expander=expander)
        tokens = Tokens(ConnectionTokens(database, cipher), providers, token_slots)
        gateway = Gateway(
            settings=Settings(public_url="http://127.0.0.1:9"),
            database=database,
            cipher=cipher,
            providers=providers,
            push_readers=make_push_readers(),
            tokens=tokens,
            slots=token_slots,
            guarded_slots=slots,
            quotas=Quotas(),
            wake=wake,
            clock=clock,
            draw=lambda: 0.5,
            desk=LocalDesk(database, cipher, None, announce=wake.after),
        )
        stage = FeedStage(gateway, SimpleNamespace(world=None, name="ics"), project, clock)
        stage.server = server
        try:
            yield stage
        finally:
            await stage.syncer.drain(1)
            await tokens.drain()
            await slots.aclose()
            await token_slots.aclose()
