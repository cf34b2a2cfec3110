"""Events and calendars as Graph shows them, in the zone and the form of ids that the request prefers."""

import re
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

from simulator.microsoft.bodies import allowed_providers, plain_text
from simulator.microsoft.errors import invalid
from simulator.microsoft.identifiers import change_key, show_etag, show_id, show_uid
from simulator.microsoft.moments import load_zone, show_instant, show_moment, show_stamp
from simulator.microsoft.rows import Row, body_of
from simulator.microsoft.state import Account, Calendar, State

COPIED = (
    "categories", "transactionId", "originalStartTimeZone", "originalEndTimeZone", "reminderMinutesBeforeStart",
    "isReminderOn", "subject", "importance", "sensitivity", "isAllDay", "isCancelled", "responseRequested", "showAs",
    "isOnlineMeeting", "onlineMeetingProvider", "allowNewTimeProposals", "hideAttendees", "responseStatus",
    "location", "locations", "attendees", "organizer",
)  # fmt: skip
PREFERENCE = re.compile(r'([A-Za-z.\-]+)\s*=\s*(?:"([^"]*)"|([^\s,;]+))')


@dataclass(frozen=True, slots=True)
class Preference:
    """What a request prefers. It holds for this request alone, links included."""

    zone: str = "UTC"
    immutable: bool = False
    text: bool = False
    page_size: int | None = None


def read_preference(header: str | None, account: Account, without_zone: str) -> Preference:
    """Read `Prefer`, in one header or several. Raises GraphError for a zone or a size that cannot be."""
    found = {name.lower(): quoted or bare for name, quoted, bare in PREFERENCE.findall(header or "")}
    zone = found.get("outlook.timezone") or (account.time_zone if without_zone == "mailbox" else "UTC")
    load_zone(zone)
    size = found.get("odata.maxpagesize")
    if size is not None and (not size.isdigit() or int(size) < 1):
        raise invalid(f"Invalid page size: {size}", "ErrorInvalidRequest")
    return Preference(
        zone,
        found.get("idtype", "").lower() == "immutableid",
        found.get("outlook.body-content-type", "").lower() == "text",
        int(size) if size is not None else None,
    )


def etag_of(calendar: Calendar, row: Row) -> str:
    return show_etag(change_key(calendar.id[-8:], row.record.revision))


def show_event(state: State, calendar: Calendar, row: Row, prefer: Preference) -> dict[str, Any]:
    """An event in full."""
    record, body = row.record, body_of(calendar, row)
    account = state.accounts[calendar.owner]
    event_id = show_id(row.key, immutable=prefer.immutable)
    key = change_key(calendar.id[-8:], record.revision)
    shown: dict[str, Any] = {
        "@odata.etag": show_etag(key),
        "id": event_id,
        "createdDateTime": show_stamp(record.created),
        "lastModifiedDateTime": show_stamp(record.updated),
        "changeKey": key,
        **{name: body.get(name) for name in COPIED},
        "iCalUId": show_uid(record.global_id, row.original.day if row.original is not None else None),
        "uid": show_uid(record.global_id),
        "hasAttachments": False,
        "isDraft": False,
        "isOrganizer": is_organizer(account, body),
        "bodyPreview": plain_text(body["body"])[:255],
        "body": _show_body(body["body"], prefer),
        "start": show_moment(body["start"], prefer.zone),
        "end": show_moment(body["end"], prefer.zone),
        "type": row.kind,
        "seriesMasterId": None,
        "recurrence": body.get("recurrence") if row.kind == "seriesMaster" else None,
        "onlineMeeting": body.get("onlineMeeting"),
        "onlineMeetingUrl": body.get("onlineMeetingUrl"),
        "webLink": _web_link(account, event_id),
    }
    if body["isOnlineMeeting"] and (state.now() - record.created).total_seconds() < state.settings.join_url_seconds:
        shown["onlineMeeting"] = None
    if row.original is not None:
        master = row.record.key if row.slot is not None else record.master or ""
        shown["seriesMasterId"] = show_id(master, immutable=prefer.immutable)
        shown["originalStart"] = show_instant(row.original.start.at)
        shown["occurrenceId"] = f"OID.{shown['seriesMasterId']}.{row.original.day.isoformat()}"
    return shown


def show_sparse(calendar: Calendar, row: Row, prefer: Preference) -> dict[str, Any]:
    """All that a delta tells of an occurrence without an exception."""
    body = body_of(calendar, row)
    return {
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": etag_of(calendar, row),
        "id": show_id(row.key, immutable=prefer.immutable),
        "seriesMasterId": show_id(row.record.key, immutable=prefer.immutable),
        "type": "occurrence",
        "start": show_moment(body["start"], prefer.zone),
        "end": show_moment(body["end"], prefer.zone),
    }


def show_removed(key: str, reason: str, prefer: Preference) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.event",
        "id": show_id(key, immutable=prefer.immutable),
        "@removed": {"reason": reason},
    }


def show_calendar(state: State, calendar: Calendar, email: str) -> dict[str, Any]:
    owner = state.accounts[calendar.owner]
    own = email == calendar.owner
    return {
        "id": calendar.id,
        "name": calendar.name,
        "color": calendar.color,
        "hexColor": "",
        "isDefaultCalendar": calendar.is_default and own,
        "changeKey": change_key(calendar.id[-8:], calendar.epoch),
        "canShare": own,
        "canViewPrivateItems": own,
        "canEdit": own or calendar.readers.get(email, False),
        "isRemovable": not calendar.is_default,
        "isTallyingResponses": calendar.is_default and own,
        "allowedOnlineMeetingProviders": allowed_providers(owner),
        "defaultOnlineMeetingProvider": allowed_providers(owner)[0],
        "owner": {"name": owner.name, "address": owner.email},
    }


def show_account(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "displayName": account.name,
        "mail": account.email,
        "userPrincipalName": account.upn,
        "givenName": account.name,
        "surname": None,
        "jobTitle": None,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "businessPhones": [],
    }


def is_organizer(account: Account, body: dict[str, Any]) -> bool:
    return bool(body["organizer"]["emailAddress"]["address"].lower() == account.email.lower())


def _show_body(body: dict[str, Any], prefer: Preference) -> dict[str, Any]:
    if prefer.text:
        return {"contentType": "text", "content": plain_text(body)}
    content = body["content"] if body["contentType"] == "html" else escape(body["content"])
    if content and not content.lstrip().lower().startswith("<html"):
        content = f"<html><head></head><body>{content}</body></html>"
    return {"contentType": "html", "content": content}


def _web_link(account: Account, event_id: str) -> str:
    host = "outlook.live.com" if account.personal else "outlook.office365.com"
    return f"https://{host}/owa/?itemid={quote(event_id, safe='')}&exvsurl=1&path=/calendar/item"
