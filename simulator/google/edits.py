"""Insert, patch, update and delete of events, for the API and for whoever scripts the world."""

from copy import deepcopy
from typing import Any

from simulator.google.access import organizer_of, require_organizer
from simulator.google.bodies import apply_conference, check_id, normalise
from simulator.google.changes import find_slot, merged, replace_body, store, touch
from simulator.google.errors import GoogleError, gone, invalid, not_found
from simulator.google.moments import Moment, parse_moment, show_moment
from simulator.google.sharing import is_home, mirror, pass_on_response
from simulator.google.state import Calendar, Record, State
from simulator.google.views import etag_of

KEPT_BY_PUT = ("iCalUID", "organizer", "creator", "sequence", "eventType", "hangoutLink")
RESCHEDULING = ("start", "end", "recurrence", "location", "summary")
FORBIDDEN_ON_INSTANCE = {"recurrence", "iCalUID"}


def find_event(state: State, calendar: Calendar, event_id: str) -> Record:
    """The record of an id; an instance without exception gets one that is not stored yet."""
    record = calendar.records.get(event_id)
    if record is not None:
        return record
    master_id, _, slot_name = event_id.rpartition("_")
    master = calendar.records.get(master_id)
    if master is not None and "recurrence" in master.body and not master.cancelled:
        slot = find_slot(state, master, slot_name)
        if slot is not None:
            return Record(event_id, {}, master.created, master.updated, master.revision, master.id, slot)
    if event_id in calendar.ghosts:
        raise gone()
    raise not_found()


def insert_event(
    state: State, calendar: Calendar, email: str, body: dict[str, Any], *, conference: int = 1, trusted: bool = False
) -> Record:
    """Store a new event. `trusted` is for scripts, which may write what only Google can."""
    event_id = check_id(body["id"]) if body.get("id") else state.make_id()
    if event_id in calendar.records:
        raise GoogleError(409, "duplicate", "The requested identifier already exists.")
    hangout_link = body.get("hangoutLink")
    clean = normalise(state, calendar, deepcopy(body))
    clean.pop("id", None)
    apply_conference(state, clean, conference, {})
    if trusted and hangout_link:
        clean["hangoutLink"] = hangout_link
    if not trusted or "organizer" not in clean:
        clean["organizer"] = {"email": calendar.id}
    if not trusted or "creator" not in clean:
        clean["creator"] = {"email": email}
    clean.setdefault("status", "confirmed")
    clean.setdefault("iCalUID", f"{event_id}@google.com")
    clean.setdefault("sequence", 0)
    clean.setdefault("eventType", "default")
    clean.setdefault("reminders", {"useDefault": True})
    record = store(state, calendar, Record(event_id, clean, state.now(), state.now(), 0))
    mirror(state, calendar, record)
    return record


def patch_event(
    state: State,
    calendar: Calendar,
    event_id: str,
    changes: dict[str, Any],
    *,
    conference: int = 1,
    if_match: str | None = None,
    trusted: bool = False,
) -> Record:
    record = _editable(state, calendar, event_id, if_match)
    before = merged(calendar, record)
    body = deepcopy(before)
    for key, value in deepcopy(changes).items():
        body[key] = value if trusted else _patched_time(calendar, key, before.get(key), value)
        if not isinstance(before.get(key), Moment):
            body[key] = _patched(before.get(key), value)
    return _rewrite(state, calendar, record, before, body, set(changes), conference=conference, trusted=trusted)


def update_event(
    state: State,
    calendar: Calendar,
    event_id: str,
    body: dict[str, Any],
    *,
    conference: int = 1,
    if_match: str | None = None,
) -> Record:
    """PUT: what is absent is gone, apart from what only Google writes."""
    record = _editable(state, calendar, event_id, if_match)
    before = merged(calendar, record)
    kept = {key: before[key] for key in KEPT_BY_PUT if key in before}
    whole: dict[str, Any] = {"status": "confirmed", "reminders": {"useDefault": True}, **kept, **deepcopy(body)}
    changed = {key for key in whole.keys() | before.keys() if whole.get(key) != before.get(key)} & set(body)
    return _rewrite(state, calendar, record, before, whole, changed, conference=conference, trusted=False)


def delete_event(state: State, calendar: Calendar, event_id: str, *, if_match: str | None = None) -> Record:
    record = _editable(state, calendar, event_id, if_match)
    body = merged(calendar, record)
    if organizer_of(calendar, body) != calendar.id:
        # A guest who removes an invitation declines it.
        pass_on_response(state, record, calendar.id, "declined")
    return cancel(state, calendar, record)


def cancel(state: State, calendar: Calendar, record: Record) -> Record:
    if record.master is not None and record.id not in calendar.records:
        _adopt(state, calendar, record)
    replace_body(state, calendar, record, {**record.body, "status": "cancelled"})
    mirror(state, calendar, record)
    return record


def respond(state: State, calendar: Calendar, event_id: str, email: str, response: str) -> Record:
    record = _editable(state, calendar, event_id, None)
    if record.master is not None and record.id not in calendar.records:
        _adopt(state, calendar, record)
    if not pass_on_response(state, record, email, response):
        raise not_found(f"{email} is not invited.")
    return record


def _editable(state: State, calendar: Calendar, event_id: str, if_match: str | None) -> Record:
    record = find_event(state, calendar, event_id)
    if record.cancelled:
        raise gone()
    if if_match not in (None, "*", etag_of(record)):
        raise GoogleError(412, "conditionNotMet", "Precondition Failed", location="If-Match", location_type="header")
    return record


def _rewrite(
    state: State,
    calendar: Calendar,
    record: Record,
    before: dict[str, Any],
    body: dict[str, Any],
    changed: set[str],
    *,
    conference: int,
    trusted: bool,
) -> Record:
    if not trusted:
        require_organizer(calendar, record, before, changed)
    link = body.get("hangoutLink")
    body = normalise(state, calendar, _with_zones(calendar, body, changed))
    body.pop("id", None)
    if link and "hangoutLink" not in changed:
        body["hangoutLink"] = link
    apply_conference(state, body, conference, before)
    if any(body.get(name) != before.get(name) for name in RESCHEDULING):
        body["sequence"] = before.get("sequence", 0) + 1
    if record.master is None:
        replace_body(state, calendar, record, body)
    else:
        _override(state, calendar, record, before, body)
    if not is_home(state, calendar, body):
        _pass_on_answer(state, calendar, record, body)
    mirror(state, calendar, record)
    return record


def _pass_on_answer(state: State, calendar: Calendar, record: Record, body: dict[str, Any]) -> None:
    """Of what a guest writes about the guests, his own answer is what others get to see."""
    for attendee in body.get("attendees", []):
        if attendee["email"] == calendar.id:
            pass_on_response(state, record, calendar.id, attendee["responseStatus"])


def _override(state: State, calendar: Calendar, record: Record, before: dict[str, Any], body: dict[str, Any]) -> None:
    """An exception keeps what differs from its series, and goes on inheriting the rest."""
    if record.id not in calendar.records:
        _adopt(state, calendar, record)
    own = dict(record.body)
    for key in (body.keys() | before.keys()) - FORBIDDEN_ON_INSTANCE:
        if body.get(key) != before.get(key):
            own[key] = body.get(key)
    replace_body(state, calendar, record, own)


def _adopt(state: State, calendar: Calendar, record: Record) -> None:
    """Store an instance as an exception of its series."""
    master = calendar.records[record.master or ""]
    store(state, calendar, record)
    record.created = master.created
    if record.slot is not None:
        master.exceptions[record.slot.name] = record.id
    touch(state, calendar, record)


def _with_zones(calendar: Calendar, body: dict[str, Any], changed: set[str]) -> dict[str, Any]:
    """A patch may leave out the zone of a series it does not mean to change."""
    for name in ("start", "end"):
        if name in changed and isinstance(body.get(name), dict) and "recurrence" in body:
            raw = body[name]
            body[name] = parse_moment(raw, raw.get("timeZone") or calendar.time_zone, name)
    return body


def _patched_time(calendar: Calendar, name: str, old: Any, new: Any) -> Any:
    """A time is an object like any other: a date that comes to a dateTime makes two, unless null takes the old one away."""
    if not isinstance(old, Moment) or not isinstance(new, dict):
        return new
    merged_time = _patched(show_moment(old, calendar.time_zone), new)
    if "date" in merged_time and "dateTime" in merged_time:
        raise invalid(f"Invalid {name} time.", name)
    return merged_time


def _patched(old: Any, new: Any) -> Any:
    """PATCH merges objects, replaces arrays whole, and clears what is null."""
    if isinstance(old, dict) and isinstance(new, dict):
        result = {**old, **{key: _patched(old.get(key), value) for key, value in new.items()}}
        return {key: value for key, value in result.items() if value is not None}
    return new
