"""Calendars in which nothing changed, per second of CPU: claim, one call with a sync token or an etag, one row settled.

Floor: the same answers over bare httpx clients, typed decode, one row each written in groups by the bare driver.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import accounts
import bare
import databases
import gateway as stage
import httpx
import measure
from measure import Row, Spent, counted, spend
from provider import Provider, provider

from service.flows.sync_calendar import Syncer

_SQLITE = "UPDATE calendars SET cursor = ?, last_synced_at = ?, due_at = ?, lease = NULL WHERE id = ?"
_POSTGRESQL = "UPDATE calendars SET cursor = $1, last_synced_at = $2, due_at = $3, lease = NULL WHERE id = $4"


def statements(is_sqlite: bool, group: Sequence[tuple[UUID, str]]) -> list[bare.Statement]:
    """One update of one row for each calendar."""
    now = datetime.now(UTC)
    due = now + timedelta(minutes=5)
    if is_sqlite:
        times = [f"{moment:%Y-%m-%d %H:%M:%S.%f}" for moment in (now, due)]
        return [(_SQLITE, [(token, *times, mine.hex) for mine, token in group])]
    return [(_POSTGRESQL, [(token, now, due, mine) for mine, token in group])]


async def run_floor(url: str, floor: accounts.Floor, ids: Sequence[UUID]) -> Spent:
    async with bare.open_store(url) as store, bare.open_clients() as clients:
        writer = bare.Writer(store, partial(statements, url.startswith("sqlite")), most=500)

        async def sync(client: httpx.AsyncClient, mine: UUID) -> None:
            await writer.submit((mine, await floor.unchanged(client, mine)))

        await bare.for_each(clients, ids[: len(clients)], sync)  # connections and statements are made before
        return await spend(partial(bare.for_each, clients, ids, sync))


async def compare(
    url: str,
    run_bare: Callable[[], Awaitable[Spent]],
    server: Provider,
    account: accounts.Kind,
    count: int,
    rounds: int,
) -> tuple[Spent, Spent, float, float]:
    """Product and floor, each on its own database, and the product's statements and calls for a calendar."""
    async with stage.open_gateway(url, server.api_url, graph_url=server.graph_url) as gateway:
        ids = await stage.add_calendars(gateway, count, synced=True, kind=account)
        syncer = Syncer(gateway)
        counts: list[tuple[int, int]] = []

        async def sync_all() -> None:
            assert await stage.sync_due(syncer) == count

        async def run_product() -> Spent:
            await stage.make_due(gateway, ids, stage.utc_now() - timedelta(seconds=1))
            server.tell()
            with counted() as seen:
                spent = await spend(sync_all)
            counts.append((seen.count, server.tell().calls))
            return spent

        await run_product()  # access tokens are in memory, connections open, statements compiled
        counts.clear()
        product, floor = await measure.interleave(rounds, run_product, run_bare)
        await syncer.drain(1)
    sql, calls = (sum(each[place] for each in counts) / len(counts) / count for place in (0, 1))
    return product, floor, sql, calls


async def measure_database(
    kind: databases.Server, server: Provider, name: str, count: int, rounds: int
) -> AsyncIterator[Row]:
    """One provider on one database."""
    account = accounts.kind_of(name, server)
    async with (
        databases.fresh(kind) as url,
        databases.fresh(kind) as bare_url,
        accounts.floor_of(name, server) as floor,
    ):
        async with stage.open_gateway(bare_url, server.api_url) as gateway:
            bare_ids = await stage.add_calendars(gateway, count, synced=True, kind=account)
        run_bare = partial(run_floor, bare_url, floor, bare_ids)
        product, bottom, sql, calls = await compare(url, run_bare, server, account, count, rounds)
    yield Row(
        kind.name,
        f"{accounts.NAMES[name]}: unchanged calendars per CPU-second",
        f"{count / product.cpu:,.0f}",
        f"{count / bottom.cpu:,.0f}",
        bottom.cpu / product.cpu,
        0.6,
    )
    yield Row(kind.name, "SQL statements a calendar, shared", f"{sql:.2f}", "", sql, 2, at_most=True)
    yield Row(kind.name, "provider calls a calendar", f"{calls:.2f}", "", calls, 1, at_most=True)


async def main(given: measure.Options) -> AsyncIterator[Row]:
    count, rounds = (200, 1) if given.quick else (1000, measure.ROUNDS)
    with provider() as server:
        for database in given.databases:
            async with databases.server(database) as kind:
                for name in given.providers:
                    async for row in measure_database(kind, server, name, count, rounds):
                        yield row


if __name__ == "__main__":
    measure.run(main, __doc__, providers=accounts.PROVIDERS)
