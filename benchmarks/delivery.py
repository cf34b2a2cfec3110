"""Webhooks per second of CPU, durable: message and delivery rows, signature, POST, attempt row, delivery settled.

Floor: a loop of signed POSTs of the same bodies over bare httpx clients, and no database at all.
"""

import asyncio
import hmac
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

import bare
import databases
import gateway as stage
import httpx
import measure
import msgspec
from google_answers import event
from measure import Row, Spent, counted, spend
from provider import Provider, provider
from sqlalchemy import func, select

from service.flows.gateway import Gateway
from service.store.projects import create_project
from webhooks import outbox
from webhooks.message import Notice
from webhooks.tables import deliveries

PROJECTS: Final = 64
GROUP: Final = 64
CLIENTS: Final = 64


def news(now: datetime) -> msgspec.Raw:
    """The data of an `event.*` webhook: two kilobytes."""
    return msgspec.Raw(msgspec.json.encode({"event_id": str(uuid4()), "kind": "updated", "event": event(1, now)}))


async def run_floor(server: Provider, count: int) -> Spent:
    key = b"k" * 32
    now = datetime.now(UTC)
    body = msgspec.json.encode({"type": "event.updated", "timestamp": now, "data": news(now)})
    headers = {"content-type": "application/json", "user-agent": "bare"}

    async def post(client: httpx.AsyncClient, name: UUID) -> None:
        timestamp = str(int(datetime.now(UTC).timestamp()))
        signature = b64encode(hmac.digest(key, f"{name}.{timestamp}.".encode() + body, sha256)).decode()
        mine = {"webhook-id": str(name), "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
        answer = await client.post(server.hook_url, content=body, headers=headers | mine)
        assert answer.is_success

    names = [uuid4() for _ in range(count)]
    async with bare.open_clients(CLIENTS) as clients:
        await bare.for_each(clients, names[:CLIENTS], post)
        return await spend(partial(bare.for_each, clients, names, post))


async def deliver(gateway: Gateway, projects: Sequence[UUID], count: int) -> None:
    """Announce so many pieces of news, each to the one endpoint of its project, and wait until all are history."""
    assert gateway.deliverer is not None
    now = stage.utc_now()
    data = news(now)
    for start in range(0, count, GROUP):
        notices = [
            Notice(projects[place % PROJECTS], "event.updated", data, now)
            for place in range(start, min(start + GROUP, count))
        ]
        async with gateway.database.write() as conn:
            dispatches = await outbox.put(conn, notices, now=stage.utc_now(), lease=gateway.deliverer.lease())
        gateway.deliverer.submit(dispatches)
        # As the settling of syncs would: no faster than the webhooks leave.
        while len(gateway.deliverer._held) > 2 * GROUP:  # noqa: ASYNC110  (it has no event for that)
            await asyncio.sleep(0.001)
    while gateway.deliverer._held:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def measure_database(kind: databases.Server, server: Provider, count: int, rounds: int) -> AsyncIterator[Row]:
    async with databases.fresh(kind) as url, stage.open_gateway(url, server.api_url, deliver=True) as gateway:
        projects = []
        for number in range(PROJECTS):
            async with gateway.database.write() as conn:
                projects.append(await create_project(conn, f"project {number}", stage.utc_now()))
            await stage.subscribe(gateway, projects[-1], server.hook_url, "event.*")
        statements: list[float] = []

        async def run_product() -> Spent:
            server.tell()
            with counted() as seen:
                spent = await spend(partial(deliver, gateway, projects, count))
            statements.append(seen.count / count)
            assert server.tell().hooks == count
            return spent

        await deliver(gateway, projects, 2 * GROUP)
        product, floor = await measure.interleave(rounds, run_product, partial(run_floor, server, count))
        async with gateway.database.read() as conn:
            query = select(func.count()).where(deliveries.c.state == "delivered")
            assert (await conn.execute(query)).scalar_one() == rounds * count + 2 * GROUP
    yield Row(
        kind.name,
        "durable deliveries per CPU-second",
        f"{count / product.cpu:,.0f}",
        f"{count / floor.cpu:,.0f}",
        floor.cpu / product.cpu,
        0.5,
    )
    yield Row(kind.name, "SQL statements a delivery, shared", f"{sum(statements) / len(statements):.2f}", "")


async def main(given: measure.Options) -> AsyncIterator[Row]:
    count, rounds = (256, 1) if given.quick else (2048, measure.ROUNDS)
    with provider() as server:
        for name in given.databases:
            async with databases.server(name) as kind:
                async for row in measure_database(kind, server, count, rounds):
                    yield row


if __name__ == "__main__":
    measure.run(main, __doc__)
