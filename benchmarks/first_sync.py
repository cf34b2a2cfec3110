"""First syncs of calendars with 200 events: one listing, then events, their sources, the change log and the outbox.

Floor: the same calls over bare httpx clients, typed decode (of iCalendar: the library, in processes as many as ours), the
same rows built by hand, and executemany by the bare driver into the same tables in one transaction a calendar. Both
sides' tables are compared at the end.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

import accounts
import bare
import databases
import gateway as stage
import httpx
import measure
from bare_rows import Rows
from google_answers import EVENTS
from measure import Row, Spent, counted, spend
from provider import Provider, provider
from sqlalchemy import func, select

from service.flows.gateway import Gateway
from service.flows.sync_calendar import Syncer
from service.store.database import Database
from service.store.tables import Table

CALLS: Final = {"google": 1, "microsoft": 1, "caldav": 4, "ics": 1}
"""CalDAV: the collection's properties, the names of its resources, and these in two chunks."""
SLOW: Final = frozenset({"caldav", "ics"})
"""The floor's library reads a thousand events a second: fewer calendars are enough to see that."""

COMPARED: Final = {"events": "body", "changes": "body", "event_sources": "raw"}


async def run_floor(
    url: str, floor: accounts.Floor, project_id: UUID, ids: Sequence[UUID], warm: Sequence[UUID]
) -> Spent:
    rows = Rows(url, project_id)
    async with bare.open_store(url) as store, bare.open_clients() as clients:
        writer = bare.Writer(store, rows.first_sync, most=1)

        async def sync(client: httpx.AsyncClient, mine: UUID) -> None:
            await writer.submit((mine, await floor.listing(client, mine)))

        await bare.for_each(clients, warm, sync)
        return await spend(partial(bare.for_each, clients, ids, sync), lambda: floor.cpu)


async def volume(url: str, calendars: Sequence[UUID]) -> dict[str, tuple[int, int]]:
    """How many rows of these calendars each table has, and how much text."""
    found = {}
    async with Database.connect(url) as database, database.read() as conn:
        for name, column in COMPARED.items():
            table = Table.metadata.tables[name]
            query = select(func.count(), func.sum(func.length(table.c[column])))
            if name == "event_sources":
                events = Table.metadata.tables["events"]
                query = query.join(events, events.c.id == table.c.event_id).where(events.c.calendar_id.in_(calendars))
            else:
                query = query.where(table.c.calendar_id.in_(calendars))
            found[name] = tuple((await conn.execute(query)).one())
    return found


async def measure_database(
    kind: databases.Server, server: Provider, name: str, floor: accounts.Floor, count: int, rounds: int
) -> AsyncIterator[Row]:
    """One provider on one database."""
    statements: list[float] = []
    calls: list[float] = []
    account, warm_up = accounts.kind_of(name, server), 4 if name in SLOW else 32

    async def run_product() -> Spent:
        async with databases.fresh(kind) as url, open_gateway(url, server) as gateway:
            ids = await stage.add_calendars(gateway, count + warm_up, synced=False, kind=account)
            syncer = Syncer(gateway)
            past = stage.utc_now() - timedelta(seconds=1)
            await stage.make_due(gateway, ids[:warm_up], past)
            await stage.sync_due(syncer)
            await stage.make_due(gateway, ids[warm_up:], past)

            async def sync_all() -> None:
                assert await stage.sync_due(syncer) == count

            server.tell()
            with counted() as seen:
                spent = await spend(sync_all, lambda: stage.readers_cpu(gateway))
            statements.append(seen.count / count)
            calls.append(server.tell().calls / count)
            written.append(await volume(url, ids[warm_up : warm_up + 5]))
            await syncer.drain(1)
            return spent

    async def bare_round() -> Spent:
        async with databases.fresh(kind) as url:
            async with open_gateway(url, server) as gateway:
                ids = await stage.add_calendars(gateway, count + warm_up, synced=False, kind=account)
                async with gateway.database.read() as conn:
                    project_id = (await conn.execute(select(Table.metadata.tables["projects"].c.id))).scalar_one()
            spent = await run_floor(url, floor, project_id, ids[warm_up:], ids[:warm_up])
            written.append(await volume(url, ids[warm_up : warm_up + 5]))
            return spent

    written: list[dict[str, tuple[int, int]]] = []
    product, bottom = await measure.interleave(rounds, run_product, bare_round)
    check(written)
    events, said = count * EVENTS, accounts.NAMES[name]
    sql, asked = (sum(each) / len(each) for each in (statements, calls))
    yield _row(kind.name, f"{said}: first sync, events/s", events, product.wall, bottom.wall, 0.6)
    yield _row(kind.name, "the same per CPU-second", events, product.cpu, bottom.cpu)
    yield Row(kind.name, "SQL statements a calendar", f"{sql:.2f}", "", sql, 6, at_most=True)
    most = CALLS[name]
    yield Row(kind.name, "provider calls a calendar", f"{asked:.2f}", "", asked, most, at_most=True)


def _row(database: str, what: str, events: int, seconds: float, floor: float, target: float | None = None) -> Row:
    return Row(database, what, f"{events / seconds:,.0f}", f"{events / floor:,.0f}", floor / seconds, target)


def open_gateway(url: str, server: Provider) -> AbstractAsyncContextManager[Gateway]:
    """A gateway whose providers are the prepared ones."""
    return stage.open_gateway(url, server.api_url, graph_url=server.graph_url)


def check(written: Sequence[dict[str, tuple[int, int]]]) -> None:
    """Both sides have written as many rows, and as much text but for some bytes."""
    for name in COMPARED:
        rows = {each[name][0] for each in written}
        sizes = [each[name][1] for each in written]
        assert len(rows) == 1, (name, rows)
        assert max(sizes) < 1.15 * min(sizes), (name, sizes)


async def main(given: measure.Options) -> AsyncIterator[Row]:
    count, rounds = (20, 1) if given.quick else (40, measure.ROUNDS)
    with provider() as server:
        for database in given.databases:
            async with databases.server(database) as kind:
                for name in given.providers:
                    async with accounts.floor_of(name, server) as floor:
                        most = count // 4 if name in SLOW else count
                        async for row in measure_database(kind, server, name, floor, most, rounds):
                            yield row


if __name__ == "__main__":
    measure.run(main, __doc__, providers=accounts.PROVIDERS)
