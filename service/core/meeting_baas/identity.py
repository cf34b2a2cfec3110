"""How both dialects name a calendar's provider and state, and v2 a series and a meeting's platform."""

from typing import Final, Literal
from uuid import UUID, uuid5

from service.core.event import CANCELLED, DECLINED
from service.core.lifecycle import State

Platform = Literal["google", "microsoft"]
CalendarStatus = Literal["active", "error", "revoked", "permission_denied"]
MeetingPlatform = Literal["zoom", "meet", "teams"]
EventStatus = Literal["confirmed", "cancelled", "tentative"]
EventType = Literal["one_off", "recurring"]

_SERIES: Final = UUID("5f0c1a52-6a3e-5c55-9d0c-4f2f6d9b8e11")
"""The name space of series ids (RFC 9562, 5.5)."""

_MEETING_PLATFORMS: Final[dict[str, MeetingPlatform]] = {
    "zoom": "zoom",
    "google_meet": "meet",
    "microsoft_teams": "teams",
}
_DISCONNECTED: Final[dict[str | None, CalendarStatus]] = {
    "insufficient_scope": "permission_denied",
    "calendar_not_found": "permission_denied",
}


def series_uuid(calendar_id: UUID, series_id: str | None, event_id: UUID) -> UUID:
    """The id of an event's series: v2 gives one to every event, also to one that does not recur."""
    return uuid5(_SERIES, f"{calendar_id} {series_id if series_id is not None else event_id}")


def event_type(series_id: str | None) -> EventType:
    """Whether an event recurs."""
    return "one_off" if series_id is None else "recurring"


def event_status(status: str, response_status: str | None) -> EventStatus:
    """The state of an event for its owner: one that he declined is as good as cancelled."""
    if status == CANCELLED or response_status == DECLINED:
        return "cancelled"
    return "tentative" if status == "tentative" else "confirmed"


def meeting_platform(platform: str | None) -> MeetingPlatform | None:
    """The three platforms that v2 knows; a link to any other is shown without one."""
    return _MEETING_PLATFORMS.get(platform or "")


def calendar_status(status: str, error_code: str | None) -> CalendarStatus:
    """How v2 calls a calendar's state; one that is still read for the first time is `active`, and not `synced` yet."""
    if status == State.DISCONNECTED:
        return _DISCONNECTED.get(error_code, "revoked")
    if status == State.ERROR:
        return "permission_denied" if error_code == "insufficient_scope" else "error"
    return "active"
