"""When somebody is free: busy stretches, buffers and working hours in, free stretches out; pure arithmetic of intervals.

What is not known is not free: with a single calendar whose busy times nobody knows, no stretch is.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from service.core.event import CANCELLED, DECLINED, Event
from service.core.schedule import Window

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_DAYS: Final = frozenset(range(7))
NO_TIME: Final = frozenset({"workingLocation", "birthday"})
"""Kinds of events that say where somebody is, or whose day it is."""

MOST_PAIRS: Final = 1000
"""Of overlapping events as many pairs are told at most."""

_PART: Final = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?[ :=])?(?P<from>\d{1,2}:\d{2})-(?P<to>\d{1,2}:\d{2})", re.ASCII
)


class Busy(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch in which a calendar's owner is busy, UTC. `calendar_id` is ours, or the provider's where we have none."""

    starts_at: datetime
    ends_at: datetime
    calendar_id: str


class Free(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch in which nobody who was asked about is busy, UTC."""

    starts_at: datetime
    ends_at: datetime


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """Working hours on some days of the week (0 is Monday), on the wall clock; an end of 24:00 is the day's."""

    days: frozenset[int]
    starts: time
    lasts: timedelta


class Place(NamedTuple):
    """Where an event stands among others: by start."""

    starts_at: datetime
    ends_at: datetime
    event_id: UUID


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An event that takes up time; `meeting_key` is the same for every copy of one meeting."""

    event_id: UUID
    starts_at: datetime
    ends_at: datetime
    meeting_key: str

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.starts_at, self.ends_at, self.event_id)


class PairPlace(NamedTuple):
    """Where a pair of events that overlap stands: by the one that begins last, then by the other."""

    second: Place
    first: Place


T = TypeVar("T", bound=Source)


def takes_time(event: Event) -> bool:
    """Whether its owner is busy while it lasts: not when it is transparent, cancelled or declined."""
    return (
        event.is_busy
        and event.status != CANCELLED
        and event.response_status != DECLINED
        and event.event_type not in NO_TIME
    )


def read_hours(text: str) -> list[Hours]:
    """`09:00-17:00`, or by days: `mon-fri 09:00-17:00,sat 10:00-12:00`. Raises ValueError."""
    found = []
    for part in text.lower().split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError("is as 09:00-17:00, or by days: mon-fri 09:00-17:00,sat 10:00-12:00")
        starts, ends = _clock(match["from"]), _clock(match["to"])
        if ends <= starts:
            raise ValueError("ends before it begins")
        midnight = datetime(1, 1, 1) + starts  # noqa: DTZ001 - a time of day
        found.append(Hours(days=_days(match["first"], match["last"]), starts=midnight.time(), lasts=ends - starts))
    return found


def working_time(hours: Sequence[Hours], window: Window, zone: ZoneInfo) -> list[Free]:
    """The working hours in a window, UTC; on days when clocks change they begin and end by the wall clock."""
    day = window.start.astimezone(zone).date() - timedelta(days=1)
    last = window.end.astimezone(zone).date()
    found = []
    while day <= last:
        for each in hours:
            if day.weekday() in each.days:
                begin = _at(day, each.starts, zone)
                wall = datetime.combine(day, each.starts) + each.lasts
                found.append(Free(starts_at=begin, ends_at=_at(wall.date(), wall.time(), zone)))
        day += timedelta(days=1)
    return merged(clipped(found, window))


def free_time(
    busy: Iterable[Busy],
    window: Window,
    *,
    hours: Sequence[Free] | None = None,
    buffer: timedelta = timedelta(0),
    shortest: timedelta = timedelta(0),
) -> list[Free]:
    """The stretches of a window (of its working `hours`) that are free, `buffer` kept before and after what is busy.

    Only those that last as long as `shortest`.
    """
    taken = merged(
        Free(starts_at=each.starts_at - buffer, ends_at=each.ends_at + buffer)
        for each in busy
        if each.ends_at > each.starts_at
    )
    found = []
    for stretch in [Free(starts_at=window.start, ends_at=window.end)] if hours is None else hours:
        start = stretch.starts_at
        for each in taken:
            if each.ends_at <= start or each.starts_at >= stretch.ends_at:
                continue
            if each.starts_at > start:
                found.append(Free(starts_at=start, ends_at=each.starts_at))
            start = max(start, each.ends_at)
        if start < stretch.ends_at:
            found.append(Free(starts_at=start, ends_at=stretch.ends_at))
    return [each for each in found if each.ends_at - each.starts_at >= shortest]


def merged(stretches: Iterable[Free]) -> list[Free]:
    """The same time in stretches that neither overlap nor touch, by start."""
    found: list[Free] = []
    for each in sorted(stretches, key=lambda stretch: stretch.starts_at):
        if each.ends_at <= each.starts_at:
            continue
        if found and each.starts_at <= found[-1].ends_at:
            found[-1] = Free(starts_at=found[-1].starts_at, ends_at=max(found[-1].ends_at, each.ends_at))
        else:
            found.append(each)
    return found


def clipped(stretches: Iterable[Free], window: Window) -> list[Free]:
    """What of them lies in the window."""
    return [
        Free(starts_at=max(each.starts_at, window.start), ends_at=min(each.ends_at, window.end))
        for each in stretches
        if window.overlaps(each.starts_at, each.ends_at)
    ]


def overlaps(events: Iterable[T], most: int = MOST_PAIRS, after: PairPlace | None = None) -> list[tuple[T, T]]:
    """Pairs of events that overlap and are not copies of one meeting, in the order of their places; at most so many.

    Only those behind the place `after`.
    """
    running: list[T] = []
    found: list[tuple[T, T]] = []
    for event in sorted(events, key=lambda each: each.place):
        running = [each for each in running if each.ends_at > event.starts_at]
        is_behind = after is None or event.place >= after.second
        for other in running if is_behind else ():
            if after is not None and (event.place, other.place) <= after:
                continue
            if other.meeting_key != event.meeting_key:
                found.append((other, event))
                if len(found) == most:
                    return found
        running.append(event)
    return found


def day_window(day: date, zone: ZoneInfo) -> Window:
    """A day by the wall clock of a zone: 23 to 25 hours."""
    return Window(_at(day, time.min, zone), _at(day + timedelta(days=1), time.min, zone))


def _at(day: date, moment: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, moment, zone).astimezone(UTC)


def _clock(text: str) -> timedelta:
    hour, _, minute = text.partition(":")
    if int(hour) > 24 or int(minute) > 59 or (int(hour) == 24 and int(minute)):
        raise ValueError("has times from 00:00 to 24:00")
    return timedelta(hours=int(hour), minutes=int(minute))


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return ALL_DAYS
    if first not in DAYS or (last is not None and last not in DAYS):
        raise ValueError(f"has days such as {', '.join(DAYS)}")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return frozenset((begin + each) % 7 for each in range((end - begin) % 7 + 1))
