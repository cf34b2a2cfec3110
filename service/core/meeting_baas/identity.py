"""How v2 names the state of a calendar and of an event, and a meeting's platform."""

from typing import Final, Literal

from service.core.event import CANCELLED, DECLINED
from service.core.lifecycle import State

CalendarStatus = Literal["active", "error", "revoked", "permission_denied"]
MeetingPlatform = Literal["zoom", "meet", "teams"]
EventStatus = Literal["confirmed", "cancelled", "tentative"]

_MEETING_PLATFORMS: Final[dict[str, MeetingPlatform]] = {
    "zoom": "zoom",
    "google_meet": "meet",
    "microsoft_teams": "teams",
}
_DISCONNECTED: Final[dict[str | None, CalendarStatus]] = {
    "insufficient_scope": "permission_denied",
    "calendar_not_found": "permission_denied",
}


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
