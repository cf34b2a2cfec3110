"""Lists that page by $top and $skip: calendars, plain calendar views, events, and the instances of a series."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from simulator.google.answers import Request
from simulator.microsoft.access import calendars_of, origin_of
from simulator.microsoft.errors import invalid
from simulator.microsoft.moments import parse_bound
from simulator.microsoft.query import number, refuse_others, text
from simulator.microsoft.rows import instances, row_of, view
from simulator.microsoft.state import Account, Calendar, Record, State
from simulator.microsoft.views import Preference, show_calendar, show_event

METADATA = "https://graph.microsoft.com/v1.0/$metadata"
MOST_CALENDARS = 200
EXTENDED = re.compile(
    r"singleValueExtendedProperties/[Aa]ny\((?P<as>\w+):\s*(?P=as)/id eq '(?P<id>[^']+)' and (?P=as)/value eq '(?P<value>[^']*)'\)"
)
Each = TypeVar("Each")


def list_calendars(state: State, account: Account, request: Request) -> dict[str, Any]:
    refuse_others(request.query, {"$top", "$skip"})
    found = calendars_of(state, account.email)
    return _page(
        state, request, "calendars", found, lambda each: show_calendar(state, each, account.email), None, MOST_CALENDARS
    )


def list_view(state: State, calendar: Calendar, request: Request, prefer: Preference) -> dict[str, Any]:
    """A calendar view without change tracking: every occurrence in full."""
    refuse_others(request.query, {"$top", "$skip", "$select"})
    rows = view(state, calendar, *_window(request))
    return _page(state, request, "events", rows, lambda row: show_event(state, calendar, row, prefer), prefer.page_size)


def list_instances(
    state: State, calendar: Calendar, record: Record, request: Request, prefer: Preference
) -> dict[str, Any]:
    refuse_others(request.query, {"$top", "$skip", "$select"})
    low, high = _window(request)
    if not record.recurring:
        raise invalid("The event is not a series master.", "ErrorInvalidRequest")
    rows = instances(state, calendar, record, low, high)
    return _page(state, request, "events", rows, lambda row: show_event(state, calendar, row, prefer), prefer.page_size)


def list_events(state: State, calendar: Calendar, request: Request, prefer: Preference) -> dict[str, Any]:
    """Single events and series masters, without expansion; `$filter` knows one form, an extended property's value."""
    refuse_others(request.query, {"$top", "$skip", "$select", "$filter"})
    wanted = _extended_property(text(request.query, "$filter"))
    rows = [
        row_of(record)
        for record in calendar.records.values()
        if record.master is None and (wanted is None or wanted in record.body.get("singleValueExtendedProperties", []))
    ]
    return _page(state, request, "events", rows, lambda row: show_event(state, calendar, row, prefer), prefer.page_size)


def select(value: dict[str, Any], request: Request) -> dict[str, Any]:
    """Only the properties that `$select` names, beside `id` and what OData adds."""
    names = text(request.query, "$select")
    if names is None:
        return value
    wanted = {"id", text(request.query, "$expand"), *(name.strip() for name in names.split(","))}
    return {name: each for name, each in value.items() if name in wanted or name.startswith("@")}


def _extended_property(expression: str | None) -> dict[str, str] | None:
    if expression is None:
        return None
    found = EXTENDED.fullmatch(expression.strip())
    if found is None:
        raise invalid("The simulator does not know this filter.", "ErrorInvalidUrlQuery")
    return {"id": found["id"], "value": found["value"]}


def _window(request: Request) -> tuple[int, int]:
    low = parse_bound(text(request.query, "startDateTime"), "StartDateTime")
    high = parse_bound(text(request.query, "endDateTime"), "EndDateTime")
    if high <= low:
        raise invalid("The end of the window must be after its start.")
    return low, high


def _page(
    state: State,
    request: Request,
    kind: str,
    found: Sequence[Each],
    show: Callable[[Each], dict[str, Any]],
    preferred: int | None,
    largest: int | None = None,
) -> dict[str, Any]:
    largest = min(largest or state.settings.largest_page, state.settings.largest_page)
    size = number(request.query, "$top", min(preferred or state.settings.default_page, largest), 1000)
    size = min(size, largest)
    skip = number(request.query, "$skip", 0, smallest=0)
    answer: dict[str, Any] = {"@odata.context": f"{METADATA}#{kind}"}
    if len(found) > skip + size:
        sent = {name: values[-1] for name, values in request.query.items() if name.lower() != "$skip"}
        further = urlencode({**sent, "$skip": skip + size}, safe="$:,")
        answer["@odata.nextLink"] = f"{origin_of(request)}{request.path}?{further}"
    answer["value"] = [select(show(each), request) for each in found[skip : skip + size]]
    return answer
