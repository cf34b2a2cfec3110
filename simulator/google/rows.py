"""A calendar's rows as events.list walks them: records, expanded instances, tombstones."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulator.google.changes import end_of, instance_body, instance_id, merged, slots_of
from simulator.google.recurrence import Slot
from simulator.google.state import Calendar, Ghost, Record, State
from simulator.google.views import show_event, show_tombstone

Window = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a listing. `slot` is set for an instance that has no exception of its own."""

    id: str
    revision: int
    record: Record | None = None
    slot: Slot | None = None
    ghost: Ghost | None = None
    poison: dict[str, Any] | None = None

    @property
    def cancelled(self) -> bool:
        return self.ghost is not None or (self.record is not None and self.slot is None and self.record.cancelled)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and how events are to be shown."""

    role: str = "owner"
    zone: str | None = None
    max_attendees: int | None = None


def walk(
    state: State, calendar: Calendar, *, expanded: bool, since: int = 0, window: Window = (None, None)
) -> Iterator[Row]:
    """Every row newer than a revision, tombstones included, in no order. The window only spares work."""
    for record in calendar.records.values():
        if expanded and "recurrence" in record.body:
            if record.revision > since:
                yield from _instances(state, record, window)
        elif record.revision > since and not _follows_cancelled_master(calendar, record):
            yield Row(record.id, record.revision, record)
    for ghost in calendar.ghosts.values():
        if ghost.revision > since and (expanded or ghost.master is not None):
            yield Row(ghost.id, ghost.revision, ghost=ghost)
    for revision, raw in calendar.poison:
        if revision > since:
            yield Row(str(raw.get("id", "poison")), revision, poison=raw)


def walk_series(state: State, calendar: Calendar, master: Record) -> Iterator[Row]:
    """The rows of one series, exceptions included."""
    yield from _instances(state, master, (None, None))
    for exception_id in master.exceptions.values():
        record = calendar.records[exception_id]
        yield Row(record.id, record.revision, record)


def _instances(state: State, master: Record, window: Window) -> Iterator[Row]:
    if master.cancelled:
        if state.settings.cancelled_master_row:
            yield Row(master.id, master.revision, master)
        return
    slots = slots_of(state, master)
    low, high = window
    # A day to spare: slots are in order of wall time, which clock changes bend.
    margin = 86400 + master.body["end"].at - master.body["start"].at
    first = 0 if low is None else bisect_left(slots, low - margin, key=_start_of)
    last = len(slots) if high is None else bisect_right(slots, high + 86400, key=_start_of)
    for slot in slots[first:last]:
        if slot.name not in master.exceptions:
            yield Row(instance_id(master, slot), master.revision, master, slot)


def _start_of(slot: Slot) -> int:
    return slot.start.at


def _follows_cancelled_master(calendar: Calendar, record: Record) -> bool:
    return record.master is not None and calendar.records[record.master].cancelled


def bounds(calendar: Calendar, row: Row) -> tuple[int, int]:
    """Start and end in epoch seconds."""
    record = row.record
    if record is None:
        return (0, 0)
    if row.slot is not None:
        return row.slot.start.at, end_of(row.slot.start, record.body["start"], record.body["end"]).at
    body = merged(calendar, record)
    return body["start"].at, body["end"].at


def overlaps(state: State, calendar: Calendar, row: Row, low: float | None, high: float | None) -> bool:
    """Google's bounds: the end after `timeMin`, the start before `timeMax`, both exclusive."""
    if row.poison is not None:
        return True
    if row.ghost is not None:
        return row.ghost.original is None or _between(row.ghost.original.at, row.ghost.original.at, low, high)
    if row.record is not None and row.slot is None and "recurrence" in row.record.body and not row.record.cancelled:
        length = row.record.body["end"].at - row.record.body["start"].at
        return any(_between(slot.start.at, slot.start.at + length, low, high) for slot in slots_of(state, row.record))
    return _between(*bounds(calendar, row), low, high)


def _between(start: int, end: int, low: float | None, high: float | None) -> bool:
    return (low is None or end > low) and (high is None or start < high)


def slot_of(row: Row) -> Slot | None:
    """The place in its series that a row has or had."""
    return row.slot or (row.record.slot if row.record is not None else None)


def body_of(calendar: Calendar, row: Row) -> dict[str, Any]:
    if row.record is None:
        return {}
    return instance_body(row.record, row.slot) if row.slot is not None else merged(calendar, row.record)


def show_row(calendar: Calendar, row: Row, reader: Reader) -> dict[str, Any]:
    zone = reader.zone or calendar.time_zone
    if row.poison is not None:
        return row.poison
    if row.ghost is not None:
        return show_tombstone(row.id, row.revision, row.ghost.master, row.ghost.original, zone)
    record = row.record
    if record is None:
        return {}
    slot = slot_of(row)
    original = slot.start if slot is not None else None
    if row.cancelled:
        return show_tombstone(row.id, row.revision, record.master, original, zone)
    return show_event(
        calendar,
        record,
        row.id,
        body_of(calendar, row),
        original,
        role=reader.role,
        zone=reader.zone,
        max_attendees=reader.max_attendees,
    )
