"""Routes of events and series in v2."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath

from service.api.auth import ApiRequest
from service.api.injection import Injected
from service.api.meeting_baas.asking import Query
from service.api.meeting_baas.envelopes import HIDDEN, answer
from service.api.meeting_baas.errors import DialectError
from service.api.meeting_baas.lists import cut, marks, read_turn
from service.api.meeting_baas.showing import viewed
from service.api.meeting_baas.v2_calendars import CALENDAR, path_uuid
from service.api.paging import Cursors, Position
from service.core.meeting_baas import v2
from service.core.meeting_baas.identity import EventStatus
from service.core.meeting_baas.refusals import EVENT_NOT_FOUND
from service.core.meeting_baas.series import SeriesKind, series_kind, series_uuid
from service.flows.bots import planning
from service.flows.gateway import Gateway
from service.store import calendars, events, meeting_baas
from service.store.meeting_baas import EventsWanted
from service.store.tables import Found

_STATUSES: Final[tuple[str, ...]] = EventStatus.__args__  # type: ignore[attr-defined]
_KINDS: Final[tuple[str, ...]] = SeriesKind.__args__  # type: ignore[attr-defined]


class SeriesPlace(NamedTuple):
    """Where a list of series goes on: behind the one with this key, of which the first event is known since then."""

    since: datetime
    key: str


@get(f"{CALENDAR}/events", **HIDDEN)
async def list_events(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    """By start. Of a calendar that is not there the dialect knows no 404 here: it has no events."""
    wanted = path_uuid(calendar_id, "calendar_id")
    project_id, query = request.auth.project_id, Query(request)
    cursors = Cursors(gateway.cipher, project_id, f"meeting-baas events of {wanted}")
    turn = read_turn(query, cursors, Position)
    filters = EventsWanted(
        starts_from=query.moment("start_date"),
        ends_until=query.moment("end_date"),
        statuses=query.several("status", _STATUSES),
        shows_cancelled=query.flag("show_cancelled", default=True),
    )
    async with gateway.database.read() as conn:
        found = await meeting_baas.events_page(
            conn, project_id, wanted, filters, turn.place, turn.limit + 1, backwards=turn.backwards
        )
        rows, behind, before = cut(turn, found)
        bots = await planning.covered(conn, project_id, [row.id for row in rows])
    ends = (Position(rows[0].starts_at, rows[0].id), Position(rows[-1].starts_at, rows[-1].id)) if rows else None
    cursor, previous = marks(cursors, ends, behind=behind, before=before)
    listed = [v2.event_item(viewed(row), bot_scheduled=row.id in bots) for row in rows]
    return answer(v2.PageV2(data=listed, cursor=cursor, prev_cursor=previous))


@get(f"{CALENDAR}/series", **HIDDEN)
async def list_series(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    """Every event is in one: those that do not recur are alone in theirs."""
    wanted = path_uuid(calendar_id, "calendar_id")
    project_id, query = request.auth.project_id, Query(request)
    cursors = Cursors(gateway.cipher, project_id, f"meeting-baas series of {wanted}")
    turn = read_turn(query, cursors, SeriesPlace)
    kinds = query.several("event_type", _KINDS)
    recurring = "recurring" in kinds if kinds is not None and len(kinds) == 1 else None
    shows_cancelled = query.flag("show_cancelled", default=True)
    async with gateway.database.read() as conn:
        found = await meeting_baas.series_page(
            conn, project_id, wanted, recurring, turn.place, turn.limit + 1, backwards=turn.backwards
        )
        rows, behind, before = cut(turn, found)
        members = await meeting_baas.events_of(conn, project_id, wanted, [row.key for row in rows])
        bots = await planning.covered(conn, project_id, [one.id for same in members.values() for one in same])
    ends = (SeriesPlace(rows[0].since, rows[0].key), SeriesPlace(rows[-1].since, rows[-1].key)) if rows else None
    cursor, previous = marks(cursors, ends, behind=behind, before=before)
    listed = [_series(row.since, members[row.key], bots, shows_cancelled=shows_cancelled) for row in rows]
    return answer(v2.PageV2(data=listed, cursor=cursor, prev_cursor=previous))


@get(f"{CALENDAR}/events/{{event_id:str}}", **HIDDEN)
async def show(
    calendar_id: FromPath[str], event_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[bytes]:
    within, wanted = path_uuid(calendar_id, "calendar_id"), path_uuid(event_id, "event_id")
    project_id = request.auth.project_id
    async with gateway.database.read() as conn:
        calendar = await calendars.one(conn, project_id, within)
        row = await events.one(conn, project_id, wanted, within)
        if row is None or calendar is None:
            raise event_unknown()
        source = await events.source(conn, wanted)
        bots = await planning.covered(conn, project_id, [wanted])
    found = v2.event_details(viewed(row), calendar.provider, source, bot_scheduled=wanted in bots)
    return answer(v2.Answer(data=found))


def _series(since: datetime, members: Sequence[Found], bots: Collection[UUID], *, shows_cancelled: bool) -> v2.Series:
    first = members[0]
    inside = [v2.series_event(viewed(one), bot_scheduled=one.id in bots) for one in members]
    return v2.Series(
        series_id=series_uuid(first.calendar_id, first.series_id, first.id),
        event_type=series_kind(first.series_id),
        calendar_id=first.calendar_id,
        created_at=since,
        events=[one for one in inside if shows_cancelled or one.status != "cancelled"],
    )


def event_unknown() -> DialectError:
    """The one answer to an unknown event and to a foreign one."""
    return DialectError(404, EVENT_NOT_FOUND, "The calendar has no event with this event_id.")


ROUTES: Final = [list_events, list_series, show]
