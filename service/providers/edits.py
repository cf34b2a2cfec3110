"""What a patch makes of an event as it was read: its times, and whether it has been made already."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from html import unescape
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from service.core.drafts import TIMES, Draft, Patch, given, patched
from service.core.event import Event
from service.core.series_moves import Move
from service.errors import RequestRefused, SeriesUnmovable

_TAG: Final = re.compile(r"<[^>]*>")
_WHEN: Final = {
    "starts_at", "ends_at", "start_date", "end_date", "is_all_day", "time_zone", "is_exception", "original_starts_at",
    "original_start_date",
}  # fmt: skip
_FOLLOWS: Final[Mapping[str, AbstractSet[str]]] = {
    "title": {"title", "meeting", "meeting_hint"},
    "description": {"description", "meeting", "meeting_hint"},
    "location": {"location", "meeting", "meeting_hint"},
    "attendees": {"attendees", "response_status"},
    "conference": {"meeting", "meeting_hint", "description", "location"},
    "visibility": {"visibility"},
    "is_busy": {"is_busy"},
    "reminders": frozenset(),
    **dict.fromkeys(TIMES, _WHEN),
}
"""Which fields of an event may be others after a field of a patch."""


class Span(msgspec.Struct, frozen=True):
    """When an event is: two instants, or two days of which the second is the first that is free again."""

    start: datetime | date
    end: datetime | date
    zone: str

    @property
    def is_all_day(self) -> bool:
        """Whether it lasts whole days."""
        return not isinstance(self.start, datetime)

    @property
    def is_ambiguous(self) -> bool:
        """Whether one of the two is in an hour that comes twice, as the clock is set back: a wall time cannot say which."""
        zone = ZoneInfo(self.zone)
        local = [each.astimezone(zone) for each in (self.start, self.end) if isinstance(each, datetime)]
        return any(each.replace(fold=0).utcoffset() != each.replace(fold=1).utcoffset() for each in local)

    def wall(self, moment: datetime | date) -> datetime:
        """One of the two as the clocks of the zone show it."""
        if isinstance(moment, datetime):
            return moment.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - wall time has no zone


def span_of(draft: Draft, zone: str | None) -> Span:
    """When a draft is to be, in its own zone or else in `zone`. Raises RequestRefused where it does not say."""
    name = draft.time_zone or zone or "UTC"
    _zone_named(name)
    if draft.start_date is not None and draft.end_date is not None:
        return Span(draft.start_date, draft.end_date, name)
    if draft.starts_at is not None and draft.ends_at is not None:
        return Span(draft.starts_at, draft.ends_at, name)
    raise RequestRefused("an event needs a start and an end, both of a time or both of a day")


def moved(event: Event, patch: Patch, zone: str | None) -> Span:
    """When an event is to be after a patch. Raises RequestRefused where a start has no end of its kind."""
    now = Draft(time_zone=event.time_zone)
    if event.is_all_day:
        now = msgspec.structs.replace(now, start_date=event.start_date, end_date=event.end_date)
    else:
        now = msgspec.structs.replace(now, starts_at=event.starts_at, ends_at=event.ends_at)
    return span_of(patched(now, patch), zone)


def move_of(master: Event, span: Span) -> Move:
    """How a series moves that is to begin at `span`. Raises SeriesUnmovable where days would become times."""
    if master.is_all_day != span.is_all_day:
        raise SeriesUnmovable("times do not become days, nor days times")
    before = Span(
        master.start_date or master.starts_at, master.end_date or master.ends_at, master.time_zone or span.zone
    )
    zone = _zone_named(before.zone)
    return Move(
        before=before.wall(before.start),
        after=span.wall(span.start),
        zone=zone,
        new_zone=_zone_named(span.zone),
        is_all_day=span.is_all_day,
    )


def _zone_named(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise RequestRefused(f"{name[:64]} is no time zone") from None


def is_made(seen: Event, current: Event, patch: Patch) -> bool:
    """Whether `current` is what the patch makes of what was `seen`, and nothing besides: our own write, most likely.

    A call that was answered by silence may have been carried out; asked again, it must not take itself for a stranger.
    """
    asked = given(patch)
    allowed = {each for name in asked for each in _FOLLOWS[name]}
    before, after = msgspec.structs.asdict(seen), msgspec.structs.asdict(current)
    if any(before[name] != after[name] for name in before.keys() - allowed):
        return False
    return all(_holds(name, value, current) for name, value in asked.items())


def unmade(seen: Event, current: Event, patch: Patch) -> Event:
    """`current` without what the patch has made of what was `seen`: what others have done meanwhile.

    Who stays invited keeps the answer that stands by now, whoever has written the list.
    """
    asked = given(patch)
    held = {name for name, value in asked.items() if _holds(name, value, current)}
    if not held.issuperset(asked.keys() & set(TIMES)):
        held.difference_update(TIMES)
    before = {name: getattr(seen, name) for each in held for name in _FOLLOWS[each]}
    if "attendees" in before:
        now = {each.email: each for each in current.attendees}
        before["attendees"] = [now.get(each.email, each) for each in seen.attendees]
    return msgspec.structs.replace(current, **before)


def _holds(name: str, value: Any, event: Event) -> bool:
    if name in {"title", "location"}:
        return (getattr(event, name) or "") == (value or "")
    if name == "description":
        return _plain(value) in _plain(event.description)
    if name in {"starts_at", "ends_at"}:
        return value is None or getattr(event, name) == value
    if name in {"start_date", "end_date", "is_busy"}:
        return bool(getattr(event, name) == value)
    if name == "attendees":
        # The organizer may be listed or not, and stays either way.
        organizers = {each.email for each in event.attendees if each.organizer}
        asked = {guest.email.lower() for guest in value} - organizers
        return asked == {each.email for each in event.attendees if each.email} - organizers
    return True


def _plain(text: str | None) -> str:
    return "".join(unescape(_TAG.sub(" ", text or "")).split())
