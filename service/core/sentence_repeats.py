"""How often an event comes, as an English sentence says it: `every Mon and Wed`, `the last Friday of each month`.

Also `every other week`, `every day except Sunday`, `every Tuesday for 6 weeks`. Only what a rule of RFC 5545 says exactly is read; everything else stays in the sentence, where it is refused.
"""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]

from service.core.sentence_dates import WEEKDAYS
from service.core.sentence_days import NoDateFound

_DAY: Final = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?s?\b"
_DAYS: Final = (
    rf"{_DAY}(?:\s?(?:-|\u2013|to|through|thru)\s?{_DAY}|(?:(?:\s?,)?\sand\s|\s?[,&/+]\s?)(?:on\s|every\s)?{_DAY})*"
)
_PART: Final = r"(?:\s(?P<part>morning|afternoon|evening|night)s?\b)?"
_NTH: Final = {
    "first": 1,
    "1st": 1,
    "second": 2,
    "2nd": 2,
    "third": 3,
    "3rd": 3,
    "fourth": 4,
    "4th": 4,
    "last": -1,
}
_INTERVALS: Final = {"other": 2, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
_ONCE_A_MONTH: Final = rf"(?P<nth>{'|'.join(_NTH)})\s(?:(?P<nth_days>{_DAY})|(?P<any_day>day\b))"
_EACH_MONTH: Final = r"(?:of|in)\s(?:every|each)\smonth"
_INTERVAL: Final = rf"(?:(?P<interval>{'|'.join(_INTERVALS)}|\d{{1,2}})\s)?"

_WAYS: Final = tuple(
    re.compile(rf"\b(?:repeats?\s|repeating\s)?(?:on\s)?(?:the\s)?{way}", re.IGNORECASE)
    for way in (
        rf"{_ONCE_A_MONTH}\s{_EACH_MONTH}\b",
        rf"(?:every|each)\s{_ONCE_A_MONTH}\s(?:of|in)\s(?:the|each|every|a)\smonth\b",
        rf"(?:(?:every|each)\s{_INTERVAL}months?|monthly)\son\s(?:the\s)?{_ONCE_A_MONTH}(?:\sof\sthe\smonth)?\b",
        rf"(?P<number>\d{{1,2}})(?:st|nd|rd|th)\s(?:day\s)?{_EACH_MONTH}\b",
        r"(?:every|each)\s(?P<number>\d{1,2})(?:st|nd|rd|th)\s(?:day\s)?of\s(?:the|each|every)\smonth\b",
        rf"(?:every|each)\s{_INTERVAL}(?P<unit>weeks?)\son\s(?P<days>{_DAYS}){_PART}",
        rf"(?:every|each)\s{_INTERVAL}(?:(?P<unit>days?|weekdays?|workdays?|weeks?|months?|years?)\b|(?P<days>{_DAYS})){_PART}",
        r"(?:every|each)\s(?P<part>morning|afternoon|evening|night)\b",
        r"(?P<adverb>daily|weekly|monthly|yearly|annually)(?=\s(?:at|@|from|starting|until|on|noon|\d{1,2}(?::\d\d|\s?[ap]m))\b|$)",
    )
)
_UNITS: Final = {"day": "DAILY", "week": "WEEKLY", "month": "MONTHLY", "year": "YEARLY"}
_ADVERBS: Final = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year", "annually": "year"}
_LENGTHS: Final = {"DAILY": (1, 0), "WEEKLY": (7, 0), "MONTHLY": (0, 1), "YEARLY": (0, 12)}
"""How many days, or months, lie between two occurrences."""

_WORK_DAYS: Final = (0, 1, 2, 3, 4)
_NUMBERS: Final = dict(
    zip(("a", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), (1, *range(1, 11)), strict=True)
)  # fmt: skip
_FOR: Final = re.compile(
    rf"\b(?:for\s|over\s)?(?:the\snext\s)?(?P<number>\d{{1,3}}|{'|'.join(_NUMBERS)})\s(?P<what>times|occurrences|sessions)\b"
    rf"(?!\s(?:an?|per|each|every)\b)"
    rf"|\b(?:for|over)\s(?:the\snext\s)?(?P<long>\d{{1,3}}|{'|'.join(_NUMBERS)})\s(?P<unit>day|week|month|year)s?\b",
    re.IGNORECASE,
)
_EXCEPT: Final = re.compile(
    rf"\b(?:except|excluding|but\snot)\s(?:for\s|on\s)?(?P<days>{_DAYS}|weekends?\b)", re.IGNORECASE
)


class Repeats(NamedTuple):
    """Each how many days, weeks, months or years an event comes, on which weekdays (0 is Monday) or day of the month.

    `nth` says which of the weekdays of a month it is, the last one with -1; `times` how often it comes, `days` and
    `months` for how long. `rest` is the sentence without all that.
    """

    frequency: str
    interval: int
    weekdays: tuple[int, ...]
    rest: str
    nth: int | None = None
    month_day: int | None = None
    times: int | None = None
    days: int = 0
    months: int = 0


def read_repeats(text: str) -> Repeats | None:
    """What an English sentence says of repeating; None where it says nothing. Raises NoDateFound for what makes no rule."""
    match = next((found for found in (way.search(text) for way in _WAYS) if found), None)
    if match is None:
        return None
    told = {name: value.lower() for name, value in match.groupdict().items() if value}
    part = f" in the {told['part']} " if "part" in told else " "
    rest = " ".join(f"{text[: match.start()]}{part}{text[match.end() :]}".split())
    interval = _INTERVALS.get(told.get("interval", "1")) or max(int(told.get("interval", "1")), 1)
    if "nth" in told:
        nth = _NTH[told["nth"]]
        days = _weekdays(told.get("nth_days", ""))
        repeats = Repeats("MONTHLY", interval, days, rest, nth=nth if days else None, month_day=None if days else nth)
    elif "number" in told:
        repeats = Repeats("MONTHLY", 1, (), rest, month_day=int(told["number"]))
    else:
        unit = _ADVERBS.get(told.get("adverb", "")) or told.get("unit", "week" if "days" in told else "day")
        is_work = unit.startswith(("weekd", "workd"))
        days = _WORK_DAYS if is_work else _weekdays(told.get("days", ""))
        repeats = Repeats("WEEKLY" if is_work else _UNITS[unit.removesuffix("s")], interval, days, rest)
    return _take_length(_take_exceptions(repeats))


def first_day(repeats: Repeats, day: date) -> date:
    """The first day from `day` on that the rule has. Raises NoDateFound where it has none."""
    for each in (day + timedelta(days=ahead) for ahead in range(64)):
        following = each + timedelta(days=1)
        if repeats.weekdays and each.weekday() not in repeats.weekdays:
            continue
        if repeats.month_day not in {None, each.day, -1 if following.day == 1 else each.day}:
            continue
        week = -1 if repeats.nth == -1 and (each + timedelta(days=7)).month != each.month else (each.day + 6) // 7
        if repeats.nth in {None, week}:
            return each
    raise NoDateFound("a day that no month has")


def rule(repeats: Repeats, first: date, last: date | None, zone: ZoneInfo | None) -> str:
    """As iCalendar says it (RFC 5545, 3.3.10); `zone` is that of an event with a time of day. Raises NoDateFound."""
    parts = [f"FREQ={repeats.frequency}"]
    if repeats.interval > 1:
        parts.append(f"INTERVAL={repeats.interval}")
    if repeats.weekdays:
        parts.append("BYDAY=" + ",".join(f"{repeats.nth or ''}{WEEKDAYS[day][:2].upper()}" for day in repeats.weekdays))
    if repeats.month_day is not None:
        parts.append(f"BYMONTHDAY={repeats.month_day}")
    if repeats.days or repeats.months:
        times, last = _counted(repeats, first)
    else:
        times = repeats.times
    if times is not None:
        parts.append(f"COUNT={times}")
    elif last is not None:
        parts.append(_until(last, zone))
    return "RRULE:" + ";".join(parts)


def _weekdays(text: str) -> tuple[int, ...]:
    """Those of a list, or from one to another: `mon, wed`, `Mon-Fri`."""
    found = [(match.start(), _weekday(match[0])) for match in re.finditer(_DAY, text, re.IGNORECASE)]
    days: set[int] = set()
    for (at, day), (after, following) in pairwise(found):
        if re.search(r"-|\u2013|\b(?:to|through|thru)\b", text[at:after]):
            days |= {(day + ahead) % 7 for ahead in range((following - day) % 7)}
    return tuple(sorted(days | {day for _, day in found}))


def _weekday(name: str) -> int:
    return next(at for at, day in enumerate(WEEKDAYS) if day.startswith(name[:2].lower()))


def _take_exceptions(repeats: Repeats) -> Repeats:
    match = _EXCEPT.search(repeats.rest)
    usual = repeats.weekdays or (tuple(range(7)) if repeats.frequency == "DAILY" else ())
    if match is None or repeats.interval > 1 or repeats.nth or not usual:
        return repeats
    without = (5, 6) if match["days"].lower().startswith("weekend") else _weekdays(match["days"])
    days = tuple(day for day in usual if day not in without)
    if not days:
        raise NoDateFound("the sentence leaves no day of the week")
    return repeats._replace(frequency="WEEKLY", weekdays=days, rest=_without(repeats.rest, match))


def _take_length(repeats: Repeats) -> Repeats:
    match = _FOR.search(repeats.rest)
    if match is None:
        return repeats
    word = (match["number"] or match["long"]).lower()
    number = _NUMBERS.get(word) or int(word)
    rest = _without(repeats.rest, match)
    if not number:
        raise NoDateFound("an event that never comes")
    if match["what"]:
        return repeats._replace(times=number, rest=rest)
    days, months = _LENGTHS[_UNITS[match["unit"].lower()]]
    return repeats._replace(days=days * number, months=months * number, rest=rest)


def _counted(repeats: Repeats, first: date) -> tuple[int | None, date | None]:
    """How often an event comes in the time that was said, or its last day, whichever is exact."""
    days, months = (each * repeats.interval for each in _LENGTHS[repeats.frequency])
    times, left = divmod(repeats.days, days) if days else divmod(repeats.months, months)
    is_same = bool(repeats.days) == bool(days)
    if (is_same and not times) or (months and (not is_same or left)):
        raise NoDateFound("an event that comes less often than it lasts")
    if is_same and not left and len(repeats.weekdays) < 2:
        return times, None
    return None, first + relativedelta(days=repeats.days, months=repeats.months) - timedelta(days=1)


def _until(last: date, zone: ZoneInfo | None) -> str:
    if zone is None:
        return f"UNTIL={last:%Y%m%d}"
    end = datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=zone).astimezone(UTC)
    return f"UNTIL={end:%Y%m%dT%H%M%SZ}"


def _without(text: str, match: re.Match[str]) -> str:
    return " ".join(f"{text[: match.start()]} {text[match.end() :]}".split())
