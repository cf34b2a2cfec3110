"""Which occurrences a recurring event has in a window: RRULE, RDATE, EXDATE and overrides (RFC 5545, section 3.8.5).

Rules run on the wall clock of the series' zone. A time that a change of the clock leaves out is reckoned with the offset
before it, one that comes twice is the first of the two (section 3.3.5): 02:30 is held at 03:30 on that day. Section
3.3.10 would rather drop it, but no calendar that people use does, and a bot that comes in vain is cheaper than none.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

import msgspec

from service.core.recurrence_rules import EARLIEST, MOST_OCCURRENCES, Rule, Unusable, in_utc, later
from service.core.schedule import Window

Slot = datetime | date
"""What RECURRENCE-ID says (section 3.8.4.4): the instant in UTC, or of an all-day series the day."""

_ZERO: Final = timedelta(0)
_DAY: Final = timedelta(days=1)
_MARGIN: Final = timedelta(days=2)
"""More than any two clocks on Earth differ."""


class Length(msgspec.Struct, frozen=True, gc=False):
    """How long: `days` of the calendar, and `exact` time; so P1D is 23 hours where PT24H is not (section 3.3.6)."""

    days: int = 0
    exact: timedelta = _ZERO


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The master: its `start` is on the wall clock of `zone`, midnight when it is all day.

    `rules` are the texts of RRULE, `excluded_rules` of EXRULE (RFC 2445); `added` are RDATE's slots, each with a length
    of its own if it was a period; `removed` are EXDATE's, a day taking out all of that day.
    """

    start: datetime
    zone: tzinfo
    length: Length
    is_all_day: bool = False
    rules: Sequence[str] = ()
    excluded_rules: Sequence[str] = ()
    added: Mapping[Slot, Length | None] = {}
    removed: frozenset[Slot] = frozenset()

    def rule(self, text: str) -> Rule:
        return Rule.read(text, self.start, self.zone, is_all_day=self.is_all_day)

    def slot(self, wall: datetime) -> Slot:
        """A time of the wall clock as a slot."""
        return wall.date() if self.is_all_day else in_utc(wall.replace(tzinfo=self.zone))

    def wall(self, slot: Slot) -> datetime:
        """A slot on the wall clock."""
        if not isinstance(slot, datetime):
            return datetime(slot.year, slot.month, slot.day)  # noqa: DTZ001  (the series' own wall clock)
        try:
            return slot.astimezone(self.zone).replace(tzinfo=None)
        except OverflowError:
            return slot.replace(tzinfo=None)


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """A component with RECURRENCE-ID: it stands for `slot`, and where it is held.

    With RANGE=THISANDFUTURE (section 3.2.13) it stands for the later slots too: each moved by `shift` on the wall clock
    and `length` long.
    """

    slot: Slot
    starts_at: datetime
    ends_at: datetime
    shift: timedelta | None = None
    length: Length = Length()


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence, in UTC; `source` is the index of the override that describes it, None the master.

    An all-day one that no override placed has `start_date` and `end_date` (exclusive).
    """

    slot: Slot
    starts_at: datetime
    ends_at: datetime
    start_date: date | None = None
    end_date: date | None = None
    source: int | None = None


def occurrences(series: Series, overrides: Sequence[Override], window: Window) -> list[Occurrence]:
    """Those that overlap the window, by their start; an override counts even where no rule or EXDATE has its slot.

    Of two overrides of one slot the caller has chosen. Raises Unusable, with the reason, for a rule without sense and
    beyond MOST_OCCURRENCES.
    """
    found = [
        Occurrence(slot=each.slot, starts_at=each.starts_at, ends_at=each.ends_at, source=index)
        for index, each in enumerate(overrides)
        if window.overlaps(each.starts_at, each.ends_at)
    ]
    settled = {each.slot for each in overrides}
    rules = [series.rule(text) for text in series.rules]
    excluded = [series.rule(text) for text in series.excluded_rules]
    for segment in _segments(series, overrides):
        for each in _within(series, rules, excluded, segment, window):
            if each.slot not in settled:
                settled.add(each.slot)
                found.append(each)
                if len(found) > MOST_OCCURRENCES:
                    raise Unusable(f"more than {MOST_OCCURRENCES} occurrences in the window")
    return sorted(found, key=lambda each: each.starts_at)


def end_of(wall: datetime, zone: tzinfo, length: Length) -> datetime:
    """When what begins at `wall` on the clock of `zone` ends, in UTC."""
    return later(in_utc(later(wall, length.days * _DAY).replace(tzinfo=zone)), length.exact)


class _Segment(msgspec.Struct):
    """The slots of `[first, before)`, and how their occurrences lie to them."""

    first: Slot | None
    before: Slot | None
    shift: timedelta
    length: Length
    source: int | None


def _segments(series: Series, overrides: Sequence[Override]) -> list[_Segment]:
    """The master's slots, and from each THISANDFUTURE on its own; the later one takes over from the earlier."""
    segments = [_Segment(None, None, _ZERO, series.length, None)]
    ranged = [(each.slot, index) for index, each in enumerate(overrides) if each.shift is not None]
    for slot, index in sorted(ranged):
        segments[-1].before = slot
        segments.append(_Segment(slot, None, overrides[index].shift or _ZERO, overrides[index].length, index))
    return segments


def _within(
    series: Series, rules: Sequence[Rule], excluded: Sequence[Rule], segment: _Segment, window: Window
) -> Iterator[Occurrence]:
    lengths = [segment.length, *(length for length in series.added.values() if length is not None)]
    reach = max(later(EARLIEST, each.exact) - EARLIEST + max(each.days, 0) * _DAY for each in lengths)
    low = later(later(window.start.replace(tzinfo=None), -reach - _MARGIN), -segment.shift)
    high = later(later(window.end.replace(tzinfo=None), _MARGIN), -segment.shift)
    if segment.first is not None:
        low = max(low, later(series.wall(segment.first), -_MARGIN))
    if segment.before is not None:
        high = min(high, later(series.wall(segment.before), _MARGIN))
    if low > high:
        return
    without = {series.slot(wall) for rule in excluded for wall in rule.walls(low, high)}
    for slot, wall, length in _candidates(series, rules, low, high):
        if segment.first is not None and slot < segment.first:
            continue
        if segment.before is not None and slot >= segment.before:
            continue
        if slot in series.removed or wall.date() in series.removed or slot in without:
            continue
        found = _place(series, segment, slot, wall, length)
        if window.overlaps(found.starts_at, found.ends_at):
            yield found


def _candidates(
    series: Series, rules: Sequence[Rule], low: datetime, high: datetime
) -> Iterator[tuple[Slot, datetime, Length | None]]:
    """RDATEs first, for one that is a period says how long; the start is an occurrence even if no rule has it."""
    for slot, length in series.added.items():
        wall = series.wall(slot)
        if low <= wall <= high:
            yield slot, wall, length
    if low <= series.start <= high and not (rules and all(rule.has_ended(series.start) for rule in rules)):
        yield series.slot(series.start), series.start, None
    for rule in rules:
        for wall in rule.walls(low, high):
            yield series.slot(wall), wall, None


def _place(series: Series, segment: _Segment, slot: Slot, wall: datetime, length: Length | None) -> Occurrence:
    # Adding nothing would forget which of two equal times it is.
    begins = later(wall, segment.shift) if segment.shift else wall
    length = segment.length if length is None else length
    starts_at = in_utc(begins.replace(tzinfo=series.zone))
    ends_at = max(starts_at, end_of(begins, series.zone, length))
    if not series.is_all_day:
        return Occurrence(slot=slot, starts_at=starts_at, ends_at=ends_at, source=segment.source)
    end_date = later(begins, length.days * _DAY).date()
    return Occurrence(
        slot=slot,
        starts_at=starts_at,
        ends_at=ends_at,
        start_date=begins.date(),
        end_date=end_date,
        source=segment.source,
    )
