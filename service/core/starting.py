"""When a meeting's start is to be announced: which lead times have come, and when the next one does.

Every lead time is in seconds before the start.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from service.core.announcements import MeetingCopy
from service.core.event import Meeting


class Outlook(msgspec.Struct, frozen=True):
    """The lead times that have come, the longest first, and when the next one comes (None: that was the last)."""

    due: tuple[int, ...]
    next_at: datetime | None


NOTHING = Outlook((), None)


def outlook(starts_at: datetime, ends_at: datetime, leads: Sequence[int], now: datetime) -> Outlook:
    """What there is to say of a meeting at a moment, as far as it was not said before.

    A lead time whose moment was missed is due for as long as the meeting runs; once that is over, nothing is.
    """
    if now >= ends_at:
        return NOTHING
    moments = {lead: starts_at - timedelta(seconds=lead) for lead in sorted(set(leads), reverse=True)}
    return Outlook(
        tuple(lead for lead, moment in moments.items() if moment <= now),
        min((moment for moment in moments.values() if moment > now), default=None),
    )


def first_look(starts_at: datetime, ends_at: datetime, leads: Sequence[int], now: datetime) -> datetime | None:
    """When to look at a copy that has just been written: when its longest lead time comes, or came.

    That may be past; the look then finds what was said already. None when it never has to be looked at.
    """
    return starts_at - timedelta(seconds=max(leads)) if leads and now < ends_at else None


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of the moments that there are."""
    return min((moment for moment in moments if moment is not None), default=None)


class _Linked(msgspec.Struct, gc=False):
    meeting: Meeting


class Said(msgspec.Struct, frozen=True, gc=False):
    """`MeetingStarting`, its event as the bytes that are stored."""

    meeting_key: str
    starts_at: datetime
    lead_seconds: int
    meeting_url: str
    platform: str
    event: msgspec.Raw
    copies: Sequence[MeetingCopy]


_linked = msgspec.json.Decoder(_Linked)


def announcement(
    meeting_key: str, starts_at: datetime, lead_seconds: int, lead: bytes, copies: Sequence[MeetingCopy]
) -> Said:
    """The `data` of one `meeting.starting`; `lead` is the `EventView` of the lead copy as JSON."""
    meeting = _linked.decode(lead).meeting
    return Said(meeting_key, starts_at, lead_seconds, meeting.url, meeting.platform, msgspec.Raw(lead), copies)
