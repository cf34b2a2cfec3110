"""Routes about time: when somebody is free, and which events overlap."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import get
from litestar.params import QueryParameter

from service.api.auth import ApiRequest
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, length_of_time, moment
from service.api.problems import invalid
from service.api.time_zones import check_zone
from service.core.availability import Busy, Free, Hours, PairPlace, day_window, free_time, read_hours, working_time
from service.core.schedule import Window
from service.flows import writing
from service.flows.gateway import Gateway
from service.flows.writing import Conflict, Selection

LONGEST: Final = timedelta(days=92)
FORESIGHT: Final = timedelta(days=28)
"""How far conflicts are looked for by default: two days within the default horizon, as the store's window begins and ends on
whole hours, and a calendar may rest for a day."""

MOST_IDS: Final = 250

From = Annotated[
    str | None, QueryParameter(max_length=64, name="from", description="RFC 3339 with an offset: 2026-01-31T09:00:00Z.")
]
Until = Annotated[str | None, QueryParameter(max_length=64, description="RFC 3339; at most 92 days after `from`.")]
Day = Annotated[
    str | None, QueryParameter(max_length=10, description="Instead of both: a day in `time_zone`; default today.")
]
Zone = Annotated[
    str | None, QueryParameter(max_length=64, description="IANA name, for `date` and `working_hours`; default UTC.")
]
Calendars = Annotated[
    list[str] | None,
    QueryParameter(
        max_items=MOST_IDS, description="Ids of calendars, each in a parameter of its own or with commas between them."
    ),
]
Connections = Annotated[
    list[str] | None,
    QueryParameter(
        max_items=MOST_IDS,
        description="Ids of connections, repeated or with commas: the `busy_calendars` of each, unless it blocks no time.",
    ),
]
User = Annotated[str | None, QueryParameter(max_length=255, description="Every connection of this one user of yours.")]


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """Busy and free stretches by start, UTC. Of the calendars in `unknown` nobody knows: while there is one, nothing is free."""

    starts_at: datetime
    ends_at: datetime
    busy: list[Busy]
    free: list[Free]
    unknown: list[str]


class Conflicts(msgspec.Struct, frozen=True, kw_only=True):
    """One page of pairs, by start; `truncated` says that there are more. Of the calendars in `unknown` not all is known."""

    data: list[Conflict]
    next_cursor: str | None
    truncated: bool
    unknown: list[str]


@get(
    "/availability",
    operation_id="getAvailability",
    summary="Ask when somebody is free",
    description="From the store where it is in step with the provider, else from the provider itself. Without a selector: "
    "every calendar of the project. Transparent, cancelled and declined events take no time; events of whole days do, in "
    "the calendar's time zone.",
    tags=["Availability"],
    opt={"statuses": (404,)},
)
async def availability(
    request: ApiRequest,
    gateway: Injected[Gateway],
    from_: From = None,
    until: Until = None,
    date: Day = None,
    time_zone: Zone = None,
    calendar_ids: Calendars = None,
    connection_ids: Connections = None,
    user_id: User = None,
    duration: Annotated[
        str | None,
        QueryParameter(
            max_length=8, description="Only stretches that last so long: `30m`, `2h`; minutes without a unit."
        ),
    ] = None,
    buffer: Annotated[
        str | None,
        QueryParameter(max_length=8, description="To be kept free before and after what is busy: `10m`, or `10`."),
    ] = None,
    working_hours: Annotated[
        str | None,
        QueryParameter(
            max_length=200,
            description="`09:00-17:00`, or by days: `mon-fri 09:00-17:00,sat 10:00-12:00`; on the wall clock of `time_zone`.",
        ),
    ] = None,
) -> Availability:
    zone = _zone(time_zone)
    window = _window(gateway, zone, from_, until, date)
    hours = _hours(working_hours)
    shortest, kept = _length(duration, "duration"), _length(buffer, "buffer")
    asked = await writing.select(
        gateway, request.auth.project_id, _selection(request, calendar_ids, connection_ids, user_id)
    )
    wide = Window(window.start - kept, window.end + kept)
    found = await writing.times(gateway, asked, wide)
    free = (
        []
        if found.unknown or asked.is_nobody
        else free_time(
            found.busy,
            window,
            hours=working_time(hours, window, zone) if hours else None,
            buffer=kept,
            shortest=shortest,
        )
    )
    busy = [_clipped(each, window) for each in found.busy if window.overlaps(each.starts_at, each.ends_at)]
    return Availability(starts_at=window.start, ends_at=window.end, busy=busy, free=free, unknown=found.unknown)


@get(
    "/conflicts",
    operation_id="listConflicts",
    summary="List events that overlap",
    description="Pairs of busy events, as far as the store knows them, of the next four weeks unless `from` and `until` say "
    "otherwise; copies of one meeting are no conflict.",
    tags=["Availability"],
    opt={"statuses": (404,)},
)
async def conflicts(
    request: ApiRequest,
    gateway: Injected[Gateway],
    from_: From = None,
    until: Until = None,
    calendar_ids: Calendars = None,
    connection_ids: Connections = None,
    user_id: User = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Conflicts:
    start = moment(from_, "from") or gateway.clock()
    window = _bounded(start, moment(until, "until") or start + FORESIGHT)
    asked = await writing.select(
        gateway, request.auth.project_id, _selection(request, calendar_ids, connection_ids, user_id)
    )
    cursors = Cursors(gateway.cipher, request.auth.project_id, "conflicts")
    after = cursors.read(cursor, PairPlace)
    found = await writing.find_conflicts(gateway, asked, window, most=limit, after=after)
    following = cursors.write(found.following) if found.following is not None else None
    return Conflicts(data=found.pairs, next_cursor=following, truncated=following is not None, unknown=found.unknown)


def _window(gateway: Gateway, zone: ZoneInfo, from_: str | None, until: str | None, day: str | None) -> Window:
    start, end = moment(from_, "from"), moment(until, "until")
    if start is None and end is None:
        return day_window(_day(day) if day is not None else gateway.clock().astimezone(zone).date(), zone)
    if day is not None:
        raise invalid("date", "and `from` exclude each other")
    if start is None or end is None:
        raise invalid("until" if end is None else "from", "is required with the other")
    return _bounded(start, end)


def _bounded(start: datetime, end: datetime) -> Window:
    if end <= start:
        raise invalid("until", "is not after `from`")
    if end - start > LONGEST:
        raise invalid("until", f"is more than {LONGEST.days} days after `from`")
    return Window(start, end)


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise invalid("date", "is a day such as 2026-01-31") from None
    if not 1970 <= found.year <= 2200:
        raise invalid("date", "is out of the calendar")
    return found


def _zone(name: str | None) -> ZoneInfo:
    check_zone(name)
    return ZoneInfo(name or "UTC")


def _hours(text: str | None) -> list[Hours]:
    try:
        return read_hours(text) if text is not None else []
    except ValueError as error:
        raise invalid("working_hours", str(error)) from None


def _length(text: str | None, field: str) -> timedelta:
    """A length of time, in minutes where it has no unit, as the buffers of events are."""
    if text is None or text == "0":
        return timedelta(0)
    return length_of_time(f"{text}m" if text.isdecimal() else text, field)


def _selection(
    request: ApiRequest, calendar_ids: list[str] | None, connection_ids: list[str] | None, user_id: str | None
) -> Selection:
    if len(request.query_params.getall("user_id", [])) > 1:
        raise invalid("user_id", "is one user")
    return Selection(
        calendar_ids=_ids(calendar_ids, "calendar_ids"),
        connection_ids=_ids(connection_ids, "connection_ids"),
        user_id=user_id,
    )


def _ids(texts: list[str] | None, field: str) -> list[UUID]:
    try:
        found = list(dict.fromkeys(UUID(part.strip()) for text in texts or () for part in text.split(",")))
    except ValueError:
        raise invalid(field, "has ids with commas between them") from None
    if len(found) > MOST_IDS:
        raise invalid(field, f"has more than {MOST_IDS} ids")
    return found


def _clipped(each: Busy, window: Window) -> Busy:
    start, end = max(each.starts_at, window.start), min(each.ends_at, window.end)
    return msgspec.structs.replace(each, starts_at=start, ends_at=end)


ROUTES: Final[list[Any]] = [availability, conflicts]
