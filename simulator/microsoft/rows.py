"""Events as views walk them: singles, occurrences and exceptions in a window, and what is shown of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulator.microsoft.changes import instance_body, instance_key, merged, overlaps, slots_of
from simulator.microsoft.recurrence import Slot
from simulator.microsoft.state import Calendar, Record, State


@dataclass(frozen=True, slots=True)
class Row:
    """One event of a view. `slot` is set for an occurrence that has no exception of its own."""

    key: str
    record: Record
    slot: Slot | None = None

    @property
    def kind(self) -> str:
        if self.slot is not None:
            return "occurrence"
        if self.record.master is not None:
            return "exception"
        return "seriesMaster" if self.record.recurring else "singleInstance"

    @property
    def original(self) -> Slot | None:
        """The place in its series."""
        return self.slot or self.record.slot


def body_of(calendar: Calendar, row: Row) -> dict[str, Any]:
    return instance_body(row.record, row.slot) if row.slot is not None else merged(calendar, row.record)


def row_of(record: Record) -> Row:
    return Row(record.key, record)


def in_window(calendar: Calendar, row: Row, low: float | None, high: float | None) -> bool:
    body = body_of(calendar, row)
    return overlaps(body["start"].at, body["end"].at, low, high)


def instances(state: State, calendar: Calendar, master: Record, low: float | None, high: float | None) -> list[Row]:
    """The occurrences and exceptions of a series in a window, by original day."""
    rows = []
    length = master.body["end"].at - master.body["start"].at
    for slot in slots_of(state, master):
        exception = master.exceptions.get(slot.name)
        if exception is not None:
            row = row_of(calendar.records[exception])
            if in_window(calendar, row, low, high):
                rows.append(row)
        elif overlaps(slot.start.at, slot.start.at + length, low, high):
            rows.append(Row(instance_key(master, slot), master, slot))
    return rows


def view(state: State, calendar: Calendar, low: float | None, high: float | None) -> list[Row]:
    """All that a calendar shows between two instants, by start."""
    rows = list(_walk(state, calendar, low, high))
    return sorted(rows, key=lambda row: (body_of(calendar, row)["start"].at, row.key))


def _walk(state: State, calendar: Calendar, low: float | None, high: float | None) -> Iterator[Row]:
    for record in calendar.records.values():
        if record.recurring:
            yield from instances(state, calendar, record, low, high)
        elif record.master is None and in_window(calendar, row_of(record), low, high):
            yield row_of(record)
