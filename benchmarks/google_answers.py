"""Google's answers: a whole window of full rows, nothing new, and one event that moved."""

import random
from datetime import datetime, timedelta
from typing import Any, Final

EVENTS: Final = 200
_LETTERS: Final = str.maketrans("0123456789", "abcdefghij")
"""Google's codes are of letters alone."""


def event(number: int, starts_at: datetime) -> dict[str, Any]:
    """A row of Google's as `fields=` leaves it: a meeting with a link, eight guests and half a page of text."""
    guests = [
        {"email": f"guest{number}.{who}@example.com", "displayName": f"Guest {who}", "responseStatus": "needsAction"}
        for who in range(7)
    ]
    me = {"email": "owner@example.com", "self": True, "organizer": True, "responseStatus": "accepted"}
    ends_at = starts_at + timedelta(minutes=30)
    link = meet(number)
    return {
        "id": f"event{number:06d}abcdefghij",
        "status": "confirmed",
        "iCalUID": f"event{number:06d}abcdefghij@google.com",
        "htmlLink": f"https://www.google.com/calendar/event?eid={prose(number, 48).replace(' ', 'x')}",
        "summary": f"Planning number {number}",
        "description": f"Agenda of meeting {number}: {prose(number, 300)}",
        "location": "Room 4, second floor",
        "start": {"dateTime": starts_at.isoformat().replace("+00:00", "Z"), "timeZone": "Europe/Berlin"},
        "end": {"dateTime": ends_at.isoformat().replace("+00:00", "Z"), "timeZone": "Europe/Berlin"},
        "organizer": {"email": "owner@example.com", "self": True},
        "attendees": [me, *guests],
        "eventType": "default",
        "hangoutLink": link,
        "conferenceData": {"entryPoints": [{"entryPointType": "video", "uri": link}]},
    }


def meet(number: int) -> str:
    """A link to a Meet."""
    return f"https://meet.google.com/abc-defg-{str(number % 1000).zfill(3).translate(_LETTERS)}"


def prose(number: int, letters: int) -> str:
    """Text that packs about as well as what people write: the same for the same number."""
    return "".join(random.Random(number).choices("etaoinshrdlucmfw     ", k=letters))


def begin(variant: int, place: int, now: datetime) -> datetime:
    """When an event of a window of four weeks starts."""
    start = now.replace(minute=0, second=0, microsecond=0)
    return start + timedelta(hours=1 + place * 3, minutes=variant)


def listing(variant: int, now: datetime) -> dict[str, Any]:
    """A whole window: 200 events over the next four weeks."""
    items = [event(variant * 1000 + place, begin(variant, place, now)) for place in range(EVENTS)]
    return {"timeZone": "Europe/Berlin", "nextSyncToken": "token-0", "items": items}


def delta(move: int | None, now: datetime) -> dict[str, Any]:
    """What came since: nothing, or one event that is now at another time."""
    moved = [] if move is None else [event(999_999, now.replace(microsecond=0) + timedelta(days=2, minutes=move))]
    return {"timeZone": "Europe/Berlin", "nextSyncToken": f"token-{move or 0}", "items": moved}
