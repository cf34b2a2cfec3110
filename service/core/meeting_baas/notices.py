"""What a calendar's news is called in webhooks of Meeting BaaS, v1 and v2: bodies whole, `{"event", "data"}`.

Field by field after the vendor's published schemas; where its guides say otherwise, receivers were written to the
schemas. v2 tells of a series at once: one body for all of its occurrences that were, say, moved by one sync.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from service.core.event import CANCELLED, DECLINED, Meeting
from service.core.meeting_baas.identity import (
    CalendarStatus,
    EventStatus,
    MeetingPlatform,
    calendar_status,
    event_status,
    meeting_platform,
)
from service.core.meeting_baas.series import SeriesKind, series_kind, series_uuid

V1: Final = "meeting_baas_v1"
V2: Final = "meeting_baas_v2"
FORMATS: Final = (V1, V2)

SIGNATURE_PREFIXES: Final = {V2: ("svix-",)}
"""How the names of the signature's headers begin there, which is made as Standard Webhooks has it."""

KEY_HEADER: Final = "x-meeting-baas-api-key"
"""What receivers of v1 know a sender by."""

MOST_IDS: Final = 1000
"""v1 names this many events of one sync; the others are found by `updated_at_gte`, as its guide shows."""


class Body(msgspec.Struct, frozen=True):
    """The whole of a webhook in both dialects."""

    event: str
    data: Any


class SyncEvents(msgspec.Struct, frozen=True):
    """`calendar.sync_events`, the one webhook of v1 about calendars."""

    calendar_id: UUID
    last_updated_ts: datetime
    affected_event_uuids: list[UUID]


class ConnectionCreated(msgspec.Struct, frozen=True, kw_only=True):
    """`calendar.connection_created` of v2."""

    calendar_id: UUID
    calendar_platform: str
    account_email: str
    status: CalendarStatus
    created_at: datetime


class ConnectionUpdated(ConnectionCreated, frozen=True, kw_only=True):
    """`calendar.connection_updated` of v2."""

    updated_at: datetime


class ConnectionDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """`calendar.connection_deleted` of v2."""

    calendar_id: UUID
    calendar_platform: str
    deleted_at: datetime


class ConnectionError(msgspec.Struct, frozen=True, kw_only=True):  # noqa: A001 - the vendor's word
    """`calendar.connection_error` of v2, which only its guide knows."""

    calendar_id: UUID
    platform: str
    error: str
    status: Literal["error"] = "error"


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence in the webhooks of v2."""

    event_id: UUID
    start: datetime
    end: datetime
    title: str
    status: EventStatus
    is_all_day: bool
    is_exception: bool
    bot_scheduled: bool
    meeting_url: str | None
    meeting_platform: MeetingPlatform | None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The occurrences of one series in `calendar.events_synced`."""

    event_type: SeriesKind
    series_id: UUID
    series_bot_scheduled: bool
    instances: list[Instance]


class EventsSynced(msgspec.Struct, frozen=True, kw_only=True):
    """`calendar.events_synced` of v2: once, after the first sync."""

    calendar_id: UUID
    events: list[Series]


class EventCreated(msgspec.Struct, frozen=True, kw_only=True):
    """`calendar.event_created` of v2."""

    calendar_id: UUID
    event_type: SeriesKind
    series_id: UUID
    series_bot_scheduled: bool
    instances: list[Instance]


class EventUpdated(msgspec.Struct, frozen=True, kw_only=True):
    """`calendar.event_updated` of v2."""

    calendar_id: UUID
    event_type: SeriesKind
    series_id: UUID
    series_bot_scheduled: bool
    is_exception: bool
    affected_instances: list[Instance]


class EventCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """`calendar.event_cancelled` of v2: cancelled, deleted, or declined by the calendar's owner."""

    calendar_id: UUID
    event_type: SeriesKind
    series_id: UUID
    cancelled_instances: list[Instance]


EVENTS: Final[Mapping[str, Mapping[str, type[msgspec.Struct]]]] = {
    V1: {"calendar.sync_events": SyncEvents},
    V2: {
        "calendar.connection_created": ConnectionCreated,
        "calendar.connection_updated": ConnectionUpdated,
        "calendar.connection_deleted": ConnectionDeleted,
        "calendar.connection_error": ConnectionError,
        "calendar.events_synced": EventsSynced,
        "calendar.event_created": EventCreated,
        "calendar.event_updated": EventUpdated,
        "calendar.event_cancelled": EventCancelled,
    },
}
"""What endpoints of each format get, with the struct of its `data`."""


class CalendarNews(msgspec.Struct, frozen=True, kw_only=True):
    """News of a calendar, as far as v2 tells of it; `kind` is the last word of our own type (`created`, `error`, ...)."""

    kind: str
    calendar_id: UUID
    provider: str
    email: str | None
    status: str
    error_code: str | None
    error_message: str | None
    created_at: datetime
    at: datetime


class ToldEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What v2 tells of an event, out of the change log's JSON."""

    id: UUID
    meeting_key: str
    ical_uid: str | None = None
    series_id: str | None = None
    starts_at: datetime
    ends_at: datetime
    title: str | None = None
    status: str
    response_status: str | None = None
    is_all_day: bool = False
    is_exception: bool = False
    meeting: Meeting | None = None


class ToldChange(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the change log, likewise."""

    kind: str
    fields: dict[str, Any] = {}
    event: ToldEvent


class Bots(NamedTuple):
    """Which events have a bot planned, and which series (by the provider's id) have one for all of their occurrences."""

    events: Collection[UUID] = ()
    series: Collection[str] = ()


read_change: Final = msgspec.json.Decoder(ToldChange).decode


def synced_v1(calendar_id: UUID, at: datetime, event_ids: Sequence[UUID]) -> Body:
    """One sync, in v1."""
    ids = list(dict.fromkeys(event_ids))[:MOST_IDS]
    return Body("calendar.sync_events", SyncEvents(calendar_id, at, ids))


def calendar_v2(news: CalendarNews) -> list[Body]:
    """A calendar's coming, change of state and going, in v2."""
    if news.kind == "deleted":
        gone = ConnectionDeleted(calendar_id=news.calendar_id, calendar_platform=news.provider, deleted_at=news.at)
        return [Body("calendar.connection_deleted", gone)]
    shown = ConnectionCreated(
        calendar_id=news.calendar_id,
        calendar_platform=news.provider,
        account_email=news.email or "",
        status=calendar_status(news.status, news.error_code),
        created_at=news.created_at,
    )
    if news.kind == "created":
        return [Body("calendar.connection_created", shown)]
    updated = ConnectionUpdated(**msgspec.structs.asdict(shown), updated_at=news.at)
    bodies = [Body("calendar.connection_updated", updated)]
    if news.kind in {"error", "disconnected"}:
        error = news.error_message or news.error_code or ""
        fault = ConnectionError(calendar_id=news.calendar_id, platform=news.provider, error=error)
        bodies.append(Body("calendar.connection_error", fault))
    return bodies


def synced_v2(calendar_id: UUID, changes: Sequence[ToldChange], bots: Bots) -> Body:
    """The first sync, in v2: everything that it found, by series."""
    found: dict[UUID, Series] = {}
    for change in changes:
        event = change.event
        key = series_uuid(calendar_id, event.series_id, event.id)
        series = found.get(key)
        if series is None:
            series = found[key] = Series(
                event_type=series_kind(event.series_id),
                series_id=key,
                series_bot_scheduled=event.series_id in bots.series,
                instances=[],
            )
        series.instances.append(_instance(event, bots))
    return Body("calendar.events_synced", EventsSynced(calendar_id=calendar_id, events=list(found.values())))


def changed_v2(calendar_id: UUID, changes: Sequence[ToldChange], bots: Bots) -> list[Body]:
    """One later sync, in v2: a body for each series and what happened to it, in the order of the first of each."""
    groups: dict[tuple[str, UUID, bool], list[ToldEvent]] = {}
    for change in changes:
        event, what = change.event, _happened(change)
        # An exception is told of apart from what happened to the series as a whole.
        apart = what == "updated" and event.is_exception
        groups.setdefault((what, series_uuid(calendar_id, event.series_id, event.id), apart), []).append(event)
    return [
        _group(what, calendar_id, series_id, told, is_exception=apart, bots=bots)
        for (what, series_id, apart), told in groups.items()
    ]


def _happened(change: ToldChange) -> str:
    """`created`, `updated` or `cancelled`: to decline is to cancel, for the one calendar."""
    event = change.event
    if CANCELLED in {event.status, change.kind}:
        return "cancelled"
    if event.response_status == DECLINED and (change.kind == "created" or "response_status" in change.fields):
        return "cancelled"
    return change.kind


def _group(
    what: str, calendar_id: UUID, series_id: UUID, told: Sequence[ToldEvent], *, is_exception: bool, bots: Bots
) -> Body:
    instances = [_instance(event, bots) for event in told]
    same: dict[str, Any] = {
        "calendar_id": calendar_id,
        "event_type": series_kind(told[0].series_id),
        "series_id": series_id,
    }
    if what == "cancelled":
        return Body("calendar.event_cancelled", EventCancelled(**same, cancelled_instances=instances))
    same["series_bot_scheduled"] = told[0].series_id in bots.series
    if what == "created":
        return Body("calendar.event_created", EventCreated(**same, instances=instances))
    return Body("calendar.event_updated", EventUpdated(**same, is_exception=is_exception, affected_instances=instances))


def _instance(event: ToldEvent, bots: Bots) -> Instance:
    meeting = event.meeting
    return Instance(
        event_id=event.id,
        start=event.starts_at,
        end=event.ends_at,
        title=event.title or "",
        status=event_status(event.status, event.response_status),
        is_all_day=event.is_all_day,
        is_exception=event.is_exception,
        bot_scheduled=event.id in bots.events,
        meeting_url=meeting.url if meeting else None,
        meeting_platform=meeting_platform(meeting.platform) if meeting else None,
    )
