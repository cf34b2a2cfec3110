"""calgate as it runs, put together without its HTTP API, and projects full of calendars for it."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final
from uuid import UUID

import measure
import msgspec
from accounts import GOOGLE, Kind
from sqlalchemy import insert, update
from uuid_utils.compat import uuid7

from service.core.sync import Cursor
from service.flows.gateway import Gateway
from service.flows.sync_calendar import Syncer
from service.providers.addresses import Policy
from service.providers.caldav.client import CaldavCalendar
from service.providers.guarded_http import Slots
from service.providers.microsoft.client import GRAPH_URL
from service.providers.quotas import Limit, Quotas
from service.providers.registry import make_providers, make_push_readers
from service.providers.tokens import Tokens
from service.providers.vevent.expansion import Expander
from service.settings import Settings
from service.store.cipher import Cipher, KeyRing, generate_key, place_of
from service.store.connections import ConnectionTokens
from service.store.database import Database
from service.store.projects import create_project
from service.store.tables import Table
from service.store.wake import Wake
from webhooks import endpoints
from webhooks.delivery import Deliverer
from webhooks.local_desk import LocalDesk
from webhooks.settings import DeliverySettings

CHUNK: Final = 2000
NEVER: Final = datetime(2100, 1, 1, tzinfo=UTC)
LOOPBACK: Final = Policy(allow_networks=(ip_network("127.0.0.0/8"),))
_tables: Final = Table.metadata.tables


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_gateway(
    url: str,
    api_url: str,
    *,
    graph_url: str = GRAPH_URL,
    deliver: bool = False,
    keys: str | None = None,
    **settings: Any,
) -> AsyncIterator[Gateway]:
    """A gateway over a migrated database, as `service.app` makes it, with Google at `api_url` and Microsoft at `graph_url`.

    `keys` are the secret keys; without them it makes its own, which open nothing that another gateway stored.
    """
    async with AsyncExitStack() as stack:
        given = Settings(database_url=url, **settings)
        database = await stack.enter_async_context(Database.connect(url))
        cipher = Cipher(KeyRing.parse(keys or generate_key()))
        wake = await stack.enter_async_context(Wake(database))
        providers = make_providers(
            google_api_url=api_url,
            google_token_url=f"{api_url}/token",
            microsoft_graph_url=graph_url,
            clock=utc_now,
            policy=LOOPBACK,
            expander=await stack.enter_async_context(Expander()),
        )
        slots, token_slots = Slots(given.sync_concurrency + 16), Slots(16)
        guarded_slots = Slots(given.sync_concurrency + 16, LOOPBACK)
        tokens = Tokens(ConnectionTokens(database, cipher), providers, token_slots)
        for each in (slots, guarded_slots, token_slots):
            stack.push_async_callback(each.aclose)
        deliverer = None
        if deliver:
            bounds = DeliverySettings(tick=30)
            clients = Slots(bounds.slots, LOOPBACK)
            stack.push_async_callback(clients.aclose)
            deliverer = Deliverer(database, clients, cipher, utc_now, bounds)
            stack.push_async_callback(deliverer.drain, 5)
        unbounded = Limit(10**9, 10**9)  # a quota would measure Google's patience
        yield Gateway(
            settings=given,
            database=database,
            cipher=cipher,
            providers=providers,
            push_readers=make_push_readers(),
            tokens=tokens,
            slots=slots,
            guarded_slots=guarded_slots,
            quotas=Quotas(unbounded, unbounded),
            wake=wake,
            clock=utc_now,
            draw=random.random,
            desk=LocalDesk(database, cipher, deliverer, announce=wake.after),
            deliverer=deliverer,
        )


async def add_calendars(
    gateway: Gateway, count: int, *, synced: bool, project: str = "benchmark", kind: Kind = GOOGLE
) -> list[UUID]:
    """Connected calendars of a project, each of an account of its own, none of them due; with `synced` they are active.

    Google's id of a calendar has the calendar's own id in it.
    """
    now = utc_now()
    async with gateway.database.write() as conn:
        project_id = await create_project(conn, project, now)
        client_id = uuid7()
        sealed = gateway.cipher.seal(b"secret", place_of(project_id, "oauth_clients", "client_secret", client_id))
        client = {
            "id": client_id,
            "project_id": project_id,
            "provider": kind.provider,
            "client_id": f"{project}.example.com",
        }
        client |= {"tenant": "", "client_secret": sealed, "rejection_announced": False}
        await conn.execute(insert(_tables["oauth_clients"]), client | {"created_at": now, "updated_at": now})
    added: list[UUID] = []
    for start in range(0, count, CHUNK):
        ids = [(uuid7(), uuid7()) for _ in range(min(CHUNK, count - start))]
        async with gateway.database.write() as conn:
            rows = [_connection(gateway, project_id, client_id, connection, now, kind) for connection, _ in ids]
            await conn.execute(insert(_tables["connections"]), rows)
            rows = [
                _calendar(project_id, client_id, (connection, mine), now, kind, synced=synced)
                for connection, mine in ids
            ]
            await conn.execute(insert(_tables["calendars"]), rows)
        added += [mine for _, mine in ids]
    return added


def _connection(
    gateway: Gateway, project_id: UUID, client_id: UUID, mine: UUID, now: datetime, kind: Kind
) -> dict[str, Any]:
    account = f"{mine}@example.com"

    def sealed(column: str) -> bytes:
        return gateway.cipher.seal(kind.secret(mine).encode(), place_of(project_id, "connections", column, mine))

    return {
        "id": mine,
        "project_id": project_id,
        "oauth_client_id": client_id,
        "provider": kind.provider,
        "account": account,
        "email": account,
        "refresh_token": sealed("refresh_token"),
        "access_token": sealed("access_token"),
        "access_expires_at": now + timedelta(hours=2),
        "token_version": 1,
        "created_at": now,
        "updated_at": now,
    }


def _calendar(
    project_id: UUID, client_id: UUID, ids: tuple[UUID, UUID], now: datetime, kind: Kind, *, synced: bool
) -> dict[str, Any]:
    connection, mine = ids
    status = "active" if synced else "syncing"
    cursor = Cursor(token=kind.token(connection, now), window_start=now, window_end=now + timedelta(days=30))
    return {
        "id": mine,
        "project_id": project_id,
        "connection_id": connection,
        "oauth_client_id": client_id,
        "provider": kind.provider,
        "account": f"{connection}@example.com",
        "raw_calendar_id": kind.raw_calendar_id(mine),
        "calendar_name": "Work",
        "email": f"{connection}@example.com",
        "time_zone": "Europe/Berlin" if synced else None,
        "is_primary": True,
        "metadata": {},
        "horizon_days": 30,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "status": status,
        "announced_status": status,
        "failures": 0,
        "throttles": 0,
        "cursor": msgspec.json.encode(cursor).decode() if synced else None,
        "last_synced_at": now if synced else None,
        "due_at": NEVER,
        "due_cause": "poll",
    }


async def make_due(gateway: Gateway, ids: Sequence[UUID], at: datetime) -> None:
    """Let these calendars be due at a moment."""
    calendars = _tables["calendars"]
    async with gateway.database.write() as conn:
        for start in range(0, len(ids), 500):
            chunk = calendars.c.id.in_(ids[start : start + 500])
            await conn.execute(update(calendars).where(chunk).values(due_at=at))


async def subscribe(gateway: Gateway, project_id: UUID, url: str, *types: str) -> tuple[UUID, str]:
    """An endpoint of a project: its id and its secret."""
    draft = endpoints.EndpointDraft(url=url, event_types=list(types) or None)
    async with gateway.database.write() as conn:
        endpoint, secret = await endpoints.create(conn, gateway.cipher, project_id, draft, now=utc_now())
    return endpoint.id, secret


async def sync_due(syncer: Syncer) -> int:
    """Sync everything that is due, and wait for it; how many that was."""
    started = await syncer.run_due()
    await syncer.idle()
    return started


def readers_cpu(gateway: Gateway) -> float:
    """Seconds of CPU of the processes that read calendars of strangers."""
    provider = gateway.providers["caldav"]
    assert isinstance(provider, CaldavCalendar)
    expander = provider.expander
    return measure.cpu_of(process.pid for process in (*expander._idle, *expander._busy))
