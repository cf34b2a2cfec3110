"""The event catalogue: what each webhook and each entry of the change log says, as structs and as bytes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from service.core import decision
from service.core.event import CANCELLED, Attendee, EventView, FieldChange, view_json
from service.core.lifecycle import State
from service.core.meeting_key import meeting_key

MOST_IDS: Final = 100
"""A `calendar.sync_events` names this many events; who needs all of them reads `/changes`."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the change log, and the `data` of `event.created`, `event.updated` and `event.cancelled`."""

    seq: int
    event_id: UUID
    calendar_id: UUID
    kind: str
    cause: str
    at: datetime
    fields: dict[str, FieldChange]
    action: str
    event: EventView


class Declined(Change, frozen=True, kw_only=True):
    """The `data` of `event.declined`: the change by which `attendee` has said no."""

    attendee: Attendee


class CalendarNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of `calendar.created`, `.active`, `.error`, `.disconnected` and `.deleted`."""

    calendar_id: UUID
    provider: str
    email: str | None
    raw_calendar_id: str
    status: str
    previous_status: str | None
    error_code: str | None
    error_message: str | None
    metadata: dict[str, Any]


class StaleNotice(CalendarNotice, frozen=True, kw_only=True):
    """The `data` of `calendar.stale`; `last_synced_at` is null for a calendar that was never read to the end."""

    last_synced_at: datetime | None


class ConnectionNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of `integration.synced`, `.error` and `.disconnected`; `user_id` is the integrator's own name of its user."""

    connection_id: UUID
    user_id: str | None
    provider: str
    email: str | None
    status: str
    previous_status: str | None
    error_code: str | None
    error_message: str | None


class EndpointNotice(msgspec.Struct, frozen=True):
    """The `data` of `webhook.endpoint_disabled` and `webhook.test`."""

    endpoint_id: UUID
    reason: str


class ChangeCounts(msgspec.Struct, frozen=True):
    """How many changes of each kind."""

    created: int = 0
    updated: int = 0
    cancelled: int = 0


class SyncNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of `calendar.sync_events`: which part of the change log one sync wrote."""

    calendar_id: UUID
    last_updated_ts: datetime
    initial: bool
    first_seq: int
    last_seq: int
    change_count: int
    affected_event_ids: list[UUID]
    truncated: bool
    counts: ChangeCounts


class MeetingCopy(msgspec.Struct, frozen=True, kw_only=True):
    """One user's copy of a meeting."""

    event_id: UUID
    calendar_id: UUID
    calendar_status: str
    email: str | None
    response_status: str | None


class MeetingStarting(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of `meeting.starting`: `event` is the lead copy, whose start is `lead_seconds` away or less."""

    meeting_key: str
    starts_at: datetime
    lead_seconds: int
    meeting_url: str
    platform: str
    event: EventView
    copies: list[MeetingCopy]


class BotNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of `bot.planned`, `.launch`, `.cancelled` and `.failed`; `event` is the meeting's lead copy, if any is left."""

    bot_id: UUID
    meeting_key: str
    meeting_url: str | None
    platform: str | None
    starts_at: datetime
    config: dict[str, Any]
    event: EventView | None
    reason: str | None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A change that waits for its `seq`: everything of it but the number is encoded already."""

    event_id: UUID
    kind: str
    cause: str
    body: bytes


_encode: Final = msgspec.json.Encoder().encode


def views(upserts: Sequence[decision.Upsert], calendar_id: UUID, now: datetime) -> dict[UUID, bytes]:
    """Events as users will see them once they are written: `EventView` as JSON, by id."""
    return {
        upsert.id: view_json(
            upsert.body,
            event_id=upsert.id,
            calendar_id=calendar_id,
            key=meeting_key(upsert.event, calendar_id),
            version=upsert.version,
            created_at=upsert.created_at,
            updated_at=now,
            deleted_at=now if upsert.event.status == CANCELLED else None,
        )
        for upsert in upserts
    }


def entries(
    changes: Sequence[decision.Change], shown: Mapping[UUID, bytes], calendar_id: UUID, now: datetime
) -> list[Entry]:
    """The changes of one round as entries of the change log, in the order in which they will be numbered.

    `shown` are the `views` of what changed.
    """
    return [_entry(change, shown[change.upsert.id], calendar_id, now) for change in changes]


def with_seq(seq: int, body: bytes) -> bytes:
    """A `Change` as JSON: the number, known only inside the transaction that publishes it, goes before the rest."""
    return b'{"seq":%d,%s' % (seq, body[1:])


def sync_notice(
    calendar_id: UUID, written: Sequence[Entry], *, first_seq: int, now: datetime, initial: bool
) -> SyncNotice:
    """One sync's changes, numbered from `first_seq` on, as one notice."""
    counts = dict.fromkeys(ChangeCounts.__struct_fields__, 0)
    for entry in written:
        counts[entry.kind] += 1
    affected = list(dict.fromkeys(entry.event_id for entry in written))
    return SyncNotice(
        calendar_id=calendar_id,
        last_updated_ts=now,
        initial=initial,
        first_seq=first_seq,
        last_seq=first_seq + len(written) - 1,
        change_count=len(written),
        affected_event_ids=affected[:MOST_IDS],
        truncated=len(affected) > MOST_IDS,
        counts=ChangeCounts(**counts),
    )


def state_change(previous: State, current: State) -> str | None:
    """The webhook type that a change of state calls for; None when nothing changed that anybody asked about."""
    if previous == current or current is State.SYNCING:
        return None
    return f"calendar.{current.value}"


class _Unnumbered(msgspec.Struct, gc=False):
    event_id: UUID
    calendar_id: UUID
    kind: str
    cause: str
    at: datetime
    fields: dict[str, FieldChange]
    action: str
    event: msgspec.Raw


def _entry(change: decision.Change, view: bytes, calendar_id: UUID, now: datetime) -> Entry:
    said = _Unnumbered(
        change.upsert.id,
        calendar_id,
        change.kind,
        change.cause,
        now,
        change.fields,
        change.action,
        msgspec.Raw(view),
    )
    return Entry(event_id=said.event_id, kind=said.kind, cause=said.cause, body=_encode(said))
