"""Who may see or change what: calendars by role, events by organizer."""

from typing import Any

from simulator.google.errors import GoogleError, not_found, required_access_level
from simulator.google.state import Calendar, ListEntry, Record, State

ROLES = ["freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner"]
OWN_FIELDS = {"reminders", "colorId", "transparency", "visibility", "attendees", "extendedProperties", "status"}


def find_calendar(state: State, calendar_id: str, email: str) -> Calendar:
    """The calendar that this account may read; anything else is as good as absent."""
    account = state.accounts[email]
    if account.status == "not_a_calendar_user":
        raise GoogleError(403, "notACalendarUser", "The user must be signed up for Google Calendar.", domain="calendar")
    calendar = state.calendars.get(email if calendar_id == "primary" else calendar_id)
    if calendar is None or calendar.deleted or role_of(state, calendar, email) is None:
        raise not_found()
    return calendar


def list_entry(state: State, calendar: Calendar, email: str) -> ListEntry | None:
    return state.lists.get(email, {}).get(calendar.id)


def role_of(state: State, calendar: Calendar, email: str) -> str | None:
    if calendar.owner == email and calendar.kind != "holiday":
        return "owner"
    entry = list_entry(state, calendar, email)
    return None if entry is None or entry.deleted else entry.role


def require_writer(state: State, calendar: Calendar, email: str) -> None:
    role = role_of(state, calendar, email)
    if role is None or ROLES.index(role) < ROLES.index("writerWithoutPrivateAccess"):
        raise required_access_level()


def organizer_of(calendar: Calendar, body: dict[str, Any]) -> str:
    """The organizer's address: of an event made here, the calendar itself."""
    organizer: dict[str, str] = body.get("organizer") or {}
    return organizer.get("email") or calendar.id


def require_organizer(calendar: Calendar, record: Record, body: dict[str, Any], changed: set[str]) -> None:
    if organizer_of(calendar, body) == calendar.id or body.get("guestsCanModify"):
        return
    if changed - OWN_FIELDS:
        raise GoogleError(
            403,
            "forbiddenForNonOrganizer",
            f"Shared properties can only be changed by the organizer of the event: {record.id}",
            domain="calendar",
        )
