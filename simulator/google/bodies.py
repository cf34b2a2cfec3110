"""Event bodies as clients send them: checked, normalised, and given the parts Google adds itself."""

import re
from typing import Any

from simulator.google.errors import GoogleError, invalid
from simulator.google.moments import load_zone, parse_moment
from simulator.google.recurrence import expand
from simulator.google.state import Calendar, State

EVENT_ID = re.compile(r"[a-v0-9]{5,1024}")
READ_ONLY = {"kind", "etag", "htmlLink", "created", "updated", "recurringEventId", "originalStartTime", "hangoutLink"}
STATUSES = {"confirmed", "tentative", "cancelled"}
EVENT_TYPES = {"default", "outOfOffice", "focusTime", "workingLocation", "birthday", "fromGmail"}
RESPONSES = {"needsAction", "declined", "tentative", "accepted"}


def normalise(state: State, calendar: Calendar, body: dict[str, Any]) -> dict[str, Any]:
    """A body fit to be stored: times parsed, read-only fields dropped, nulls removed."""
    clean = {key: value for key, value in body.items() if value is not None and key not in READ_ONLY}
    for name in ("start", "end"):
        if name not in clean:
            raise GoogleError(400, "required", f"Missing {name} time.", location=name)
        clean[name] = parse_moment(clean[name], calendar.time_zone, name)
    start, end = clean["start"], clean["end"]
    if (start.day is None) != (end.day is None):
        raise invalid("Start and end times must either both be date or both be dateTime.")
    if end.at < start.at or (start.day is not None and end.day == start.day):
        raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar")
    _check_words(clean)
    _check_recurrence(state, body, clean)
    return clean


def check_id(event_id: Any) -> str:
    if not isinstance(event_id, str) or not EVENT_ID.fullmatch(event_id):
        raise invalid("Invalid resource id value.")
    return event_id


def _check_words(body: dict[str, Any]) -> None:
    if body.get("status", "confirmed") not in STATUSES:
        raise invalid("Invalid value for: status", "status")
    if body.get("eventType", "default") not in EVENT_TYPES:
        raise invalid("Invalid value for: eventType", "eventType")
    for attendee in body.get("attendees", []):
        if "@" not in str(attendee.get("email", "")):
            raise invalid("Invalid attendee email.", "attendees")
        if attendee.setdefault("responseStatus", "needsAction") not in RESPONSES:
            raise invalid("Invalid value for: responseStatus", "attendees")
        attendee.pop("self", None)
        attendee.pop("organizer", None)


def _check_recurrence(state: State, body: dict[str, Any], clean: dict[str, Any]) -> None:
    if not clean.get("recurrence"):
        clean.pop("recurrence", None)
        return
    raw = body["start"]
    if isinstance(raw, dict) and "dateTime" in raw and not raw.get("timeZone"):
        raise GoogleError(400, "required", "Missing time zone definition for start time.")
    load_zone(clean["start"].zone)
    if not expand(clean["recurrence"], clean["start"], state.horizon()):
        raise invalid("The recurrence has no instances.", "recurrence")


def apply_conference(state: State, body: dict[str, Any], version: int, before: dict[str, Any]) -> None:
    """Without `conferenceDataVersion=1` Google ignores the conference of a request, and says 200."""
    if version == 0:
        body.pop("conferenceData", None)
        if "conferenceData" in before:
            body["conferenceData"] = before["conferenceData"]
        return
    wanted = (body.get("conferenceData") or {}).get("createRequest")
    if not wanted:
        return
    asked_before = (before.get("conferenceData") or {}).get("createRequest", {}).get("requestId")
    if wanted.get("requestId") == asked_before:
        body["conferenceData"] = before["conferenceData"]
        return
    solution = (wanted.get("conferenceSolutionKey") or {}).get("type", "hangoutsMeet")
    if solution not in state.settings.conference_types:
        raise invalid("Invalid conference type value.", "conferenceData")
    pending = state.settings.conference_pending or state.settings.conference_looks > 0
    body["conferenceData"] = (
        {"createRequest": {**wanted, "status": {"statusCode": "pending"}}}
        if pending
        else made_conference(state, wanted)
    )


def made_conference(state: State, wanted: dict[str, Any]) -> dict[str, Any]:
    """What becomes of a request for a conference in the end."""
    outcome = state.settings.conference_outcome
    made = meet_conference(state) if outcome == "success" else {}
    return {**made, "createRequest": {**wanted, "status": {"statusCode": outcome}}}


def meet_conference(state: State) -> dict[str, Any]:
    letters = "".join(state.random.choices("abcdefghijkmnopqrstuvwxyz", k=10))
    code = f"{letters[:3]}-{letters[3:7]}-{letters[7:]}"
    return {
        "conferenceId": code,
        "conferenceSolution": {"key": {"type": "hangoutsMeet"}, "name": "Google Meet"},
        "entryPoints": [
            {"entryPointType": "video", "uri": f"https://meet.google.com/{code}", "label": f"meet.google.com/{code}"},
            {"entryPointType": "phone", "uri": "tel:+1-650-555-0100", "label": "+1 650-555-0100", "pin": "123456789"},
        ],
    }


def addon_conference(url: str, name: str, meeting_id: str) -> dict[str, Any]:
    """What a vendor's Calendar add-on leaves in an event."""
    return {
        "conferenceId": meeting_id,
        "conferenceSolution": {"key": {"type": "addOn"}, "name": name},
        "entryPoints": [{"entryPointType": "video", "uri": url, "meetingCode": meeting_id}],
    }
