"""Drafts and patches in Google's words: the bodies of events.insert and events.patch."""

from typing import Any, Final

from msgspec import UNSET

from service.core.drafts import Draft, Guest, Patch
from service.core.event import Event
from service.errors import RequestRefused
from service.providers.edits import Span, moved, span_of

MARK: Final = "calgate"
"""The private property that says by which key we made an event (guides/extended-properties)."""

MEET: Final = "google_meet"
MOST_REMINDERS: Final = 5
"""Google's own limit (Events resource, `reminders.overrides`)."""

LONGEST_NOTICE: Final = 40320
"""Minutes: four weeks."""


def draft_body(draft: Draft, zone: str | None, key: str) -> dict[str, Any]:
    """The body of an insert whose id is the key: 32 hexadecimal digits are base32hex, as Google asks of ids."""
    refuse_conference(draft.conference)
    span = span_of(draft, zone)
    body: dict[str, Any] = {
        "id": key,
        "summary": draft.title,
        "description": draft.description,
        "location": draft.location,
        "start": _moment(span, span.start),
        "end": _moment(span, span.end),
        "recurrence": draft.recurrence or None,
        "attendees": [_attendee(guest) for guest in draft.attendees] or None,
        "visibility": draft.visibility,
        "transparency": None if draft.is_busy else "transparent",
        "reminders": None if draft.reminders is None else _reminders(draft.reminders),
        "extendedProperties": {"private": {MARK: key}},
        "conferenceData": _meet(key) if draft.conference == MEET else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def patch_body(patch: Patch, event: Event, attendees: list[dict[str, Any]], zone: str | None) -> dict[str, Any]:
    """The body of a patch, in which null clears. `event` and `attendees` are as they stand; its conference is `conference_of`."""
    texts = {"summary": patch.title, "description": patch.description, "location": patch.location}
    body: dict[str, Any] = {name: text for name, text in texts.items() if text is not UNSET}
    if patch.moves:
        span = moved(event, patch, zone)
        blank = {"date": None, "dateTime": None, "timeZone": None}
        body |= {"start": blank | _moment(span, span.start), "end": blank | _moment(span, span.end)}
    if patch.recurrence is not UNSET:
        body["recurrence"] = patch.recurrence or None
    if patch.attendees is not UNSET:
        body["attendees"] = merge_guests(attendees, patch.attendees)
    if patch.visibility is not UNSET:
        body["visibility"] = patch.visibility or "default"
    if patch.is_busy is not UNSET:
        body["transparency"] = "opaque" if patch.is_busy else "transparent"
    if patch.reminders is not UNSET:
        body["reminders"] = (
            {"useDefault": True, "overrides": None} if patch.reminders is None else _reminders(patch.reminders)
        )
    return body


def conference_body(patch: Patch, request_id: str, *, is_there: bool) -> dict[str, Any]:
    """What a patch says of the conference. One that is there stays where another is asked for; a Zoom link is none of Google's."""
    if patch.conference is UNSET:
        return {}
    refuse_conference(patch.conference)
    if patch.conference == MEET:
        return {} if is_there else {"conferenceData": _meet(request_id)}
    return {"conferenceData": None} if is_there else {}


def refuse_conference(wanted: str | None) -> None:
    """Raise RequestRefused for a conference that Google's calendars cannot make."""
    if wanted == "microsoft_teams":
        raise RequestRefused("a Google calendar has no Microsoft Teams meetings: ask for google_meet or zoom")


def merge_guests(current: list[dict[str, Any]], wanted: list[Guest]) -> list[dict[str, Any]]:
    """The whole new list: who stays keeps the answer that they gave, and the organizer stays whoever is invited."""
    known = {str(each.get("email", "")).lower(): each for each in current}
    merged = [
        {**known.get(guest.email.lower(), {}), **_attendee(guest), "optional": guest.optional} for guest in wanted
    ]
    asked = {guest.email.lower() for guest in wanted}
    kept = [each for email, each in known.items() if each.get("organizer") and email not in asked]
    return kept + merged


def _attendee(guest: Guest) -> dict[str, Any]:
    named = {"displayName": guest.name} if guest.name else {}
    return {"email": guest.email, **named, **({"optional": True} if guest.optional else {})}


def _moment(span: Span, moment: Any) -> dict[str, Any]:
    if span.is_all_day:
        return {"date": moment.isoformat()}
    # Google wants an offset, or a zone, and of what recurs the zone; who has both is understood everywhere.
    return {"dateTime": moment.isoformat().replace("+00:00", "Z"), "timeZone": span.zone}


def _reminders(minutes: list[int]) -> dict[str, Any]:
    if len(minutes) > MOST_REMINDERS or any(not 0 <= each <= LONGEST_NOTICE for each in minutes):
        raise RequestRefused("Google keeps at most five reminders, each at most four weeks before")
    overrides = [{"method": "popup", "minutes": each} for each in dict.fromkeys(minutes)]
    return {"useDefault": False, "overrides": overrides}


def _meet(request_id: str) -> dict[str, Any]:
    return {"createRequest": {"requestId": request_id, "conferenceSolutionKey": {"type": "hangoutsMeet"}}}
