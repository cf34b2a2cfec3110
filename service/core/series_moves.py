"""A whole series moved: its rules, their ends and its dates by as much as its first occurrence (RFC 5545, section 3.8.5).

What comes out is exact, or it is refused: the occurrences of the moved rule are those of the rule before, each of them
moved on the wall clock. "The second Monday" moved by a day is no rule, as it is not the second Tuesday.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from dateutil.rrule import DAILY, HOURLY, MONTHLY, WEEKLY, YEARLY  # type: ignore[import-untyped]

from service.core.recurrence import Slot
from service.core.recurrence_rules import OF_A_DAY, WEEKDAYS, Rule, Unusable, in_utc, moment_of

REMEDY: Final = "give its new `recurrence` with the new time, or move its occurrences one by one"

_DAY: Final = timedelta(days=1)
_SAFE_DAY: Final = 28
"""Every month has days up to this one, from either end."""

_YEARS: Final = range(2001, 2010)
"""With every place of a leap day between two dates of a year."""


class Immovable(ValueError):
    """A series that cannot be moved so; the message is the reason, and what to do."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Where a series begins `before` on the wall clock of `zone`, and `after` on that of `new_zone`; days at midnight."""

    before: datetime
    after: datetime
    zone: tzinfo
    new_zone: tzinfo
    is_all_day: bool = False

    @property
    def by(self) -> timedelta:
        """How far, on the wall clock."""
        return self.after - self.before

    @property
    def days(self) -> int:
        """How many days of the calendar lie between the two."""
        return (self.after.date() - self.before.date()).days

    @property
    def is_none(self) -> bool:
        """Whether everything stays where it is."""
        return not self.by and (self.is_all_day or self.zone == self.new_zone)

    def slot(self, slot: Slot) -> Slot:
        """The place of an occurrence after the move."""
        try:
            if self.is_all_day or not isinstance(slot, datetime):
                return slot + self.days * _DAY
            wall = slot.astimezone(self.zone).replace(tzinfo=None) + self.by
            return in_utc(wall.replace(tzinfo=self.new_zone))
        except OverflowError:
            return slot  # "until the end of time" stays so


def moved_lines(lines: Sequence[str], move: Move) -> list[str]:
    """The lines of a series (`RRULE:FREQ=WEEKLY`, `EXDATE;TZID=Europe/Paris:20260304T090000`) after the move.

    Raises Immovable for what has no exact counterpart.
    """
    return list(lines) if move.is_none else [_moved_line(line, move) for line in lines]


def moved_rule(text: str, move: Move) -> str:
    """The text of a rule (of RRULE, EXRULE) after the move. Raises Immovable for what has no exact counterpart."""
    if move.is_none:
        return text
    try:
        rule = Rule.read(text, move.before, move.zone, is_all_day=move.is_all_day)
    except Unusable as error:
        raise Immovable(f"{error} has no counterpart there: {REMEDY}") from None
    changed = _hours(rule, move, text) | (_days(rule, move, text) if move.days and rule.freq < HOURLY else {})
    if rule.until is not None:
        changed["UNTIL"] = _written(_moved_until(rule, move, text))
    return _respelt(text, changed)


def _moved_until(rule: Rule, move: Move, text: str) -> datetime | date:
    until = rule.until
    if rule.freq >= HOURLY and not isinstance(until, datetime) and move.by % _DAY:
        raise _immovable(text)
    return _moved_moment(until, move, move.new_zone) if until is not None else move.after


def _hours(rule: Rule, move: Move, text: str) -> dict[str, str]:
    """What a rule says of hours, minutes and seconds: the same as its start does, or nothing that could be moved."""
    changed = {}
    for name in OF_A_DAY:
        unit, given = name.removeprefix("by"), rule.options.get(name)
        was, now = getattr(move.before, unit), getattr(move.after, unit)
        if not given or was == now:
            continue
        if given != [was]:
            raise _immovable(text)
        changed[name.upper()] = str(now)
    if rule.freq >= HOURLY and any(value for name, value in rule.options.items() if name != "wkst"):
        raise _immovable(text)
    return changed


def _days(rule: Rule, move: Move, text: str) -> dict[str, str]:
    """What a rule says of days, all of them `move.days` later."""
    said = {name for name, value in rule.options.items() if value and name not in {"wkst", *OF_A_DAY}}
    changed = None
    if rule.freq in {DAILY, WEEKLY} and said <= {"byweekday"}:
        changed = _weekdays(rule, move)
    elif rule.freq in {MONTHLY, YEARLY} and said <= {"bymonthday", "bymonth"}:
        changed = _dates(rule, move)
    if changed is None:
        raise _immovable(text)
    return changed


def _weekdays(rule: Rule, move: Move) -> dict[str, str] | None:
    named: list[Any] = rule.options.get("byweekday") or []
    if any(isinstance(each, int) for each in named):
        return {}  # the start's own, which the rule does not name
    if any(each.n for each in named):
        return None
    days = {each.weekday for each in named}
    changed = (
        {"BYDAY": ",".join(WEEKDAYS[day] for day in sorted((day + move.days) % 7 for day in days))} if days else {}
    )
    if rule.freq == WEEKLY and rule.interval > 1 and days != {move.before.weekday()}:
        # Of every second week: its days stay in one week if that begins so many days later, too.
        changed["WKST"] = WEEKDAYS[(rule.options["wkst"] + move.days) % 7]
    return changed


def _dates(rule: Rule, move: Move) -> dict[str, str] | None:
    days, months = rule.options["bymonthday"], rule.options.get("bymonth") or []
    start, begins = move.before, move.after
    moved = [day + move.days for day in days]
    keeps_month = all(
        _is_safe(day) and _is_safe(now) and (day > 0) == (now > 0) for day, now in zip(days, moved, strict=True)
    )
    units = ("year", "month") if rule.freq == MONTHLY else ("year",)
    keeps_step = rule.interval == 1 or all(getattr(start, unit) == getattr(begins, unit) for unit in units)
    if keeps_month and keeps_step:
        return {"BYMONTHDAY": ",".join(map(str, moved))}
    if rule.freq == YEARLY and len(days) == len(months) == 1 and (start.month, start.day) == (months[0], days[0]):
        return _anniversary(months[0], days[0], move.days)
    return None


def _is_safe(day: int) -> bool:
    return 1 <= abs(day) <= _SAFE_DAY


def _anniversary(month: int, day: int, days: int) -> dict[str, str] | None:
    """One day of every year, so many days later, if that is one day of every year, too."""
    if abs(days) > 365 or (month, day) == (2, 29):
        return None
    later = {(at.month, at.day) for at in (date(year, month, day) + days * _DAY for year in _YEARS)}
    if len(later) != 1 or later == {(2, 29)}:
        return None
    ((month, day),) = later
    return {"BYMONTH": str(month), "BYMONTHDAY": str(day)}


def _respelt(text: str, changed: dict[str, str]) -> str:
    """The rule with other values of its parts. What it leaves to its start is left to the new one; but a week has to begin."""
    parts = [part.partition("=") for part in text.replace("\\", "").split(";")]
    names = [name.strip().upper() for name, _, _ in parts]
    written = [
        f"{name}={changed[name]}" if name in changed else f"{given}={value}"
        for name, (given, _, value) in zip(names, parts, strict=True)
        if name
    ]
    if "WKST" in changed and "WKST" not in names:
        written.append(f"WKST={changed['WKST']}")
    return ";".join(written)


def _moved_line(line: str, move: Move) -> str:
    head, _, value = line.partition(":")
    name, *parameters = head.split(";")
    if name.strip().upper() in {"RRULE", "EXRULE"}:
        return f"{head}:{moved_rule(value, move)}"
    if name.strip().upper() not in {"RDATE", "EXDATE"}:
        raise _immovable(line)
    named = [each.partition("=")[2].strip('"') for each in parameters if each.upper().startswith("TZID=")]
    try:
        zone = ZoneInfo(named[0]) if named else None
        moments = [moment_of(each.strip().upper()) for each in value.split(",")]
    except (Unusable, KeyError, ValueError, OSError):
        raise _immovable(line) from None
    if zone is None:
        return f"{head}:{','.join(_written(_moved_moment(each, move, move.new_zone)) for each in moments)}"
    known = [each.replace(tzinfo=each.tzinfo or zone) if isinstance(each, datetime) else each for each in moments]
    return f"{head}:{','.join(_written(_moved_moment(each, move, zone)) for each in known)}"


def _moved_moment(at: datetime | date, move: Move, zone: tzinfo) -> datetime | date:
    """A moment of a line, written as it was: a day, in UTC, or on the wall clock of the series or, if it has one, of `zone`."""
    if isinstance(at, datetime) and at.tzinfo is None:
        try:
            return at + (move.days * _DAY if move.is_all_day else move.by)
        except OverflowError:
            return at
    moved = move.slot(at)
    if isinstance(at, datetime) and isinstance(moved, datetime) and at.tzinfo is not UTC:
        return moved.astimezone(zone).replace(tzinfo=None)
    return moved


def _written(at: datetime | date) -> str:
    if not isinstance(at, datetime):
        return at.isoformat().replace("-", "")
    text = at.replace(tzinfo=None).isoformat(timespec="seconds").replace("-", "").replace(":", "")
    return text if at.tzinfo is None else f"{text}Z"


def _immovable(text: str) -> Immovable:
    return Immovable(f"{text[:100]} has no exact counterpart there: {REMEDY}")
