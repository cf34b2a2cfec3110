"""Event bodies as clients send them: checked, normalised, and given the parts that Exchange adds itself."""

import re
from html import escape, unescape
from typing import Any

from simulator.microsoft.errors import GraphError, invalid
from simulator.microsoft.moments import parse_moment, windows_name
from simulator.microsoft.recurrence import complete, expand
from simulator.microsoft.shapes import SCRIPTED, TYPES, check_shape
from simulator.microsoft.state import Account, State

READ_ONLY = {
    "bodyPreview", "cancelledOccurrences", "changeKey", "createdDateTime", "exceptionOccurrences", "hasAttachments",
    "iCalUId", "id", "isCancelled", "isDraft", "isOrganizer", "lastModifiedDateTime", "occurrenceId",
    "onlineMeeting", "onlineMeetingUrl", "organizer", "originalEndTimeZone", "originalStart",
    "originalStartTimeZone", "responseStatus", "seriesMasterId", "type", "uid", "webLink",
}  # fmt: skip
NEVER = "0001-01-01T00:00:00Z"
TAG = re.compile(r"<[^>]+>")
BLANKS = re.compile(r"\s+")


def default_body(account: Account) -> dict[str, Any]:
    """What an event has of itself, on the organizer's calendar."""
    return {
        "subject": "",
        "body": {"contentType": "html", "content": ""},
        "isAllDay": False,
        "isCancelled": False,
        "isReminderOn": True,
        "reminderMinutesBeforeStart": 15,
        "importance": "normal",
        "sensitivity": "normal",
        "showAs": "busy",
        "responseRequested": True,
        "allowNewTimeProposals": True,
        "hideAttendees": False,
        "isOnlineMeeting": False,
        "onlineMeetingProvider": "unknown",
        "onlineMeeting": None,
        "categories": [],
        "attendees": [],
        "location": {"displayName": "", "locationType": "default", "uniqueIdType": "unknown"},
        "locations": [],
        "organizer": address_of(account.email, account.name),
        "responseStatus": {"response": "organizer", "time": NEVER},
    }


def read_changes(changes: dict[str, Any], *, trusted: bool) -> dict[str, Any]:
    """The writable part of what was sent, in the stored form; times stay as sent. Unknown names are refused."""
    read: dict[str, Any] = {}
    for name, value in changes.items():
        if name in TYPES or (trusted and name in SCRIPTED):
            check_shape(name, value)
            read[name] = _read_value(name, value)
        elif name not in READ_ONLY and not name.startswith("@"):
            message = f"The property '{name}' does not exist on type 'microsoft.graph.event'."
            raise invalid(message, "RequestBodyRead")
    return read


def settle_times(state: State, body: dict[str, Any], sent: dict[str, Any]) -> None:
    """Parse the times of a body in place, with the recurrence that hangs on them. Raises GraphError."""
    all_day = bool(body.get("isAllDay"))
    for name in ("start", "end"):
        if name not in body:
            raise invalid(
                f"The property '{name}' is required when creating the entity.", "ErrorPropertyValidationFailure"
            )
        if isinstance(sent.get(name), dict):
            label = sent[name].get("timeZone") or "UTC"
            body[f"original{name.capitalize()}TimeZone"] = windows_name(label)
        body[name] = parse_moment(body[name], name, all_day=all_day)
    if (body["start"].day is None) == all_day:
        raise invalid("An all-day event needs both its times anew.", "ErrorInvalidPropertyRequest")
    if body["end"].at < body["start"].at or (all_day and body["end"].at == body["start"].at):
        raise invalid("The start must be before the end.", "ErrorPropertyValidationFailure")
    if body.get("recurrence") is None:
        body.pop("recurrence", None)
        return
    body["recurrence"] = complete(body["recurrence"], body["start"])
    if not expand(body["recurrence"], body["start"], state.horizon()):
        raise invalid("The recurrence has no occurrences.", "ErrorPropertyValidationFailure")


def settle_online_meeting(state: State, account: Account, body: dict[str, Any], before: dict[str, Any]) -> None:
    """Make the meeting that was asked for. What was online stays so, until its text leaves the body."""
    if before.get("isOnlineMeeting"):
        join_url = (before.get("onlineMeeting") or {}).get("joinUrl", "")
        kept = join_url in unescape(body["body"]["content"]) or body["body"] == before["body"]
        for name in ("isOnlineMeeting", "onlineMeeting", "onlineMeetingProvider"):
            body[name] = before[name] if kept else default_body(account)[name]
        return
    if not body.get("isOnlineMeeting") or body.get("onlineMeeting"):
        return
    provider = body["onlineMeetingProvider"]
    allowed = allowed_providers(account)
    if provider == "unknown":
        provider = allowed[0]
    if provider not in allowed:
        body |= {"isOnlineMeeting": False, "onlineMeetingProvider": "unknown"}
        return
    body |= {"onlineMeetingProvider": provider, **online_meeting(state, account)}
    text = body["body"]["content"] if body["body"]["contentType"] == "html" else escape(body["body"]["content"])
    body["body"] = {"contentType": "html", "content": text + join_block(body["onlineMeeting"]["joinUrl"])}


def allowed_providers(account: Account) -> list[str]:
    return ["skypeForConsumer"] if account.personal else ["teamsForBusiness"]


def online_meeting(state: State, account: Account) -> dict[str, Any]:
    """The part of a body that says where an online meeting is."""
    if account.personal:
        url = f"https://teams.live.com/meet/9{state.random.randrange(10**11, 10**12)}?p={state.make_key(18)}"
        return {"isOnlineMeeting": True, "onlineMeeting": {"joinUrl": url}}
    thread = state.make_key(48).replace("-", "0")
    context = f"%7b%22Tid%22%3a%22{account.tenant}%22%2c%22Oid%22%3a%22{account.id}%22%7d"
    url = f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{thread}%40thread.v2/0?context={context}"
    return {
        "isOnlineMeeting": True,
        "onlineMeeting": {
            "joinUrl": url,
            "conferenceId": str(state.random.randrange(10**8, 10**9)),
            "tollNumber": "+1 425-555-0100",
        },
    }


def join_block(join_url: str) -> str:
    """What Outlook writes under the text of an online meeting."""
    return (
        '<div style="white-space:nowrap">____________________</div><div><b>Microsoft Teams</b></div>'
        f'<div><a href="{escape(join_url)}">Join the meeting now</a></div>'
    )


def plain_text(body: dict[str, Any]) -> str:
    if body.get("contentType") != "html":
        return str(body.get("content", ""))
    return BLANKS.sub(" ", unescape(TAG.sub(" ", body.get("content", "")))).strip()


def address_of(address: str, name: str | None = None) -> dict[str, Any]:
    return {"emailAddress": {"name": name or address, "address": address}}


def _read_value(name: str, value: Any) -> Any:
    if name == "attendees":
        return [_read_attendee(each) for each in value or []]
    if name == "body":
        value = value or {}
        kind = (value.get("contentType") or "text").lower()
        if kind not in {"text", "html"}:
            raise invalid(f"Cannot convert the value '{kind}' of 'contentType'.", "RequestBodyRead")
        return {"contentType": kind, "content": value.get("content") or ""}
    if name == "location":
        value = value or {}
        given = {key: each for key, each in value.items() if each is not None}
        return {"displayName": "", "locationType": "default", "uniqueIdType": "unknown", **given}
    return value


def _read_attendee(raw: dict[str, Any]) -> dict[str, Any]:
    person = raw.get("emailAddress") or {}
    if "@" not in (person.get("address") or ""):
        raise GraphError(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
    return {
        "type": raw.get("type") or "required",
        "status": {"response": "none", "time": NEVER, **(raw.get("status") or {})},
        "emailAddress": {"name": person.get("name") or person["address"], "address": person["address"]},
    }
