"""Who is mailed of a write: the guests of the organizer's meeting, always, of whatever is theirs too."""

from typing import Any

from simulator.mails import CANCELLATION, UPDATE, Mail, kinds_for
from simulator.microsoft.changes import merged
from simulator.microsoft.identifiers import show_id
from simulator.microsoft.sharing import OWN_FIELDS, guests
from simulator.microsoft.state import Calendar, Record, State
from simulator.microsoft.views import is_organizer


def tell(state: State, calendar: Calendar, record: Record, before: dict[str, Any] | None) -> None:
    """Note the mails of a new or changed event; None stands for no event."""
    after = merged(calendar, record)
    if not is_organizer(state.accounts[calendar.owner], after):
        return
    was = guests(before) if before is not None else set()
    is_same = before is not None and all(before.get(name) == after.get(name) for name in after.keys() - OWN_FIELDS)
    for guest, kind in kinds_for(was, guests(after), calendar.owner).items():
        if not (is_same and kind == UPDATE):
            _send(state, calendar, record, kind, guest, after)


def tell_cancelled(state: State, calendar: Calendar, record: Record, before: dict[str, Any]) -> None:
    """Note the mails of a meeting that its organizer has taken off."""
    if is_organizer(state.accounts[calendar.owner], before):
        for guest in sorted(guests(before) - {calendar.owner.lower()}):
            _send(state, calendar, record, CANCELLATION, guest, before)


def _send(state: State, calendar: Calendar, record: Record, kind: str, to: str, body: dict[str, Any]) -> None:
    event_id = show_id(record.key, immutable=True)
    state.mails.append(Mail(state.now(), kind, calendar.owner, to, event_id, body["subject"]))
