"""Invitations: the organizer's event and its copies on the calendars of guests who live in this world."""

from typing import Any

from simulator.microsoft.bodies import NEVER
from simulator.microsoft.changes import adopt, find_slot, instance_key, merged, remove, replace_body, store
from simulator.microsoft.moments import show_stamp
from simulator.microsoft.recurrence import Slot
from simulator.microsoft.state import Account, Calendar, Record, State
from simulator.microsoft.views import is_organizer

# Each copy has its own; everything else is the meeting's.
OWN_FIELDS = {
    "categories", "isReminderOn", "reminderMinutesBeforeStart", "responseStatus", "showAs", "sensitivity",
    "transactionId", "singleValueExtendedProperties",
}  # fmt: skip
SHOWN_AS = {"accepted": "busy", "tentativelyAccepted": "tentative", "declined": "free"}


def mirror(state: State, calendar: Calendar, record: Record) -> None:
    """After a change of the meeting, bring the guests' copies in line. A guest's own change stays his."""
    top = calendar.records[record.master] if record.master else record
    if not is_organizer(state.accounts[calendar.owner], top.body):
        return
    invited = guests(top.body)
    for account in list(state.accounts.values()):
        other = state.calendars[account.default_calendar]
        if account.email == calendar.owner:
            continue
        copy = find_copy(other, top.global_id)
        if account.email.lower() in invited:
            _copy_family(state, calendar, top, other, account)
        elif copy is not None:
            mark_cancelled(state, other, copy)


def withdraw(state: State, calendar: Calendar, record: Record) -> None:
    """The organizer cancels an event, a series or an occurrence: it goes here, and stays as cancelled elsewhere."""
    top = calendar.records[record.master] if record.master else record
    organized = is_organizer(state.accounts[calendar.owner], top.body)
    remove(state, calendar, record)
    if not organized:
        return
    for account in list(state.accounts.values()):
        other = state.calendars[account.default_calendar]
        copy = find_copy(other, top.global_id) if account.email != calendar.owner else None
        if copy is not None:
            twin = copy if record.slot is None else _twin(other, copy, record.slot)
            if twin is not None:
                mark_cancelled(state, other, twin)


def mark_cancelled(state: State, calendar: Calendar, record: Record) -> None:
    """What a guest keeps of a cancelled meeting, until he removes it."""
    body = merged(calendar, record)
    if body["isCancelled"]:
        return
    adopt(state, calendar, record)
    changes = {"isCancelled": True, "subject": f"Canceled: {body['subject']}", "showAs": "free"}
    replace_body(state, calendar, record, {**record.body, **changes})


def pass_on_response(state: State, calendar: Calendar, record: Record, email: str, response: str) -> bool:
    """Write a guest's answer into his copy and into the organizer's; False when nobody of that name is invited."""
    top = calendar.records[record.master] if record.master else record
    status = {"response": response, "time": show_stamp(state.now()) if response != "notResponded" else NEVER}
    answered = False
    for account in list(state.accounts.values()):
        other = state.calendars[account.default_calendar]
        copy = top if other is calendar else find_copy(other, top.global_id)
        if copy is None:
            continue
        twin = copy if record.slot is None else _twin(other, copy, record.slot)
        if twin is None:
            continue
        body = merged(other, twin)
        if account.email.lower() == email.lower() and not is_organizer(account, body):
            answered = True
            _answer_here(state, other, twin, body, status)
        elif is_organizer(account, body) and email.lower() in guests(body):
            answered = True
            adopt(state, other, twin)
            attendees = [_answered(each, email, status) for each in body["attendees"]]
            replace_body(state, other, twin, {**twin.body, "attendees": attendees})
    return answered


def guests(body: dict[str, Any]) -> set[str]:
    return {each["emailAddress"]["address"].lower() for each in body["attendees"]}


def find_copy(calendar: Calendar, global_id: bytes) -> Record | None:
    """The single event or master that belongs to a meeting."""
    return next(
        (each for each in calendar.records.values() if each.global_id == global_id and each.master is None), None
    )


def _answer_here(
    state: State, calendar: Calendar, record: Record, body: dict[str, Any], status: dict[str, str]
) -> None:
    if status["response"] == "declined" and not state.settings.preserve_declined:
        remove(state, calendar, record)
        return
    adopt(state, calendar, record)
    own = calendar.owner
    attendees = [_answered(each, own, status) for each in body["attendees"]]
    shown = SHOWN_AS.get(status["response"], body["showAs"])
    replace_body(
        state, calendar, record, {**record.body, "responseStatus": status, "attendees": attendees, "showAs": shown}
    )


def _answered(attendee: dict[str, Any], email: str, status: dict[str, str]) -> dict[str, Any]:
    asked = attendee["emailAddress"]["address"].lower() == email.lower()
    return {**attendee, "status": status} if asked else attendee


def _copy_family(state: State, calendar: Calendar, top: Record, other: Calendar, account: Account) -> None:
    copy = _copy(state, top, other, account)
    for name in top.removed - copy.removed:
        slot = find_slot(state, copy, name) if copy.recurring else None
        twin = _twin(other, copy, slot) if slot is not None else None
        if twin is not None:
            mark_cancelled(state, other, twin)
    for name, key in list(top.exceptions.items()):
        source = calendar.records[key]
        if source.slot is None or name in copy.removed:
            continue
        twin = _twin(other, copy, source.slot)
        if twin is not None and account.email.lower() not in guests(merged(calendar, source)):
            mark_cancelled(state, other, twin)
        elif twin is not None:
            adopt(state, other, twin)
            own = {key: value for key, value in twin.body.items() if key in OWN_FIELDS}
            replace_body(state, other, twin, {**_shared(source.body), **own})


def _copy(state: State, source: Record, other: Calendar, account: Account) -> Record:
    existing = find_copy(other, source.global_id)
    shared = _shared(source.body)
    if existing is not None:
        own = {key: value for key, value in existing.body.items() if key in OWN_FIELDS}
        replace_body(state, other, existing, {**shared, **own})
        return existing
    invitation = {
        "isReminderOn": True,
        "reminderMinutesBeforeStart": 15,
        "categories": [],
        "sensitivity": source.body["sensitivity"],
        "showAs": "tentative",
        "responseStatus": {"response": "notResponded", "time": NEVER},
    }
    for attendee in source.body["attendees"]:
        answer = attendee["status"]
        if attendee["emailAddress"]["address"].lower() == account.email.lower() and answer["response"] != "none":
            invitation |= {"responseStatus": answer, "showAs": SHOWN_AS.get(answer["response"], "tentative")}
    now = state.now()
    body = {**shared, **invitation}
    # Who is invited late does not hear of the occurrences that were cancelled before.
    copy = Record(state.make_key(), body, source.global_id, now, now, removed=set(source.removed))
    return store(state, other, copy)


def _shared(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in OWN_FIELDS}


def _twin(calendar: Calendar, master: Record, slot: Slot) -> Record | None:
    """The same occurrence of another copy, stored or not; None when this copy has lost it."""
    if slot.name in master.removed:
        return None
    key = master.exceptions.get(slot.name)
    if key is not None:
        return calendar.records[key]
    return Record(
        instance_key(master, slot),
        {},
        master.global_id,
        master.created,
        master.updated,
        master.revision,
        master.key,
        slot,
    )
