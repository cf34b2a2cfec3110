"""One calendar, one event and one meeting that the documentation uses wherever it shows an example."""

from typing import Any, Final

CALENDAR_ID: Final = "0199f3a2-6b1e-7c31-9d0a-5f2b8c7e4a10"
EVENT_ID: Final = "0199f3a2-8d44-7b02-a3c5-1e9f60d2b711"
CONNECTION_ID: Final = "0199f3a2-6b1e-7a02-8f31-c40d5e6b7a88"
ENDPOINT_ID: Final = "0199f3a2-7a10-7f3e-b1d4-6c8e0a9f5b22"
BOT_ID: Final = "0199f3a2-9c55-7d10-8e21-3b7a4f6c1d22"
MEETING_KEY: Final = "4f1q7s0b2m@google.com"
NOW: Final = "2026-03-02T09:00:00Z"

EVENT: Final[dict[str, Any]] = {
    "id": EVENT_ID,
    "calendar_id": CALENDAR_ID,
    "provider_event_id": "4f1q7s0b2m",
    "ical_uid": MEETING_KEY,
    "series_id": None,
    "original_starts_at": None,
    "original_start_date": None,
    "is_exception": False,
    "title": "Weekly review",
    "description": None,
    "location": None,
    "starts_at": "2026-03-02T10:00:00Z",
    "ends_at": "2026-03-02T10:30:00Z",
    "is_all_day": False,
    "start_date": None,
    "end_date": None,
    "time_zone": "Europe/Lisbon",
    "status": "confirmed",
    "visibility": "default",
    "is_busy": True,
    "organizer": {"email": "ana@example.com", "name": "Ana", "self": True},
    "attendees": [
        {
            "email": "ana@example.com",
            "name": "Ana",
            "response_status": "accepted",
            "organizer": True,
            "self": True,
            "optional": False,
            "resource": False,
        }
    ],
    "response_status": "accepted",
    "event_type": "default",
    "meeting": {
        "url": "https://meet.google.com/abc-defg-hij",
        "platform": "google_meet",
        "meeting_id": "abc-defg-hij",
        "passcode": None,
        "found_in": "conferenceData",
        "hint": None,
    },
    "meeting_hint": None,
    "html_link": "https://www.google.com/calendar/event?eid=NGYxcTdz",
    "meeting_key": MEETING_KEY,
    "version": 2,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": NOW,
    "deleted_at": None,
}
"""The event after it was moved by half an hour."""

UPDATED: Final[dict[str, Any]] = {
    "seq": 18,
    "event_id": EVENT_ID,
    "calendar_id": CALENDAR_ID,
    "kind": "updated",
    "cause": "push",
    "at": NOW,
    "fields": {
        "starts_at": {"old": "2026-03-02T09:30:00Z", "new": "2026-03-02T10:00:00Z"},
        "ends_at": {"old": "2026-03-02T10:00:00Z", "new": "2026-03-02T10:30:00Z"},
    },
    "action": "move",
    "event": EVENT,
}
CREATED: Final[dict[str, Any]] = UPDATED | {
    "seq": 17,
    "kind": "created",
    "fields": {},
    "action": "schedule",
    "event": EVENT
    | {"starts_at": "2026-03-02T09:30:00Z", "ends_at": "2026-03-02T10:00:00Z", "version": 1, "created_at": NOW},
}
CANCELLED: Final[dict[str, Any]] = UPDATED | {
    "seq": 19,
    "kind": "cancelled",
    "fields": {"status": {"old": "confirmed", "new": "cancelled"}},
    "action": "cancel",
    "event": EVENT | {"status": "cancelled", "version": 3, "deleted_at": NOW},
}

_GUEST: Final[dict[str, Any]] = {
    "email": "guest@example.com",
    "name": None,
    "response_status": "declined",
    "organizer": False,
    "self": False,
    "optional": False,
    "resource": False,
}
_BEFORE: Final = [*EVENT["attendees"], _GUEST | {"response_status": "needsAction"}]
DECLINED: Final[dict[str, Any]] = UPDATED | {
    "seq": 20,
    "fields": {"attendees": {"old": _BEFORE, "new": [*EVENT["attendees"], _GUEST]}},
    "action": "none",
    "event": EVENT | {"attendees": [*EVENT["attendees"], _GUEST], "version": 3},
    "attendee": _GUEST,
}


COPIES: Final[list[dict[str, Any]]] = [
    {
        "event_id": EVENT_ID,
        "calendar_id": CALENDAR_ID,
        "calendar_status": "active",
        "email": "ana@example.com",
        "response_status": "accepted",
    }
]
STARTING: Final[dict[str, Any]] = {
    "meeting_key": MEETING_KEY,
    "starts_at": "2026-03-02T10:00:00Z",
    "lead_seconds": 600,
    "meeting_url": "https://meet.google.com/abc-defg-hij",
    "platform": "google_meet",
    "event": EVENT,
    "copies": COPIES,
}

SYNC: Final[dict[str, Any]] = {
    "calendar_id": CALENDAR_ID,
    "last_updated_ts": NOW,
    "initial": False,
    "first_seq": 18,
    "last_seq": 19,
    "change_count": 2,
    "affected_event_ids": [EVENT_ID, "0199f3a2-9c20-7d51-8e0f-2a64b7d0c913"],
    "truncated": False,
    "counts": {"created": 1, "updated": 1, "cancelled": 0},
}


def calendar(status: str, previous: str | None, code: str | None = None, message: str | None = None) -> dict[str, Any]:
    """The news that the calendar has come to a status from a previous one."""
    return {
        "calendar_id": CALENDAR_ID,
        "provider": "google",
        "email": "ana@example.com",
        "raw_calendar_id": "ana@example.com",
        "status": status,
        "previous_status": previous,
        "error_code": code,
        "error_message": message,
        "metadata": {"user": "42"},
    }


SIGN_IN: Final = (
    "The account does not let us in any more: let the user sign in again, by a connect link with this connection_id, or at your "
    "own page, and then PATCH the calendar with the new refresh_token; at a CalDAV server, let the user make a new app-specific "
    "password and PATCH that. (invalid_grant)"
)


def connection(
    status: str, previous: str | None, code: str | None = None, message: str | None = None
) -> dict[str, Any]:
    """The news that the calendar's connection has come to a status from a previous one."""
    return {
        "connection_id": CONNECTION_ID,
        "user_id": "42",
        "provider": "google",
        "email": "ana@example.com",
        "status": status,
        "previous_status": previous,
        "error_code": code,
        "error_message": message,
    }


def bot(reason: str | None = None) -> dict[str, Any]:
    """The `data` of news of a bot."""
    return {
        "bot_id": BOT_ID,
        "meeting_key": MEETING_KEY,
        "meeting_url": EVENT["meeting"]["url"],
        "platform": EVENT["meeting"]["platform"],
        "starts_at": EVENT["starts_at"],
        "config": {"bot_name": "Notes"},
        "event": EVENT,
        "reason": reason,
    }
