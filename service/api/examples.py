"""What the documentation shows as an example of each main object; a test holds them to the types."""

from typing import Any, Final

from service.core import samples

CALENDAR: Final[dict[str, Any]] = {
    "id": samples.CALENDAR_ID,
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

EVENT: Final = samples.EVENT
CHANGE: Final = samples.UPDATED

MEETING: Final[dict[str, Any]] = {
    "meeting_key": samples.MEETING_KEY,
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
    "copies": samples.COPIES,
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
