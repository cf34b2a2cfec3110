"""Rows as the bare drivers take them, built by hand: what calgate stores of an event, without calgate."""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from uuid import UUID

import bare
import msgspec
from uuid_utils.compat import uuid7


class Plain(NamedTuple):
    """An event as a floor reads it off the provider's row, which is `raw`; `body` is what is stored as JSON."""

    raw: bytes
    id: str
    series_id: str | None
    ical_uid: str
    organizer_email: str | None
    emails: str
    starts_at: datetime
    ends_at: datetime
    status: str
    platform: str
    key: str
    body: dict[str, Any]


class Listing(NamedTuple):
    """A whole window, and the token of the next round."""

    events: list[Plain]
    token: str


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

    def first_sync(self, group: Sequence[tuple[UUID, Listing]]) -> list[bare.Statement]:
        """Everything of whole listings, each an executemany for each table."""
        found: list[bare.Statement] = []
        for calendar, listing in group:
            now = datetime.now(UTC)
            rows = [self.of(calendar, each, now) for each in listing.events]
            events, sources, changes = (list(each) for each in zip(*rows, strict=True))
            mine = [(listing.token, self.time(now), self.identity(calendar))]
            given = (events, sources, changes, [(len(rows), self.project)], mine)
            found.extend(zip(self._sql, given, strict=True))
        return found

    def of(self, calendar: UUID, plain: Plain, now: datetime) -> tuple[tuple[Any, ...], ...]:
        """One event as a row of `events`, of `event_sources` and of `changes`."""
        mine, event = uuid7(), _encode(plain.body)
        self._seq += 1
        view = b'{"id":"%s","calendar_id":"%s",%s,"meeting_key":"%s","version":1,"created_at":"%s"}' % (
            str(mine).encode(),
            str(calendar).encode(),
            event[1:-1],
            plain.key.encode(),
            now.isoformat().encode(),
        )
        told = b'{"event_id":"%s","kind":"created","cause":"initial","fields":{},"action":"schedule","event":%s}' % (
            str(mine).encode(),
            view,
        )
        identity, calendar_id, at = self.identity(mine), self.identity(calendar), self.time(now)
        row = (
            identity, self.project, calendar_id, plain.id, plain.series_id, plain.ical_uid, plain.organizer_email,
            plain.emails, self.time(plain.starts_at), self.time(plain.ends_at), plain.status, plain.platform, True, False,
            "accepted", 0, plain.key, self.time(plain.starts_at - LEAD), blake2b(event, digest_size=16).digest(), None, 0,
            event.decode(), 1, at, at, None,
        )  # fmt: skip
        change = (self.project, self._seq, identity, calendar_id, "created", at, told.decode())
        return row, (identity, zlib.compress(plain.raw, 1)), change

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
