"""When an event starts or ends: a date, or an instant with the zone its author thinks in."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from simulator.google.errors import invalid


@dataclass(frozen=True, slots=True)
class Moment:
    """`at` is the instant in epoch seconds; for an all-day date, midnight in the calendar's zone."""

    at: int
    zone: str
    day: date | None = None

    def shifted(self, seconds: int) -> "Moment":
        if self.day is None:
            return Moment(self.at + seconds, self.zone)
        return from_day(date.fromordinal(self.day.toordinal() + seconds // 86400), self.zone)


@lru_cache(maxsize=256)
def load_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise invalid(f"Invalid time zone definition: {name}", "timeZone") from error


def from_day(day: date, zone: str) -> Moment:
    midnight = datetime(day.year, day.month, day.day, tzinfo=load_zone(zone))
    return Moment(int(midnight.timestamp()), zone, day)


def parse_moment(raw: Any, default_zone: str, location: str) -> Moment:
    """Read an `EventDateTime`; a time without offset is wall time in its `timeZone`."""
    if isinstance(raw, Moment):
        return raw
    if not isinstance(raw, dict):
        raise invalid(f"Missing {location} time.", location)
    zone = raw.get("timeZone") or default_zone
    load_zone(zone)
    try:
        if raw.get("date"):
            return from_day(date.fromisoformat(raw["date"]), default_zone)
        when = datetime.fromisoformat(raw["dateTime"])
    except (KeyError, TypeError, ValueError) as error:
        raise invalid(f"Invalid value for: {location}", location) from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=load_zone(zone))
    return Moment(int(when.timestamp()), zone)


def show_moment(moment: Moment, zone: str) -> dict[str, str]:
    if moment.day is not None:
        return {"date": moment.day.isoformat()}
    return {"dateTime": show_time(moment.at, zone), "timeZone": moment.zone}


def show_time(at: int, zone: str) -> str:
    return datetime.fromtimestamp(at, load_zone(zone)).isoformat().replace("+00:00", "Z")


def show_stamp(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_bound(text: str, location: str) -> float:
    """Read `timeMin` and its kin, which need an offset."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid("Bad Request", location) from error
    if when.tzinfo is None:
        raise invalid("Bad Request", location)
    return when.timestamp()
