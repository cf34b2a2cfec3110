"""Invitations: the organizer's event and its copies on the calendars of guests who live in this world."""

from typing import Any

from simulator.google.access import organizer_of
from simulator.google.changes import merged, replace_body, store
from simulator.google.moments import from_day
from simulator.google.recurrence import Slot
from simulator.google.state import Calendar, Record, State

# Each copy has its own; everything else is the meeting's.
PRIVATE_FIELDS = {"reminders", "colorId", "transparency", "visibility"}


def mirror(state: State, calendar: Calendar, record: Record) -> None:
    """After a change of the meeting, bring the guests' copies in line. A guest's own change stays his."""
    top = calendar.records[record.master] if record.master else record
    if not is_home(state, calendar, top.body):
        return
    invited = {} if top.cancelled else dict.fromkeys(_guests(top.body), True)
    for other in list(state.calendars.values()):
        if other.id == calendar.id or other.kind != "primary" or other.deleted:
            continue
        copy = other.records.get(top.id)
        if other.id in invited:
            _copy_family(state, calendar, top, other)
        elif copy is not None and not copy.cancelled and copy.body.get("iCalUID") == top.body.get("iCalUID"):
            replace_body(state, other, copy, {**copy.body, "status": "cancelled"})


def is_home(state: State, calendar: Calendar, body: dict[str, Any]) -> bool:
    """Whether this copy decides: the organizer's, or any copy when the organizer lives elsewhere."""
    organizer = organizer_of(calendar, body)
    return organizer == calendar.id or organizer not in state.calendars


def pass_on_response(state: State, record: Record, email: str, response: str) -> bool:
    """Write a guest's answer into every copy of the meeting; False when nobody of that name is invited."""
    answered = False
    for other in list(state.calendars.values()):
        copy = other.records.get(record.id)
        if copy is None and record.master in other.records and record.slot is not None:
            master = other.records[record.master]
            if master.cancelled or other.deleted:
                continue
            slot = _placed(record.slot, other)
            copy = store(state, other, Record(record.id, {}, state.now(), state.now(), 0, record.master, slot))
            master.exceptions[record.slot.name] = record.id
        if copy is None or copy.cancelled or other.deleted:
            continue
        attendees = [dict(each) for each in merged(other, copy).get("attendees", [])]
        for attendee in attendees:
            if attendee["email"] == email:
                attendee["responseStatus"] = response
                answered = True
        if attendees:
            replace_body(state, other, copy, {**copy.body, "attendees": attendees})
    return answered


def _guests(body: dict[str, Any]) -> list[str]:
    return [attendee["email"] for attendee in body.get("attendees", [])]


def _copy_family(state: State, calendar: Calendar, top: Record, other: Calendar) -> None:
    copy = _copy(state, top, other)
    for name, exception_id in list(top.exceptions.items()):
        exception = calendar.records[exception_id]
        twin = _copy(state, exception, other)
        copy.exceptions[name] = twin.id
        uninvited = other.id not in _guests(merged(calendar, exception))
        if uninvited and not twin.cancelled:
            replace_body(state, other, twin, {**twin.body, "status": "cancelled"})


def _copy(state: State, source: Record, other: Calendar) -> Record:
    existing = other.records.get(source.id)
    shared = _shared(source.body, other)
    if existing is None:
        slot = _placed(source.slot, other)
        return store(state, other, Record(source.id, shared, state.now(), state.now(), 0, source.master, slot))
    own = {key: value for key, value in existing.body.items() if key in PRIVATE_FIELDS}
    private = (existing.body.get("extendedProperties") or {}).get("private")
    body = {**shared, **own}
    if private:
        body["extendedProperties"] = {**body.get("extendedProperties", {}), "private": private}
    declined = {each["email"] for each in source.body.get("attendees", []) if each["responseStatus"] == "declined"}
    # A guest who removed the event from his calendar does not get it back by the next change.
    if not (existing.cancelled and other.id in declined):
        replace_body(state, other, existing, body)
    return existing


def _shared(body: dict[str, Any], other: Calendar) -> dict[str, Any]:
    shared = {key: value for key, value in body.items() if key not in PRIVATE_FIELDS}
    for name in ("start", "end"):
        moment = shared.get(name)
        if moment is not None and moment.day is not None:
            shared[name] = from_day(moment.day, other.time_zone)
    properties = {key: value for key, value in body.get("extendedProperties", {}).items() if key == "shared"}
    shared.pop("extendedProperties", None)
    if properties:
        shared["extendedProperties"] = properties
    return shared


def _placed(slot: Slot | None, other: Calendar) -> Slot | None:
    """The slot as the other calendar has it: a day begins there at its own midnight."""
    if slot is None or slot.start.day is None:
        return slot
    return Slot(slot.name, from_day(slot.start.day, other.time_zone))
