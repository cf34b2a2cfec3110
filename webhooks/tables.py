"""The tables: endpoints and how they do by the hour, messages, their deliveries, and every attempt."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import JSON, ForeignKeyConstraint, Index, MetaData, UniqueConstraint, text
from sqlmodel import Field, SQLModel

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Table(SQLModel):
    """The parent of the tables, which keeps them apart from those of the program around them."""

    metadata: ClassVar[MetaData] = metadata


def _where(name: str, *columns: str, condition: str) -> Index:
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


class EndpointRow(Table, table=True):
    """A receiver. `secret` is the sealed JSON list of its signing keys, newest first.

    `first_failure_at` and `failed_messages` are the clock of unbroken failure: set by the first failed attempt,
    cleared by the next success.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index("ix_webhook_endpoints_project", "project_id", "id"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID
    url: str
    description: str | None = None
    event_types: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    calendar_ids: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    rate_limit: int | None = None
    ordering: str
    format: str
    state: str
    disabled_reason: str | None = None
    disabled_at: datetime | None = None
    secret: bytes
    version: int
    first_failure_at: datetime | None = None
    failed_messages: int
    created_at: datetime
    updated_at: datetime


class MessageRow(Table, table=True):
    """One message, its body byte for byte as it is signed and sent. The id is the `webhook-id`.

    `also_calendar_ids` are the further calendars that it is about, kept where somebody else does the addressing.
    """

    __tablename__ = "webhook_messages"
    __table_args__ = (Index("ix_webhook_messages_project", "project_id", "id"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID
    type: str
    calendar_id: UUID | None = None
    also_calendar_ids: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    body: bytes
    at: datetime
    created_at: datetime


class DeliveryRow(Table, table=True):
    """One message on its way to one endpoint; see `DeliveryState` for its life.

    `next_at` is when the row may be claimed: the time of the next attempt, or the end of the lease that is on it.
    `fifo_key` is the calendar for an endpoint that wanted order then: of one key only the oldest pending row may be claimed.
    `rank` is 0 for news and 1 for what is made up for, which waits for news. `merge_key` is the calendar whose newer news
    may take this one in, as long as it was never attempted; `merged_into` is the message that has.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("message_id", "endpoint_id"),
        ForeignKeyConstraint(["message_id"], ["webhook_messages.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.id"], ondelete="CASCADE"),
        _where("ix_webhook_deliveries_due", "rank", "next_at", condition="state = 'pending'"),
        _where(
            "ix_webhook_deliveries_turn",
            "rank",
            "project_id",
            "endpoint_id",
            "next_at",
            condition="state = 'pending' AND fifo_key IS NULL",
        ),
        _where(
            "ix_webhook_deliveries_fifo",
            "endpoint_id",
            "fifo_key",
            "id",
            condition="state = 'pending' AND fifo_key IS NOT NULL",
        ),
        _where(
            "ix_webhook_deliveries_mergeable",
            "endpoint_id",
            "merge_key",
            condition="state = 'pending' AND merge_key IS NOT NULL",
        ),
        _where("ix_webhook_deliveries_parked", "endpoint_id", "id", condition="state = 'parked'"),
        _where("ix_webhook_deliveries_failed", "endpoint_id", "id", condition="state = 'failed'"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID
    message_id: UUID
    endpoint_id: UUID
    state: str
    attempts: int
    schedule_start: int
    next_at: datetime
    lease: UUID | None = None
    fifo_key: UUID | None = None
    rank: int
    merge_key: UUID | None = None
    merged_into: UUID | None = None


class AttemptRow(Table, table=True):
    """One request that was made, and what came of it. `answer` is the first 4 KiB of the receiver's body."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (
        ForeignKeyConstraint(["delivery_id"], ["webhook_deliveries.id"], ondelete="CASCADE"),
        Index("ix_webhook_attempts_delivery", "delivery_id"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID
    delivery_id: UUID
    number: int
    at: datetime
    duration_ms: int
    status: int | None = None
    error_kind: str | None = None
    error_detail: str | None = None
    answer: str
    next_attempt_at: datetime | None = None


class HourRow(Table, table=True):
    """How an endpoint did in one hour: a ring of 24 rows, in which `hour` tells today's from yesterday's.

    `last_success_at` outlives its hour.
    """

    __tablename__ = "webhook_endpoint_hours"
    __table_args__ = (ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.id"], ondelete="CASCADE"),)

    endpoint_id: UUID = Field(primary_key=True)
    slot: int = Field(primary_key=True)
    hour: datetime
    delivered: int
    failed: int
    last_success_at: datetime | None = None


endpoints = metadata.tables["webhook_endpoints"]
messages = metadata.tables["webhook_messages"]
deliveries = metadata.tables["webhook_deliveries"]
attempts = metadata.tables["webhook_attempts"]
hours = metadata.tables["webhook_endpoint_hours"]
