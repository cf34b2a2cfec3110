"""The tables of writing: what is on its way to a provider, and which events are ours.

event_writes ──(done)──► managed_events ─── events
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field

from service.store.tables import Table


class EventWriteRow(Table, table=True):
    """One wish to change a provider's calendar, from before the first request until its result is stored.

    `kind` is `create`, `change` or `remove`; `key` is what makes a repeated request the same one at the provider.
    `state` is `pending`, `undoing` (its caller was told that it failed, so what became of it is taken back), `done` or
    `failed`. `draft` is sealed JSON. `request_key` is SHA-256 of the caller's Idempotency-Key. A row with a lease is being
    worked on until `next_at`.
    """

    __tablename__ = "event_writes"
    __table_args__ = (
        UniqueConstraint("project_id", "request_key"),
        Index(
            "ix_event_writes_next_at",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        Index("ix_event_writes_calendar_id_state", "calendar_id", "state"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE")
    calendar_id: UUID = Field(foreign_key="calendars.id", ondelete="CASCADE")
    event_id: UUID
    kind: str
    key: str
    state: str
    draft: bytes = Field(sa_type=LargeBinary)
    request_key: bytes | None = Field(default=None, sa_type=LargeBinary)
    attempts: int = 0
    next_at: datetime | None = None
    lease: UUID | None = None
    reason: str | None = None
    created_at: datetime
    updated_at: datetime


class ManagedEventRow(Table, table=True):
    """An event that was written here. `draft` is what its author said, whole, sealed: what the provider shows may be less.

    `series_id` is set where it recurs. `written` is the fingerprint of the event as the provider answered our last write:
    an event with this fingerprint holds nothing that we did not say. `buffer_before` and `buffer_after` are
    minutes that are kept free around it; `buffers` are the provider ids of the events that
    keep the time before and after it free, `zoom_meeting_id` and `call_url` its meeting at Zoom. `attempts` counts how often in a row it was set
    right at the provider. `look_at` is when it is to be looked at,
    because its event differs from what was written; whoever looks has a lease until `leased_until`.
    """

    __tablename__ = "managed_events"
    __table_args__ = (
        UniqueConstraint("calendar_id", "provider_event_id"),
        Index("ix_managed_events_calendar_id_series_id", "calendar_id", "series_id"),
        Index(
            "ix_managed_events_look_at",
            "look_at",
            sqlite_where=text("look_at IS NOT NULL"),
            postgresql_where=text("look_at IS NOT NULL"),
        ),
    )

    event_id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE")
    calendar_id: UUID = Field(foreign_key="calendars.id", ondelete="CASCADE")
    provider_event_id: str
    series_id: str | None = None
    draft: bytes = Field(sa_type=LargeBinary)
    written: bytes = Field(sa_type=LargeBinary)
    buffer_before: int = 0
    buffer_after: int = 0
    buffers: list[Any] = Field(default_factory=list, sa_type=JSON)
    zoom_connection_id: UUID | None = None
    zoom_meeting_id: str | None = None
    call_url: str | None = None
    look_at: datetime | None = None
    attempts: int = 0
    lease: UUID | None = None
    leased_until: datetime | None = None
    created_at: datetime
    updated_at: datetime
