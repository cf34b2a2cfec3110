"""Which meetings are coming up: one row for each real meeting, whoever of the project's users has it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from service.core.announcements import MeetingCopy
from service.core.event import EventView, Meeting, Organizer, decode_event
from service.flows.gateway import Gateway
from service.store import meetings
from service.store.tables import Found


class MeetingQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to list; `after` is the place (start, key) of the last row that the client has."""

    from_: datetime
    until: datetime
    platform: str | None = None
    calendar_id: UUID | None = None
    include_declined: bool = False
    limit: int = 50
    after: tuple[datetime, str] | None = None


class MeetingView(msgspec.Struct, frozen=True, kw_only=True):
    """A real meeting: as its lead copy tells it, with every copy."""

    meeting_key: str
    meeting_url: str
    platform: str
    meeting_id: str | None
    passcode: str | None
    starts_at: datetime
    ends_at: datetime
    title: str | None
    organizer: Organizer | None
    attendee_count: int
    lead: EventView
    copies: list[MeetingCopy]


async def upcoming(
    gateway: Gateway, project_id: UUID, query: MeetingQuery
) -> tuple[list[msgspec.Raw], tuple[datetime, str] | None]:
    """The meetings of a window by start, as `MeetingView` JSON, and the place to go on from (None: that was all)."""
    wanted = meetings.Wanted(
        from_=query.from_,
        until=query.until,
        platform=query.platform,
        calendar_id=query.calendar_id,
        include_declined=query.include_declined,
    )
    async with gateway.database.look() as conn:
        found = await meetings.leads(conn, project_id, wanted, query.after, query.limit + 1)
        shown = found[: query.limit]
        # Most meetings are on one calendar, and that copy is the lead.
        shared = [row.meeting_key for row in shown if row.is_shared]
        copies = await meetings.copies(conn, project_id, shared, include_declined=query.include_declined)
    by_key: dict[str, list[Found]] = {}
    for copy in copies:
        by_key.setdefault(copy.meeting_key, []).append(copy)
    views = [_view_json(row, by_key.get(row.meeting_key, [])) for row in shown]
    if len(found) <= query.limit:
        return views, None
    return views, (decode_event(shown[-1].body).starts_at, shown[-1].meeting_key)


class _Told(msgspec.Struct, gc=False):
    """The part of a stored event that a meeting's row repeats; what is only passed on stays undecoded."""

    id: msgspec.Raw
    calendar_id: msgspec.Raw
    meeting: Meeting
    starts_at: msgspec.Raw
    ends_at: msgspec.Raw
    title: msgspec.Raw
    organizer: msgspec.Raw
    attendees: list[msgspec.Raw]
    response_status: str | None


class _Shown(msgspec.Struct, gc=False):
    """`MeetingView`, as far as its parts are JSON already."""

    meeting_key: str
    meeting_url: str
    platform: str
    meeting_id: str | None
    passcode: str | None
    starts_at: msgspec.Raw
    ends_at: msgspec.Raw
    title: msgspec.Raw
    organizer: msgspec.Raw
    attendee_count: int
    lead: msgspec.Raw
    copies: list["_Copy"]


class _Copy(msgspec.Struct, gc=False):
    """`MeetingCopy`, its ids as they come."""

    event_id: UUID | msgspec.Raw
    calendar_id: UUID | msgspec.Raw
    calendar_status: str
    email: str | None
    response_status: str | None


_told: Final = msgspec.json.Decoder(_Told)
_encode: Final = msgspec.json.Encoder().encode


def _view_json(row: Found, copies: Sequence[Found]) -> msgspec.Raw:
    lead = row.body.encode()
    told = _told.decode(lead)
    meeting = told.meeting
    shown = _Shown(
        row.meeting_key,
        meeting.url,
        meeting.platform,
        meeting.meeting_id,
        meeting.passcode,
        told.starts_at,
        told.ends_at,
        told.title,
        told.organizer,
        len(told.attendees),
        msgspec.Raw(lead),
        [_copy(copy) for copy in copies] or [_lead_copy(row, told)],
    )
    return msgspec.Raw(_encode(shown))


def _lead_copy(row: Found, told: _Told) -> _Copy:
    return _Copy(told.id, told.calendar_id, row.calendar_status, row.email, told.response_status)


def _copy(row: Found) -> _Copy:
    return _Copy(row.id, row.calendar_id, row.calendar_status, row.email, row.response_status)
