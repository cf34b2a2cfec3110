"""A project with as many events as one likes, made by the database itself from one event."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, text
from uuid_utils.compat import uuid7

from service.core.event import Attendee, Event, Meeting, Organizer, encode_event, fingerprint, view_json
from service.store.database import Database
from service.store.tables import Table

CALENDARS: Final = 1000
SPREAD: Final = timedelta(days=30)
NAME: Final = "0" * 8 + "x" * 12
"""Stands in the sample for what differs from event to event."""

_tables: Final = Table.metadata.tables

_SQLITE: Final = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :count)
INSERT INTO events (id, project_id, calendar_id, provider_event_id, ical_uid, attendee_emails, starts_at, ends_at, status,
  platform, is_meeting, is_long, response_status, rank, meeting_key, fingerprint, flaps, body, version, created_at,
  updated_at)
SELECT printf('%032x', n), :project, (SELECT id FROM calendars WHERE calendar_name = CAST(n % :calendars AS TEXT)),
  'event' || n, 'event' || n, '|ana@example.com|',
  strftime('%Y-%m-%d %H:%M:%f000', julianday(:start) + n * :step / 86400.0),
  strftime('%Y-%m-%d %H:%M:%f000', julianday(:start) + (n * :step + 1800) / 86400.0),
  'confirmed', 'google_meet', 1, 0, 'accepted', 1, 'event' || n, :print, 0,
  replace(:body, :name, printf('%020d', n)), 1, :at, :at
FROM numbers
"""
_POSTGRESQL: Final = """
INSERT INTO events (id, project_id, calendar_id, provider_event_id, ical_uid, attendee_emails, starts_at, ends_at, status,
  platform, is_meeting, is_long, response_status, rank, meeting_key, fingerprint, flaps, body, version, created_at,
  updated_at)
SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), :project, c.id, 'event' || n, 'event' || n, '|ana@example.com|',
  CAST(:start AS timestamptz) + n * :step * interval '1 second',
  CAST(:start AS timestamptz) + (n * :step + 1800) * interval '1 second',
  'confirmed', 'google_meet', true, false, 'accepted', 1, 'event' || n, CAST(:print AS bytea), 0,
  replace(CAST(:body AS text), CAST(:name AS text), lpad(CAST(n AS text), 20, '0')), 1,
  CAST(:at AS timestamptz), CAST(:at AS timestamptz)
FROM generate_series(0, CAST(:count AS int) - 1) AS n
JOIN calendars AS c ON c.calendar_name = CAST(n % CAST(:calendars AS int) AS text)
"""


async def fill(database: Database, project: UUID, count: int, now: datetime) -> None:
    """Events over the next thirty days, each a meeting of its own, on a thousand calendars."""
    step = SPREAD.total_seconds() / count
    body, print_ = sample(now)
    given: dict[str, Any] = {"count": count, "calendars": CALENDARS, "step": step, "body": body, "name": NAME}
    given |= {"print": print_}
    async with database.write() as conn:
        await conn.execute(insert(_tables["oauth_clients"]), [client := _client(project, now)])
        await conn.execute(insert(_tables["connections"]), [connection := _connection(project, client["id"], now)])
        await conn.execute(
            insert(_tables["calendars"]), [_calendar(project, connection, number, now) for number in range(CALENDARS)]
        )
        if database.dialect == "sqlite":
            at = now.strftime("%Y-%m-%d %H:%M:%S.%f")
            await conn.execute(text("CREATE INDEX benchmark_names ON calendars (calendar_name)"))
            await conn.execute(text(_SQLITE), given | {"project": project.hex, "start": at, "at": at})
            await conn.execute(text("DROP INDEX benchmark_names"))
        else:
            await conn.execute(text(_POSTGRESQL), given | {"project": project, "start": now, "at": now})
    await _analyze(database)


def sample(now: datetime) -> tuple[str, bytes]:
    """The event that all are made from, as stored, and its fingerprint."""
    people = [
        Attendee(email=f"guest{number}@example.com", name="A. Guest", response_status="accepted") for number in range(5)
    ]
    event = Event(
        provider_event_id=NAME,
        ical_uid=f"{NAME}@example.com",
        title="Weekly planning",
        description="What we did, what we do next, and what is in the way. " * 4,
        starts_at=now,
        ends_at=now + timedelta(minutes=30),
        time_zone="Europe/Berlin",
        organizer=Organizer(email="ana@example.com", name="Ana", self=True),
        attendees=people,
        response_status="accepted",
        meeting=Meeting(
            url="https://meet.google.com/abc-defg-hij",
            platform="google_meet",
            meeting_id="abc-defg-hij",
            found_in="conferenceData",
        ),
        html_link=f"https://www.google.com/calendar/event?eid={NAME}",
    )
    body = encode_event(event)
    shown = view_json(
        body,
        event_id=uuid7(),
        calendar_id=uuid7(),
        key=NAME,
        version=1,
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )
    return shown.decode(), fingerprint(body)


async def _analyze(database: Database) -> None:
    async with database.write() as conn:
        await conn.execute(text("ANALYZE"))


def _client(project: UUID, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "project_id": project,
        "provider": "google",
        "client_id": "benchmark",
        "tenant": "",
        "client_secret": b"",
        "rejection_announced": False,
        "created_at": now,
        "updated_at": now,
    }


def _connection(project: UUID, client: UUID, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "project_id": project,
        "oauth_client_id": client,
        "provider": "google",
        "account": "ana@example.com",
        "refresh_token": b"",
        "token_version": 1,
        "created_at": now,
        "updated_at": now,
    }


def _calendar(project: UUID, connection: dict[str, Any], number: int, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "project_id": project,
        "connection_id": connection["id"],
        "oauth_client_id": connection["oauth_client_id"],
        "provider": "google",
        "account": "ana@example.com",
        "raw_calendar_id": str(number),
        "calendar_name": str(number),
        "email": "ana@example.com",
        "is_primary": False,
        "metadata": {},
        "horizon_days": 30,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "status": "active",
        "announced_status": "active",
        "failures": 0,
        "throttles": 0,
        "due_cause": "poll",
    }
