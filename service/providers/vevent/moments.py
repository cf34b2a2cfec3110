"""Dates, times and durations as iCalendar writes them (RFC 5545, section 3.3), and as others believe that it does."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final, NamedTuple

from service.core.recurrence import Length
from service.core.recurrence_rules import in_utc
from service.providers.vevent.properties import Property
from service.providers.vevent.zones import Zones

MOST_DAYS: Final = 36_500
"""A longer event is a slip of somebody's; and days beyond a century need not be reckoned."""

_MOMENT: Final = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE
)
_DURATION: Final = re.compile(
    r"([+-]?)P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?", re.IGNORECASE
)


class Moment(NamedTuple):
    """A time on the wall clock of `zone`, or, at midnight, a day (`is_day`); `zone_name` where the zone has an IANA name."""

    wall: datetime
    zone: tzinfo
    zone_name: str | None
    is_day: bool
    is_utc: bool = False

    @property
    def instant(self) -> datetime:
        return in_utc(self.wall.replace(tzinfo=self.zone))


def read_moment(given: Property, zones: Zones, home: Moment | None = None) -> Moment:
    """Of DTSTART, DTEND, RECURRENCE-ID; one without a zone is in the one of `home`. Raises ValueError."""
    value, name = _repaired(given)
    return _moment(value, name, zones, home, is_day=given.parameters.get("VALUE", "").upper() == "DATE")


def read_moments(given: Property, zones: Zones, home: Moment) -> Iterator[tuple[Moment, Length | None]]:
    """Of EXDATE and RDATE, each with its length when it is a period. Raises ValueError."""
    value, name = _repaired(given)
    is_day = given.parameters.get("VALUE", "").upper() == "DATE"
    for each in value.split(","):
        if not each.strip():
            continue
        first, _, rest = each.partition("/")
        begin = _moment(first, name, zones, home, is_day=is_day)
        if not rest:
            yield begin, None
        elif "P" in rest.upper():
            yield begin, read_duration(rest)
        else:
            yield begin, between(begin, _moment(rest, name, zones, home, is_day=False))


def read_duration(text: str) -> Length:
    """Weeks and days are of the calendar, the rest is exact (section 3.3.6). A negative one is none. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()[1:]):
        raise ValueError(f"no duration: {text[:50]}")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
    if match[1] == "-":
        return Length()
    exact = timedelta(seconds=min(hours * 3600 + minutes * 60 + seconds, MOST_DAYS * 86_400))
    return Length(min(weeks * 7 + days, MOST_DAYS), exact)


def between(start: Moment, end: Moment) -> Length:
    """From the start to the end; none when it lies before, and of a day's length at least when both are days."""
    if start.is_day:
        days = (end.wall.date() - start.wall.date()).days + (end.wall.time() > time())
        return Length(min(max(days, 1), MOST_DAYS))
    end_at = end.instant if not end.is_day else in_utc(end.wall.replace(tzinfo=start.zone))
    return Length(0, min(max(end_at - start.instant, timedelta(0)), timedelta(days=MOST_DAYS)))


def _repaired(given: Property) -> tuple[str, str | None]:
    """The value and the TZID; one that has a colon and no quotes, `(UTC+01:00) Brussels`, has torn the line apart."""
    name = given.parameters.get("TZID")
    value = given.value.strip()
    if name is None or ":" not in value:
        return value, name
    torn, _, rest = value.rpartition(":")
    return (rest.strip(), f"{name}:{torn}") if not _MOMENT.match(value) else (value, name)


def _moment(text: str, name: str | None, zones: Zones, home: Moment | None, *, is_day: bool) -> Moment:
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"no date or time: {text[:50]}")
    day = date(int(match[1]), int(match[2]), int(match[3]))
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  (on the wall clock)
    if is_day or match[4] is None:
        return Moment(midnight, zones.default, zones.default_name, is_day=True)
    hour, minute, second = int(match[4]), int(match[5]), min(int(match[6] or 0), 59)
    if hour > 24 or minute > 59:
        raise ValueError(f"no time of a day: {text[:50]}")
    # Midnight at the end of a day is written 240000 by some (ISO 8601).
    wall = midnight + timedelta(hours=hour, minutes=minute, seconds=second)
    offset = match[7]
    if offset is None and name is None and home is not None and not home.is_day:
        zone, zone_name = home.zone, home.zone_name
    elif offset is None:
        zone, zone_name = zones.find(name)
    elif offset in {"Z", "z"}:
        return Moment(wall, UTC, None, is_day=False, is_utc=True)
    else:
        sign = -1 if offset[0] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:])))
        zone_name = None
    return Moment(wall, zone, zone_name, is_day=False)
