"""1,000 meetings that start at one moment: how late `meeting.starting` is committed and received, beside other work.

Every second meeting is on two calendars, and the database is used: 10,000 other events, and as many messages delivered. The
other work is that of latency.py: 10,000 calendars, 167 syncs a second, 10 % of them with news, each a webhook too.
Commits are timed in the product's process, receipts in the receiver's, both against the moment of the lead time. Floor: a
loop of 1,000 signed POSTs of the same bodies over bare httpx clients, begun at the moment; no database, no other work.
"""

import asyncio
import hmac
import statistics
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Final, NamedTuple
from unittest.mock import patch
from uuid import UUID, uuid4

import bare
import databases
import gateway as stage
import httpx
import latency
import measure
import msgspec
from delivery import news
from google_answers import event
from measure import Row
from provider import Provider, provider
from sqlalchemy import delete, select

from service.core.announcements import MeetingCopy, views
from service.core.decision import Upsert
from service.core.event import Attendee, Event, Meeting, Organizer, encode_event, fingerprint
from service.core.starting import announcement
from service.flows.gateway import Gateway
from service.jobs import Jobs, Workers, ticks_of_worker
from service.observability import METRICS
from service.store import events
from service.store.tables import Table
from webhooks import outbox
from webhooks.message import Notice

MEETINGS: Final = 1000
LEAD: Final = 600
WITHIN: Final = 6.0
"""Seconds after the moment for which the other work goes on; everything has to be received by then."""

USED: Final = 10_000
CHUNK: Final = 500
PLANNED: Final = "planned-"
CLIENTS: Final = 64
KEY: Final = b"k" * 32


class Late(NamedTuple):
    """By how many seconds each commit and each receipt came after its moment."""

    commits: list[float]
    receipts: list[float]


def at(percent: int, lateness: Sequence[float]) -> float:
    """A percentile in seconds."""
    return statistics.quantiles(lateness, n=100, method="inclusive")[percent - 1]


def meeting(number: int, starts_at: datetime, name: str) -> Event:
    """An event as it comes out of the provider's row: two kilobytes; copies of one meeting have one `name`."""
    row = event(number, starts_at)
    return Event(
        provider_event_id=name,
        ical_uid=f"{name}@google.com",
        title=row["summary"],
        description=row["description"],
        location=row["location"],
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=30),
        time_zone="Europe/Berlin",
        organizer=Organizer(email="owner@example.com", self=True),
        attendees=[
            Attendee(email=who["email"], name=who.get("displayName"), response_status=who["responseStatus"])
            for who in row["attendees"]
        ],
        response_status="accepted",
        meeting=Meeting(
            url=row["conferenceData"]["entryPoints"][0]["uri"], platform="google_meet", found_in="conferenceData"
        ),
        html_link=row["htmlLink"],
    )


def upsert(number: int, starts_at: datetime, name: str | None = None) -> Upsert:
    made = meeting(number, starts_at, name or f"{uuid4()}")
    body = encode_event(made)
    return Upsert(
        id=uuid4(),
        event=made,
        body=body,
        raw=None,
        fingerprint=fingerprint(body),
        previous_fingerprint=None,
        flaps=0,
        version=1,
        created_at=starts_at,
    )


async def plan(gateway: Gateway, project: UUID, ids: Sequence[UUID], starts_at: datetime, count: int) -> None:
    """So many meetings, each on a calendar of its own, and every second one on another, too."""
    now = stage.utc_now()
    calendars, rows = iter(ids), []
    for number in range(count):
        for calendar_id in islice(calendars, 2 - number % 2):
            one = [upsert(number, starts_at, f"{PLANNED}{starts_at:%H%M%S}-{number}")]
            rows += events.rows(one, views(one, calendar_id, now), project_id=project, calendar_id=calendar_id, now=now)
    async with gateway.database.write() as conn:
        await events.write(conn, rows, [])


async def use(gateway: Gateway, project: UUID, ids: Sequence[UUID], count: int) -> None:
    """Let there be so many events, none of which starts soon, and as many messages that were delivered."""
    now, deliverer = stage.utc_now(), gateway.deliverer
    assert deliverer is not None
    for start in range(0, count, CHUNK):
        rows, notices = [], []
        for number in range(start, start + CHUNK):
            calendar_id = ids[number % len(ids)]
            one = [upsert(number, now + timedelta(hours=1, minutes=number))]
            rows += events.rows(one, views(one, calendar_id, now), project_id=project, calendar_id=calendar_id, now=now)
            notices.append(Notice(project, "event.updated", news(now), now, calendar_id))
        async with gateway.database.write() as conn:
            await events.write(conn, rows, [])
            dispatches = await outbox.put(conn, notices, now=stage.utc_now(), lease=deliverer.lease())
        deliverer.submit(dispatches)
        while deliverer._held:  # noqa: ASYNC110  (it has no event for that)
            await asyncio.sleep(0.005)


async def forget_meetings(gateway: Gateway) -> None:
    planned = Table.metadata.tables["events"].c.provider_event_id.startswith(PLANNED)
    async with gateway.database.write() as conn:
        await conn.execute(delete(Table.metadata.tables["events"]).where(planned))


async def run_product(
    gateway: Gateway, server: Provider, project: UUID, ids: Sequence[UUID], count: int, warm: float
) -> Late:
    """The gateway at work, and in the middle of it the moment."""
    assert gateway.deliverer is not None
    await forget_meetings(gateway)
    moment = (stage.utc_now() + timedelta(seconds=warm + 1)).replace(microsecond=0)
    await plan(gateway, project, ids[-2 * count :], moment + timedelta(seconds=LEAD), count)
    await latency.spread_due(gateway, ids)
    workers, commits = Workers.of(gateway), list[float]()
    jobs = Jobs(ticks_of_worker(gateway, workers, gateway.deliverer), gateway.wake.listen)
    server.tell(latency.CHANGE_EVERY)
    with patch.object(METRICS, "announced", commits.append):
        jobs.start()
        await asyncio.sleep((moment - stage.utc_now()).total_seconds() + WITHIN)
        await jobs.drain(5)
        await workers.drain(5)
    await asyncio.sleep(0.5)
    told = server.tell()
    assert len(commits) == len(told.starts) == count, f"{len(commits)} committed, {len(told.starts)} received"
    assert told.changed, "there was no other work"
    assert min(told.starts) >= moment.timestamp(), "one came early"
    return Late(commits, [received - moment.timestamp() for received in told.starts])


async def run_floor(server: Provider, count: int) -> list[float]:
    """As many signed POSTs at a moment, and nothing else."""
    now = datetime.now(UTC)
    one = upsert(1, now)
    owner = uuid4()
    copy = MeetingCopy(
        event_id=one.id, calendar_id=owner, calendar_status="active", email="owner@example.com", response_status=None
    )
    said = announcement("key", now, LEAD, views([one], owner, now)[one.id], [copy])
    body = msgspec.json.encode({"type": "meeting.starting", "timestamp": now, "data": said})

    async def post(client: httpx.AsyncClient, name: UUID) -> None:
        timestamp = str(int(datetime.now(UTC).timestamp()))
        signature = b64encode(hmac.digest(KEY, f"{name}.{timestamp}.".encode() + body, sha256)).decode()
        headers = {"webhook-id": str(name), "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
        answer = await client.post(server.hook_url, content=body, headers=headers)
        assert answer.is_success

    names = [uuid4() for _ in range(count)]
    async with bare.open_clients(CLIENTS) as clients:
        await bare.for_each(clients, names[:CLIENTS], post)
        server.tell()
        moment = datetime.now(UTC).timestamp()
        await bare.for_each(clients, names, post)
    return [received - moment for received in server.tell().starts]


async def measure_database(
    kind: databases.Server, server: Provider, calendars: int, count: int, warm: float, rounds: int, used: int
) -> AsyncIterator[Row]:
    products: list[Late] = []
    floors: list[list[float]] = []
    async with (
        databases.fresh(kind) as url,
        stage.open_gateway(url, server.api_url, deliver=True, poll_seconds=30) as gateway,
    ):
        ids = await stage.add_calendars(gateway, calendars, synced=True)
        async with gateway.database.read() as conn:
            project = (await conn.execute(select(Table.metadata.tables["projects"].c.id))).scalar_one()
        await stage.subscribe(gateway, project, server.hook_url, "event.*", "meeting.starting")
        await use(gateway, project, ids, used)
        for _ in range(rounds):
            products.append(await run_product(gateway, server, project, ids, count, warm))
            floors.append(await run_floor(server, count))
    for what, chosen, target in (
        ("commit", [each.commits for each in products], 1.0),
        ("receipt", [each.receipts for each in products], 3.0),
    ):
        for percent in (50, 99):
            mine = statistics.median(at(percent, lateness) for lateness in chosen)
            bottom = statistics.median(at(percent, lateness) for lateness in floors)
            floor = f"{bottom:.2f}" if what == "receipt" else ""
            wanted = target if percent == 99 else None
            yield Row(kind.name, f"late at the {what}, p{percent}, s", f"{mine:.2f}", floor, mine, wanted, at_most=True)


async def main(given: measure.Options) -> AsyncIterator[Row]:
    calendars, count, warm, rounds, used = (
        (600, 200, 1.0, 1, 2 * CHUNK) if given.quick else (latency.CALENDARS, MEETINGS, 3.0, measure.ROUNDS, USED)
    )
    with provider() as server:
        for name in given.databases:
            async with databases.server(name) as kind:
                async for row in measure_database(kind, server, calendars, count, warm, rounds, used):
                    yield row


if __name__ == "__main__":
    measure.run(main, __doc__)
