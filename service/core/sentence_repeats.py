"""How often an event comes, as an English sentence says it: `every Monday and Wednesday`, `every other week until June 1`."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from service.core.sentence_dates import WEEKDAYS

_NAMES: Final = "|".join(f"{day}s?" for day in WEEKDAYS)
_EVERY: Final = re.compile(
    r"\b(?:repeats? |repeating )?every (?:(?P<other>other|second|2nd|third|3rd|\d{1,2}) )?"
    rf"(?:(?P<unit>days?|weekdays?|workdays?|weeks?|months?|years?)|(?P<days>(?:{_NAMES})(?:(?:,? and |, ?| ?& ?)(?:{_NAMES}))*))\b"
    r"(?: on(?= (?:mon|tues|wednes|thurs|fri|satur|sun)day))?",
    re.IGNORECASE,
)
_UNTIL: Final = re.compile(r"\b(?:until|till?|through|thru)\b(?P<date>.*)$", re.IGNORECASE)
_FREQUENCIES: Final = {"day": "DAILY", "week": "WEEKLY", "month": "MONTHLY", "year": "YEARLY"}
_WORK_DAYS: Final = (0, 1, 2, 3, 4)


class Repeats(NamedTuple):
    """Each how many days, weeks, months or years an event comes, on which weekdays (0 is Monday), until which day.

    `rest` is the sentence without all that, `until` the words that name the last day.
    """

    frequency: str
    interval: int
    weekdays: tuple[int, ...]
    until: str | None
    rest: str


def read_repeats(text: str) -> Repeats | None:
    """What an English sentence says of repeating; None where it says nothing."""
    match = _EVERY.search(text)
    if match is None:
        return None
    rest = f"{text[: match.start()].rstrip()} {text[match.end() :].lstrip()}".strip()
    end = _UNTIL.search(rest)
    until = end["date"].strip() if end else None
    if end is not None:
        rest = rest[: end.start()].strip()
    other = (match["other"] or "1").lower()
    interval = {"other": 2, "second": 2, "2nd": 2, "third": 3, "3rd": 3}.get(other) or max(int(other), 1)
    unit = (match["unit"] or "week").lower().removesuffix("s")
    named = re.findall("|".join(WEEKDAYS), (match["days"] or "").lower())
    if unit in {"weekday", "workday"}:
        return Repeats("WEEKLY", interval, _WORK_DAYS, until, rest)
    weekdays = tuple(sorted({WEEKDAYS.index(day) for day in named}))
    return Repeats(_FREQUENCIES[unit], interval, weekdays, until, rest)


def first_day(repeats: Repeats, day: date) -> date:
    """The first day from `day` on that has one of the weekdays."""
    ahead = (timedelta(days=each) for each in range(7))
    return next((day + each for each in ahead if (day + each).weekday() in repeats.weekdays), day)


def rule(repeats: Repeats, last: date | None, zone: ZoneInfo | None) -> str:
    """As iCalendar says it (RFC 5545, 3.3.10); `zone` is that of an event with a time of day."""
    parts = [f"FREQ={repeats.frequency}"]
    if repeats.interval > 1:
        parts.append(f"INTERVAL={repeats.interval}")
    if repeats.weekdays:
        parts.append("BYDAY=" + ",".join(WEEKDAYS[day][:2].upper() for day in repeats.weekdays))
    if last is not None and zone is None:
        parts.append(f"UNTIL={last:%Y%m%d}")
    elif last is not None:
        end = datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=zone).astimezone(UTC)
        parts.append(f"UNTIL={end:%Y%m%dT%H%M%SZ}")
    return "RRULE:" + ";".join(parts)
