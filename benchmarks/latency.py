"""From a provider's answer with news to the receiver's 200: 10,000 calendars, 167 syncs a second, 10 % of them changed.

The clock is the provider's and the receiver's, which are one process: it starts when the answer goes out and stops when
the webhook has come in. Product: the ticks, the syncer and the deliverer of `calgate serve`. Floor: the same answers
paced evenly, bare clients, rows built by hand, grouped commits by the bare driver, one signed POST, grouped marks.
"""

import asyncio
import hmac
import statistics
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import process_time
from typing import Any, Final, NamedTuple
from uuid import UUID

import bare
import databases
import gateway as stage
import httpx
import measure
import msgspec
from bare_google import HEADERS, PAGE, QUERY, read
from bare_rows import CHANGE_COLUMNS, EVENT_COLUMNS, Rows
from measure import Row
from provider import Provider, provider
from sqlalchemy import bindparam, select, update
from uuid_utils.compat import uuid7

from service.flows.gateway import Gateway
from service.jobs import Jobs, Workers, ticks_of_worker
from service.store.tables import Table

CALENDARS: Final = 10_000
RATE: Final = 167
CHANGE_EVERY: Final = 10
KEY: Final = b"k" * 32
_calendars: Final = Table.metadata.tables["calendars"]


class Seen(NamedTuple):
    """Delays in seconds, and the share of a core that it took."""

    delays: list[float]
    share: float

    def at(self, percent: int) -> float:
        """A percentile in milliseconds."""
        return statistics.quantiles(self.delays, n=100, method="inclusive")[percent - 1] * 1000


async def spread_due(gateway: Gateway, ids: Sequence[UUID]) -> None:
    """Let all calendars be due over the next minute, evenly."""
    now = stage.utc_now() + timedelta(seconds=0.5)
    step = timedelta(seconds=1 / RATE)
    rows = [{"which": mine, "at": now + place * step} for place, mine in enumerate(ids)]
    mine = _calendars.c.id == bindparam("which", type_=_calendars.c.id.type)
    statement = update(_calendars).where(mine).values(due_at=bindparam("at"))
    async with gateway.database.write() as conn:
        await conn.execute(statement, rows)


async def run_product(gateway: Gateway, server: Provider, ids: Sequence[UUID], seconds: float) -> Seen:
    """Let the gateway work for some seconds."""
    assert gateway.deliverer is not None
    await spread_due(gateway, ids)
    workers = Workers.of(gateway)
    jobs = Jobs(ticks_of_worker(gateway, workers, gateway.deliverer), gateway.wake.listen)
    jobs.start()
    await asyncio.sleep(1)  # every tick has run once
    server.tell(CHANGE_EVERY)
    cpu = process_time()
    await asyncio.sleep(seconds)
    share = (process_time() - cpu) / seconds
    await jobs.drain(5)
    await workers.drain(5)
    await asyncio.sleep(0.5)
    return Seen(server.tell().delays, share)


class News(NamedTuple):
    """A change on its way: its rows, the body to send, and the ids of what is sent."""

    rows: tuple[tuple[Any, ...], ...]
    body: bytes
    at: datetime
    message: UUID
    delivery: UUID


class Floor:
    """The same with bare parts."""

    def __init__(
        self, server: Provider, clients: Sequence[httpx.AsyncClient], store: bare.Store, rows: Rows, endpoint: UUID
    ) -> None:
        self._server = server
        self._free: asyncio.Queue[httpx.AsyncClient] = asyncio.Queue()
        for client in clients:
            self._free.put_nowait(client)
        self._rows = rows
        self._endpoint = rows.identity(endpoint)
        self._settled = bare.Writer(store, self._settle, most=500)
        self._marked = bare.Writer(store, self._mark, most=500)
        self._calendar = rows.numbered("UPDATE calendars SET cursor = ?, last_synced_at = ?, due_at = ? WHERE id = ?")
        self._number = rows.numbered("UPDATE projects SET seq = seq + ? WHERE id = ?")
        columns = {
            "events": EVENT_COLUMNS,
            "event_sources": "event_id, raw",
            "changes": CHANGE_COLUMNS,
            "webhook_messages": "id, project_id, type, calendar_id, body, at, created_at",
            "webhook_deliveries": "id, project_id, message_id, endpoint_id, state, attempts, schedule_start, next_at, rank",
        }
        self._inserts = [rows.insert(table, named) for table, named in columns.items()]
        self._delivered = rows.numbered("UPDATE webhook_deliveries SET state = 'delivered', attempts = 1 WHERE id = ?")
        self._attempt = rows.insert(
            "webhook_attempts", "id, project_id, delivery_id, number, at, duration_ms, status, answer"
        )

    async def sync(self, mine: UUID) -> None:
        client = await self._free.get()
        address = f"{self._server.api_url}/calendars/{mine}%40example.com/events"
        answer = await client.get(address, params={**QUERY, "syncToken": "token-0"}, headers=HEADERS)
        self._free.put_nowait(client)
        page = PAGE.decode(answer.content)
        news = self._news(mine, bytes(page.items[0])) if page.items else None
        await self._settled.submit((mine, page.next_sync_token, news))
        if news is not None:
            await self._deliver(news)
            await self._marked.submit(news)

    def _news(self, mine: UUID, raw: bytes) -> News:
        now = datetime.now(UTC)
        rows = self._rows.of(mine, read(raw), now)
        data = msgspec.Raw(rows[2][-1].encode())
        body = msgspec.json.encode({"type": "event.updated", "timestamp": now, "data": data})
        return News(rows, body, now, uuid7(), uuid7())

    async def _deliver(self, news: News) -> None:
        timestamp = str(int(datetime.now(UTC).timestamp()))
        signed = f"{news.message}.{timestamp}.".encode() + news.body
        signature = b64encode(hmac.digest(KEY, signed, sha256)).decode()
        headers = {"webhook-id": str(news.message), "webhook-timestamp": timestamp}
        headers |= {"webhook-signature": f"v1,{signature}", "content-type": "application/json"}
        client = await self._free.get()
        answer = await client.post(self._server.hook_url, content=news.body, headers=headers)
        assert answer.is_success
        self._free.put_nowait(client)

    def _settle(self, group: Sequence[tuple[UUID, str, News | None]]) -> list[bare.Statement]:
        rows, now = self._rows, datetime.now(UTC)
        at, due = rows.time(now), rows.time(stage.NEVER)
        found: list[bare.Statement] = [
            (self._calendar, [(token, at, due, rows.identity(mine)) for mine, token, _ in group])
        ]
        news = [each for *_, each in group if each is not None]
        if news:
            found.append((self._number, [(len(news), rows.project)]))
            found += zip(self._inserts, zip(*(self._told(each) for each in news), strict=True), strict=True)
        return found

    def _told(self, news: News) -> tuple[tuple[Any, ...], ...]:
        rows, at = self._rows, self._rows.time(news.at)
        message, delivery, calendar = rows.identity(news.message), rows.identity(news.delivery), news.rows[0][2]
        return (
            *news.rows,
            (message, rows.project, "event.updated", calendar, news.body, at, at),
            (delivery, rows.project, message, self._endpoint, "pending", 0, 0, at, 0),
        )

    def _mark(self, group: Sequence[News]) -> list[bare.Statement]:
        rows = self._rows
        ids = [rows.identity(news.delivery) for news in group]
        made = [
            (rows.identity(uuid7()), rows.project, delivery, 1, rows.time(news.at), 5, 200, "")
            for news, delivery in zip(group, ids, strict=True)
        ]
        return [(self._delivered, [(delivery,) for delivery in ids]), (self._attempt, made)]


class Populated(NamedTuple):
    """A database with a project of many calendars, and who subscribes to it."""

    url: str
    project: UUID
    endpoint: UUID
    ids: list[UUID]


async def populate(gateway: Gateway, url: str, server: Provider, count: int) -> Populated:
    ids = await stage.add_calendars(gateway, count, synced=True)
    async with gateway.database.read() as conn:
        project = (await conn.execute(select(Table.metadata.tables["projects"].c.id))).scalar_one()
    endpoint, _ = await stage.subscribe(gateway, project, server.hook_url, "event.*")
    return Populated(url, project, endpoint, ids)


async def run_floor(given: Populated, server: Provider, turn: int, seconds: float) -> Seen:
    """Sync evenly for some seconds; every turn others."""
    loop, count = asyncio.get_running_loop(), int(RATE * seconds)
    ids = given.ids[turn * count : (turn + 1) * count]
    rows = Rows(given.url, given.project, first_seq=turn * count)
    async with bare.open_store(given.url) as store, bare.open_clients(96) as clients:
        floor = Floor(server, clients, store, rows, given.endpoint)
        server.tell()
        await asyncio.gather(*(floor.sync(mine) for mine in ids[:64]))  # connections are made before
        server.tell(CHANGE_EVERY)
        cpu, began = process_time(), loop.time()
        running = []
        for place, mine in enumerate(ids):
            if (pause := began + place / RATE - loop.time()) > 0:
                await asyncio.sleep(pause)
            running.append(asyncio.create_task(floor.sync(mine)))
        await asyncio.gather(*running)
        return Seen(server.tell().delays, (process_time() - cpu) / seconds)


async def measure_database(
    kind: databases.Server, server: Provider, count: int, seconds: float, rounds: int
) -> AsyncIterator[Row]:
    products: list[Seen] = []
    floors: list[Seen] = []
    async with databases.fresh(kind) as url, databases.fresh(kind) as floor_url:
        async with stage.open_gateway(floor_url, server.api_url) as gateway:
            bare_side = await populate(gateway, floor_url, server, int(RATE * seconds * rounds))
        async with stage.open_gateway(url, server.api_url, deliver=True, poll_seconds=30) as gateway:
            side = await populate(gateway, url, server, count)
            await run_product(gateway, server, side.ids, seconds / 2)  # connections, tokens, statements
            for turn in range(rounds):
                products.append(await run_product(gateway, server, side.ids, seconds))
                floors.append(await run_floor(bare_side, server, turn, seconds))
    for percent in (50, 99):
        mine, bottom = (statistics.median(each.at(percent) for each in seen) for seen in (products, floors))
        yield Row(
            kind.name, f"news to 200, p{percent}, ms", f"{mine:.1f}", f"{bottom:.1f}", mine / bottom, 2, at_most=True
        )
    mine, bottom = (statistics.median(each.share for each in seen) for seen in (products, floors))
    yield Row(kind.name, "share of a core meanwhile", f"{mine:.0%}", f"{bottom:.0%}", mine / bottom)


async def main(given: measure.Options) -> AsyncIterator[Row]:
    count, seconds, rounds = (300, 0.7, 1) if given.quick else (CALENDARS, 3.0, measure.ROUNDS)
    with provider() as server:
        for name in given.databases:
            async with databases.server(name) as kind:
                async for row in measure_database(kind, server, count, seconds, rounds):
                    yield row


if __name__ == "__main__":
    measure.run(main, __doc__)
