"""Recurrence rules in Outlook's words: RRULE → patternedRecurrence, or the reason why there is none.

Outlook knows six patterns (graph/api/resources/recurrencepattern), of which each is exactly one rule of RFC 5545. What lies
between is refused: a series that is nearly the one that was asked for would put people into the wrong week.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY  # type: ignore[import-untyped]

from service.core.recurrence_rules import Rule, Unusable
from service.core.series_moves import Immovable, Move, moved_rule
from service.errors import RequestRefused, SeriesUnmovable
from service.providers.edits import Span
from service.providers.microsoft.zones import windows_name

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MOST_OCCURRENCES: Final = 999
MOST_INTERVAL: Final = 99
SAFE_DAY: Final = 28
"""Later days of a month Outlook moves to its last one, where RFC 5545 leaves the month out."""

_INDEXES: Final = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}
_FREQUENCIES: Final = {
    "daily": "DAILY",
    "weekly": "WEEKLY",
    "absoluteMonthly": "MONTHLY",
    "relativeMonthly": "MONTHLY",
    "absoluteYearly": "YEARLY",
    "relativeYearly": "YEARLY",
}
_TAKEN: Final = {
    DAILY: {"byweekday"},
    WEEKLY: {"byweekday"},
    MONTHLY: {"bymonthday", "byweekday", "bysetpos"},
    YEARLY: {"bymonth", "bymonthday", "byweekday", "bysetpos"},
}


def pattern_of(lines: Sequence[str], span: Span) -> dict[str, Any] | None:
    """The `recurrence` of a series that starts at `span`; None for no lines. Raises RequestRefused for what Outlook cannot do."""
    if not lines:
        return None
    rules = [line.partition(":")[2] for line in lines if line.upper().startswith("RRULE:")]
    if len(rules) != 1 or len(lines) != 1:
        raise RequestRefused("an Outlook series has one RRULE, and neither EXDATE nor RDATE")
    start = span.wall(span.start)
    try:
        rule = Rule.read(rules[0], start, ZoneInfo(span.zone), is_all_day=span.is_all_day)
    except Unusable as error:
        raise RequestRefused(str(error)) from None
    if rule.interval > MOST_INTERVAL or (rule.count or 0) > MOST_OCCURRENCES:
        raise RequestRefused("an Outlook series repeats at most every 99th time, and has at most 999 occurrences")
    options = {name: value for name, value in rule.options.items() if name != "wkst" and value}
    if rule.freq not in _TAKEN or options.keys() - _TAKEN[rule.freq]:
        raise _refusal(rules[0])
    pattern = _pattern(rule.freq, rule.interval, options, start, rules[0])
    pattern["interval"] = rule.interval
    if pattern["type"] == "weekly":
        pattern["firstDayOfWeek"] = DAYS[rule.options["wkst"]]
    return {"pattern": pattern, "range": _range(rule, span, start)}


def shifted(recurrence: Mapping[str, Any], move: Move, span: Span) -> dict[str, Any]:
    """The recurrence of a series that moves to `span`: Outlook wants its start, its days and its end to agree.

    Raises SeriesUnmovable for what has no exact counterpart on other days.
    """
    pattern, ends = dict(recurrence.get("pattern") or {}), dict(recurrence.get("range") or {})
    if move.days:
        try:
            moved = pattern_of([f"RRULE:{moved_rule(_rule(pattern, ends), move)}"], span)
        except Immovable as error:
            raise SeriesUnmovable(str(error)) from None
        return moved or {}
    start = {"startDate": move.after.date().isoformat(), "recurrenceTimeZone": windows_name(span.zone)}
    return {"pattern": pattern, "range": {**ends, **start}}


def _rule(pattern: Mapping[str, Any], ends: Mapping[str, Any]) -> str:
    """A pattern and its range as the text of a rule; empty for a type that nobody knows."""
    kind = str(pattern.get("type"))
    frequency = _FREQUENCIES.get(kind)
    if frequency is None:
        return ""
    parts = {"FREQ": frequency, "INTERVAL": pattern.get("interval") or 1}
    if frequency == "YEARLY":
        parts["BYMONTH"] = pattern.get("month") or None
    if kind.startswith("absolute"):
        parts["BYMONTHDAY"] = pattern.get("dayOfMonth") or None
    elif kind != "daily":
        parts["BYDAY"] = ",".join(str(day)[:2].upper() for day in pattern.get("daysOfWeek") or []) or None
    if kind == "weekly":
        parts["WKST"] = str(pattern.get("firstDayOfWeek") or "sunday")[:2].upper()
    if kind.startswith("relative"):
        numbers = {name: number for number, name in _INDEXES.items()}
        parts["BYSETPOS"] = numbers.get(str(pattern.get("index") or "first"), 1)
    if ends.get("type") == "endDate":
        parts["UNTIL"] = str(ends.get("endDate")).replace("-", "")
    elif ends.get("type") == "numbered":
        parts["COUNT"] = ends.get("numberOfOccurrences")
    return ";".join(f"{name}={value}" for name, value in parts.items() if value is not None)


def _pattern(freq: int, interval: int, options: Mapping[str, Any], start: datetime, text: str) -> dict[str, Any]:
    if freq == WEEKLY or (freq == DAILY and options and interval == 1):
        return {"type": "weekly", "daysOfWeek": _plain_days(options["byweekday"], text)}
    if freq == DAILY:
        if options:
            raise _refusal(text)
        return {"type": "daily"}
    months = {"month": _month(options, start, text)} if freq == YEARLY else {}
    kind = "Yearly" if freq == YEARLY else "Monthly"
    if "byweekday" in options:
        index, named = _nth(options, text)
        return {"type": f"relative{kind}", "index": index, "daysOfWeek": named, **months}
    days = options.get("bymonthday") or []
    if len(days) != 1 or "bysetpos" in options or not 1 <= days[0] <= SAFE_DAY:
        raise RequestRefused(
            f"Outlook repeats on one day of a month, from the 1st to the 28th, and cannot do {text[:100]}"
        )
    return {"type": f"absolute{kind}", "dayOfMonth": days[0], **months}


def _month(options: Mapping[str, Any], start: datetime, text: str) -> int:
    months = options.get("bymonth") or []
    if not months and "byweekday" in options:
        raise _refusal(text)  # the twentieth Monday of a year, say
    if len(months) > 1:
        raise _refusal(text)
    return int(months[0]) if months else start.month


def _nth(options: Mapping[str, Any], text: str) -> tuple[str, list[str]]:
    """The week of the month, and the days in it."""
    days = options["byweekday"]
    numbers = {day.n for day in days}
    positions = options.get("bysetpos") or []
    if "bymonthday" in options or len(numbers) != 1:
        raise _refusal(text)
    (number,) = numbers
    if number is None and len(positions) == 1:
        number = positions[0]
    elif positions or len(days) > 1:
        raise _refusal(text)
    if number not in _INDEXES:
        raise _refusal(text)
    return _INDEXES[number], [DAYS[day.weekday] for day in days]


def _plain_days(days: Sequence[Any], text: str) -> list[str]:
    # Where no day is named, the rule as read has the day of its start, as a number.
    if any(getattr(day, "n", None) for day in days):
        raise _refusal(text)
    return [DAYS[day if isinstance(day, int) else day.weekday] for day in days]


def _range(rule: Rule, span: Span, start: datetime) -> dict[str, Any]:
    said = {"startDate": start.date().isoformat(), "recurrenceTimeZone": windows_name(span.zone)}
    if rule.count is not None:
        return {"type": "numbered", "numberOfOccurrences": rule.count, **said}
    if rule.until is None:
        return {"type": "noEnd", **said}
    return {"type": "endDate", "endDate": _last_day(rule, start).isoformat(), **said}


def _last_day(rule: Rule, start: datetime) -> date:
    """The last day on which an occurrence may begin: UNTIL may fall before the time at which they do."""
    if not isinstance(rule.until, datetime):
        return rule.until or start.date()
    day = rule.until.astimezone(rule.zone).date() if rule.until.tzinfo else rule.until.date()
    ended = rule.has_ended(datetime.combine(day, start.time()))
    return day - timedelta(days=1) if ended else day


def _refusal(text: str) -> RequestRefused:
    return RequestRefused(f"Outlook has no series like {text[:100]}")
