"""The tables of bots: who wants one, which there are, when to look at a meeting again, and who is handed the launches.

bot_plans ──(an event, or a series)──► meeting_key ──► bots
                                            └── bot_looks: when to look at the meeting again
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field

from service.store.tables import Table


class BotPlanRow(Table, table=True):
    """That an event, or each occurrence of a series, is to have a bot; `config` is sealed JSON.

    One of `event_id` and `series_id` is set. A plan outlives its event, because another copy of the meeting may carry it
    on: `meeting_key` is that of the event, `ical_uid` that of the series. `is_off` is the plan of an event that is to have
    no bot although its series has one; a dropped one is kept for a while for the news of its bots.
    """

    __tablename__ = "bot_plans"
    __table_args__ = (
        UniqueConstraint("project_id", "event_id"),
        UniqueConstraint("project_id", "series_id"),
        Index("ix_bot_plans_project_id_meeting_key", "project_id", "meeting_key"),
        Index("ix_bot_plans_project_id_ical_uid", "project_id", "ical_uid"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE")
    event_id: UUID | None = None
    series_id: str | None = None
    meeting_key: str | None = None
    ical_uid: str | None = None
    is_off: bool = False
    dropped_at: datetime | None = None
    config: bytes = Field(sa_type=LargeBinary)
    join_lead_seconds: int
    deduplicate: bool
    version: int = 1
    created_at: datetime
    updated_at: datetime


class BotRow(Table, table=True):
    """One bot for one meeting. Of a slot (the meeting, or the meeting and a plan of its own) one is current.

    `next_try_at` is set while a runner is to be asked; with a lease on the row it is the end of that. `withdraws` is
    set while a runner is to be told that a launched bot is not wanted any more, and `runner_name` is the address of the one which
    launched it: another one knows nothing of it.
    """

    __tablename__ = "bots"
    __table_args__ = (
        Index(
            "uq_bots_current",
            "project_id",
            "slot",
            unique=True,
            sqlite_where=text("is_current IS 1"),
            postgresql_where=text("is_current IS true"),
        ),
        Index("ix_bots_project_id_meeting_key", "project_id", "meeting_key"),
        Index("ix_bots_ends_at", "ends_at"),
        Index(
            "ix_bots_next_try_at",
            "next_try_at",
            sqlite_where=text("next_try_at IS NOT NULL"),
            postgresql_where=text("next_try_at IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE")
    plan_id: UUID
    plan_version: int
    slot: str
    is_current: bool = True
    meeting_key: str
    event_id: UUID
    status: str
    reason: str | None = None
    starts_at: datetime
    ends_at: datetime
    launch_at: datetime
    meeting_url: str | None = None
    platform: str | None = None
    launched_at: datetime | None = None
    external_id: str | None = None
    runner_name: str | None = None
    answer: str | None = None
    withdraws: bool = False
    attempts: int = 0
    next_try_at: datetime | None = None
    lease: UUID | None = None
    created_at: datetime
    updated_at: datetime


class BotLookRow(Table, table=True):
    """When to look next at a meeting that somebody wants a bot for."""

    __tablename__ = "bot_looks"
    __table_args__ = (Index("ix_bot_looks_look_at", "look_at"),)

    project_id: UUID = Field(primary_key=True, foreign_key="projects.id", ondelete="CASCADE")
    meeting_key: str = Field(primary_key=True)
    look_at: datetime


class BotRunnerRow(Table, table=True):
    """Who is handed a project's launches when it is not the webhook alone; `headers` is sealed JSON."""

    __tablename__ = "bot_runners"

    project_id: UUID = Field(primary_key=True, foreign_key="projects.id", ondelete="CASCADE")
    kind: str
    url: str | None = None
    headers: bytes = Field(sa_type=LargeBinary)
    header_names: list[Any] = Field(default_factory=list, sa_type=JSON)
    version: int = 1
    created_at: datetime
    updated_at: datetime
