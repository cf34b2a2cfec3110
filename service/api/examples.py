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

CONNECTION: Final[dict[str, Any]] = {
    "id": samples.CONNECTION_ID,
    "provider": "google",
    "email": "ana@example.com",
    "user_id": "42",
    "status": "active",
    "is_primary": True,
    "calendars": [
        {"id": samples.CALENDAR_ID, "raw_calendar_id": "ana@example.com", "name": "Ana's calendar", "status": "active"}
    ],
    "last_sync_at": "2026-03-02T09:00:00Z",
    "error_code": None,
    "error_message": None,
    "settings": {
        "primary_calendar": "ana@example.com",
        "selected_calendars": ["ana@example.com"],
        "busy_calendars": ["ana@example.com"],
        "block_busy_time": True,
        "validate_availability": False,
        "cancel_if_declined_or_deleted": False,
        "disable_attendee_notification": False,
        "sync_buffers_to_calendar": False,
        "sync_direction": "both",
        "sync_frequency": None,
        "event_defaults": {"visibility": None, "reminders": [10]},
        "event_privacy": {"show_title": True, "show_description": True, "show_attendees": True, "show_location": True},
        "zoom_settings": {
            "join_before_host": None,
            "mute_upon_entry": None,
            "waiting_room": None,
            "auto_recording": None,
        },
    },
    "access": "write",
    "scopes": ["openid", "email", "https://www.googleapis.com/auth/calendar"],
    "version": 2,
    "created_at": "2026-03-02T08:59:58Z",
    "updated_at": "2026-03-02T08:59:58Z",
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

AUDIT_ENTRY: Final[dict[str, Any]] = {
    "project_id": PROJECT["id"],
    "seq": 2,
    "at": "2026-03-02T09:00:00Z",
    "actor": {"kind": "api_key", "id": "0199f3a2-5a0c-7d11-9a20-1c5f7a1e2b3c"},
    "action": "project.changed",
    "object": {"kind": "project", "id": PROJECT["id"]},
    "request_id": "7b0f9c1e2d3a4b5c8d9e0f1a2b3c4d5e",
    "address": "203.0.113.7",
    "details": {"fields": ["starting_lead_seconds"]},
    "previous": "fdf083dabb883d1be8900729f8cc5803a4bf4c14bb80adf4e53d52b0622eaa17",
    "hash": "c74719ad50ff9329e8fa2b248447016349e89a4c7ba8784af2c6f47e8a1949a0",
}

EXAMPLES: Final = {
    "ProjectView": PROJECT,
    "CalendarView": CALENDAR,
    "ConnectionView": CONNECTION,
    "EventView": EVENT,
    "Change": CHANGE,
    "MeetingView": MEETING,
    "AuditEntryView": AUDIT_ENTRY,
    "Problem": PROBLEM,
}
