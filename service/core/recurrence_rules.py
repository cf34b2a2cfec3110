"""One recurrence rule (RFC 5545, section 3.3.10): read from its text, and followed through a stretch of time."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

import msgspec
from dateutil import rrule as recurrences  # type: ignore[import-untyped]

MOST_OCCURRENCES: Final = 1_000
"""Of one series in one window; more than that is no meeting."""

MOST_STEPS: Final = 50_000
"""Occurrences of a rule that are stepped over to reach the window, a tenth of a second."""

EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_FREQUENCIES: Final = {
    "YEARLY": recurrences.YEARLY,
    "MONTHLY": recurrences.MONTHLY,
    "WEEKLY": recurrences.WEEKLY,
    "DAILY": recurrences.DAILY,
    "HOURLY": recurrences.HOURLY,
    "MINUTELY": recurrences.MINUTELY,
    "SECONDLY": recurrences.SECONDLY,
}
_PERIODS: Final = {
    recurrences.YEARLY: (365 * 24, 366),
    recurrences.MONTHLY: (28 * 24, 31),
    recurrences.WEEKLY: (7 * 24, 7),
    recurrences.DAILY: (24, 1),
    recurrences.HOURLY: (1, 1),
}
"""The fewest hours of each, and the most days in it that a rule can pick."""

_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMBERS: Final = {
    "BYMONTH": ("bymonth", 1, 12),
    "BYMONTHDAY": ("bymonthday", -31, 31),
    "BYYEARDAY": ("byyearday", -366, 366),
    "BYWEEKNO": ("byweekno", -53, 53),
    "BYSETPOS": ("bysetpos", -366, 366),
    "BYHOUR": ("byhour", 0, 23),
    "BYMINUTE": ("byminute", 0, 59),
    "BYSECOND": ("bysecond", 0, 60),
}
OF_A_DAY: Final = ("byhour", "byminute", "bysecond")
WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY: Final = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)?(Z)?)?")


class Unusable(ValueError):
    """A series that has no sense, or more of it than we can show; the message is the reason."""


class Rule(msgspec.Struct, kw_only=True):
    """A rule as dateutil wants it, with its end kept apart; `start` is on the wall clock of `zone`."""

    start: datetime
    zone: tzinfo
    is_all_day: bool
    freq: int
    interval: int
    count: int | None
    until: datetime | date | None
    options: dict[str, Any]

    @classmethod
    def read(cls, text: str, start: datetime, zone: tzinfo, *, is_all_day: bool) -> "Rule":
        """Raises Unusable for what has no sense, and for what repeats too fast to be a meeting."""
        parts = _parts(text)
        freq = _FREQUENCIES.get(parts.get("FREQ", ""))
        if freq is None:
            raise Unusable(f"a rule without a frequency that we know: {text[:100]}")
        if parts.get("RSCALE", "GREGORIAN") != "GREGORIAN":
            raise Unusable(f"a rule of another calendar: {text[:100]}")  # RFC 7529
        options: dict[str, Any] = {
            name: _numbers(parts[key], key, low, high) for key, (name, low, high) in _NUMBERS.items() if key in parts
        }
        if "BYDAY" in parts:
            options["byweekday"] = _weekdays(parts["BYDAY"])
        if is_all_day:
            options = {name: value for name, value in options.items() if name not in OF_A_DAY}
        # Old Evolution writes COUNT=-1 for a rule without end.
        counted = "COUNT" in parts and not parts["COUNT"].startswith("-")
        count = _number(parts["COUNT"], "COUNT", 1) if counted else None
        if freq > recurrences.HOURLY and (count is None or count > MOST_OCCURRENCES or options):
            raise Unusable(f"a rule that repeats {parts['FREQ']} is no meeting")
        if freq >= recurrences.HOURLY and is_all_day:
            raise Unusable(f"days cannot repeat {parts['FREQ']}")
        rule = cls(
            start=start,
            zone=zone,
            is_all_day=is_all_day,
            freq=freq,
            interval=_number(parts.get("INTERVAL", "1"), "INTERVAL", 1),
            count=count,
            until=moment_of(parts["UNTIL"]) if "UNTIL" in parts else None,
            options=options,
        )
        rule._spell_out()
        options["wkst"] = WEEKDAYS.index(parts["WKST"]) if parts.get("WKST") in WEEKDAYS else 0
        return rule

    def has_ended(self, wall: datetime) -> bool:
        """Whether UNTIL lies before; of another type than the start, it is read as that day or that wall clock."""
        if self.until is None:
            return False
        if not isinstance(self.until, datetime):
            return wall.date() > self.until
        if self.is_all_day:
            return wall.date() > self.until.date()
        if self.until.tzinfo is None:
            return wall > self.until
        return in_utc(wall.replace(tzinfo=self.zone)) > self.until

    def walls(self, low: datetime, high: datetime) -> Iterator[datetime]:
        """The rule's times in `[low, high]`, followed from near `low` wherever that gives the same.

        Raises Unusable when they would have to be followed too far, or can never be.
        """
        if self._is_never():
            return
        count = None if self.count is None or self.count >= self._most(high) else self.count
        start = self.start if count is not None else self._nearest(low)
        for step, wall in enumerate(self._followed(start, count)):
            if wall > high or self.has_ended(wall):
                return
            if step > MOST_STEPS:
                raise Unusable("a rule that would have to be followed too far")
            if wall >= low:
                yield wall

    def _followed(self, start: datetime, count: int | None) -> Iterator[datetime]:
        try:
            yield from recurrences.rrule(self.freq, dtstart=start, interval=self.interval, count=count, **self.options)
        except OverflowError:
            return  # the end of time
        except ValueError as error:
            # An hour that the interval never comes to, say.
            raise Unusable(f"a rule without occurrences: {error}") from error

    def _is_never(self) -> bool:
        # The 30th of February, say, which dateutil would look for until the year 9999.
        months, days = self.options.get("bymonth"), self.options.get("bymonthday")
        if not months or not days:
            return False
        longest = max(_LONGEST_MONTHS[month - 1] for month in months)
        return all(abs(day) > longest for day in days)

    def _spell_out(self) -> None:
        # What dateutil would take from the start, which may be another one for it.
        given = self.options.keys() & {"byweekno", "byyearday", "bymonthday", "byweekday"}
        if not given and self.freq in {recurrences.YEARLY, recurrences.MONTHLY}:
            self.options["bymonthday"] = [self.start.day]
            if self.freq == recurrences.YEARLY:
                self.options.setdefault("bymonth", [self.start.month])
        elif given == {"byweekno"} or (not given and self.freq == recurrences.WEEKLY):
            self.options["byweekday"] = [self.start.weekday()]

    def _nearest(self, low: datetime) -> datetime:
        """The start of an interval before `low` that keeps step with the start; the start when there is none."""
        start = self.start
        if self.freq in {recurrences.YEARLY, recurrences.MONTHLY}:
            months = self.interval * (12 if self.freq == recurrences.YEARLY else 1)
            steps = ((low.year - start.year) * 12 + low.month - start.month) // months - 1
            if steps <= 0:
                return start
            year, month = divmod(start.year * 12 + start.month - 1 + steps * months, 12)
            return start.replace(year=year, month=1 if self.freq == recurrences.YEARLY else month + 1, day=1)
        unit = {recurrences.WEEKLY: 7 * _DAY, recurrences.DAILY: _DAY, recurrences.HOURLY: _HOUR}.get(self.freq)
        if unit is None:
            return start
        steps = (low - start) // unit // self.interval - 1
        return start + steps * self.interval * unit if steps > 0 else start

    def _most(self, high: datetime) -> int:
        """At least as many occurrences as the rule can have until `high`."""
        if self.freq > recurrences.HOURLY:
            return MOST_OCCURRENCES + 1
        hours, days = _PERIODS[self.freq]
        periods = (max((high - self.start) // _HOUR, 0) + 24) // hours // self.interval + 2
        times: int = math.prod(len(self.options.get(name, "1")) for name in OF_A_DAY)
        return periods * days * times


def in_utc(at: datetime) -> datetime:
    """The instant, or the first or last that a datetime can hold when it lies beyond."""
    try:
        return at.astimezone(UTC)
    except (OverflowError, ValueError):
        return EARLIEST if at.year < 5000 else LATEST


def later(at: datetime, span: timedelta) -> datetime:
    """`at + span`, or the first or last time that there is."""
    try:
        return at + span
    except OverflowError:
        return (LATEST if span > timedelta(0) else EARLIEST).replace(tzinfo=at.tzinfo)


def _parts(text: str) -> dict[str, str]:
    """The parts by name, in capitals; what is empty or unknown counts as absent, and some escape the semicolons."""
    pairs = (part.partition("=") for part in text.replace("\\", "").upper().split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}


def _number(text: str, name: str, low: int, high: int | None = None) -> int:
    try:
        number = int(text) if len(text) < 20 else low - 1
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high) or (low < 0 and number == 0):
        raise Unusable(f"a rule with {name}={text[:50]}")
    return number


def _numbers(text: str, name: str, low: int, high: int) -> list[int]:
    # RFC 7529 marks a leap month with an L; nobody's calendar here has one.
    numbers = {_number(each.strip(), name, low, high) for each in text.split(",") if each.strip()}
    return sorted({min(each, 59) for each in numbers} if name == "BYSECOND" else numbers)


def _weekdays(text: str) -> list[Any]:
    found = set()
    for each in text.split(","):
        match = _BYDAY.fullmatch(each.strip())
        if match is None:
            raise Unusable(f"a rule with BYDAY={text[:50]}")
        nth = int(match[1] or 0)
        found.add((WEEKDAYS.index(match[2]), nth))
    return [recurrences.weekday(day, nth or None) for day, nth in sorted(found)]


def moment_of(text: str) -> datetime | date:
    """A day, a time on the wall clock (naive) or in UTC, as UNTIL and EXDATE have them. Raises Unusable."""
    match = _UNTIL.fullmatch(text)
    if match is None:
        raise Unusable(f"a rule with UNTIL={text[:50]}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        if match[4] is None:
            return date(year, month, day)
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC if match[7] else None)
    except ValueError as error:
        raise Unusable(f"a rule with UNTIL={text[:50]}") from error
