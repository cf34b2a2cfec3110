"""What the documentation shows as an example of each main object; a test holds them to the types."""

from typing import Any, Final

_CALENDAR_ID: Final = "0199f3a2-6b1e-7c31-9d0a-5f2b8c7e4a10"
_EVENT_ID: Final = "0199f3a2-8d44-7b02-a3c5-1e9f60d2b711"
_KEY: Final = "4f1q7s0b2m@google.com"

CALENDAR: Final[dict[str, Any]] = {
    "id": _CALENDAR_ID,
    "provider": "google",
    "status": "active",
    "raw_calendar_id": "ana@example.com",
    "calendar_name": "ana@example.com",
    "name": "Ana's calendar",
    "email": "ana@example.com",
    "time_zone": "Europe/Lisbon",
    "is_primary": True,
    "metadata": {"user": "42"},
    "horizon_days": 30,
    "link_preference": None,
    "meeting_hosts": None,
    "error_code": None,
    "error_message": None,
    "version": 1,
    "created_at": "2026-03-02T08:59:58Z",
    "updated_at": "2026-03-02T08:59:58Z",
    "last_synced_at": "2026-03-02T09:00:00Z",
    "next_sync_at": "2026-03-02T10:00:00Z",
}

PROJECT: Final[dict[str, Any]] = {
    "id": "0199f3a2-5a0d-7e24-8c11-9b3d47a6e0f2",
    "name": "default",
    "starting_lead_seconds": [600, 60],
    "link_preference": "structured",
    "meeting_hosts": ["meet.example.org", {"host": "rooms.example.org", "platform": "bigbluebutton"}],
    "version": 1,
    "created_at": "2026-03-02T08:59:00Z",
    "updated_at": "2026-03-02T08:59:00Z",
}

EVENT: Final[dict[str, Any]] = {
    "id": _EVENT_ID,
    "calendar_id": _CALENDAR_ID,
    "provider_event_id": "4f1q7s0b2m",
    "ical_uid": _KEY,
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
    "meeting_key": _KEY,
    "version": 2,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-02T09:00:00Z",
    "deleted_at": None,
}

CHANGE: Final[dict[str, Any]] = {
    "seq": 18,
    "event_id": _EVENT_ID,
    "calendar_id": _CALENDAR_ID,
    "kind": "updated",
    "cause": "push",
    "at": "2026-03-02T09:00:00Z",
    "fields": {"starts_at": {"old": "2026-03-02T09:30:00Z", "new": "2026-03-02T10:00:00Z"}},
    "action": "move",
    "event": EVENT,
}

MEETING: Final[dict[str, Any]] = {
    "meeting_key": _KEY,
    "meeting_url": "https://meet.google.com/abc-defg-hij",
    "platform": "google_meet",
    "meeting_id": "abc-defg-hij",
    "passcode": None,
    "starts_at": "2026-03-02T10:00:00Z",
    "ends_at": "2026-03-02T10:30:00Z",
    "title": "Weekly review",
    "organizer": {"email": "ana@example.com", "name": "Ana", "self": True},
    "attendee_count": 1,
    "lead": EVENT,
    "copies": [
        {
            "event_id": _EVENT_ID,
            "calendar_id": _CALENDAR_ID,
            "calendar_status": "active",
            "email": "ana@example.com",
            "response_status": "accepted",
        }
    ],
}

PROBLEM: Final[dict[str, Any]] = {
    "type": "urn:calgate:problem:validation_failed",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "Some of what was sent cannot be accepted; `errors` says what.",
    "code": "validation_failed",
    "request_id": "7b0f9c1e2d3a4b5c8d9e0f1a2b3c4d5e",
    "errors": [{"field": "refresh_token", "message": "is required"}],
}

EXAMPLES: Final = {
    "ProjectView": PROJECT,
    "CalendarView": CALENDAR,
    "EventView": EVENT,
    "Change": CHANGE,
    "MeetingView": MEETING,
    "Problem": PROBLEM,
}
