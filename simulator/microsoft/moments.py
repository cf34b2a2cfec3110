"""When an event starts or ends, and how Graph writes it: wall time with seven decimals beside the name of a zone."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from simulator.microsoft.errors import GraphError, invalid

OLSON_TO_WINDOWS = {olson: windows for windows, olson in WINDOWS_TO_OLSON.items()}
# Where several Windows zones share a city, or a city has none of its own, Outlook's choice.
OLSON_TO_WINDOWS |= {
    "UTC": "UTC",
    "Europe/Amsterdam": "W. Europe Standard Time",
    "Asia/Calcutta": "India Standard Time",
    "Asia/Kolkata": "India Standard Time",
}
# Exchange's calendar; it also leaves room to turn any zone into any other.
FIRST_YEAR, LAST_YEAR = 1601, 4500
DECIMALS = re.compile(r"(?<=:\d\d)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Moment:
    """`at` is the instant in epoch seconds, `zone` an IANA name; an all-day event's `day` floats, at midnight in UTC."""

    at: int
    zone: str
    day: date | None = None

    @property
    def wall(self) -> datetime:
        if self.day is not None:
            return datetime.combine(self.day, time())
        return datetime.fromtimestamp(self.at, load_zone(self.zone)).replace(tzinfo=None)

    def shifted(self, seconds: int) -> "Moment":
        if self.day is None:
            return Moment(self.at + seconds, self.zone)
        return from_day(self.day + timedelta(days=seconds // 86400), self.zone)


@lru_cache(maxsize=256)
def load_zone(name: str) -> ZoneInfo:
    """A zone by its Windows or IANA name."""
    try:
        return ZoneInfo(WINDOWS_TO_OLSON.get(name, name))
    except (ValueError, OSError, LookupError) as error:
        raise GraphError(400, "TimeZoneNotSupportedException", f"The time zone '{name}' is not supported.") from error


def windows_name(zone: str) -> str:
    """The Windows name of an IANA zone, as Exchange stores it; the IANA name where there is none."""
    return OLSON_TO_WINDOWS.get(zone, zone)


def from_day(day: date, zone: str) -> Moment:
    return Moment(int(datetime.combine(day, time(), UTC).timestamp()), zone, day)


def from_wall(wall: datetime, zone: str) -> Moment:
    return Moment(int(wall.replace(tzinfo=load_zone(zone)).timestamp()), zone)


def parse_moment(raw: Any, name: str, *, all_day: bool) -> Moment:
    """Read a `dateTimeTimeZone`; an offset inside `dateTime` outranks `timeZone`."""
    if isinstance(raw, Moment):
        return raw
    if not isinstance(raw, dict) or "dateTime" not in raw:
        raise invalid(f"The value of '{name}' is not a dateTimeTimeZone.", "ErrorPropertyValidationFailure")
    label = raw.get("timeZone") or "UTC"
    zone = load_zone(label).key
    when = _read(str(raw["dateTime"]), name)
    if when.tzinfo is not None:
        when = when.astimezone(load_zone(zone)).replace(tzinfo=None)
    if not all_day:
        return from_wall(when, zone)
    if when.time() != time():
        message = "The event is all-day, so its start and end must be at midnight, and at least a day apart."
        raise invalid(message, "ErrorInvalidPropertyRequest")
    return from_day(when.date(), zone)


def parse_bound(text: str | None, name: str) -> int:
    """Read `startDateTime` and its kin: ISO 8601, in UTC unless it has an offset. Epoch seconds."""
    if not text:
        raise invalid(
            "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime."
        )
    when = _read(text.replace(" ", "+"), name)
    return int((when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp())


def show_moment(moment: Moment, label: str) -> dict[str, str]:
    """In the zone of that name, Windows or IANA; all-day events are at midnight in whatever zone is asked for."""
    zone = load_zone(label)
    wall = moment.wall if moment.day is not None else datetime.fromtimestamp(moment.at, zone).replace(tzinfo=None)
    return {"dateTime": wall.strftime("%Y-%m-%dT%H:%M:%S.0000000"), "timeZone": label}


def show_instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def show_stamp(when: datetime) -> str:
    """With seven decimals, of which Python knows six."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def end_of(start: Moment, old_start: Moment, old_end: Moment) -> Moment:
    """The end of a moved start, keeping the length."""
    if start.day is not None and old_start.day is not None and old_end.day is not None:
        return from_day(start.day + (old_end.day - old_start.day), old_end.zone)
    return Moment(start.at + old_end.at - old_start.at, old_end.zone)


def _read(text: str, name: str) -> datetime:
    message = f"The value '{text}' of '{name}' is not a date and time."
    try:
        when = datetime.fromisoformat(DECIMALS.sub(lambda found: f".{found.group(1)[:6]:<06}", text))
    except ValueError as error:
        raise invalid(message, "ErrorInvalidRequest") from error
    if not FIRST_YEAR <= when.year <= LAST_YEAR:
        raise invalid(message, "ErrorInvalidRequest")
    return when
