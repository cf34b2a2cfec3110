"""The tables of the gateway; rows are storage, and what they mean is decided in `service.core`.

projects ─┬─ api_keys
          ├─ oauth_clients ─── connections ─── calendars ─┬─ events ─── event_sources
          ├─ changes (the log, by seq)                    ├─ quarantined_rows
          └─ idempotency_keys                             └─ channels
"""

from datetime import datetime
from typing import Any, ClassVar, Final, TypeAlias
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary, MetaData, Row, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

Found: TypeAlias = Row[*tuple[Any, ...]]
"""A row as a query answers it, its columns by name."""

LEAD_SECONDS: Final = (600, 60)
"""How long before its start a meeting is announced, where a project says nothing else."""

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    """What the gateway's tables have in common: one catalogue of their own, with named constraints."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class KeyringRow(Table, table=True):
    """A sealed constant: a key ring that opens it is the right one.

    `copied_at` is set in a backup's copy alone: who opens the copy to work with it knows that time has passed it by.
    """

    __tablename__ = "keyring"

    id: int = Field(primary_key=True)
    canary: bytes = Field(sa_type=LargeBinary)
    copied_at: datetime | None = None


class ProjectRow(Table, table=True):
    """A tenant; `seq` is the number of its newest change, `has_bots` and `has_managed` that there ever was a plan, a write.

    `gaps` are numbers that the log leaves out since a backup was restored, as pairs: the last one before and the last
    one left out; what they had stood for is lost. `meeting_hosts` is a list of what users gave: a host, or an object with `host` and `platform`.
    """

    __tablename__ = "projects"

    id: UUID = Field(primary_key=True)
    name: str = Field(unique=True)
    seq: int = Field(default=0, sa_type=BigInteger)
    gaps: list[list[int]] = Field(default_factory=list, sa_type=JSON)
    starting_lead_seconds: list[int] = Field(default_factory=lambda: list(LEAD_SECONDS), sa_type=JSON)
    link_preference: str = "structured"
    meeting_hosts: list[Any] = Field(default_factory=list, sa_type=JSON)
    has_bots: bool = False
    has_managed: bool = False
    version: int = 1
    created_at: datetime
    updated_at: datetime


class ApiKeyRow(Table, table=True):
    """A key that was shown once; `digest` is SHA-256 of the whole key, `prefix` finds it."""

    __tablename__ = "api_keys"

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE", index=True)
    prefix: str = Field(unique=True)
    digest: bytes = Field(sa_type=LargeBinary)
    scope: str
    created_at: datetime
    revoked_at: datetime | None = None


class CalendarRow(Table, table=True):
    """One provider calendar: how it stands, what was last read of it, and, as its own job, when it is due.

    `lease` names the worker that holds it until `leased_until`; `due_at` is then `leased_until`, so that a calendar
    whose holder dies is due again, and anything sooner means that somebody asked for a read meanwhile. A calendar
    that is disconnected is due (not null) only when its events are to be examined again for links.

    `link_preference` and `meeting_hosts` are the calendar's own (null: the project's); `link_rules` is what comes of
    both, a `core.meeting_links.evidence.LinkRules`. `link_epoch` rises whenever that changes; its events were last
    examined in `examined_epoch` by the tables of `examined_version`.

    Until `writing_until` somebody writes to it at the provider, and nobody reads it. `min_poll_seconds` are at least between
    two polls, where its connection says so: a copy of that setting, for who has claimed the calendar alone.

    `stale_at` is how long its last whole round is good for (null: nothing is promised); `stale_since` is when it was
    announced that this was over, until the next whole round.
    """

    __tablename__ = "calendars"
    __table_args__ = (
        UniqueConstraint("connection_id", "raw_calendar_id"),
        _partial("ix_calendars_due", "due_at", where="due_at IS NOT NULL"),
        _partial("ix_calendars_project_due", "project_id", "due_at", where="due_at IS NOT NULL"),
        Index("ix_calendars_project_id_id", "project_id", "id"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE")
    connection_id: UUID = Field(foreign_key="connections.id")
    oauth_client_id: UUID = Field(foreign_key="oauth_clients.id", index=True)
    provider: str
    account: str
    raw_calendar_id: str
    calendar_name: str
    name: str | None = None
    email: str | None = None
    time_zone: str | None = None
    is_primary: bool = False
    custom: dict[str, Any] = Field(default_factory=dict, sa_column=Column("metadata", JSON, nullable=False))
    horizon_days: int
    link_preference: str | None = None
    meeting_hosts: list[Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    link_rules: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    link_epoch: int = 0
    examined_epoch: int = 0
    examined_version: int = 0
    version: int = 1
    created_at: datetime
    updated_at: datetime

    status: str
    announced_status: str
    failures: int = 0
    failing_since: datetime | None = None
    throttles: int = 0
    rate_limited_until: datetime | None = None
    suspicion: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    retry_at: datetime | None = None

    cursor: str | None = Field(default=None, sa_type=Text)
    last_synced_at: datetime | None = None
    last_attempt_at: datetime | None = None
    next_meeting_at: datetime | None = None
    due_at: datetime | None = None
    due_cause: str = "poll"
    lease: UUID | None = None
    leased_until: datetime | None = None
    writing_until: datetime | None = None
    min_poll_seconds: int | None = None

    push_until: datetime | None = None
    push_received_at: datetime | None = None
    stale_at: datetime | None = None
    stale_since: datetime | None = None


class FreshnessRow(Table, table=True):
    """When to look whether a calendar has become stale: never after its `stale_at`, and often before it."""

    __tablename__ = "freshness"
    __table_args__ = (Index("ix_freshness_look_at", "look_at"),)

    calendar_id: UUID = Field(primary_key=True, foreign_key="calendars.id", ondelete="CASCADE")
    look_at: datetime


class WorkerRow(Table, table=True):
    """A process that claims work, and when it last said so."""

    __tablename__ = "workers"

    id: UUID = Field(primary_key=True)
    started_at: datetime
    seen_at: datetime


class ChannelRow(Table, table=True):
    """A push channel; `secret` is SHA-256 of what its notifications must carry.

    `state` is `opening` (asked for, no answer stored yet), `open` or `closing` (a successor is open, or it is not wanted).
    """

    __tablename__ = "channels"
    __table_args__ = (Index("ix_channels_state_due_at", "state", "due_at"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID
    calendar_id: UUID = Field(index=True)
    connection_id: UUID
    provider: str
    state: str
    secret: bytes = Field(sa_type=LargeBinary)
    resource_id: str | None = None
    opened_at: datetime
    expires_at: datetime | None = None
    due_at: datetime
    attempts: int = 0


class PushRow(Table, table=True):
    """A calendar's wish to be watched: when a channel is next to be opened; null when it cannot be."""

    __tablename__ = "pushes"
    __table_args__ = (
        _partial("ix_pushes_due", "due_at", where="due_at IS NOT NULL"),
        _partial("ix_pushes_project_due", "project_id", "due_at", where="due_at IS NOT NULL"),
    )

    calendar_id: UUID = Field(primary_key=True, foreign_key="calendars.id", ondelete="CASCADE")
    project_id: UUID
    due_at: datetime | None = None
    failures: int = 0
    unsupported_reason: str | None = None


class EventRow(Table, table=True):
    """One occurrence: `body` is the event's JSON as users see it, the columns are what queries need of it.

    `attendee_emails` is every address between bars (`|a@example.com|b@example.com|`), so that one can be looked for.
    `rank` orders the copies of one meeting: the lowest leads. `is_long` marks what lasts so long that looking back a
    few hours for what is still running would miss it. `announce_at` is when to look whether `meeting.starting` is to be
    said of its meeting; null when there is nothing (more) to say.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("calendar_id", "provider_event_id"),
        Index("ix_events_calendar_id_series_id", "calendar_id", "series_id"),
        Index("ix_events_calendar_id_starts_at", "calendar_id", "starts_at"),
        Index("ix_events_project_id_starts_at_ends_at", "project_id", "starts_at", "ends_at"),
        # The condition is spelled as in a query of SQLAlchemy's: SQLite matches it by its form.
        Index(
            "ix_events_long_meetings",
            "project_id",
            "ends_at",
            sqlite_where=text("is_meeting IS 1 AND is_long IS 1"),
            postgresql_where=text("is_meeting IS true AND is_long IS true"),
        ),
        Index("ix_events_project_id_meeting_key", "project_id", "meeting_key"),
        _partial("ix_events_announce_at", "announce_at", where="announce_at IS NOT NULL"),
        _partial("ix_events_project_announce_at", "project_id", "announce_at", where="announce_at IS NOT NULL"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID
    calendar_id: UUID = Field(foreign_key="calendars.id", ondelete="CASCADE")
    provider_event_id: str
    series_id: str | None = None
    ical_uid: str | None = None
    organizer_email: str | None = None
    attendee_emails: str = ""
    starts_at: datetime
    ends_at: datetime
    status: str
    platform: str | None = None
    is_meeting: bool = False
    is_long: bool = False
    response_status: str | None = None
    rank: int
    meeting_key: str
    announce_at: datetime | None = None
    fingerprint: bytes = Field(sa_type=LargeBinary)
    previous_fingerprint: bytes | None = Field(default=None, sa_type=LargeBinary)
    flaps: int = 0
    body: str = Field(sa_type=Text)
    version: int = 1
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class MeetingStartRow(Table, table=True):
    """That a meeting's start was announced `lead_seconds` before: for which start, and until when it was to last."""

    __tablename__ = "meeting_starts"
    __table_args__ = (Index("ix_meeting_starts_ends_at", "ends_at"),)

    project_id: UUID = Field(primary_key=True)
    meeting_key: str = Field(primary_key=True)
    lead_seconds: int = Field(primary_key=True)
    starts_at: datetime
    ends_at: datetime
    announced_at: datetime


class EventSourceRow(Table, table=True):
    """The provider's row behind an event, as received, compressed (zlib)."""

    __tablename__ = "event_sources"

    event_id: UUID = Field(primary_key=True, foreign_key="events.id", ondelete="CASCADE")
    raw: bytes = Field(sa_type=LargeBinary)


class QuarantinedRow(Table, table=True):
    """A provider's row that could not be read as an event, with the reason."""

    __tablename__ = "quarantined_rows"

    calendar_id: UUID = Field(primary_key=True, foreign_key="calendars.id", ondelete="CASCADE")
    provider_event_id: str = Field(primary_key=True)
    reason: str
    raw: bytes = Field(sa_type=LargeBinary)
    at: datetime


class ChangeRow(Table, table=True):
    """One entry of a project's change log: `body` is the change as JSON without its `seq`."""

    __tablename__ = "changes"
    __table_args__ = (Index("ix_changes_event_id_seq", "event_id", "seq"), Index("ix_changes_at", "at"))

    project_id: UUID = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    event_id: UUID
    calendar_id: UUID
    kind: str
    at: datetime
    body: str = Field(sa_type=Text)


class IdempotencyRow(Table, table=True):
    """The first answer to a POST with an Idempotency-Key; `status` is null while that request is still running."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    project_id: UUID = Field(primary_key=True)
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    object_id: UUID
    status: int | None = None
    answer: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: datetime
