"""Time zones by the names that Outlook knows them by (`Romance Standard Time`)."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_GREAT: Final = frozenset(
    {"America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "Australia/Sydney"}
)
"""Of several zones with the same clocks, those that people know."""

_OWN: Final = {"UTC": "UTC", "tzone://Microsoft/Utc": "UTC", "tzone://Microsoft/Custom": None}


@functools.lru_cache(maxsize=1024)
def iana_name(name: str | None) -> str | None:
    """The IANA name of a zone that Outlook names; None for a zone of somebody's own, and for no zone at all."""
    if not name or name in _OWN:
        return _OWN.get(name or "")
    # Half of icalendar comes with its table: 0.1 s, which whoever has no Outlook calendar need not wait for.
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # noqa: PLC0415

    found = WINDOWS_TO_OLSON.get(name, name)
    try:
        ZoneInfo(found)
    except (KeyError, ValueError, OSError):
        return None
    return found


@functools.lru_cache(maxsize=1024)
def windows_name(name: str) -> str:
    """What Outlook calls the zone of an IANA name: where it has no name for it, that of a zone with the same clocks.

    Graph takes some IANA names, and no list says which (graph/api/resources/datetimetimezone).
    """
    if name in {"UTC", "Etc/UTC", "Etc/GMT", "GMT", "Z"}:
        return "UTC"
    try:
        hands = _hands(name)
    except (KeyError, ValueError, OSError):
        return name
    named = _named()
    if name in named:
        return named[name]
    alike = [iana for iana in named if _hands(iana) == hands]
    continent = name.partition("/")[0]
    best = min(alike, key=lambda iana: (iana not in _GREAT, iana.partition("/")[0] != continent, iana), default=None)
    return name if best is None else named[best]


@functools.cache
def _named() -> dict[str, str]:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # noqa: PLC0415 - as above

    return {iana: windows for windows, iana in WINDOWS_TO_OLSON.items() if iana_name(iana) is not None}


@functools.lru_cache(maxsize=1024)
def _hands(name: str) -> tuple[timedelta | None, ...]:
    """How far the clocks of a zone are from UTC, week by week for two years."""
    zone = ZoneInfo(name)
    first = datetime(2025, 1, 1, 12, tzinfo=UTC)
    return tuple((first + timedelta(weeks=week)).astimezone(zone).utcoffset() for week in range(104))
