"""Time zones by whatever name a TZID gives them (RFC 5545, section 3.2.19): never none, so no time is without a zone."""

import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from service.providers.vevent.text import ZoneText
from service.providers.vevent.written_zone import WrittenZone

_OFFSET: Final = re.compile(r"\(?(?:UTC|GMT)\s*([+-]\d{1,2})(?::?([0-5]\d))?\)?", re.IGNORECASE)
_DISPLAYED: Final = re.compile(r"^\((?:UTC|GMT)\s*(?:([+-]\d{1,2}):?(\d\d))?\)\s*(.*)$", re.IGNORECASE)
_DISPLAY_NAMES: Final = {
    "eastern time (us & canada)": "America/New_York",
    "central time (us & canada)": "America/Chicago",
    "mountain time (us & canada)": "America/Denver",
    "pacific time (us & canada)": "America/Los_Angeles",
    "atlantic time (canada)": "America/Halifax",
    "coordinated universal time": "UTC",
}
"""What Windows shows in its list where it names no city."""


class Zones:
    """The zones of one VCALENDAR: the `written` are its VTIMEZONEs, `default` is for what has none or an unknown one.

    Of a VTIMEZONE that has the name of a known zone the name counts: its rules are those of when it was written.
    """

    def __init__(self, written: Mapping[str, ZoneText], default_name: str | None, around: datetime) -> None:
        self.default_name = recognise(default_name) if default_name else None
        self.default: tzinfo = ZoneInfo(self.default_name) if self.default_name else UTC
        self._written = written
        self._around = around
        self._found: dict[str | None, tuple[tzinfo, str | None]] = {None: (self.default, self.default_name)}

    def find(self, name: str | None) -> tuple[tzinfo, str | None]:
        """The zone, and its IANA name where it has one."""
        if name not in self._found:
            self._found[name] = self._look_up(name or "")
        return self._found[name]

    def _look_up(self, name: str) -> tuple[tzinfo, str | None]:
        known = recognise(name)
        if known is not None:
            return ZoneInfo(known), known
        text = self._written.get(name.strip().strip('"'))
        if text is not None:
            if text.location and (known := recognise(text.location)):
                return ZoneInfo(known), known
            written = WrittenZone.read(text, self._around)
            if written is not None:
                return written, None
        offset = _OFFSET.match(name.strip())
        if offset is not None:
            return _fixed(offset[1], offset[2]), None
        return self.find(None)


@functools.lru_cache(maxsize=4096)
def recognise(name: str) -> str | None:
    """The IANA name that a TZID means: itself, in another case, Windows's, with a vendor's prefix, or as Windows shows it."""
    name = name.strip().strip('"').strip()
    if not name or len(name) > 200:
        return None
    key = name.casefold()
    if found := _iana().get(key) or _windows().get(key):
        return found
    steps = key.strip("/").split("/")
    for count in (3, 2, 1) if key.startswith("/") else (3, 2):
        if len(steps) >= count and (found := _iana().get("/".join(steps[-count:]))):
            return found
    return _displayed(name)


def _displayed(name: str) -> str | None:
    """`(UTC+01:00) Brussels, Copenhagen, Madrid, Paris`: the first of the cities that has a zone with that offset."""
    match = _DISPLAYED.match(name)
    if match is None:
        return None
    if found := _DISPLAY_NAMES.get(match[3].strip().casefold()):
        return found
    wanted = _fixed(match[1], match[2]).utcoffset(None) if match[1] else timedelta(0)
    for city in match[3].split(","):
        zone = _cities().get(city.strip().casefold().replace(" ", "_"))
        offsets = (ZoneInfo(zone).utcoffset(datetime(2025, month, 1)) for month in (1, 7)) if zone else ()  # noqa: DTZ001
        if wanted in offsets:
            return zone
    return None


def _fixed(hours: str, minutes: str | None) -> timezone:
    offset = timedelta(hours=abs(int(hours)), minutes=int(minutes or 0))
    return timezone((-offset if hours.startswith("-") else offset) if offset < timedelta(days=1) else timedelta(0))


@functools.cache
def _iana() -> dict[str, str]:
    return {name.casefold(): name for name in sorted(available_timezones()) if not name.startswith("posix")}


@functools.cache
def _windows() -> dict[str, str]:
    return {name.casefold(): zone for name, zone in WINDOWS_TO_OLSON.items()}


@functools.cache
def _cities() -> dict[str, str]:
    return {key.rpartition("/")[2]: name for key, name in _iana().items() if "/" in key and not key.startswith("etc/")}
