"""Partial responses: the `fields` expression, read and applied."""

import re
from functools import lru_cache
from typing import Any

from simulator.google.errors import invalid_parameter

# None selects everything below a name.
Selection = dict[str, "Selection"] | None
TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*|[*,/()]")
TOP_NAMES = {
    "calendar#events": {
        "kind", "etag", "summary", "description", "updated", "timeZone", "accessRole", "defaultReminders",
        "nextPageToken", "nextSyncToken", "items",
    },
    "calendar#calendarList": {"kind", "etag", "nextPageToken", "nextSyncToken", "items"},
    "calendar#event": {
        "anyoneCanAddSelf", "attachments", "attendees", "attendeesOmitted", "birthdayProperties", "colorId",
        "conferenceData", "created", "creator", "description", "end", "endTimeUnspecified", "etag", "eventLabelId",
        "eventType", "extendedProperties", "focusTimeProperties", "gadget", "guestsCanInviteOthers",
        "guestsCanModify", "guestsCanSeeOtherGuests", "hangoutLink", "htmlLink", "iCalUID", "id", "kind", "location",
        "locked", "organizer", "originalStartTime", "outOfOfficeProperties", "privateCopy", "recurrence",
        "recurringEventId", "reminders", "sequence", "source", "start", "status", "summary", "transparency",
        "updated", "visibility", "workingLocationProperties",
    },
    "calendar#calendarListEntry": {
        "accessRole", "autoAcceptInvitations", "backgroundColor", "colorId", "conferenceProperties", "dataOwner",
        "defaultReminders", "deleted", "description", "etag", "foregroundColor", "hidden", "id", "kind", "location",
        "notificationSettings", "primary", "selected", "summary", "summaryOverride", "timeZone",
    },
    "calendar#calendar": {
        "autoAcceptInvitations", "conferenceProperties", "dataOwner", "description", "etag", "id", "kind",
        "labelProperties", "location", "summary", "timeZone", "workingHours",
    },
    "calendar#freeBusy": {"calendars", "groups", "kind", "timeMax", "timeMin"},
    "api#channel": {
        "address", "expiration", "id", "kind", "params", "payload", "resourceId", "resourceUri", "token", "type",
    },
}  # fmt: skip
ITEM_KINDS = {"calendar#events": "calendar#event", "calendar#calendarList": "calendar#calendarListEntry"}


def select_fields(expression: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """What is not listed is left out, tokens included."""
    picked = _pick(parse_fields(expression, kind), value)
    return picked if isinstance(picked, dict) else {}


@lru_cache(maxsize=256)
def parse_fields(expression: str, kind: str) -> Selection:
    tokens = TOKEN.findall(expression)
    if "".join(tokens) != expression.replace(" ", "") or not tokens:
        raise _bad(expression)
    selection, rest = _parse_list(tokens, expression)
    if rest:
        raise _bad(expression)
    _check_names(selection, kind)
    return selection


def _parse_list(tokens: list[str], expression: str) -> tuple[Selection, list[str]]:
    selection: dict[str, Selection] = {}
    everything = False
    while True:
        name, below, tokens = _parse_path(tokens, expression)
        everything = everything or name == "*"
        if name in selection:
            below = _merge(selection[name], below)
        selection[name] = below
        if not tokens or tokens[0] != ",":
            return (None if everything else selection), tokens
        tokens = tokens[1:]


def _parse_path(tokens: list[str], expression: str) -> tuple[str, Selection, list[str]]:
    if not tokens or tokens[0] in {",", "/", "(", ")"}:
        raise _bad(expression)
    name, tokens = tokens[0], tokens[1:]
    if tokens and tokens[0] == "/":
        below_name, below, tokens = _parse_path(tokens[1:], expression)
        return name, (None if below_name == "*" else {below_name: below}), tokens
    if tokens and tokens[0] == "(":
        inner, tokens = _parse_list(tokens[1:], expression)
        if not tokens or tokens[0] != ")":
            raise _bad(expression)
        return name, inner, tokens[1:]
    return name, None, tokens


def _merge(left: Selection, right: Selection) -> Selection:
    if left is None or right is None:
        return None
    merged = dict(left)
    for name, below in right.items():
        merged[name] = _merge(merged[name], below) if name in merged else below
    return merged


def _check_names(selection: Selection, kind: str) -> None:
    known = TOP_NAMES.get(kind)
    if selection is None or known is None:
        return
    for name, below in selection.items():
        if name not in known:
            raise _bad(name)
        if name == "items" and kind in ITEM_KINDS:
            _check_names(below, ITEM_KINDS[kind])


def _pick(selection: Selection, value: Any) -> Any:
    if selection is None:
        return value
    if isinstance(value, list):
        return [_pick(selection, each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _pick(below, value[name]) for name, below in selection.items() if name in value}


def _bad(what: str) -> Exception:
    return invalid_parameter(f"Invalid field selection {what}", "fields")
