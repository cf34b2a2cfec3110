"""What only calendar applications do to a series: "this and following" splits it in two."""

import re
from typing import Any

from simulator.google.bodies import normalise
from simulator.google.changes import end_of, replace_body, slots_of, store
from simulator.google.errors import invalid, not_found
from simulator.google.moments import Moment, parse_moment
from simulator.google.recurrence import Slot, continue_rules, truncate
from simulator.google.sharing import mirror
from simulator.google.state import Calendar, Record, State

SPLIT_SUFFIX = re.compile(r"_R\d{8}(T\d{6})?$")


def split_series(state: State, calendar: Calendar, instance_id: str, changes: dict[str, Any]) -> Record:
    """End a series before one of its instances and begin a new one there, with changes."""
    master_id, _, slot_name = instance_id.rpartition("_")
    master = calendar.records.get(master_id)
    if master is None or "recurrence" not in master.body or master.cancelled:
        raise not_found()
    slots = slots_of(state, master)
    index = next((index for index, slot in enumerate(slots) if slot.name == slot_name), None)
    if index is None:
        raise not_found()
    if index == 0:
        raise invalid("The first instance cannot be split off: edit the series.")
    following = _following(state, calendar, master, slots[index], index, changes)
    kept = _later_exceptions(calendar, master, slots[index].start)
    rules = truncate(master.body["recurrence"], slots[index].start)
    replace_body(state, calendar, master, {**master.body, "recurrence": rules})
    store(state, calendar, following)
    _carry_over(state, calendar, following, kept)
    mirror(state, calendar, master)
    mirror(state, calendar, following)
    return following


def _following(
    state: State, calendar: Calendar, master: Record, slot: Slot, used: int, changes: dict[str, Any]
) -> Record:
    suffix = "_R" + slot.name.rstrip("Z")
    start: Moment = slot.start
    body = {
        **master.body,
        "recurrence": continue_rules(master.body["recurrence"], used),
        "start": start,
        **changes,
    }
    if "start" in changes:
        body["start"] = parse_moment(changes["start"], start.zone, "start")
    if "end" not in changes:
        body["end"] = end_of(body["start"], master.body["start"], master.body["end"])
    new_id = SPLIT_SUFFIX.sub("", master.id) + suffix
    if new_id in calendar.records:
        new_id = state.make_id() + suffix
    body["iCalUID"] = f"{new_id}@google.com"
    return Record(new_id, normalise(state, calendar, body), state.now(), state.now(), 0)


def _later_exceptions(calendar: Calendar, master: Record, start: Moment) -> list[Record]:
    records = [calendar.records[each] for each in master.exceptions.values()]
    return [record for record in records if record.slot is not None and record.slot.start.at >= start.at]


def _carry_over(state: State, calendar: Calendar, following: Record, exceptions: list[Record]) -> None:
    """Exceptions after the split live on in the new series, where it has their slot."""
    slots = {slot.name: slot for slot in slots_of(state, following)}
    for exception in exceptions:
        if exception.slot is None or exception.slot.name not in slots:
            continue
        slot = slots[exception.slot.name]
        moved = Record(
            f"{following.id}_{slot.name}", dict(exception.body), state.now(), state.now(), 0, following.id, slot
        )
        store(state, calendar, moved)
        following.exceptions[slot.name] = moved.id
