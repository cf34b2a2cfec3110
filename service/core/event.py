"""What an event is here, whichever provider it came from, when two versions of it differ, and what that means."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

CANCELLED: Final = "cancelled"
DECLINED: Final = "declined"

STALE: Final = 8
"""What the store adds to the `lead_rank` of copies on a calendar that nobody reads any more: any other copy leads first."""


class Attendee(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One invited person or room; `self` is the owner of the calendar that the event was read from."""

    email: str | None = None
    name: str | None = None
    response_status: str | None = None
    organizer: bool = False
    self: bool = False
    optional: bool = False
    resource: bool = False


class Organizer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who called the meeting."""

    email: str | None = None
    name: str | None = None
    self: bool = False


class Meeting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The way into a call: where the link was `found_in`, and a `hint` where it needs care."""

    url: str
    platform: str
    meeting_id: str | None = None
    passcode: str | None = None
    found_in: str
    hint: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence as the provider shows it, in our words; times are UTC.

    An all-day event has `start_date` and `end_date` (exclusive) and, for sorting and windows, `starts_at` and
    `ends_at` at midnight in the calendar's zone. `series_id` and `original_starts_at` name the slot of an occurrence
    and stay when it moves; of an all-day slot `original_start_date` is the day. `meeting_hint` says why there is no
    `meeting` although something looks like one. A provider's word that we do not know stays as it came (plain `str`).
    """

    provider_event_id: str
    ical_uid: str | None = None
    series_id: str | None = None
    original_starts_at: datetime | None = None
    original_start_date: date | None = None
    is_exception: bool = False
    title: str | None = None
    description: str | None = None
    location: str | None = None
    starts_at: datetime
    ends_at: datetime
    is_all_day: bool = False
    start_date: date | None = None
    end_date: date | None = None
    time_zone: str | None = None
    status: str = "confirmed"
    visibility: str = "default"
    is_busy: bool = True
    organizer: Organizer | None = None
    attendees: list[Attendee] = []
    response_status: str | None = None
    event_type: str = "default"
    meeting: Meeting | None = None
    meeting_hint: str | None = None
    html_link: str | None = None


class EventView(Event, frozen=True, kw_only=True):
    """An event as users see it: what the provider says, and what the store knows of it."""

    id: UUID
    calendar_id: UUID
    meeting_key: str
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class FieldChange(msgspec.Struct, frozen=True):
    """One field that differs between two versions of an event."""

    old: Any
    new: Any


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """The event as JSON of every field, in one order, so that equal events have equal bytes."""
    return _encoder.encode(event)


def decode_event(body: bytes | str) -> Event:
    """The event back from its bytes, or out of an `EventView`'s; a field added since takes its default."""
    return _decoder.decode(body)


def fingerprint(body: bytes) -> bytes:
    """Sixteen bytes that differ when anything we keep of the event differs; taken of `encode_event`'s bytes.

    Never of the provider's etag, `updated` or raw JSON, which move without a change that anybody could see.
    """
    return hashlib.blake2b(body, digest_size=16).digest()


class _Place(msgspec.Struct, gc=False):
    id: UUID
    calendar_id: UUID


class _Record(msgspec.Struct, gc=False):
    meeting_key: str
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


def view_json(
    body: bytes,
    *,
    event_id: UUID,
    calendar_id: UUID,
    key: str,
    version: int,
    created_at: datetime,
    updated_at: datetime,
    deleted_at: datetime | None,
) -> bytes:
    """`EventView` as JSON, made by splicing what the store knows around `encode_event`'s bytes."""
    place = _encoder.encode(_Place(event_id, calendar_id))
    record = _encoder.encode(_Record(key, version, created_at, updated_at, deleted_at))
    return b"%b,%b,%b" % (place[:-1], body[1:-1], record[1:])


def diff(old: Event, new: Event) -> dict[str, FieldChange]:
    """The fields that differ, by name, with both values."""
    return {
        name: FieldChange(was, now)
        for name in Event.__struct_fields__
        if (was := getattr(old, name)) != (now := getattr(new, name))
    }


def lead_rank(event: Event) -> int:
    """The place of this copy among the copies of its meeting, the lowest leads.

    The organiser's, then of people who accepted, then of those who did not say no, then rooms, which accept for nobody;
    what was declined comes after everything else, `STALE` copies too.
    """
    if event.response_status == DECLINED:
        return 2 * STALE
    if event.organizer is not None and event.organizer.self:
        return 0
    if any(person.self and person.resource for person in event.attendees):
        return 3
    return 1 if event.response_status == "accepted" else 2


def is_attended(event: Event) -> bool:
    """Whether a bot has something to attend: a link, not cancelled, not declined by the calendar's owner."""
    return event.meeting is not None and event.status != CANCELLED and event.response_status != DECLINED


def hint_action(old: Event | None, new: Event, fields: Mapping[str, FieldChange]) -> str:
    """What a bot scheduler has to do about a change: `schedule`, `move`, `relink`, `cancel` or `none`.

    It is said of this copy. A meeting that moved and has another link is to be moved; `fields` has both.
    """
    was, now = old is not None and is_attended(old), is_attended(new)
    if not was:
        return "schedule" if now else "none"
    if not now:
        return "cancel"
    if "starts_at" in fields or "ends_at" in fields:
        return "move"
    return "relink" if old is not None and _way_in(old) != _way_in(new) else "none"


def _way_in(event: Event) -> tuple[str | None, ...]:
    # Where a link was found, and a hint about it, make no difference to who joins.
    found = event.meeting
    return () if found is None else (found.url, found.platform, found.meeting_id, found.passcode)
