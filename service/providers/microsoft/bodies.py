"""Drafts and patches in Graph's words: the bodies of POST and PATCH of events."""

import re
from html import escape, unescape
from typing import Any, Final

import msgspec
from msgspec import UNSET

from service.core.drafts import Draft, Guest, Patch
from service.core.event import Event
from service.errors import RequestRefused
from service.providers.edits import Span, move_of, moved, span_of
from service.providers.microsoft.patterns import pattern_of, shifted
from service.providers.microsoft.standing import Invited, Standing
from service.providers.microsoft.zones import windows_name

MARK: Final = "String {7f1d2c0e-6a35-4c8e-9a54-2f0c5d1b7e63} Name calgate"
"""The extended property that says by which key we made an event (graph/api/resources/singlevaluelegacyextendedproperty)."""

TEAMS: Final = "microsoft_teams"
TEAMS_PROVIDER: Final = "teamsForBusiness"
USUAL_NOTICE: Final = 15
"""Minutes: what Outlook reminds by, unless it is told otherwise."""

_SENSITIVITY: Final = {"default": "normal", "public": "normal", "private": "private", "confidential": "confidential"}
_MARKUP: Final = re.compile(r"<(?:a|b|br|div|h\d|html|i|li|ol|p|span|strong|table|u|ul)\b[^>]*>", re.IGNORECASE)
_RULE: Final = re.compile(r"_{10,}")
_BODY_END: Final = re.compile(r"</body>", re.IGNORECASE)
_BODY_START: Final = re.compile(r"<body[^>]*>", re.IGNORECASE)


def draft_body(draft: Draft, zone: str | None, key: str) -> dict[str, Any]:
    """The body of a POST that is carried out once for each key (graph/api/calendar-post-events)."""
    refuse_conference(draft.conference)
    span = _unmistakable(span_of(draft, zone), repeats=bool(draft.recurrence))
    body: dict[str, Any] = {
        "transactionId": key,
        "singleValueExtendedProperties": [{"id": MARK, "value": key}],
        "subject": draft.title or "",
        "body": _text(draft.description) if draft.description else None,
        "location": {"displayName": draft.location} if draft.location else None,
        **_times(span),
        "recurrence": pattern_of(draft.recurrence, span),
        "attendees": [_attendee(guest, None) for guest in draft.attendees] or None,
        "sensitivity": _SENSITIVITY.get(draft.visibility or "default", "normal"),
        "showAs": "busy" if draft.is_busy else "free",
        **(_reminders(draft.reminders) if draft.reminders is not None else {}),
        **(online() if draft.conference == TEAMS else {}),
    }
    return {name: value for name, value in body.items() if value is not None}


def patch_body(patch: Patch, event: Event, standing: Standing, zone: str | None) -> dict[str, Any]:
    """The body of a PATCH of an event that is now as `event` and `standing` say."""
    body: dict[str, Any] = {}
    if patch.title is not UNSET:
        body["subject"] = patch.title or ""
    if patch.description is not UNSET:
        body["body"] = _kept(patch.description or "", standing)
    if patch.location is not UNSET:
        body["location"] = {"displayName": patch.location or ""}
    if patch.moves:
        body |= _moved(patch, event, standing, zone)
    if patch.attendees is not UNSET:
        known = {each.email: each for each in standing.guests}
        body["attendees"] = [_attendee(guest, known.get(guest.email.lower())) for guest in patch.attendees]
    if patch.visibility is not UNSET:
        body["sensitivity"] = _SENSITIVITY.get(patch.visibility or "default", "normal")
    if patch.is_busy is not UNSET:
        body["showAs"] = "busy" if patch.is_busy else "free"
    if patch.reminders is not UNSET:
        body |= _reminders([USUAL_NOTICE] if patch.reminders is None else patch.reminders)
    if wants_teams(patch, standing):
        body |= online()
    return body


def wants_teams(patch: Patch, standing: Standing) -> bool:
    """Whether a patch asks for a Teams meeting that is not there. Raises RequestRefused for what Outlook cannot undo."""
    if patch.conference is UNSET:
        return False
    refuse_conference(patch.conference)
    if patch.conference == TEAMS:
        return not standing.is_online_meeting
    if standing.is_online_meeting:
        raise RequestRefused("Outlook cannot take the Teams meeting off an event: delete the event and make another")
    return False


def refuse_conference(wanted: str | None) -> None:
    """Raise RequestRefused for a conference that Outlook's calendars cannot make."""
    if wanted == "google_meet":
        raise RequestRefused("an Outlook calendar has no Google Meet: ask for microsoft_teams or zoom")


def online() -> dict[str, Any]:
    """What asks for a Teams meeting."""
    return {"isOnlineMeeting": True, "onlineMeetingProvider": TEAMS_PROVIDER}


def _unmistakable(span: Span, *, repeats: bool) -> Span:
    """In UTC where Outlook, which is told wall times, would take another moment; but a series goes by the wall clock."""
    return msgspec.structs.replace(span, zone="UTC") if span.is_ambiguous and not repeats else span


def _times(span: Span) -> dict[str, Any]:
    zone = windows_name(span.zone)
    start, end = (span.wall(each).isoformat() for each in (span.start, span.end))
    return {
        "start": {"dateTime": start, "timeZone": zone},
        "end": {"dateTime": end, "timeZone": zone},
        "isAllDay": span.is_all_day,
    }


def _moved(patch: Patch, event: Event, standing: Standing, zone: str | None) -> dict[str, Any]:
    repeats = bool(standing.recurrence if patch.recurrence is UNSET else patch.recurrence)
    span = _unmistakable(moved(event, patch, zone), repeats=repeats)
    times = _times(span)
    if patch.recurrence is not UNSET:
        return times | {"recurrence": pattern_of(patch.recurrence, span)}
    if standing.recurrence:
        series = {"pattern": standing.recurrence.pattern, "range": standing.recurrence.range}
        return times | {"recurrence": shifted(series, move_of(event, span), span)}
    return times


def _text(description: str) -> dict[str, Any]:
    return {"contentType": "html" if _MARKUP.search(description) else "text", "content": description}


def _kept(description: str, standing: Standing) -> dict[str, Any]:
    """The new text of an event; an online meeting's ends with the way in, without which Outlook drops the meeting."""
    join_url = standing.join_url
    if not standing.is_online_meeting or not join_url or join_url in unescape(description):
        return _text(description)
    text = description if _MARKUP.search(description) else escape(description).replace("\n", "<br>")
    text = _BODY_END.split(_BODY_START.split(text)[-1])[0]
    return {"contentType": "html", "content": f"<html><body>{text}{_way_in(standing, join_url)}</body></html>"}


def _way_in(standing: Standing, join_url: str) -> str:
    """What Outlook has written under the text, from the ruled line on; our own words where it cannot be found."""
    html = _BODY_END.split((standing.body.content if standing.body else None) or "")[0]
    link = next((at for at in (html.find(join_url), html.find(escape(join_url))) if at >= 0), -1)
    if link < 0:
        return f'<div><a href="{escape(join_url)}">{escape(join_url)}</a></div>'
    lines = [found.start() for found in _RULE.finditer(html, 0, link)]
    before = lines[-1] if lines else link
    opened = max(html.rfind(tag, 0, before) for tag in ("<div", "<span", "<p>", "<p "))
    return html[opened if opened >= 0 else html.rfind("<", 0, link) :]


def _attendee(guest: Guest, known: Invited | None) -> dict[str, Any]:
    """A guest, who as one that is known keeps the answer given, and what a room is."""
    name = guest.name or (known.email_address.name if known and known.email_address else None)
    attendee: dict[str, Any] = {
        "type": "optional" if guest.optional else "required",
        "emailAddress": {"address": guest.email, **({"name": name} if name else {})},
    }
    if known is not None and known.type == "resource":
        attendee["type"] = known.type
    if known is not None and known.status:
        attendee["status"] = known.status
    return attendee


def _reminders(minutes: list[int]) -> dict[str, Any]:
    if len(set(minutes)) > 1:
        raise RequestRefused("Outlook keeps one reminder of an event")
    if not minutes:
        return {"isReminderOn": False}
    if minutes[0] < 0:
        raise RequestRefused("a reminder comes before the start")
    return {"isReminderOn": True, "reminderMinutesBeforeStart": minutes[0]}
