"""The name of the real meeting behind a copy of it, the same on every calendar that has one.

All copies of an invitation share its iCalendar UID (RFC 5545, 3.8.4.7), and the original start tells the occurrences of
a series apart (RECURRENCE-ID, 3.8.4.4). Nothing that anybody can change is part of a key, so it stays when a meeting
moves or gets another link.
"""

import hashlib
from datetime import UTC
from typing import Final
from uuid import UUID

from service.core.event import Event

LONGEST: Final = 200
"""Bytes of a key as text. A UID may have more than an index of PostgreSQL takes (about 2,700 bytes)."""

SHORTEST_UID: Final = 12
"""Characters; a shorter UID, such as the `1` of many a feed, cannot be meant to be unique in the world."""

_OUTLOOK: Final = "040000008200E00074C5B7101A82E008"
_SHORTEST_OUTLOOK: Final = 82
_DATE: Final = slice(32, 40)
_SIZE: Final = slice(36, 40)
_DATA: Final = 40
_FOREIGN: Final = b"vCal-Uid\x01\x00\x00\x00"
_NO_DATE: Final = "00000000"


def meeting_key(event: Event, calendar_id: UUID) -> str:
    """The key of the meeting that `event` is a copy of; `calendar_id` is the calendar that it was read from.

    At most LONGEST bytes. An event without a UID that is worth the name is a meeting of its calendar alone.
    """
    uid, day = global_uid(event.ical_uid or "")
    if len(uid) < SHORTEST_UID:
        return _bounded(f"{calendar_id}/{event.provider_event_id}")
    slot = _slot(event) or day
    return _bounded(f"{uid}/{slot}" if slot else uid)


def global_uid(uid: str) -> tuple[str, str | None]:
    """A UID in the form that all providers' spellings of it share, and the day (`20260309`) that was part of it.

    Outlook's own is a hex text that holds the day of the one occurrence it was made for, and, where the invitation came
    from elsewhere, the UID of that (MS-OXCICAL 2.1.3.1.1.20.26, MS-OXOCAL 2.2.1.27). What does not read as such is a
    UID like any other: white space is left out, which folding of long lines leaves behind, and case is kept.
    """
    plain = "".join(uid.split())
    upper = plain.upper()
    if not upper.startswith(_OUTLOOK) or len(upper) < _SHORTEST_OUTLOOK:
        return plain, None
    try:
        binary = bytes.fromhex(upper)
    except ValueError:
        return plain, None
    own = upper[: _DATE.start] + _NO_DATE + upper[_DATE.stop :]
    return _foreign_uid(binary) or own, _day(upper[_DATE])


def _foreign_uid(binary: bytes) -> str | None:
    size = int.from_bytes(binary[_SIZE], "little")
    data = binary[_DATA : _DATA + size]
    if not data.startswith(_FOREIGN):
        return None
    try:
        found = "".join(data[len(_FOREIGN) :].decode().rstrip("\0").split())
    except UnicodeDecodeError:
        return None
    # PostgreSQL's text cannot hold NUL, and no UID has other control characters.
    return found if found.isprintable() else None


def _day(date: str) -> str | None:
    if date == _NO_DATE:
        return None
    return f"{int(date[:4], 16):04d}{int(date[4:6], 16):02d}{int(date[6:], 16):02d}"


def _slot(event: Event) -> str | None:
    # A day begins at another instant on each calendar: of an all-day slot only the day is the same everywhere.
    if event.original_start_date is not None:
        return f"{event.original_start_date:%Y%m%d}"
    start = event.original_starts_at
    if start is None and event.series_id is not None:
        start = event.starts_at
    return f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}" if start is not None else None


def _bounded(key: str) -> str:
    encoded = key.encode()
    return key if len(encoded) <= LONGEST else f"sha256:{hashlib.sha256(encoded).hexdigest()}"
