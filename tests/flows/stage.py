"""A gateway on a stage: the real flows over a real store, a fake provider in the same process, and a clock that is moved."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
from flows.casts import GOOGLE, Cast, GoogleCast, cast_of, kept
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core.announcements import Change
from service.core.event import EventView
from service.core.meeting_baas.notices import SIGNATURE_PREFIXES
from service.core.schedule import window_at
from service.flows import connect, meetings, project, push
from service.flows.gateway import Gateway
from service.flows.sent_keys import vouch_by
from service.flows.starting import Announcer
from service.flows.sync_calendar import Syncer
from service.providers.guarded_http import Slots
from service.providers.quotas import Quotas
from service.providers.registry import make_hands, make_logins, make_providers, make_push_readers
from service.providers.tokens import Tokens
from service.settings import Settings
from service.store import calendars, changes, connections, events
from service.store.cipher import Cipher
from service.store.connections import ConnectionTokens
from service.store.database import Database
from service.store.tables import Table
from service.store.wake import Wake
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld
from webhooks import endpoints, tables
from webhooks.delivery import Deliverer
from webhooks.local_desk import LocalDesk
from webhooks.settings import DeliverySettings


class Stage:
    """One gateway, one project, one world; `sync` runs everything that is due."""

    def __init__(self, gateway: Gateway, cast: Cast, project: UUID, clock: Any) -> None:
        self.gateway = gateway
        self.cast = cast
        self.world = cast.world
        self.project = project
        self.clock = clock
        self.syncer = Syncer(gateway)
        self.announcer = Announcer(gateway)
        self.storms = push.Storms()
        self.announced = 0

    async def connect(self, email: str = "ada@example.com", *, rotates: bool = False, **wish: Any) -> UUID:
        """Connect the primary calendar of an account, which is made when it is new."""
        credentials = self.world.connect(email)
        self.cast.rotate(email, rotates=rotates)
        calendar_id, _ = await self.post(credentials, **wish)
        return calendar_id

    async def patch(self, calendar_id: UUID, credentials: dict[str, str] | None = None, **patch: Any) -> None:
        if credentials is not None:
            patch["credentials"] = self.cast.credentials(credentials)
        await connect.change(self.gateway, self.project, calendar_id, connect.CalendarPatch(**patch))

    async def decide(self, **patch: Any) -> None:
        """Change what the project decides for its calendars."""
        await project.change(self.gateway, self.project, project.ProjectPatch(**patch))

    async def resync(self, calendar_id: UUID, *, full: bool = False) -> None:
        await connect.resync(self.gateway, self.project, calendar_id, full=full)

    async def resync_all(self, *, full: bool = False) -> int:
        return await connect.resync_all(self.gateway, self.project, full=full)

    async def remove(self, calendar_id: UUID) -> None:
        await connect.remove(self.gateway, self.project, calendar_id)

    async def quarantined(self, calendar_id: UUID) -> int:
        async with self.gateway.database.read() as conn:
            return await calendars.quarantined_count(conn, calendar_id)

    async def post(self, credentials: dict[str, str], **wish: Any) -> tuple[UUID, bool]:
        new = connect.NewCalendar(credentials=self.cast.credentials(credentials), **wish)
        row, created = await connect.add(self.gateway, self.project, new, uuid7())
        return row.id, created

    def let_google_talk_nonsense(self) -> None:
        """Answers are not judged any more."""
        assert isinstance(self.cast, GoogleCast)
        for judge in self.cast.judges:
            judge.judge_answers = False

    async def sync(self) -> int:
        """Run what is due now, and wait for it."""
        started = await self.syncer.run_due()
        await self.syncer.idle()
        return started

    async def sync_again(self, calendar_id: UUID) -> None:
        """Poll one calendar now."""
        async with self.gateway.database.write() as conn:
            await calendars.make_due(conn, calendar_id, self.clock(), "poll")
        assert await self.sync() >= 1

    async def announce(self) -> list[tuple[str, int]]:
        """Announce what starts; title and lead time of everything announced since this was last asked."""
        await self.announcer.run_due()
        told = [data for kind, data in await self.messages() if kind == "meeting.starting"]
        news, self.announced = told[self.announced :], len(told)
        return [(data["event"]["title"], data["lead_seconds"]) for data in news]

    async def renew_channels(self) -> int:
        """Open, follow up and close the push channels that are due."""
        return await push.renew_due(self.gateway)

    async def receive(self, headers: dict[str, str], channel: UUID | None = None) -> bool:
        """Take one notification of Google's, as the route does; by default on the path of the channel that it names."""
        lower = {name.lower(): value for name, value in headers.items()}
        path = channel or UUID(lower["x-goog-channel-id"])
        return await push.received(self.gateway, self.storms, "google", lower, channel_id=path)

    async def take(self, owed: Any) -> bool:
        """Take a delivery that the fake provider owes, as the route does."""
        headers, body, path = self.cast.request(owed)
        return await push.received(self.gateway, self.storms, self.cast.name, headers, body, channel_id=path)

    async def carry_pushes(self) -> list[bool]:
        """Hand over every delivery that the fake provider owes; which of them were taken."""
        return [await self.take(owed) for owed in self.world.take_pushes()]

    async def calendar(self, calendar_id: UUID) -> Any:
        async with self.gateway.database.read() as conn:
            return await calendars.one(conn, self.project, calendar_id)

    async def events(self, calendar_id: UUID, *, live: bool = True) -> list[EventView]:
        """The stored events of a calendar as users see them."""
        async with self.gateway.database.read() as conn:
            rows = await events.listed(conn, self.project, events.EventFilter(calendar_id=calendar_id), None, 10_000)
        shown = [msgspec.json.decode(events.view(row), type=EventView) for row in rows]
        return [event for event in shown if not live or event.status != "cancelled"]

    async def changes(self, after: int = 0) -> list[Change]:
        async with self.gateway.database.read() as conn:
            found = await changes.read(conn, self.project, after, 10_000, None)
        return [msgspec.json.decode(body, type=Change) for _, body in found]

    async def last_seq(self) -> int:
        async with self.gateway.database.read() as conn:
            return await changes.last_seq(conn, self.project)

    async def meetings(self, **query: Any) -> list[meetings.MeetingView]:
        now = self.clock()
        wanted = meetings.MeetingQuery(**{"from_": now, "until": now + timedelta(hours=24), **query})
        views, _ = await meetings.upcoming(self.gateway, self.project, wanted)
        return [msgspec.json.decode(view, type=meetings.MeetingView) for view in views]

    async def subscribe(self, *types: str) -> UUID:
        """An endpoint that gets these types (none named: the default); nothing is sent to it."""
        async with self.gateway.database.write() as conn:
            endpoint, _ = await endpoints.create(
                conn,
                self.gateway.cipher,
                self.project,
                endpoints.EndpointDraft(url="https://receiver.example.com/hook", event_types=list(types) or None),
                now=self.clock(),
            )
        return endpoint.id

    async def lock_accounts(self, conn: AsyncConnection, row: Any) -> None:
        """Hold the client and the connection of a calendar as somebody does who connects it again."""
        now = self.clock()
        client_id = await connections.put_client(
            conn,
            self.gateway.cipher,
            self.project,
            provider=row.provider,
            client_id=next(iter(self.world.clients)),
            tenant=self.cast.tenant,
            client_secret="again",
            now=now,
        )
        await connections.put_connection(
            conn,
            self.gateway.cipher,
            self.project,
            client_id,
            provider=row.provider,
            account=row.account,
            email=row.email,
            refresh_token="again",
            access_token="again",
            access_expires_at=now,
            now=now,
        )

    async def count(self, table: str) -> int:
        """How many rows a table of the store has."""
        async with self.gateway.database.read() as conn:
            query = select(func.count()).select_from(Table.metadata.tables[table])
            return (await conn.execute(query)).scalar_one()

    async def messages(self) -> list[tuple[str, Any]]:
        """Every message in the outbox: type and data, oldest first."""
        query = select(tables.messages.c.type, tables.messages.c.body).order_by(tables.messages.c.id)
        async with self.gateway.database.read() as conn:
            rows = (await conn.execute(query)).all()
        return [(row.type, msgspec.json.decode(row.body)["data"]) for row in rows]

    def truth(self, calendar: str, *, days: int = 30) -> dict[str, tuple[Any, ...]]:
        """What a perfect consumer would have of a calendar inside the window: id to (start, end, title, link)."""
        window = window_at(self.clock(), days)
        return {row["id"]: self.cast.seen(row) for row in self.cast.truth(calendar, window)}

    async def stored(self, calendar_id: UUID, *, days: int = 30) -> dict[str, tuple[Any, ...]]:
        """What the store has of it, in the same shape."""
        window = window_at(self.clock(), days)
        return {
            event.provider_event_id: kept(event)
            for event in await self.events(calendar_id)
            if window.overlaps(event.starts_at, event.ends_at)
        }


@asynccontextmanager
async def set_stage(
    database: Database,
    cipher: Cipher,
    clock: Any,
    project: UUID,
    world: World | MicrosoftWorld,
    *,
    judged: bool = True,
    draw: Callable[[], float] = lambda: 0.5,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """A stage for one provider; every request to the fake Google is judged by Google's discovery document."""
    cast = cast_of(world, judged=judged)

    def transport(*_: Any) -> httpx.AsyncBaseTransport:
        return cast.transport()

    providers = make_providers(**{"google_api_url": GOOGLE, "google_token_url": GOOGLE, **cast.urls}, clock=clock)
    slots, token_slots = (Slots(8, None, transport_factory=transport) for _ in range(2))
    tokens = Tokens(ConnectionTokens(database, cipher), providers, token_slots)
    # Sends what is asked for at the desk, and nothing by itself.
    hooks = Slots(4)
    bounds = DeliverySettings(prefixes=SIGNATURE_PREFIXES)
    postman = Deliverer(database, hooks, cipher, clock, bounds, jitter=draw, vouch=vouch_by(database))
    async with Wake(database) as wake:
        gateway = Gateway(
            settings=Settings(**{"public_url": "http://127.0.0.1:9", **settings}),
            database=database,
            cipher=cipher,
            providers=providers,
            push_readers=make_push_readers(),
            logins=make_logins(Settings()),
            **msgspec.structs.asdict(make_hands(providers)),
            tokens=tokens,
            slots=slots,
            guarded_slots=slots,
            quotas=Quotas(),
            wake=wake,
            clock=clock,
            draw=draw,
            desk=LocalDesk(database, cipher, postman, announce=wake.after),
        )
        stage = Stage(gateway, cast, project, clock)
        try:
            yield stage
        finally:
            stage.announcer.drain()
            await stage.syncer.drain(1)
            await tokens.drain()
            await postman.drain(1)
            await hooks.aclose()
            await slots.aclose()
            await token_slots.aclose()
