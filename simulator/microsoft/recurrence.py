"""Graph's `patternedRecurrence` checked, and expanded to the slots of a series in the wall time of its zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import msgspec
from dateutil.rrule import (  # type: ignore[import-untyped, unused-ignore]
    DAILY,
    FR,
    MO,
    MONTHLY,
    SA,
    SU,
    TH,
    TU,
    WE,
    WEEKLY,
    YEARLY,
    rrule,
)

from simulator.microsoft.errors import GraphError, invalid
from simulator.microsoft.moments import Moment, from_day, from_wall

DAYS = {
    "sunday": SU, "monday": MO, "tuesday": TU, "wednesday": WE, "thursday": TH, "friday": FR, "saturday": SA,
}  # fmt: skip
POSITIONS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
FREQUENCIES = {
    "daily": DAILY,
    "weekly": WEEKLY,
    "absoluteMonthly": MONTHLY,
    "relativeMonthly": MONTHLY,
    "absoluteYearly": YEARLY,
    "relativeYearly": YEARLY,
}
LONGEST_SERIES = 5000


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in a series, named by its original day."""

    name: str
    start: Moment
    day: date


def complete(recurrence: dict[str, Any], start: Moment) -> dict[str, Any]:
    """The recurrence, whose shape has been checked, with all that Graph adds to it. Raises GraphError."""
    pattern = {key: value for key, value in recurrence["pattern"].items() if value is not None}
    span = {key: value for key, value in recurrence["range"].items() if value is not None}
    filled = {
        "type": pattern["type"],
        "interval": pattern.get("interval", 1),
        "month": pattern.get("month", 0),
        "dayOfMonth": pattern.get("dayOfMonth", 0),
        "daysOfWeek": pattern.get("daysOfWeek", []),
        "firstDayOfWeek": pattern.get("firstDayOfWeek", "sunday"),
        "index": pattern.get("index", "first"),
    }
    if filled["type"] in {"weekly", "relativeMonthly", "relativeYearly"} and not filled["daysOfWeek"]:
        raise _bad("This type of recurrence needs daysOfWeek.")
    whole = {
        "pattern": filled,
        "range": {
            "type": span["type"],
            "startDate": span.get("startDate") or start.wall.date().isoformat(),
            "endDate": span.get("endDate", "0001-01-01") if span["type"] == "endDate" else "0001-01-01",
            "recurrenceTimeZone": span.get("recurrenceTimeZone") or start.zone,
            "numberOfOccurrences": span.get("numberOfOccurrences", 0) if span["type"] == "numbered" else 0,
        },
    }
    try:
        next(_walls(whole, start), None)
    except ValueError as error:
        raise _bad("The recurrence cannot be read.") from error
    return whole


def expand(recurrence: dict[str, Any], start: Moment, horizon: datetime) -> list[Slot]:
    """All slots up to the horizon, oldest first."""
    return list(_expand(msgspec.json.encode(recurrence), start, horizon))


@lru_cache(maxsize=256)  # a series is expanded to be checked, to be stored, and for each guest
def _expand(raw: bytes, start: Moment, horizon: datetime) -> tuple[Slot, ...]:
    last = horizon.replace(tzinfo=None)
    slots: list[Slot] = []
    for wall in _walls(msgspec.json.decode(raw), start):
        if wall > last or len(slots) == LONGEST_SERIES:
            break
        moment = from_day(wall.date(), start.zone) if start.day is not None else from_wall(wall, start.zone)
        slots.append(Slot(wall.strftime("%Y%m%d"), moment, wall.date()))
    return tuple(slots)


def _walls(recurrence: dict[str, Any], start: Moment) -> Iterator[datetime]:
    pattern, span = recurrence["pattern"], recurrence["range"]
    first = datetime.combine(date.fromisoformat(span["startDate"]), start.wall.time())
    rule: dict[str, Any] = {
        "freq": FREQUENCIES[pattern["type"]],
        "interval": pattern["interval"],
        "wkst": DAYS[pattern["firstDayOfWeek"]],
        "dtstart": first,
    }
    if span["type"] == "endDate":
        rule["until"] = datetime.combine(date.fromisoformat(span["endDate"]), time.max)
    elif span["type"] == "numbered":
        rule["count"] = int(span["numberOfOccurrences"])
    return iter(rrule(**rule, **_selection(pattern, first)))


def _selection(pattern: dict[str, Any], first: datetime) -> dict[str, Any]:
    kind = pattern["type"]
    chosen: dict[str, Any] = {}
    if kind.endswith("Yearly"):
        chosen["bymonth"] = pattern["month"] or first.month
    if kind.startswith("absolute"):
        day = pattern["dayOfMonth"] or first.day
        # Outlook takes the last day of a month that is too short.
        chosen |= {"bymonthday": list(range(28, day + 1)), "bysetpos": -1} if day > 28 else {"bymonthday": day}
    elif kind.startswith("relative"):
        chosen |= {"byweekday": [DAYS[day] for day in pattern["daysOfWeek"]], "bysetpos": POSITIONS[pattern["index"]]}
    elif kind == "weekly":
        chosen["byweekday"] = [DAYS[day] for day in pattern["daysOfWeek"]]
    return chosen


def truncate(recurrence: dict[str, Any], before: date) -> dict[str, Any]:
    """The same pattern, ending on the day before."""
    span = {**recurrence["range"], "type": "endDate", "endDate": (before - timedelta(days=1)).isoformat()}
    return {**recurrence, "range": {**span, "numberOfOccurrences": 0}}


def follow(recurrence: dict[str, Any], first: date, used: int) -> dict[str, Any]:
    """The same pattern from a day on; a number of occurrences loses those that were used before."""
    span = {**recurrence["range"], "startDate": first.isoformat()}
    if span["type"] == "numbered":
        span["numberOfOccurrences"] = max(1, int(span["numberOfOccurrences"]) - used)
    return {**recurrence, "range": span}


def _bad(message: str) -> GraphError:
    return invalid(message, "ErrorPropertyValidationFailure")
