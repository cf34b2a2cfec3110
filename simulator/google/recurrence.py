"""RRULE, RDATE and EXDATE lines expanded to the slots of a series, in the wall time of its zone."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache

from dateutil.rrule import rrulestr  # type: ignore[import-untyped, unused-ignore]

from simulator.google.errors import GoogleError, invalid
from simulator.google.moments import Moment, load_zone

UNTIL = re.compile(r"UNTIL=([0-9TZ]+)")
COUNT_OR_UNTIL = re.compile(r";?(?:COUNT|UNTIL)=[0-9TZ]+")


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in a series, named as in an instance id: by its original start in UTC, or by its date."""

    name: str
    start: Moment


def expand(lines: list[str], start: Moment, horizon: datetime) -> list[Slot]:
    """All slots up to the horizon, oldest first."""
    return list(_expand(tuple(lines), start, horizon))


@lru_cache(maxsize=64)  # a series is expanded to be checked, to be stored, and for each guest
def _expand(lines: tuple[str, ...], start: Moment, horizon: datetime) -> tuple[Slot, ...]:
    first = _wall(start)
    last = horizon.replace(tzinfo=None)
    walls: set[datetime] = set()
    removed: set[datetime] = set()
    for line in lines:
        head, _, value = line.partition(":")
        match head.split(";")[0].upper():
            case "RRULE":
                walls.update(_rule_walls(value, start, first, last))
            case "RDATE":
                walls.update(_listed_walls(head, value, start))
            case "EXDATE":
                removed.update(_listed_walls(head, value, start))
            case _:
                raise _bad_rule(line)
    if not any(line.upper().startswith("RRULE") for line in lines):
        walls.add(first)
    return tuple(_slot(wall, start) for wall in sorted(walls - removed) if wall <= last)


def truncate(lines: list[str], before: Moment) -> list[str]:
    """The same rules, ending before a slot."""
    if before.day is not None:
        until = date.fromordinal(before.day.toordinal() - 1).strftime("%Y%m%d")
    else:
        until = datetime.fromtimestamp(before.at - 1, UTC).strftime("%Y%m%dT%H%M%SZ")
    return [
        f"{COUNT_OR_UNTIL.sub('', line)};UNTIL={until}" if line.upper().startswith("RRULE") else line for line in lines
    ]


def continue_rules(lines: list[str], used: int) -> list[str]:
    """The rules of what follows a split: a COUNT loses what the first part has used."""

    def lower(match: re.Match[str]) -> str:
        return f"COUNT={max(1, int(match.group(1)) - used)}"

    return [
        re.sub(r"COUNT=(\d+)", lower, line) if line.upper().startswith("RRULE") else line
        for line in lines
        if not line.upper().startswith("RDATE")
    ]


def slot_name(start: Moment) -> str:
    if start.day is not None:
        return start.day.strftime("%Y%m%d")
    return datetime.fromtimestamp(start.at, UTC).strftime("%Y%m%dT%H%M%SZ")


def _rule_walls(value: str, start: Moment, first: datetime, last: datetime) -> list[datetime]:
    def local(match: re.Match[str]) -> str:
        return "UNTIL=" + _until_wall(match.group(1), start).strftime("%Y%m%dT%H%M%S")

    if "FREQ=SECONDLY" in value or "FREQ=MINUTELY" in value or "INTERVAL=0" in value:
        raise _bad_rule(value)
    try:
        rule = rrulestr(UNTIL.sub(local, value), dtstart=first)
        return list(rule.between(first, last, inc=True))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad_rule(value) from error


def _until_wall(text: str, start: Moment) -> datetime:
    if len(text) == 8:
        day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=None)  # noqa: DTZ007 - a date has no zone
        return day if start.day is not None else datetime.combine(day, time.max)
    when = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - the zone follows
    if start.day is not None or not text.endswith("Z"):
        return when
    return when.replace(tzinfo=UTC).astimezone(load_zone(start.zone)).replace(tzinfo=None)


def _listed_walls(head: str, value: str, start: Moment) -> list[datetime]:
    zone = next((part[5:] for part in head.split(";") if part.upper().startswith("TZID=")), start.zone)
    return [_listed_wall(text, zone, start) for text in value.split(",")]


def _listed_wall(text: str, zone: str, start: Moment) -> datetime:
    try:
        if len(text) == 8:
            day = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a date has no zone
            return datetime.combine(day, _wall(start).time())
        when = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - the zone follows
    except ValueError as error:
        raise _bad_rule(text) from error
    aware = when.replace(tzinfo=UTC if text.endswith("Z") else load_zone(zone))
    return aware.astimezone(load_zone(start.zone)).replace(tzinfo=None)


def _wall(start: Moment) -> datetime:
    if start.day is not None:
        return datetime.combine(start.day, time())
    return datetime.fromtimestamp(start.at, load_zone(start.zone)).replace(tzinfo=None)


def _slot(wall: datetime, start: Moment) -> Slot:
    zone = load_zone(start.zone)
    at = int(wall.replace(tzinfo=zone).timestamp())
    moment = Moment(at, start.zone, wall.date() if start.day is not None else None)
    return Slot(slot_name(moment), moment)


def _bad_rule(text: str) -> GoogleError:
    return invalid(f"Invalid recurrence rule: {text}", "recurrence")
