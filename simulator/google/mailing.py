"""Who is mailed of a write: what `sendUpdates` says, and nobody when it says nothing."""

from typing import Any

from simulator.google.access import organizer_of
from simulator.google.query import Query, choice, flag
from simulator.google.state import Calendar, State
from simulator.mails import ANSWER, CANCELLATION, Mail, kinds_for

ALL, EXTERNAL, NONE = "all", "externalOnly", "none"


def read_updates(query: Query) -> str:
    """Who is to be told: `sendUpdates`, or the older `sendNotifications`."""
    older = ALL if flag(query, "sendNotifications") else NONE
    return choice(query, "sendUpdates", {ALL, EXTERNAL, NONE}) or older


def tell(
    state: State,
    calendar: Calendar,
    event_id: str,
    updates: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    """Note the mails of a change from one body to another; None stands for no event."""
    body = after or before or {}
    organizer = organizer_of(calendar, body)
    if organizer != calendar.id:
        if after is None and updates == ALL:
            _send(state, ANSWER, calendar.id, organizer, event_id, body)
        return
    told = kinds_for(_guests(before), _guests(after), organizer)
    for guest, kind in told.items():
        if updates == ALL or (updates == EXTERNAL and guest not in state.accounts):
            _send(state, kind if after is not None else CANCELLATION, organizer, guest, event_id, body)


def _send(state: State, kind: str, sender: str, to: str, event_id: str, body: dict[str, Any]) -> None:
    state.mails.append(Mail(state.now(), kind, sender, to, event_id, body.get("summary", "")))


def _guests(body: dict[str, Any] | None) -> list[str]:
    return [attendee["email"] for attendee in (body or {}).get("attendees", [])]
