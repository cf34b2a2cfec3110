"""A time zone as a VTIMEZONE spells it out (RFC 5545, section 3.6.5), for names that nobody knows."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from service.core.recurrence_rules import Rule
from service.providers.vevent.text import ZoneText, decode

AROUND: Final = timedelta(days=3 * 366)
"""How far to either side of the window the changes of the clock are reckoned; beyond, the nearest holds on."""

MOST_CHANGES: Final = 1_000

_LINE: Final = re.compile(rb"^([A-Z-]+)(?:;[^:\n]*)?:([^\n]*)$", re.IGNORECASE | re.MULTILINE)
_OFFSET: Final = re.compile(r"([+-]?)(\d\d):?(\d\d):?(\d\d)?")
_WALL: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)Z?)?")


class _Change(NamedTuple):
    """The clock is set, at `instant` (UTC without a zone), from one offset to another."""

    instant: datetime
    before: timedelta
    after: timedelta


class WrittenZone(tzinfo):
    """Between its changes the offset is constant; times that are left out or come twice are told apart by `fold`."""

    def __init__(self, changes: list[_Change]) -> None:
        self._changes = changes
        self._instants = [change.instant for change in changes]

    @classmethod
    def read(cls, text: ZoneText, around: datetime) -> "WrittenZone | None":
        """The zone in the years about `around`; None when nothing of it can be read."""
        changes: set[_Change] = set()
        for _, lines in text.observances:
            try:
                for change in _changes(lines, around.replace(tzinfo=None)):
                    changes.add(change)
                    if len(changes) > MOST_CHANGES:
                        return None
            except (KeyError, ValueError, OverflowError):
                continue
        return cls(sorted(changes)) if changes else None

    def utcoffset(self, at: datetime | None) -> timedelta:
        """PEP 495: of a time that is left out, fold 0 is the offset before the change; of one that comes twice, the first."""
        if at is None:
            return self._changes[0].before
        wall = at.replace(tzinfo=None, fold=0)
        offset = self._changes[0].before
        near = max(bisect_right(self._instants, wall) - 2, 0)
        if near:
            offset = self._changes[near - 1].after
        for change in self._changes[near : near + 4]:
            seam = change.instant + (min if at.fold else max)(change.before, change.after)
            if wall < seam:
                break
            offset = change.after
        return offset

    def dst(self, _at: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _at: datetime | None) -> str:
        return "VTIMEZONE"

    def fromutc(self, at: datetime) -> datetime:
        instant = at.replace(tzinfo=None)
        index = bisect_right(self._instants, instant) - 1
        offset = self._changes[index].after if index >= 0 else self._changes[0].before
        wall = instant + offset
        # The same time was shown before the clock was set back.
        again = index >= 0 and wall < self._changes[index].instant + self._changes[index].before
        return wall.replace(tzinfo=self, fold=int(again))

    def __repr__(self) -> str:
        return f"WrittenZone({len(self._changes)} changes)"


def _changes(lines: bytes, around: datetime) -> Iterator[_Change]:
    """Those of one STANDARD or DAYLIGHT near `around`, and the last one before."""
    given: dict[str, str] = {}
    dates = []
    for match in _LINE.finditer(lines):
        name, value = match[1].decode().upper(), decode(match[2]).strip()
        if name == "RDATE":
            dates.extend(value[:20_000].split(","))
        given.setdefault(name, value)
    before, after = _offset(given["TZOFFSETFROM"]), _offset(given["TZOFFSETTO"])
    start = _wall(given["DTSTART"])
    walls = [start, *(_wall(each.partition("/")[0]) for each in dates)]
    if "RRULE" in given:
        rule = Rule.read(given["RRULE"], start, UTC, is_all_day=False)
        if rule.freq > 1:
            raise ValueError("no clock is set more often than monthly")
        if rule.until is not None and isinstance(rule.until, datetime) and rule.until.tzinfo is not None:
            rule.until = (rule.until + before).replace(tzinfo=None)
        walls.extend(rule.walls(around - AROUND, around + AROUND))
        if rule.until is not None:
            # A rule that has ended goes on by its last change.
            last = datetime(rule.until.year, rule.until.month, rule.until.day)  # noqa: DTZ001  (on the wall clock)
            walls.extend(list(rule.walls(last - AROUND, last + timedelta(days=1)))[-1:])
    return (_Change(wall - before, before, after) for wall in walls)


def _offset(text: str) -> timedelta:
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError(f"no offset: {text[:50]}")
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=int(match[4] or 0))
    if offset >= timedelta(days=1):
        raise ValueError(f"no offset: {text[:50]}")
    return -offset if match[1] == "-" else offset


def _wall(text: str) -> datetime:
    match = _WALL.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"no time: {text[:50]}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  (on the wall clock)
