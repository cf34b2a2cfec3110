"""Whether anything was lost: what the provider has, what the gateway stored, and what its receiver was told."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from office import Office, Seen
from recording_receiver import Arrival, Receiver
from sqlalchemy import select, update

from service.store.connection_tables import ConnectionRow
from service.store.database import Database
from service.store.tables import CalendarRow
from webhooks import tables

CALENDARS = CalendarRow.metadata.tables["calendars"]
CONNECTIONS = ConnectionRow.metadata.tables["connections"]
PAGE = 250


class Differences(NamedTuple):
    """How many changes nobody was told of, and events in which the store and the receiver's copy differ from Google."""

    untold: int
    store: int
    copy: int

    @property
    def lost(self) -> int:
        return sum(self)


class Held(NamedTuple):
    """What a gateway had in its hands when it died; `sent` is what came, of which it had not written that it did."""

    syncs: int
    deliveries: int
    sent: Counter[Arrival]


async def held(database_url: str, receiver: Receiver) -> Held:
    """What is leased now, by whomever."""
    deliveries, endpoints = tables.deliveries, tables.endpoints
    query = select(endpoints.c.url, deliveries.c.message_id).join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
    leased = query.where(deliveries.c.state == "pending", deliveries.c.lease.is_not(None))
    async with Database.connect(database_url) as database, database.read() as conn:
        syncs = (await conn.execute(select(CALENDARS.c.id).where(CALENDARS.c.lease.is_not(None)))).all()
        rows = [(urlsplit(url).path, str(message)) for url, message in await conn.execute(leased)]
    return Held(len(syncs), len(rows), Counter(row for row in rows if row in receiver.bodies))


async def let_leases_run_out(database_url: str) -> None:
    """As if half a minute had passed: what a dead process held is free. For gateways of which none is at work."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    async with Database.connect(database_url) as database, database.write() as conn:
        leased = CALENDARS.c.lease.is_not(None)
        await conn.execute(update(CALENDARS).where(leased).values(leased_until=past, due_at=past))
        await conn.execute(update(CONNECTIONS).values(refresh_leased_until=past))
        leased = tables.deliveries.c.lease.is_not(None)
        await conn.execute(update(tables.deliveries).where(leased).values(next_at=past))


async def until_equal(
    office: Office, http: httpx.AsyncClient, ids: Mapping[str, str], receiver: Receiver, seconds: float
) -> Differences:
    """Wait until nothing is missing anywhere, or nothing gets less for so long; what is missing then."""
    least, end = None, monotonic() + seconds
    while True:
        found = await differences(office, http, ids, receiver)
        if least is None or found.lost < least:
            least, end = found.lost, monotonic() + seconds
        if not found.lost or monotonic() > end:
            return found
        await asyncio.sleep(0.2)


async def differences(
    office: Office, http: httpx.AsyncClient, ids: Mapping[str, str], receiver: Receiver
) -> Differences:
    """What is missing now."""
    truth = office.truth()
    changes = receiver.told("event.")
    copy = _copy(changes)
    untold = set(range(1, await _last_seq(http) + 1)) - {change["seq"] for change in changes}
    stored = {email: await _stored(http, calendar_id) for email, calendar_id in ids.items()}
    return Differences(
        untold=len(untold),
        store=sum(_distance(truth[email], stored[email]) for email in ids),
        copy=sum(_distance(truth[email], copy.get(ids[email], {})) for email in ids),
    )


def _distance(one: Mapping[str, Seen], other: Mapping[str, Seen]) -> int:
    return sum(one.get(key) != other.get(key) for key in one.keys() | other.keys())


def _copy(changes: list[dict[str, Any]]) -> dict[str, dict[str, Seen]]:
    """What a consumer keeps that applies each change, by calendar."""
    kept: dict[str, dict[str, Seen]] = {}
    for change in sorted(changes, key=lambda each: each["seq"]):
        mine, event = kept.setdefault(change["calendar_id"], {}), change["event"]
        mine.pop(event["provider_event_id"], None)
        if event["status"] != "cancelled":
            mine[event["provider_event_id"]] = _seen(event)
    return kept


async def _stored(http: httpx.AsyncClient, calendar_id: str) -> dict[str, Seen]:
    asked: dict[str, Any] = {"limit": PAGE}
    found: dict[str, Seen] = {}
    while True:
        page = (await http.get(f"/calendars/{calendar_id}/events", params=asked)).raise_for_status().json()
        found |= {each["provider_event_id"]: _seen(each) for each in page["data"] if each["status"] != "cancelled"}
        if page["next_cursor"] is None:
            return found
        asked["cursor"] = page["next_cursor"]


async def _last_seq(http: httpx.AsyncClient) -> int:
    last = 0
    while True:
        page = (await http.get("/changes", params={"after": last, "limit": PAGE})).raise_for_status().json()
        last = page["last_seq"]
        if len(page["data"]) < PAGE:
            return last


def _seen(event: Mapping[str, Any]) -> Seen:
    return event["title"], datetime.fromisoformat(event["starts_at"])
