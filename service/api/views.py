"""What the API shows of a row: the shapes of its answers, none of which has a place for a secret."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row

from service.core.announcements import Change
from service.core.event import EventView
from service.core.lifecycle import State
from service.core.meeting_links.evidence import MeetingHost
from service.providers.protocol import RawCalendar


class ProjectView(msgspec.Struct, frozen=True, kw_only=True):
    """A project, and what it decides for its calendars; `meeting_hosts` as they were given."""

    id: UUID
    name: str
    starting_lead_seconds: list[int]
    link_preference: str
    meeting_hosts: list[str | MeetingHost]
    version: int
    created_at: datetime
    updated_at: datetime


class CalendarView(msgspec.Struct, frozen=True, kw_only=True):
    """A connected calendar. `status` is `syncing`, `active`, `error` or `disconnected`.

    `link_preference` and `meeting_hosts` are the calendar's own; null where the project decides (`GET /project`).
    """

    id: UUID
    provider: str
    status: str
    raw_calendar_id: str
    calendar_name: str
    name: str | None
    email: str | None
    time_zone: str | None
    is_primary: bool
    metadata: dict[str, Any]
    horizon_days: int
    link_preference: str | None
    meeting_hosts: list[str | MeetingHost] | None
    error_code: str | None
    error_message: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    last_synced_at: datetime | None
    next_sync_at: datetime | None


class PushView(msgspec.Struct, frozen=True):
    """Whether the provider tells us of changes, until when, and when it last did."""

    enabled: bool
    expires_at: datetime | None
    last_received_at: datetime | None


class SyncView(msgspec.Struct, frozen=True, kw_only=True):
    """How a calendar's synchronisation stands; `lag_seconds` is how long ago it was last known to be complete.

    `stale_since` is when `calendar.stale` was announced, until it is complete again.
    """

    status: str
    last_synced_at: datetime | None
    last_attempt_at: datetime | None
    next_sync_at: datetime | None
    lag_seconds: float | None
    consecutive_failures: int
    error_code: str | None
    error_message: str | None
    retry_at: datetime | None
    rate_limited_until: datetime | None
    stale_since: datetime | None
    push: PushView
    quarantined_events: int


class RawCalendarsView(msgspec.Struct, frozen=True):
    """Every calendar of an account, as the provider lists them."""

    calendars: list[RawCalendar]


class ResyncView(msgspec.Struct, frozen=True):
    """How many calendars are due now."""

    calendars: int


class ChangesView(msgspec.Struct, frozen=True):
    """Changes in the order of their `seq`; `last_seq` is the number to go on after."""

    data: list[Change]
    last_seq: int


class EventWithSource(EventView, frozen=True, kw_only=True):
    """An event; with `include=raw` also the provider's row behind it, as received."""

    raw: dict[str, Any] | None = None


def project_view(row: Row[Any]) -> ProjectView:
    """A stored project as it is shown."""
    return ProjectView(**{name: getattr(row, name) for name in ProjectView.__struct_fields__})


def calendar_view(row: Row[Any]) -> CalendarView:
    """A stored calendar as it is shown."""
    stored = {name: getattr(row, name) for name in CalendarView.__struct_fields__ if name != "next_sync_at"}
    return CalendarView(**stored, next_sync_at=_next_sync(row))


def sync_view(row: Row[Any], quarantined: int, now: datetime) -> SyncView:
    """How a stored calendar's synchronisation stands."""
    synced = row.last_synced_at
    return SyncView(
        status=row.status,
        last_synced_at=synced,
        last_attempt_at=row.last_attempt_at,
        next_sync_at=_next_sync(row),
        lag_seconds=None if synced is None else round(max(0.0, (now - synced).total_seconds()), 3),
        consecutive_failures=row.failures,
        error_code=row.error_code,
        error_message=row.error_message,
        retry_at=row.retry_at,
        rate_limited_until=row.rate_limited_until,
        stale_since=row.stale_since,
        push=PushView(row.push_until is not None and row.push_until > now, row.push_until, row.push_received_at),
        quarantined_events=quarantined,
    )


def _next_sync(row: Row[Any]) -> datetime | None:
    # A calendar that is disconnected may be due to have its events examined, which is no reading.
    due_at: datetime | None = row.due_at
    return None if row.status == State.DISCONNECTED.value else due_at
