"""Time zones by the names that Outlook knows them by (`Romance Standard Time`)."""

import functools
from typing import Final
from zoneinfo import ZoneInfo

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
