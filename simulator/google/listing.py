"""events.list and events.instances: windows, pages, and incremental rounds by sync token."""

from dataclasses import dataclass, replace
from typing import Any

from simulator.google.bodies import EVENT_TYPES
from simulator.google.cursors import digest, seal, unseal
from simulator.google.errors import GoogleError, full_sync_required, invalid, invalid_parameter, not_found
from simulator.google.moments import load_zone, parse_bound, show_stamp
from simulator.google.query import Query, bound, choice, flag, number, text
from simulator.google.rows import Reader, Row, body_of, bounds, overlaps, show_row, slot_of, walk, walk_series
from simulator.google.state import Calendar, State
from simulator.google.views import make_etag

NOT_WITH_SYNC_TOKEN = (
    "iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin", "timeMax", "updatedMin",
)  # fmt: skip
# A listing restricted by one of these is no base for incremental rounds: Google hands out no sync token.
NO_SYNC_TOKEN = ("iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "updatedMin")
SAME_WITH_SYNC_TOKEN = ("singleEvents", "eventTypes", "maxAttendees", "timeZone", "showHiddenInvitations")
SAME_WITH_PAGE_TOKEN = (*NOT_WITH_SYNC_TOKEN, *SAME_WITH_SYNC_TOKEN, "showDeleted", "syncToken", "originalStart")


@dataclass(frozen=True, slots=True)
class Listing:
    """An events.list request, read and checked."""

    expanded: bool
    show_deleted: bool
    low: float | None
    high: float | None
    updated_min: float | None
    order: str | None
    search: str | None
    uid: str | None
    types: tuple[str, ...]
    properties: tuple[tuple[str, str], ...]
    since: int | None
    page_size: int


def list_events(state: State, calendar: Calendar, role: str, query: Query) -> dict[str, Any]:
    since = _read_sync_token(calendar, query)
    listing = read_listing(state, query, since)
    start_revision, after, skipped = _read_page_token(calendar, query)
    first_page = start_revision is None
    revision = calendar.revision if start_revision is None else start_revision
    answer = _envelope(state, calendar, role, query)
    if since is not None and calendar.revision <= since:
        rows: list[Row] = []  # the common answer of a poll: nothing new
    elif skipped < state.settings.empty_pages and (first_page or skipped):
        answer["nextPageToken"] = seal(["p", revision, after, skipped + 1, _page_digest(calendar, query)])
        return answer
    else:
        window = (None, None) if state.settings.short_pages else (listing.low, listing.high)
        rows = list(walk(state, calendar, expanded=listing.expanded, since=since or 0, window=window))
    page, last_key = _cut_page(state, calendar, listing, rows, after)
    reader = Reader(role, text(query, "timeZone"), number(query, "maxAttendees"))
    answer["items"] = [show_row(calendar, row, reader) for row in page]
    if last_key is not None:
        empties = 1 if state.settings.empty_pages else 0
        answer["nextPageToken"] = seal(["p", revision, last_key, empties, _page_digest(calendar, query)])
    elif not any(name in query for name in NO_SYNC_TOKEN):
        answer["nextSyncToken"] = seal(["s", calendar.id, calendar.epoch, revision, _sync_digest(query)])
    return answer


def list_instances(state: State, calendar: Calendar, role: str, event_id: str, query: Query) -> dict[str, Any]:
    """events.instances: one series, never incremental."""
    master = calendar.records.get(event_id)
    if master is None:
        raise not_found()
    if "recurrence" not in master.body:
        raise invalid("The event is not recurring.")
    listing = replace(read_listing(state, query, None), expanded=True)
    revision, after, _ = _read_page_token(calendar, query)
    rows = list(walk_series(state, calendar, master))
    if (wanted := text(query, "originalStart")) is not None:
        at = parse_bound(wanted, "originalStart")
        rows = [row for row in rows if (slot := slot_of(row)) is not None and slot.start.at == at]
    page, last_key = _cut_page(state, calendar, listing, rows, after)
    answer = _envelope(state, calendar, role, query)
    reader = Reader(role, text(query, "timeZone"), number(query, "maxAttendees"))
    answer["items"] = [show_row(calendar, row, reader) for row in page]
    if last_key is not None:
        answer["nextPageToken"] = seal(["p", revision or calendar.revision, last_key, 0, _page_digest(calendar, query)])
    return answer


def read_listing(state: State, query: Query, since: int | None) -> Listing:
    expanded = bool(flag(query, "singleEvents", default=False))
    order = choice(query, "orderBy", {"startTime", "updated"})
    if order == "startTime" and not expanded:
        raise GoogleError(
            400,
            "badRequest",
            "The requested ordering is not available for the particular query.",
            domain="calendar",
            location="orderBy",
        )
    low, high = bound(query, "timeMin"), bound(query, "timeMax")
    if low is not None and high is not None and high <= low:
        raise GoogleError(
            400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar", location="timeMax"
        )
    if (zone := text(query, "timeZone")) is not None:
        load_zone(zone)
    types = tuple(query.get("eventTypes", ()))
    if set(types) - EVENT_TYPES:
        raise invalid_parameter("Invalid string value in eventTypes.", "eventTypes")
    return Listing(
        expanded=expanded,
        show_deleted=since is not None or bool(flag(query, "showDeleted", default=False)),
        low=low,
        high=high,
        updated_min=_read_updated_min(state, query),
        order=order,
        search=text(query, "q"),
        uid=text(query, "iCalUID"),
        types=types,
        properties=_read_properties(query),
        since=since,
        page_size=min(number(query, "maxResults", 250) or 250, state.settings.largest_page),
    )


def _read_sync_token(calendar: Calendar, query: Query) -> int | None:
    token = text(query, "syncToken")
    if token is None:
        return None
    for name in NOT_WITH_SYNC_TOKEN:
        if name in query:
            raise GoogleError(400, "badRequest", f"Sync token cannot be used with {name}.", location=name)
    if flag(query, "showDeleted") is False:
        raise GoogleError(
            400, "badRequest", "Sync token cannot be used with showDeleted=false.", location="showDeleted"
        )
    calendar_id, epoch, revision, parameters = unseal(token, "s", "syncToken")
    if calendar_id != calendar.id:
        raise invalid("Invalid sync token value.", "syncToken")
    if epoch != calendar.epoch or revision > calendar.revision:
        raise full_sync_required()
    if parameters != _sync_digest(query):
        raise GoogleError(
            400,
            "badRequest",
            "Parameters differ from those of the request that gave the sync token.",
            location="syncToken",
        )
    return int(revision)


def _read_page_token(calendar: Calendar, query: Query) -> tuple[int | None, list[Any] | None, int]:
    token = text(query, "pageToken")
    if token is None:
        return None, None, 0
    revision, after, skipped, parameters = unseal(token, "p", "pageToken")
    if parameters != _page_digest(calendar, query):
        raise invalid("Invalid page token value.", "pageToken")
    return int(revision), after, int(skipped)


def _cut_page(
    state: State, calendar: Calendar, listing: Listing, rows: list[Row], after: list[Any] | None
) -> tuple[list[Row], list[Any] | None]:
    """The rows of one page, and where the next one begins."""
    if not state.settings.short_pages:
        rows = [row for row in rows if _wanted(state, calendar, listing, row)]
    keyed = sorted(((_order_key(calendar, listing, row), row) for row in rows), key=lambda pair: pair[0])
    if after is not None:
        keyed = [pair for pair in keyed if pair[0] > after]
    page = keyed[: listing.page_size]
    last_key = page[-1][0] if len(keyed) > listing.page_size else None
    kept = [row for _, row in page]
    if state.settings.short_pages:
        # Google, too, counts before it filters.
        kept = [row for row in kept if _wanted(state, calendar, listing, row)]
    return kept, last_key


def _order_key(calendar: Calendar, listing: Listing, row: Row) -> list[Any]:
    if listing.order == "startTime":
        return [bounds(calendar, row)[0], row.id]
    if listing.order == "updated" or listing.since is not None:
        return [row.revision, row.id]
    return [0, row.id]


def _wanted(state: State, calendar: Calendar, listing: Listing, row: Row) -> bool:
    if row.poison is not None:
        return True
    if row.cancelled and not listing.show_deleted:
        # "Cancelled instances of recurring events will still be included if both are false."
        exception = row.record is not None and row.record.master is not None
        if listing.expanded or not exception:
            return False
    if listing.low is None and listing.high is None and _unfiltered(listing):
        return True
    if listing.since is None and not overlaps(state, calendar, row, listing.low, listing.high):
        return False
    return _unfiltered(listing) or _matches(calendar, listing, row)


def _unfiltered(listing: Listing) -> bool:
    return not (listing.types or listing.properties or listing.search or listing.uid or listing.updated_min)


def _matches(calendar: Calendar, listing: Listing, row: Row) -> bool:
    body = body_of(calendar, row)
    if not body:
        return listing.since is not None
    return (
        _is_recent(listing, row)
        and (not listing.types or body.get("eventType", "default") in listing.types)
        and (not listing.uid or body.get("iCalUID") == listing.uid)
        and _has_properties(body, listing.properties)
        and _mentions(body, listing.search)
    )


def _is_recent(listing: Listing, row: Row) -> bool:
    return not listing.updated_min or row.record is None or row.record.updated.timestamp() >= listing.updated_min


def _mentions(body: dict[str, Any], search: str | None) -> bool:
    people = [f"{each.get('email')} {each.get('displayName', '')}" for each in body.get("attendees", [])]
    texts = [str(body.get(name, "")) for name in ("summary", "description", "location")] + people
    return all(word in " ".join(texts).lower() for word in (search or "").lower().split())


def _has_properties(body: dict[str, Any], properties: tuple[tuple[str, str], ...]) -> bool:
    stored = body.get("extendedProperties") or {}
    return all(
        (stored.get(kind) or {}).get(pair.partition("=")[0]) == pair.partition("=")[2] for kind, pair in properties
    )


def _read_properties(query: Query) -> tuple[tuple[str, str], ...]:
    found = [("private", value) for value in query.get("privateExtendedProperty", ())]
    return (*found, *(("shared", value) for value in query.get("sharedExtendedProperty", ())))


def _read_updated_min(state: State, query: Query) -> float | None:
    updated_min = bound(query, "updatedMin")
    if updated_min is not None and updated_min < state.now().timestamp() - state.settings.updated_min_days * 86400:
        raise GoogleError(
            410,
            "updatedMinTooLongAgo",
            "The requested minimum modification time lies too far in the past.",
            domain="calendar",
            location="updatedMin",
        )
    return updated_min


def _sync_digest(query: Query) -> int:
    return digest({name: sorted(query[name]) for name in SAME_WITH_SYNC_TOKEN if name in query})


def _page_digest(calendar: Calendar, query: Query) -> int:
    return digest([calendar.id, {name: sorted(query[name]) for name in SAME_WITH_PAGE_TOKEN if name in query}])


def _envelope(state: State, calendar: Calendar, role: str, query: Query) -> dict[str, Any]:
    return {
        "kind": "calendar#events",
        "etag": make_etag(calendar.revision),
        "summary": calendar.summary,
        "updated": show_stamp(state.now()),
        "timeZone": text(query, "timeZone") or calendar.time_zone,
        "accessRole": role,
        "defaultReminders": [{"method": "popup", "minutes": 10}] if role == "owner" else [],
        "items": [],
    }
