"""First syncs of calendars with 200 events: one listing, then events, their sources, the change log and the outbox.

Floor: the same answers over bare httpx clients, typed decode, the same rows built by hand, and executemany by the bare
driver into the same tables in one transaction a calendar. Both sides' tables are compared at the end.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

import bare
import databases
import gateway as stage
import httpx
import measure
from bare_rows import PAGE, Rows
from measure import Row, Spent, counted, spend
from provider import EVENTS, Provider, provider
from sqlalchemy import func, select

from service.flows.sync_calendar import Syncer
from service.providers.google.wire import PAGE_FIELDS
from service.store.database import Database
from service.store.tables import Table

HEADERS = {"authorization": f"Bearer ya29.{'x' * 200}", "accept-encoding": "gzip", "user-agent": "bare (gzip)"}
COMPARED: Final = {"events": "body", "changes": "body", "event_sources": "raw"}


async def run_floor(url: str, server: Provider, project_id: UUID, ids: Sequence[UUID], warm: Sequence[UUID]) -> Spent:
    query = {"singleEvents": "true", "maxResults": "2500", "fields": PAGE_FIELDS, "prettyPrint": "false"}
    query |= {"timeMin": "2026-01-01T00:00:00Z", "timeMax": "2026-02-01T00:00:00Z"}
    rows = Rows(url, project_id)
    async with bare.open_store(url) as store, bare.open_clients() as clients:
        writer = bare.Writer(store, rows.first_sync, most=1)

        async def sync(client: httpx.AsyncClient, mine: UUID) -> None:
            address = f"{server.api_url}/calendars/{mine}%40example.com/events"
            answer = await client.get(address, params=query, headers=HEADERS)
            await writer.submit((mine, PAGE.decode(answer.content)))

        await bare.for_each(clients, warm, sync)
        return await spend(partial(bare.for_each, clients, ids, sync))


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


async def measure_database(kind: databases.Server, server: Provider, count: int, rounds: int) -> AsyncIterator[Row]:
    statements: list[float] = []
    warm_up = 32

    async def run_product() -> Spent:
        async with databases.fresh(kind) as url, stage.open_gateway(url, server.api_url) as gateway:
            ids = await stage.add_calendars(gateway, count + warm_up, synced=False)
            syncer = Syncer(gateway)
            past = stage.utc_now() - timedelta(seconds=1)
            await stage.make_due(gateway, ids[:warm_up], past)
            await stage.sync_due(syncer)
            await stage.make_due(gateway, ids[warm_up:], past)

            async def sync_all() -> None:
                assert await stage.sync_due(syncer) == count

            with counted() as seen:
                spent = await spend(sync_all)
            statements.append(seen.count / count)
            written.append(await volume(url, ids[warm_up : warm_up + 10]))
            await syncer.drain(1)
            return spent

    async def bare_round() -> Spent:
        async with databases.fresh(kind) as url:
            async with stage.open_gateway(url, server.api_url) as gateway:
                ids = await stage.add_calendars(gateway, count + warm_up, synced=False)
                async with gateway.database.read() as conn:
                    project_id = (await conn.execute(select(Table.metadata.tables["projects"].c.id))).scalar_one()
            spent = await run_floor(url, server, project_id, ids[warm_up:], ids[:warm_up])
            written.append(await volume(url, ids[warm_up : warm_up + 10]))
            return spent

    written: list[dict[str, tuple[int, int]]] = []
    product, floor = await measure.interleave(rounds, run_product, bare_round)
    check(written)
    sql = sum(statements) / len(statements)
    events = count * EVENTS
    yield Row(
        kind.name,
        "first sync, events/s",
        f"{events / product.wall:,.0f}",
        f"{events / floor.wall:,.0f}",
        floor.wall / product.wall,
        0.6,
    )
    yield Row(
        kind.name,
        "the same per CPU-second",
        f"{events / product.cpu:,.0f}",
        f"{events / floor.cpu:,.0f}",
        floor.cpu / product.cpu,
    )
    yield Row(kind.name, "SQL statements a calendar", f"{sql:.2f}", "", sql, 6, at_most=True)


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
        for name in given.databases:
            async with databases.server(name) as kind:
                async for row in measure_database(kind, server, count, rounds):
                    yield row


if __name__ == "__main__":
    measure.run(main, __doc__)
