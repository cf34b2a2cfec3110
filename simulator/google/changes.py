"""The one way to store a change: new revision, new etag, tombstones for lost instances, a push owed."""

from datetime import timedelta
from typing import Any

from simulator.google.moments import Moment
from simulator.google.recurrence import Slot, expand
from simulator.google.state import Calendar, Ghost, Record, State

# Google counts neither as a change of the event, although the etag moves.
SILENT_FIELDS = {"reminders", "colorId"}


def touch(state: State, calendar: Calendar, record: Record, *, silent: bool = False) -> None:
    record.revision = state.bump(calendar)
    if not silent:
        record.updated = max(state.now(), record.updated + timedelta(milliseconds=1))


def slots_of(state: State, master: Record) -> list[Slot]:
    if master.slots is None:
        master.slots = expand(master.body["recurrence"], master.body["start"], state.horizon())
    return master.slots


def find_slot(state: State, master: Record, name: str) -> Slot | None:
    return next((slot for slot in slots_of(state, master) if slot.name == name), None)


def instance_id(master: Record, slot: Slot) -> str:
    return f"{master.id}_{slot.name}"


def merged(calendar: Calendar, record: Record) -> dict[str, Any]:
    """The body as a reader sees it: an exception inherits what it does not override."""
    if record.master is None or record.slot is None:
        return record.body
    master = calendar.records[record.master]
    inherited = instance_body(master, record.slot)
    return {**inherited, **record.body}


def instance_body(master: Record, slot: Slot) -> dict[str, Any]:
    body = {key: value for key, value in master.body.items() if key != "recurrence"}
    body["start"] = slot.start
    body["end"] = end_of(slot.start, master.body["start"], master.body["end"])
    return body


def end_of(start: Moment, old_start: Moment, old_end: Moment) -> Moment:
    """The end of a moved start, keeping the length: days for all-day events, seconds otherwise."""
    if start.day is not None and old_start.day is not None and old_end.day is not None:
        return start.shifted((old_end.day - old_start.day).days * 86400)
    return Moment(start.at + old_end.at - old_start.at, old_end.zone)


def store(state: State, calendar: Calendar, record: Record) -> Record:
    record.created = record.updated = state.now()
    record.revision = state.bump(calendar)
    calendar.records[record.id] = record
    calendar.ghosts.pop(record.id, None)
    return record


def replace_body(state: State, calendar: Calendar, record: Record, body: dict[str, Any]) -> bool:
    """Put a new body in a single event, a master or an exception; False when nothing differs."""
    if body == record.body:
        return False
    differing = {key for key in body.keys() | record.body.keys() if body.get(key) != record.body.get(key)}
    was_series = "recurrence" in record.body and not record.cancelled
    is_series = "recurrence" in body and body.get("status") != "cancelled"
    before = slots_of(state, record) if was_series else []
    record.body = body
    touch(state, calendar, record, silent=differing <= SILENT_FIELDS)
    if was_series or is_series:
        _turn_single(calendar, record, was_series=was_series, is_series=is_series)
        if differing & {"start", "recurrence", "status"}:
            record.slots = None
        _settle_series(state, calendar, record, before, slots_of(state, record) if is_series else [])
    return True


def _turn_single(calendar: Calendar, record: Record, *, was_series: bool, is_series: bool) -> None:
    """A single event that becomes a series vanishes from expanded listings, and the other way round."""
    if is_series and not was_series:
        calendar.ghosts[record.id] = Ghost(record.id, record.revision)
    elif not is_series and not record.cancelled:
        calendar.ghosts.pop(record.id, None)


def _settle_series(state: State, calendar: Calendar, master: Record, before: list[Slot], after: list[Slot]) -> None:
    """Bury the instances that a series lost, revive those that came back, and bump its exceptions."""
    alive = {slot.name for slot in after}
    for slot in after:
        calendar.ghosts.pop(instance_id(master, slot), None)
    for name, exception_id in list(master.exceptions.items()):
        exception = calendar.records[exception_id]
        if name in alive:
            touch(state, calendar, exception, silent=True)
        else:
            bury_exception(state, calendar, master, exception)
    lost = [slot for slot in before if slot.name not in alive]
    for slot in _announced(state, lost):
        gone = instance_id(master, slot)
        calendar.ghosts.setdefault(gone, Ghost(gone, master.revision))


def bury_exception(state: State, calendar: Calendar, master: Record, exception: Record) -> None:
    state.bump(calendar)
    del calendar.records[exception.id]
    if exception.slot is not None:
        del master.exceptions[exception.slot.name]
        ghost = Ghost(exception.id, calendar.revision, master.id, exception.slot.start)
        calendar.ghosts[exception.id] = ghost


def _announced(state: State, lost: list[Slot]) -> list[Slot]:
    """Google tells of only the next weeks of lost instances; at least of the next one, or nobody could know."""
    now = state.now().timestamp()
    upcoming = [slot for slot in lost if slot.start.at >= now - 3 * 86400]
    limit = now + state.settings.tombstone_days * 86400
    near = [slot for slot in upcoming if slot.start.at <= limit]
    return near or upcoming[:1]
