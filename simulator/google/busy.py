"""freeBusy.query: when calendars are busy, for whoever may see at least that."""

from collections.abc import Iterator
from typing import Any

from simulator.google.access import role_of
from simulator.google.errors import GoogleError, invalid
from simulator.google.moments import parse_bound, show_time
from simulator.google.rows import body_of, bounds, overlaps, walk
from simulator.google.state import Calendar, State

MOST_CALENDARS = 50


def query_busy(state: State, email: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to `POST /freeBusy`; a calendar that cannot be read has errors beside no busy time."""
    for name in ("timeMin", "timeMax"):
        if not body.get(name):
            raise GoogleError(400, "required", "Required", location=name)
    low, high = parse_bound(body["timeMin"], "timeMin"), parse_bound(body["timeMax"], "timeMax")
    if high <= low:
        raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar")
    if high - low > state.settings.busy_days * 86400:
        raise GoogleError(
            400, "timeRangeTooLong", "The requested time range is too long.", domain="calendar", location="timeMax"
        )
    items = body.get("items") or []
    if not all(isinstance(each, dict) and isinstance(each.get("id"), str) for each in items):
        raise invalid("Bad Request", "items")
    found: dict[str, Any] = {}
    for number, each in enumerate(items):
        reason = "tooManyCalendarsRequested" if number >= MOST_CALENDARS else None
        found[each["id"]] = _answer(state, email, each["id"], (low, high), reason)
    return {"kind": "calendar#freeBusy", "timeMin": body["timeMin"], "timeMax": body["timeMax"], "calendars": found}


def _answer(
    state: State, email: str, calendar_id: str, window: tuple[float, float], reason: str | None
) -> dict[str, Any]:
    calendar = state.calendars.get(email if calendar_id == "primary" else calendar_id)
    if calendar is None or calendar.deleted or role_of(state, calendar, email) is None:
        reason = reason or "notFound"
    if reason is not None or calendar is None:
        return {"errors": [{"domain": "global", "reason": reason}], "busy": []}
    stretches: list[tuple[int, int]] = []
    for begun, ended in sorted(_busy(state, calendar, window)):
        start, end = max(begun, int(window[0])), min(ended, int(window[1]))
        if stretches and start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(end, stretches[-1][1]))
        elif end > start:
            stretches.append((start, end))
    return {"busy": [{"start": show_time(start, "UTC"), "end": show_time(end, "UTC")} for start, end in stretches]}


def _busy(state: State, calendar: Calendar, window: tuple[float, float]) -> Iterator[tuple[int, int]]:
    for row in walk(state, calendar, expanded=True, window=window):
        if row.record is None or row.cancelled or not overlaps(state, calendar, row, *window):
            continue
        body = body_of(calendar, row)
        declined = any(
            each["email"] == calendar.id and each.get("responseStatus") == "declined"
            for each in body.get("attendees", [])
        )
        if body.get("transparency") == "transparent" or body.get("eventType") == "workingLocation" or declined:
            continue
        yield bounds(calendar, row)
