"""Rows as the bare drivers take them, built by hand from Google's JSON: what calgate stores, without calgate."""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import bare
import msgspec
from uuid_utils.compat import uuid7


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


PAGE: Final = msgspec.json.Decoder(Page)
_item: Final = msgspec.json.Decoder(Item)
_encode: Final = msgspec.json.Encoder().encode

EVENT_COLUMNS: Final = (
    "id, project_id, calendar_id, provider_event_id, series_id, ical_uid, organizer_email, attendee_emails, starts_at, "
    "ends_at, status, platform, is_meeting, is_long, response_status, rank, meeting_key, announce_at, "
    "fingerprint, previous_fingerprint, flaps, body, version, created_at, updated_at, deleted_at"
)
LEAD: Final = timedelta(minutes=10)
CHANGE_COLUMNS: Final = "project_id, seq, event_id, calendar_id, kind, at, body"


class Rows:
    """The rows of one project as the driver of its database wants them."""

    def __init__(self, url: str, project_id: UUID, *, first_seq: int = 0) -> None:
        self._is_sqlite = url.startswith("sqlite")
        self.project = self.identity(project_id)
        self._seq = first_seq
        self._sql = [
            self.insert("events", EVENT_COLUMNS),
            self.insert("event_sources", "event_id, raw"),
            self.insert("changes", CHANGE_COLUMNS),
            self.numbered("UPDATE projects SET seq = seq + ? WHERE id = ?"),
            self.numbered("UPDATE calendars SET cursor = ?, status = 'active', last_synced_at = ? WHERE id = ?"),
        ]

    def first_sync(self, group: Sequence[tuple[UUID, Page]]) -> list[bare.Statement]:
        """Everything of whole listings, each an executemany for each table."""
        found: list[bare.Statement] = []
        for calendar, page in group:
            now = datetime.now(UTC)
            rows = [self.of(calendar, bytes(raw), now) for raw in page.items]
            events, sources, changes = (list(each) for each in zip(*rows, strict=True))
            mine = [(page.next_sync_token, self.time(now), self.identity(calendar))]
            given = (events, sources, changes, [(len(rows), self.project)], mine)
            found.extend(zip(self._sql, given, strict=True))
        return found

    def of(self, calendar: UUID, raw: bytes, now: datetime) -> tuple[tuple[Any, ...], ...]:
        """One event as a row of `events`, of `event_sources` and of `changes`."""
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
        identity, calendar_id, at = self.identity(mine), self.identity(calendar), self.time(now)
        row = (
            identity, self.project, calendar_id, item.id, None, item.ical_uid, item.organizer.email, f"|{emails}|",
            self.time(starts_at), self.time(ends_at), item.status, "google_meet", True, False, "accepted", 0,
            item.ical_uid, self.time(starts_at - LEAD), blake2b(event, digest_size=16).digest(), None, 0, event.decode(), 1, at, at, None,
        )  # fmt: skip
        change = (self.project, self._seq, identity, calendar_id, "created", at, told.decode())
        return row, (identity, zlib.compress(raw, 1)), change

    def identity(self, given: UUID) -> Any:
        return given.hex if self._is_sqlite else given

    def time(self, moment: datetime) -> Any:
        return moment.isoformat(" ")[:26] if self._is_sqlite else moment

    def insert(self, table: str, columns: str) -> str:
        marks = ", ".join("?" for _ in columns.split(","))
        return self.numbered(f"INSERT INTO {table} ({columns}) VALUES ({marks})")  # noqa: S608  (both are ours)

    def numbered(self, sql: str) -> str:
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
