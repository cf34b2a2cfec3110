"""What each Calendar API endpoint does, one function per method of the discovery document."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.google.access import find_calendar, require_writer, role_of
from simulator.google.answers import Request
from simulator.google.bodies import made_conference
from simulator.google.busy import query_busy
from simulator.google.calendar_list import get_entry, list_calendars, show_calendar
from simulator.google.changes import merged, replace_body
from simulator.google.channels import stop, watch
from simulator.google.edits import delete_event, find_event, insert_event, patch_event, update_event
from simulator.google.errors import GoogleError, gone, invalid
from simulator.google.listing import list_events, list_instances
from simulator.google.mailing import read_updates, tell
from simulator.google.query import number, text
from simulator.google.quick_add import read_sentence
from simulator.google.rows import Reader, Row, show_row
from simulator.google.state import Calendar, Client, Record, State
from simulator.google.views import show_event


@dataclass(frozen=True, slots=True)
class Context:
    """One authenticated request."""

    state: State
    email: str
    client: Client
    request: Request
    calendar_id: str
    event_id: str
    body: dict[str, Any]

    def calendar(self, *, to_write: bool = False) -> Calendar:
        calendar = find_calendar(self.state, self.calendar_id, self.email)
        if to_write:
            require_writer(self.state, calendar, self.email)
        return calendar

    def role(self, calendar: Calendar) -> str:
        return role_of(self.state, calendar, self.email) or "reader"


def _list_calendars(context: Context) -> dict[str, Any]:
    return list_calendars(context.state, context.email, context.request.query)


def _get_entry(context: Context) -> dict[str, Any]:
    return get_entry(context.state, context.email, context.calendar_id)


def _get_calendar(context: Context) -> dict[str, Any]:
    return show_calendar(context.calendar())


def _list_events(context: Context) -> dict[str, Any]:
    calendar = context.calendar()
    return list_events(context.state, calendar, context.role(calendar), context.request.query)


def _list_instances(context: Context) -> dict[str, Any]:
    calendar = context.calendar()
    role = context.role(calendar)
    return list_instances(context.state, calendar, role, context.event_id, context.request.query)


def _get_event(context: Context) -> dict[str, Any]:
    calendar = context.calendar()
    reader = Reader(
        context.role(calendar),
        text(context.request.query, "timeZone"),
        number(context.request.query, "maxAttendees"),
    )
    try:
        record = find_event(context.state, calendar, context.event_id)
    except GoogleError as error:
        ghost = calendar.ghosts.get(context.event_id)
        if error.status != 410 or ghost is None:
            raise
        return show_row(calendar, Row(ghost.id, ghost.revision, ghost=ghost), reader)
    _look_at_conference(context.state, calendar, record)
    return _show(calendar, record, reader)


def _look_at_conference(state: State, calendar: Calendar, record: Record) -> None:
    """A conference that is pending is made after so many looks at its event."""
    request = (record.body.get("conferenceData") or {}).get("createRequest") or {}
    if state.settings.conference_pending or request.get("status", {}).get("statusCode") != "pending":
        return
    place = (calendar.id, record.id)
    left = state.conferences.setdefault(place, state.settings.conference_looks)
    state.conferences[place] = left - 1
    if left <= 1:
        del state.conferences[place]
        wanted = {name: value for name, value in request.items() if name != "status"}
        replace_body(state, calendar, record, {**record.body, "conferenceData": made_conference(state, wanted)})


def _insert_event(context: Context) -> dict[str, Any]:
    calendar = context.calendar(to_write=True)
    if context.body.get("id") and context.body.get("iCalUID"):
        raise invalid("Only one of id and iCalUID may be given.")
    conference, updates = _write_options(context), read_updates(context.request.query)
    record = insert_event(context.state, calendar, context.email, context.body, conference=conference)
    tell(context.state, calendar, record.id, updates, None, record.body)
    return _show(calendar, record, Reader())


def _quick_add(context: Context) -> dict[str, Any]:
    calendar = context.calendar(to_write=True)
    updates = read_updates(context.request.query)
    body = read_sentence(text(context.request.query, "text") or "", context.state.now(), calendar.time_zone)
    record = insert_event(context.state, calendar, context.email, body)
    tell(context.state, calendar, record.id, updates, None, record.body)
    return _show(calendar, record, Reader())


def _patch_event(context: Context) -> dict[str, Any]:
    return _write(context, patch_event)


def _update_event(context: Context) -> dict[str, Any]:
    return _write(context, update_event)


def _write(context: Context, write: Callable[..., Record]) -> dict[str, Any]:
    calendar = context.calendar(to_write=True)
    conference, updates = _write_options(context), read_updates(context.request.query)
    before = dict(merged(calendar, find_event(context.state, calendar, context.event_id)))
    record = write(
        context.state,
        calendar,
        context.event_id,
        context.body,
        conference=conference,
        if_match=context.request.headers.get("if-match"),
    )
    tell(context.state, calendar, record.id, updates, before, merged(calendar, record))
    return _show(calendar, record, Reader())


def _delete_event(context: Context) -> None:
    calendar = context.calendar(to_write=True)
    updates = read_updates(context.request.query)
    if context.event_id in calendar.ghosts and context.event_id not in calendar.records:
        raise gone()
    before = dict(merged(calendar, find_event(context.state, calendar, context.event_id)))
    record = delete_event(context.state, calendar, context.event_id, if_match=context.request.headers.get("if-match"))
    tell(context.state, calendar, record.id, updates, before, None)


def _query_busy(context: Context) -> dict[str, Any]:
    return query_busy(context.state, context.email, context.body)


def _watch_events(context: Context) -> dict[str, Any]:
    calendar = context.calendar()
    query = "".join(f"&{name}={value}" for name, values in sorted(context.request.query.items()) for value in values)
    return watch(context.state, calendar, context.email, context.client, context.body, query)


def _stop_channel(context: Context) -> None:
    stop(context.state, context.email, context.client, context.body)


def _write_options(context: Context) -> int:
    return number(context.request.query, "conferenceDataVersion", 0, smallest=0) or 0


def _show(calendar: Calendar, record: Record, reader: Reader) -> dict[str, Any]:
    """A single event in full, cancelled ones too: only listings are sparse."""
    return show_event(
        calendar,
        record,
        record.id,
        merged(calendar, record),
        record.slot.start if record.slot is not None else None,
        role=reader.role,
        zone=reader.zone,
        max_attendees=reader.max_attendees,
    )


ENDPOINTS: dict[str, Callable[[Context], dict[str, Any] | None]] = {
    "calendarList.list": _list_calendars,
    "calendarList.get": _get_entry,
    "calendars.get": _get_calendar,
    "events.list": _list_events,
    "events.get": _get_event,
    "events.instances": _list_instances,
    "events.insert": _insert_event,
    "events.patch": _patch_event,
    "events.update": _update_event,
    "events.delete": _delete_event,
    "events.watch": _watch_events,
    "events.quickAdd": _quick_add,
    "channels.stop": _stop_channel,
    "freebusy.query": _query_busy,
}
