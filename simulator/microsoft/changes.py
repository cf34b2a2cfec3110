"""The one way to store a change: new revision, new etag, tombstones for what is gone, a notification owed."""

from typing import Any

from simulator.microsoft.moments import end_of
from simulator.microsoft.recurrence import Slot, expand
from simulator.microsoft.state import Calendar, Record, State, Tombstone

TIMES = {"start", "end", "isAllDay", "originalStartTimeZone", "originalEndTimeZone"}


def slots_of(state: State, master: Record) -> list[Slot]:
    """The places of a series that still stand."""
    slots = expand(master.body["recurrence"], master.body["start"], state.horizon())
    return [slot for slot in slots if slot.name not in master.removed]


def find_slot(state: State, master: Record, name: str) -> Slot | None:
    return next((slot for slot in slots_of(state, master) if slot.name == name), None)


def instance_key(master: Record, slot: Slot) -> str:
    return f"{master.key}_{slot.name}"


def instance_body(master: Record, slot: Slot) -> dict[str, Any]:
    body = {key: value for key, value in master.body.items() if key != "recurrence"}
    body["start"] = slot.start
    body["end"] = end_of(slot.start, master.body["start"], master.body["end"])
    return body


def merged(calendar: Calendar, record: Record) -> dict[str, Any]:
    """The body as a reader sees it: an exception inherits what it does not override."""
    if record.master is None or record.slot is None:
        return record.body
    return {**instance_body(calendar.records[record.master], record.slot), **record.body}


def store(state: State, calendar: Calendar, record: Record) -> Record:
    record.created = record.updated = state.now()
    calendar.records[record.key] = record
    calendar.tombstones.pop(record.key, None)
    record.revision = state.bump(calendar, record.key, "created" if record.master is None else "updated")
    _note(state, calendar, record)
    return record


def adopt(state: State, calendar: Calendar, record: Record) -> None:
    """Store an occurrence as an exception of its series."""
    if record.key in calendar.records or record.slot is None:
        return
    calendar.records[record.master or ""].exceptions[record.slot.name] = record.key
    store(state, calendar, record)


def replace_body(state: State, calendar: Calendar, record: Record, body: dict[str, Any]) -> bool:
    """Put a new body in a single event, a master or an exception; False when nothing differs."""
    if body == record.body:
        return False
    differing = {key for key in body.keys() | record.body.keys() if body.get(key) != record.body.get(key)}
    record.body = body
    record.updated = state.now()
    if record.master is None and differing & {"recurrence", "start", "isAllDay"}:
        # Exchange forgets the exceptions of a series whose pattern or time changes.
        for key in record.exceptions.values():
            del calendar.records[key]
        record.exceptions.clear()
        record.removed.clear()
    record.revision = state.bump(calendar, record.key, "updated")
    _note(state, calendar, record)
    return True


def remove(state: State, calendar: Calendar, record: Record) -> None:
    """Take an event, a series or one occurrence away. An occurrence leaves no tombstone, as in Exchange."""
    if record.master is not None and record.slot is not None:
        master = calendar.records[record.master]
        master.removed.add(record.slot.name)
        if master.exceptions.pop(record.slot.name, None) is not None:
            del calendar.records[record.key]
        master.updated = state.now()
        master.revision = state.bump(calendar, master.key, "updated")
        return
    for key in record.exceptions.values():
        del calendar.records[key]
    del calendar.records[record.key]
    revision = state.bump(calendar, record.key, "deleted")
    born = record.spans[0][0]
    calendar.tombstones[record.key] = Tombstone(record.key, revision, born, record.spans, record.recurring)


def overlaps(start: int, end: int, low: float | None, high: float | None) -> bool:
    """A calendar view's bounds: the end after its start, the start before its end."""
    return (low is None or end > low or start >= low) and (high is None or start < high)


def lay_at(spans: list[tuple[int, int, int]], revision: int) -> tuple[int, int] | None:
    """Where an event lay as of a revision; None when it was not there yet."""
    known = [span for span in spans if span[0] <= revision]
    return known[-1][1:] if known else None


def _note(state: State, calendar: Calendar, record: Record) -> None:
    """Pass the revision of an exception on to its series, and remember where an event lies from now on."""
    if record.master is not None:
        calendar.records[record.master].revision = record.revision
        return
    start, end = record.body["start"].at, record.body["end"].at
    if record.recurring:
        slots = slots_of(state, record)
        if slots:
            start, end = slots[0].start.at, slots[-1].start.at + end - start
    if not record.spans or record.spans[-1][1:] != (start, end):
        record.spans.append((record.revision, start, end))
