"""Pushes: what forged ones start, what ten thousand genuine ones for one calendar start, and how soon they are answered.

The real process, connected to calendars of a simulated Google and a simulated Microsoft that have opened their channels.
Forged: without a token, with a wrong one, with another channel's, through a channel that has ended, through one that never
was; and Microsoft's items by ten, of which one has the wrong clientState. How often a calendar was read says the provider.
Floor: a bare ASGI application that answers 204, under the same load: 8 connections, each the next as soon as it is answered.
"""

import asyncio
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID, uuid4

import databases
import journeys  # noqa: F401  (before what it leads to)
import measure
import msgspec
import push_load
from gateway_process import GatewayProcess
from killing import client, until_watched
from measure import Options, Row
from office import Office
from push_load import Answered, request
from sqlalchemy import update

from service.store.cipher import generate_key
from service.store.database import Database
from service.store.tables import Table
from simulator.google.pushes import Channel
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld
from simulator.server import serve

CALENDARS: Final = 10
VALID: Final = 10_000
QUIET: Final = 4.5
"""Seconds after a storm in which the read at its end has come."""


class Stage:
    """A gateway whose calendars at both providers are watched."""

    def __init__(self, gateway: GatewayProcess, url: str, google: World, microsoft: MicrosoftWorld) -> None:
        self.gateway = gateway
        self.url = url
        self.google = google
        self.microsoft = microsoft

    def channels(self) -> list[Channel]:
        """Google's, one of each calendar."""
        return [watching[-1] for watching in self.google.watchers.values() if watching]

    def reads(self) -> Counter[str]:
        """How often each account's calendar was listed since this was last asked."""
        counted: Counter[str] = Counter()
        for world in (self.google, self.microsoft):
            found = [
                call for call in world.calls if call.endpoint.startswith("events.list") or "delta" in call.endpoint
            ]
            counted.update(str(call.account) for call in found)
            world.calls.clear()
        return counted

    async def until_idle(self) -> None:
        """Wait until nobody has been read for a while."""
        idle = False
        self.reads()
        while not idle:
            await asyncio.sleep(QUIET)
            idle = not self.reads()

    async def post(self, requests: Iterable[bytes]) -> tuple[Answered, Counter[str]]:
        """What was answered, and who was read until it was over."""
        answered = await push_load.post(self.gateway.port, requests)
        await asyncio.sleep(QUIET)
        return answered, self.reads()


def google_headers(channel: Channel, number: int = 2, **other: str | None) -> dict[str, str]:
    told = {
        "X-Goog-Channel-ID": channel.id,
        "X-Goog-Channel-Token": channel.token,
        "X-Goog-Resource-ID": channel.resource_id,
        "X-Goog-Resource-State": "exists",
        "X-Goog-Message-Number": str(number),
    }
    told |= {name.replace("_", "-"): value for name, value in other.items()}
    return {name: value for name, value in told.items() if value is not None}


def forgeries(stage: Stage, ended: Channel) -> dict[str, Callable[[Channel], bytes]]:
    """Each kind, made for a channel."""
    others = {
        channel.id: another for channel, another in zip(stage.channels(), reversed(stage.channels()), strict=True)
    }
    base = stage.gateway.url

    def unknown(channel: Channel) -> bytes:
        name = str(uuid4())
        return request(f"{base}/push/google/{name}", google_headers(channel, X_Goog_Channel_ID=name))

    return {
        "no token": lambda channel: request(channel.address, google_headers(channel, X_Goog_Channel_Token=None)),
        "wrong token": lambda channel: request(channel.address, google_headers(channel, X_Goog_Channel_Token="x" * 43)),
        "another channel's token": lambda channel: request(
            channel.address, google_headers(channel, X_Goog_Channel_Token=others[channel.id].token)
        ),
        "a channel that has ended": lambda _: request(ended.address, google_headers(ended)),
        "a channel that never was": unknown,
    }


def items(stage: Stage, wrong: str) -> list[dict[str, Any]]:
    """An item for each subscription of Microsoft's; that of one account has a clientState that was guessed."""
    found = []
    for email, subscriptions in stage.microsoft.subscriptions.items():
        (each,) = subscriptions.values()
        state = str(each.client_state)
        if email == wrong:
            state = f"{state.partition(':')[0]}:{'x' * 43}"
        found.append({"subscriptionId": each.id, "clientState": state, "changeType": "updated", "resource": "x"})
    return found


async def end_channel(stage: Stage, channel: Channel) -> None:
    """As if it had been opened a month ago and never followed by another."""
    table = Table.metadata.tables["channels"]
    async with Database.connect(stage.url) as database, database.write() as conn:
        past = datetime.now(UTC) - timedelta(hours=1)
        await conn.execute(update(table).where(table.c.id == UUID(channel.id)).values(expires_at=past))


async def connect(stage: Stage, office: Office, people: Sequence[str]) -> None:
    async with client(stage.gateway) as http:
        bodies = [office.credentials(email) for email in office.emails]
        for email in people:
            given = stage.microsoft.connect(email)
            wanted = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
            bodies.append({"provider": "microsoft", **wanted})
        ids = []
        for body in bodies:
            answer = await http.post("/calendars", json=body)
            assert answer.status_code == 201, answer.text
            ids.append(answer.json()["id"])
        await until_watched(http, ids)


def p99(answered: Answered) -> float:
    """In milliseconds."""
    return statistics.quantiles(answered.took, n=100, method="inclusive")[98] * 1000


async def measure_forged(name: str, stage: Stage, count: int) -> AsyncIterator[Row]:
    ended = stage.channels()[0]
    await end_channel(stage, ended)
    requests, channels = [], stage.channels()
    for forge in forgeries(stage, ended).values():
        requests += [forge(channels[place % CALENDARS]) for place in range(count)]
    answered, reads = await stage.post(requests)
    assert answered.statuses == {404: len(requests)}, answered.statuses
    started, sent = reads.total(), len(requests)
    text = f"{started} of {sent:,}"
    yield Row(name, "Google: forged pushes that started a sync", text, "", started, 0, at_most=True)


async def measure_microsoft(name: str, stage: Stage, people: Sequence[str], count: int) -> AsyncIterator[Row]:
    body = msgspec.json.encode({"value": items(stage, wrong=people[0])})
    address = f"{stage.gateway.url}/push/microsoft"
    answered, reads = await stage.post(
        [request(address, {"Content-Type": "application/json"}, body)] * (count // CALENDARS)
    )
    assert set(answered.statuses) == {202}, answered.statuses
    forged, most = reads.pop(people[0], 0), max(reads.values(), default=0)
    assert len(reads) == CALENDARS - 1, "the other nine were to be read"
    text = f"{forged} of {count // CALENDARS:,}, one in ten"
    yield Row(name, "Microsoft: forged items that started a sync", text, "", forged, 0, at_most=True)
    text = f"{most} for {count // CALENDARS:,} each"
    yield Row(name, "Microsoft: syncs of a calendar that many items were for", text, "", most, 2, at_most=True)


async def measure_storm(name: str, stage: Stage, count: int) -> AsyncIterator[Row]:
    channel = stage.channels()[-1]
    requests = [request(channel.address, google_headers(channel, number)) for number in range(2, count + 2)]
    with push_load.floor() as port:
        before = await push_load.post(port, requests)
        answered, reads = await stage.post(requests)
        after = await push_load.post(port, requests)
    assert answered.statuses == {204: count}, answered.statuses
    text = f"{reads.total()} for {count:,} in {answered.seconds:.1f} s"
    yield Row(name, "Google: syncs for pushes of one calendar", text, "", reads.total(), 2, at_most=True)
    mine, floor = p99(answered), min(p99(before), p99(after))
    yield Row(name, "answer to a push, p99, ms", f"{mine:.1f}", f"{floor:.1f}", mine, 50, at_most=True)
    yield Row(name, "the same, times the floor's", f"{mine / floor:.1f}", "1", mine / floor)


async def measure_database(kind: databases.Server, given: Options) -> AsyncIterator[Row]:
    google, microsoft = World(seed=3), MicrosoftWorld(seed=3)
    office = Office(google, [f"user{number}@example.com" for number in range(CALENDARS)], Random(3))
    people = [f"person{number}@contoso.example" for number in range(CALENDARS)]
    with TemporaryDirectory(prefix="calgate-pushes-") as folder:
        async with databases.fresh(kind) as url, serve(google, microsoft=microsoft) as there:
            addresses = {"MICROSOFT_GRAPH_URL": f"{there}/v1.0", "MICROSOFT_LOGIN_URL": there}
            gateway = GatewayProcess.beside(there, Path(folder), url, SECRET_KEYS=generate_key(), **addresses)
            try:
                await gateway.start()
                stage = Stage(gateway, url, google, microsoft)
                await connect(stage, office, people)
                await stage.until_idle()
                count = given.count // 10
                for rows in (
                    measure_forged(kind.name, stage, count),
                    measure_microsoft(kind.name, stage, people, given.count),
                    measure_storm(kind.name, stage, given.count),
                ):
                    async for row in rows:
                        yield row
            finally:
                await gateway.kill()


async def main(given: Options) -> AsyncIterator[Row]:
    for name in given.databases:
        async with databases.server(name) as kind:
            async for row in measure_database(kind, given):
                yield row


if __name__ == "__main__":
    measure.run(main, __doc__, count=measure.Count("pushes", VALID, quick=1000))
