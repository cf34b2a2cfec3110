"""calendarList.list and .get: the calendars that an account has in its list."""

from typing import Any

from simulator.google.access import ROLES, role_of
from simulator.google.cursors import digest, seal, unseal
from simulator.google.errors import GoogleError, full_sync_required, invalid, not_found
from simulator.google.query import Query, choice, flag, number, text
from simulator.google.state import Calendar, ListEntry, State
from simulator.google.views import make_etag

NOT_WITH_SYNC_TOKEN = ("minAccessRole", "showOwnOrganizationOnly")
LARGEST_PAGE = 250


def list_calendars(state: State, email: str, query: Query) -> dict[str, Any]:
    account = state.accounts[email]
    since = _read_sync_token(state, email, query)
    minimum = choice(query, "minAccessRole", set(ROLES))
    show_deleted = since is not None or flag(query, "showDeleted", default=False)
    show_hidden = since is not None or flag(query, "showHidden", default=False)
    revision, after = account.list_revision, ""
    if (token := text(query, "pageToken")) is not None:
        revision, after, parameters = unseal(token, "cp", "pageToken")
        if parameters != _digest(email, query):
            raise invalid("Invalid page token value.", "pageToken")
    entries = [
        (calendar_id, entry)
        for calendar_id, entry in sorted(state.lists.get(email, {}).items())
        if calendar_id > after
        and entry.revision > (since or 0)
        and (show_deleted or not entry.deleted)
        and (show_hidden or not entry.hidden)
        and (minimum is None or ROLES.index(entry.role) >= ROLES.index(minimum))
    ]
    size = min(number(query, "maxResults", 100) or 100, LARGEST_PAGE)
    answer: dict[str, Any] = {
        "kind": "calendar#calendarList",
        "etag": make_etag(account.list_revision),
        "items": [show_entry(state, state.calendars[each], entry, email) for each, entry in entries[:size]],
    }
    if len(entries) > size:
        answer["nextPageToken"] = seal(["cp", revision, entries[size - 1][0], _digest(email, query)])
    else:
        answer["nextSyncToken"] = seal(["cs", email, account.list_epoch, revision])
    return answer


def get_entry(state: State, email: str, calendar_id: str) -> dict[str, Any]:
    resolved = email if calendar_id == "primary" else calendar_id
    entry = state.lists.get(email, {}).get(resolved)
    if entry is None or entry.deleted:
        raise not_found()
    return show_entry(state, state.calendars[resolved], entry, email)


def show_entry(state: State, calendar: Calendar, entry: ListEntry, email: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": "calendar#calendarListEntry", "etag": make_etag(entry.revision), "id": calendar.id}
    if entry.deleted:
        return {**shown, "deleted": True}
    shown |= {
        "summary": calendar.summary,
        "timeZone": calendar.time_zone,
        "accessRole": role_of(state, calendar, email) or entry.role,
        "colorId": "14",
        "backgroundColor": "#9fe1e7",
        "foregroundColor": "#000000",
        "defaultReminders": [{"method": "popup", "minutes": 10}] if calendar.kind == "primary" else [],
        "conferenceProperties": {"allowedConferenceSolutionTypes": state.settings.conference_types},
    }
    if calendar.description:
        shown["description"] = calendar.description
    if entry.summary_override:
        shown["summaryOverride"] = entry.summary_override
    flags = {"primary": calendar.id == email, "selected": entry.selected, "hidden": entry.hidden}
    return shown | {name: True for name, value in flags.items() if value}


def show_calendar(calendar: Calendar) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "kind": "calendar#calendar",
        "etag": make_etag(calendar.revision),
        "id": calendar.id,
        "summary": calendar.summary,
        "timeZone": calendar.time_zone,
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    }
    return {**shown, "description": calendar.description} if calendar.description else shown


def touch_entry(state: State, email: str, entry: ListEntry) -> None:
    entry.revision = state.accounts[email].list_revision = state.next_revision()


def _read_sync_token(state: State, email: str, query: Query) -> int | None:
    token = text(query, "syncToken")
    if token is None:
        return None
    for name in NOT_WITH_SYNC_TOKEN:
        if name in query:
            raise GoogleError(400, "badRequest", f"Sync token cannot be used with {name}.", location=name)
    for name in ("showDeleted", "showHidden"):
        if flag(query, name) is False:
            raise GoogleError(400, "badRequest", f"Sync token cannot be used with {name}=false.", location=name)
    owner, epoch, revision = unseal(token, "cs", "syncToken")
    if owner != email:
        raise invalid("Invalid sync token value.", "syncToken")
    account = state.accounts[email]
    if epoch != account.list_epoch or revision > account.list_revision:
        raise full_sync_required()
    return int(revision)


def _digest(email: str, query: Query) -> int:
    names = ("minAccessRole", "showDeleted", "showHidden", "showOwnOrganizationOnly", "syncToken")
    return digest([email, {name: list(query[name]) for name in names if name in query}])
