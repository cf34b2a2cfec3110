"""Events as the API shows them, relative to the calendar and to the reader."""

import base64
from typing import Any

from simulator.google.access import organizer_of
from simulator.google.moments import Moment, show_moment, show_stamp
from simulator.google.state import Calendar, Ghost, Record

PRIVATE_DETAILS = {"private", "confidential"}
ETAG_BASE = 3_400_000_000_000_000


def etag_of(record: Record | Ghost) -> str:
    return make_etag(record.revision)


def make_etag(revision: int) -> str:
    return f'"{ETAG_BASE + revision * 2}"'


def show_event(
    calendar: Calendar,
    record: Record,
    event_id: str,
    body: dict[str, Any],
    original: Moment | None,
    *,
    role: str = "owner",
    zone: str | None = None,
    max_attendees: int | None = None,
) -> dict[str, Any]:
    zone = zone or calendar.time_zone
    if role == "freeBusyReader" or _hides_details(body, role):
        return _busy_block(record, event_id, body, original, zone, role)
    shown: dict[str, Any] = {
        "kind": "calendar#event",
        "etag": etag_of(record),
        "id": event_id,
        "status": "confirmed",
        "htmlLink": _html_link(event_id, calendar),
        "created": show_stamp(record.created),
        "updated": show_stamp(record.updated),
        **{key: value for key, value in body.items() if value is not None},
    }
    shown["start"] = show_moment(body["start"], zone)
    shown["end"] = show_moment(body["end"], zone)
    if record.master is not None or original is not None:
        shown["recurringEventId"] = record.master or record.id
    if original is not None:
        shown["originalStartTime"] = show_moment(original, zone)
    _show_people(calendar, shown, body, max_attendees)
    _show_conference(shown)
    return shown


def show_tombstone(
    event_id: str, revision: int, master: str | None = None, original: Moment | None = None, zone: str = "UTC"
) -> dict[str, Any]:
    """All that Google promises of a cancelled event: nearly nothing."""
    shown: dict[str, Any] = {
        "kind": "calendar#event",
        "etag": make_etag(revision),
        "id": event_id,
        "status": "cancelled",
    }
    if master is not None and original is not None:
        shown["recurringEventId"] = master
        shown["originalStartTime"] = show_moment(original, zone)
    return shown


def _hides_details(body: dict[str, Any], role: str) -> bool:
    return body.get("visibility") in PRIVATE_DETAILS and role in {"reader", "writerWithoutPrivateAccess"}


def _busy_block(
    record: Record, event_id: str, body: dict[str, Any], original: Moment | None, zone: str, role: str
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "kind": "calendar#event",
        "etag": etag_of(record),
        "id": event_id,
        "status": body.get("status", "confirmed"),
        "start": show_moment(body["start"], zone),
        "end": show_moment(body["end"], zone),
        "visibility": "private",
        "iCalUID": body["iCalUID"],
        "eventType": "default",
    }
    if role != "freeBusyReader":
        shown |= {"updated": show_stamp(record.updated), "created": show_stamp(record.created)}
    if original is not None:
        shown |= {
            "recurringEventId": record.master or record.id,
            "originalStartTime": show_moment(original, zone),
        }
    if "recurrence" in body:
        shown["recurrence"] = body["recurrence"]
    return shown


def _show_people(calendar: Calendar, shown: dict[str, Any], body: dict[str, Any], max_attendees: int | None) -> None:
    organizer = organizer_of(calendar, body)
    shown["organizer"] = _marked(body.get("organizer") or {"email": organizer}, calendar.id)
    shown["creator"] = _marked(body.get("creator") or {"email": organizer}, _person(calendar))
    if "attendees" not in body:
        return
    attendees = [_attendee(each, calendar, organizer) for each in body["attendees"]]
    if body.get("guestsCanSeeOtherGuests") is False and organizer != calendar.id:
        attendees = [each for each in attendees if each.get("self")]
    if max_attendees is not None and len(attendees) > max_attendees:
        attendees = [each for each in attendees if each.get("self")]
        shown["attendeesOmitted"] = True
    shown["attendees"] = attendees


def _attendee(raw: dict[str, Any], calendar: Calendar, organizer: str) -> dict[str, Any]:
    shown = _marked(raw, _person(calendar))
    if raw["email"] == organizer:
        shown["organizer"] = True
    return shown


def _person(calendar: Calendar) -> str | None:
    """Nobody is `self` on a secondary calendar."""
    return calendar.id if calendar.kind == "primary" else None


def _marked(person: dict[str, Any], own: str | None) -> dict[str, Any]:
    return {**person, "self": True} if person.get("email") == own else dict(person)


def _show_conference(shown: dict[str, Any]) -> None:
    conference = shown.get("conferenceData")
    if not conference or "hangoutLink" in shown:
        return
    if conference.get("conferenceSolution", {}).get("key", {}).get("type") == "hangoutsMeet":
        shown["hangoutLink"] = conference["entryPoints"][0]["uri"]


def _html_link(event_id: str, calendar: Calendar) -> str:
    eid = base64.urlsafe_b64encode(f"{event_id} {calendar.id}".encode()).decode().rstrip("=")
    return f"https://www.google.com/calendar/event?eid={eid}"
