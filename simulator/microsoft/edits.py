"""Insert, patch and delete of events, for Graph and for whoever scripts the world."""

from copy import deepcopy
from typing import Any

from simulator.microsoft.bodies import default_body, read_changes, settle_online_meeting, settle_times
from simulator.microsoft.changes import adopt, find_slot, merged, remove, replace_body, store
from simulator.microsoft.errors import GraphError, invalid, invalid_id, not_found
from simulator.microsoft.identifiers import make_global_id, read_id, wrap_uid
from simulator.microsoft.moments import end_of
from simulator.microsoft.recurrence import Slot, expand, follow, truncate
from simulator.microsoft.rows import row_of
from simulator.microsoft.sharing import mirror, pass_on_response, withdraw
from simulator.microsoft.state import Calendar, Record, State
from simulator.microsoft.views import etag_of, is_organizer

NOT_CHANGEABLE = {"transactionId"}


def find_event(state: State, calendars: list[Calendar], event_id: str) -> tuple[Calendar, Record]:
    """The record of an id of either form; an occurrence without exception gets one that is not stored yet."""
    key = read_id(event_id)
    if key is None:
        raise invalid_id()
    for calendar in calendars:
        record = calendar.records.get(key) or _occurrence(state, calendar, key)
        if record is not None:
            return calendar, record
    raise not_found()


def insert_event(
    state: State, calendar: Calendar, sent: dict[str, Any], *, trusted: bool = False, uid: str | None = None
) -> Record:
    """Store a new event. `trusted` is for scripts, which may write what only Exchange can."""
    sent = deepcopy(sent)
    read = read_changes(sent, trusted=trusted)
    transaction = read.get("transactionId")
    known = calendar.transactions.get(transaction) if transaction else None
    if known is not None and known in calendar.records:
        return calendar.records[known]
    account = state.accounts[calendar.owner]
    usual = default_body(account)
    body = {**usual, **{name: usual.get(name) if value is None else value for name, value in read.items()}}
    settle_times(state, body, sent)
    if is_organizer(account, body):
        settle_online_meeting(state, account, body, {})
    elif "responseStatus" not in sent:
        body["responseStatus"] = {"response": "notResponded", "time": "0001-01-01T00:00:00Z"}
    if not body["locations"] and body["location"]["displayName"]:
        body["locations"] = [body["location"]]
    now = state.now()
    global_id = wrap_uid(uid) if uid else make_global_id(state.random.randbytes(16), now)
    record = store(state, calendar, Record(state.make_key(), body, global_id, now, now))
    if transaction:
        calendar.transactions[transaction] = record.key
    mirror(state, calendar, record)
    return record


def patch_event(
    state: State,
    calendar: Calendar,
    record: Record,
    changes: dict[str, Any],
    *,
    if_match: str | None = None,
    trusted: bool = False,
) -> Record:
    """Change an event, a series, or one occurrence. Lists are replaced whole, nulls clear."""
    check_match(calendar, record, if_match)
    account = state.accounts[calendar.owner]
    before = merged(calendar, record)
    sent = deepcopy({name: value for name, value in changes.items() if name not in NOT_CHANGEABLE})
    if record.master is not None and sent.get("recurrence"):
        raise invalid("An occurrence cannot have a recurrence.", "ErrorInvalidPropertySet")
    read = read_changes(sent, trusted=trusted)
    usual = default_body(account)
    body = {**before, **{name: usual.get(name) if value is None else value for name, value in read.items()}}
    if "location" in read and "locations" not in read:
        body["locations"] = [body["location"]] if body["location"]["displayName"] else []
    settle_times(state, body, sent)
    settle_online_meeting(state, account, body, before)
    if record.master is None:
        replace_body(state, calendar, record, body)
    else:
        _override(state, calendar, record, before, body)
    mirror(state, calendar, record)
    return record


def delete_event(state: State, calendar: Calendar, record: Record, *, if_match: str | None = None) -> None:
    """Take an event off this calendar; the organizer's deletion cancels the meeting for its guests."""
    check_match(calendar, record, if_match)
    if is_organizer(state.accounts[calendar.owner], merged(calendar, record)):
        withdraw(state, calendar, record)
    else:
        remove(state, calendar, record)


def respond(state: State, calendar: Calendar, record: Record, email: str, response: str) -> None:
    if not pass_on_response(state, calendar, record, email, response):
        raise not_found(f"{email} is not invited.")


def split_series(state: State, calendar: Calendar, record: Record, changes: dict[str, Any]) -> Record:
    """End a series before one of its occurrences and begin a new one there, with changes."""
    if record.master is None or record.slot is None:
        raise invalid("Only an occurrence can be split off.")
    master, slot = calendar.records[record.master], record.slot
    used = sum(1 for each in _all_slots(state, master) if each.day < slot.day)
    if used == 0:
        raise invalid("The first occurrence cannot be split off: edit the series.")
    body = {
        **{name: value for name, value in master.body.items() if name != "transactionId"},
        "start": slot.start,
        "end": end_of(slot.start, master.body["start"], master.body["end"]),
        "recurrence": follow(master.body["recurrence"], slot.day, used),
        **read_changes(deepcopy(changes), trusted=True),
    }
    settle_times(state, body, changes)
    ended = {**master.body, "recurrence": truncate(master.body["recurrence"], slot.day)}
    _keep_earlier(state, calendar, master, ended, slot.name)
    now = state.now()
    global_id = make_global_id(state.random.randbytes(16), now)
    following = store(state, calendar, Record(state.make_key(), body, global_id, now, now))
    mirror(state, calendar, master)
    mirror(state, calendar, following)
    return following


def check_match(calendar: Calendar, record: Record, if_match: str | None) -> None:
    if if_match not in (None, "*", etag_of(calendar, row_of(record))):
        raise GraphError(412, "ErrorIrresolvableConflict", "The change key passed does not match the current one.")


def _occurrence(state: State, calendar: Calendar, key: str) -> Record | None:
    master_key, _, name = key.rpartition("_")
    master = calendar.records.get(master_key)
    slot = find_slot(state, master, name) if master is not None and master.recurring else None
    if master is None or slot is None:
        return None
    return Record(key, {}, master.global_id, master.created, master.updated, master.revision, master.key, slot)


def _override(state: State, calendar: Calendar, record: Record, before: dict[str, Any], body: dict[str, Any]) -> None:
    """An exception keeps what differs from its series, and goes on inheriting the rest."""
    adopt(state, calendar, record)
    own = dict(record.body)
    for name in body.keys() | before.keys():
        if body.get(name) != before.get(name):
            own[name] = body.get(name)
    replace_body(state, calendar, record, own)


def _all_slots(state: State, master: Record) -> list[Slot]:
    return expand(master.body["recurrence"], master.body["start"], state.horizon())


def _keep_earlier(state: State, calendar: Calendar, master: Record, ended: dict[str, Any], name: str) -> None:
    """Shorten a series; unlike a change of its pattern, that leaves its earlier exceptions alone."""
    exceptions = {each: key for each, key in master.exceptions.items() if each < name}
    kept = {key: calendar.records[key] for key in exceptions.values()}
    removed = {each for each in master.removed if each < name}
    replace_body(state, calendar, master, ended)
    master.exceptions.update(exceptions)
    calendar.records.update(kept)
    master.removed |= removed
