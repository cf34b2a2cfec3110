"""A time zone of the IANA database spelt out as a VTIMEZONE (RFC 5545, section 3.6.5), for the years about an event."""

import functools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

YEARS_BEFORE: Final = 1
YEARS_AFTER: Final = 15
"""Beyond them a reader that knows the zone by its name goes on with its own rules, and one that does not with the last offset."""

_DAY: Final = timedelta(days=1)


class _Observance(NamedTuple):
    """An offset that holds from some moments on: before it and with it, and what it is called."""

    before: timedelta
    after: timedelta
    name: str
    is_summer: bool


@functools.lru_cache(maxsize=64)
def spell_out(name: str, year: int) -> bytes:
    """The VTIMEZONE of this IANA name, with its changes from the year before on."""
    year = min(max(year, 1971), 2100)
    zone = ZoneInfo(name)
    begin, end = datetime(year - YEARS_BEFORE, 1, 1, tzinfo=UTC), datetime(year + YEARS_AFTER, 1, 1, tzinfo=UTC)
    changes: dict[_Observance, list[datetime]] = {_at(begin, zone): [begin.astimezone(zone).replace(tzinfo=None)]}
    for instant in _changes(zone, begin, end):
        observance = _at(instant, zone)
        # The onset is told on the clock as it was before (section 3.6.5).
        changes.setdefault(observance, []).append((instant + observance.before).replace(tzinfo=None))
    lines = ["BEGIN:VTIMEZONE", f"TZID:{name}"]
    for observance, onsets in changes.items():
        kind = "DAYLIGHT" if observance.is_summer else "STANDARD"
        lines += [f"BEGIN:{kind}", f"DTSTART:{onsets[0]:%Y%m%dT%H%M%S}"]
        lines += [f"TZOFFSETFROM:{_offset(observance.before)}", f"TZOFFSETTO:{_offset(observance.after)}"]
        lines += [f"TZNAME:{observance.name}", *(f"RDATE:{each:%Y%m%dT%H%M%S}" for each in onsets[1:]), f"END:{kind}"]
    return "\r\n".join([*lines, "END:VTIMEZONE", ""]).encode()


def _at(instant: datetime, zone: ZoneInfo) -> _Observance:
    before, after = ((instant - timedelta(seconds=back)).astimezone(zone) for back in (1, 0))
    return _Observance(
        before.utcoffset() or timedelta(0), after.utcoffset() or timedelta(0), after.tzname() or "", bool(after.dst())
    )


def _changes(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    """The moments at which the offset changes: looked for day by day, then halved down to the second."""
    at = begin
    while at < end:
        following = at + _DAY
        if at.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            low, high = 0, 86_400
            while high - low > 1:
                middle = (low + high) // 2
                is_before = (at + timedelta(seconds=middle)).astimezone(zone).utcoffset() == at.astimezone(
                    zone
                ).utcoffset()
                low, high = (middle, high) if is_before else (low, middle)
            yield at + timedelta(seconds=high)
        at = following


def _offset(offset: timedelta) -> str:
    seconds = int(abs(offset).total_seconds())
    text = f"{'-' if offset < timedelta(0) else '+'}{seconds // 3600:02}{seconds % 3600 // 60:02}"
    return f"{text}{seconds % 60:02}" if seconds % 60 else text
