"""First syncs of calendars with 200 events: one listing, then events, their sources, the change log and the outbox.

Floor: the same answers over bare httpx clients, typed decode, the same rows built by hand, and executemany by the bare
driver into the same tables in one transaction a calendar. Both sides' tables are compared at the end.
"""

import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import bare
import databases
import gateway as stage
import httpx
import measure
import msgspec
from measure import Row, Spent, counted, spend
from provider import EVENTS, Provider, provider
from sqlalchemy import func, select
from uuid_utils.compat import uuid7

from service.flows.sync_calendar import Syncer
from service.providers.google.wire import PAGE_FIELDS
from service.store.database import Database
from service.store.tables import Table

HEADERS = {"authorization": f"Bearer ya29.{'x' * 200}", "accept-encoding": "gzip", "user-agent": "bare (gzip)"}
COMPARED: Final = {"events": "body", "changes": "body", "event_sources": "raw"}


class Person(msgspec.Struct, rename="camel", gc=False):
    email: str | None = None
    display_name: str | None = None
    self: bool = False
    organizer: bool = False
    optional: bool = False
    resource: bool = False
    response_status: str | None = None


class Moment(msgspec.Struct, rename="camel", gc=False):
    date_time: str
    time_zone: str | None = None


class Entry(msgspec.Struct, rename="camel", gc=False):
    entry_point_type: str
    uri: str


class Conference(msgspec.Struct, rename="camel", gc=False):
    entry_points: list[Entry]


class Item(msgspec.Struct, rename="camel", gc=False):
    """A row of Google's, as far as the prepared answers go."""

    id: str
    status: str
    ical_uid: str = msgspec.field(name="iCalUID")
    summary: str
    description: str
    location: str
    start: Moment
    end: Moment
    organizer: Person
    attendees: list[Person]
    event_type: str
    html_link: str
    conference_data: Conference


class Page(msgspec.Struct, rename="camel", gc=False):
    items: list[msgspec.Raw]
    next_sync_token: str


_page: Final = msgspec.json.Decoder(Page)
_item: Final = msgspec.json.Decoder(Item)
_encode: Final = msgspec.json.Encoder().encode

_EVENT_COLUMNS: Final = (
    "id, project_id, calendar_id, provider_event_id, series_id, ical_uid, organizer_email, attendee_emails, starts_at, "
    "ends_at, status, platform, is_meeting, is_long, response_status, rank, meeting_key, fingerprint, "
    "previous_fingerprint, flaps, body, version, created_at, updated_at, deleted_at"
)
_CHANGE_COLUMNS: Final = "project_id, seq, event_id, calendar_id, kind, at, body"


class Floor:
    """Builds the rows of one calendar as the bare driver wants them, and writes them."""

    def __init__(self, url: str, project_id: UUID) -> None:
        self._is_sqlite = url.startswith("sqlite")
        self._project = self._id(project_id)
        self._seq = 0
        self._sql = [
            self._insert("events", _EVENT_COLUMNS),
            self._insert("event_sources", "event_id, raw"),
            self._insert("changes", _CHANGE_COLUMNS),
            self._numbered("UPDATE projects SET seq = seq + ? WHERE id = ?"),
            self._numbered("UPDATE calendars SET cursor = ?, status = 'active', last_synced_at = ? WHERE id = ?"),
        ]

    def statements(self, group: Sequence[tuple[UUID, Page]]) -> list[bare.Statement]:
        found: list[bare.Statement] = []
        for calendar, page in group:
            now = datetime.now(UTC)
            rows = [self._rows(calendar, bytes(raw), now) for raw in page.items]
            events, sources, changes = (list(each) for each in zip(*rows, strict=True))
            mine = [(page.next_sync_token, self._time(now), self._id(calendar))]
            given = (events, sources, changes, [(len(rows), self._project)], mine)
            found.extend(zip(self._sql, given, strict=True))
        return found

    def _rows(self, calendar: UUID, raw: bytes, now: datetime) -> tuple[tuple[Any, ...], ...]:
        item, mine = _item.decode(raw), uuid7()
        starts_at = datetime.fromisoformat(item.start.date_time).astimezone(UTC)
        ends_at = datetime.fromisoformat(item.end.date_time).astimezone(UTC)
        event = _encode(_body(item, starts_at, ends_at))
        emails = "|".join(person.email or "" for person in item.attendees)
        self._seq += 1
        view = b'{"id":"%s","calendar_id":"%s",%s,"meeting_key":"%s","version":1,"created_at":"%s"}' % (
            str(mine).encode(),
            str(calendar).encode(),
            event[1:-1],
            item.ical_uid.encode(),
            now.isoformat().encode(),
        )
        told = b'{"event_id":"%s","kind":"created","cause":"initial","fields":{},"action":"schedule","event":%s}' % (
            str(mine).encode(),
            view,
        )
        identity, calendar_id, at = self._id(mine), self._id(calendar), self._time(now)
        row = (
            identity, self._project, calendar_id, item.id, None, item.ical_uid, item.organizer.email, f"|{emails}|",
            self._time(starts_at), self._time(ends_at), item.status, "google_meet", True, False, "accepted", 0,
            item.ical_uid, blake2b(event, digest_size=16).digest(), None, 0, event.decode(), 1, at, at, None,
        )  # fmt: skip
        change = (self._project, self._seq, identity, calendar_id, "created", at, told.decode())
        return row, (identity, zlib.compress(raw, 1)), change

    def _id(self, given: UUID) -> Any:
        return given.hex if self._is_sqlite else given

    def _time(self, moment: datetime) -> Any:
        return moment.isoformat(" ")[:26] if self._is_sqlite else moment

    def _insert(self, table: str, columns: str) -> str:
        marks = ", ".join("?" for _ in columns.split(","))
        return self._numbered(f"INSERT INTO {table} ({columns}) VALUES ({marks})")  # noqa: S608  (both are ours)

    def _numbered(self, sql: str) -> str:
        if self._is_sqlite:
            return sql
        parts = sql.split("?")
        return "".join(f"{part}${place}" for place, part in enumerate(parts[:-1], 1)) + parts[-1]


def _body(item: Item, starts_at: datetime, ends_at: datetime) -> dict[str, Any]:
    return {
        "provider_event_id": item.id,
        "ical_uid": item.ical_uid,
        "series_id": None,
        "original_starts_at": None,
        "is_exception": False,
        "title": item.summary,
        "description": item.description,
        "location": item.location,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "is_all_day": False,
        "start_date": None,
        "end_date": None,
        "time_zone": item.start.time_zone,
        "status": item.status,
        "visibility": "default",
        "is_busy": True,
        "organizer": {"email": item.organizer.email, "name": item.organizer.display_name, "self": item.organizer.self},
        "attendees": [
            {
                "email": person.email,
                "name": person.display_name,
                "response_status": person.response_status,
                "organizer": person.organizer,
                "self": person.self,
                "optional": person.optional,
                "resource": person.resource,
            }
            for person in item.attendees
        ],
        "response_status": "accepted",
        "event_type": item.event_type,
        "meeting": {
            "url": item.conference_data.entry_points[0].uri,
            "platform": "google_meet",
            "meeting_id": item.conference_data.entry_points[0].uri.rpartition("/")[2],
            "passcode": None,
            "found_in": "conferenceData",
            "hint": None,
        },
        "html_link": item.html_link,
    }


async def run_floor(url: str, server: Provider, project_id: UUID, ids: Sequence[UUID], warm: Sequence[UUID]) -> Spent:
    query = {"singleEvents": "true", "maxResults": "2500", "fields": PAGE_FIELDS, "prettyPrint": "false"}
    query |= {"timeMin": "2026-01-01T00:00:00Z", "timeMax": "2026-02-01T00:00:00Z"}
    floor = Floor(url, project_id)
    async with bare.open_store(url) as store, bare.open_clients() as clients:
        writer = bare.Writer(store, floor.statements, most=1)

        async def sync(client: httpx.AsyncClient, mine: UUID) -> None:
            address = f"{server.api_url}/calendars/{mine}%40example.com/events"
            answer = await client.get(address, params=query, headers=HEADERS)
            await writer.submit((mine, _page.decode(answer.content)))

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
    return found  # type: ignore[return-value]


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
