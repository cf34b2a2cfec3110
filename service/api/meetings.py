"""The route that a bot scheduler asks: which meetings are coming up."""

from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from service.api.auth import ApiRequest
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, json_page, length_of_time, moment
from service.api.problems import invalid
from service.flows import meetings
from service.flows.gateway import Gateway
from service.flows.meetings import MeetingQuery, MeetingView

DEFAULT_WINDOW: Final = timedelta(hours=24)


@get(
    "/meetings",
    operation_id="listMeetings",
    summary="List the coming meetings",
    description="One row for each real meeting, by start; what is cancelled or was declined is left out. A meeting that "
    "runs at `from` is in the list.",
    tags=["Meetings"],
    responses={200: ResponseSpec(Page[MeetingView], description="A page", generate_examples=False)},
)
async def list_meetings(
    request: ApiRequest,
    gateway: Injected[Gateway],
    from_: Annotated[
        str | None, QueryParameter(max_length=64, name="from", description="What ends after this moment; default now.")
    ] = None,
    until: Annotated[
        str | None, QueryParameter(max_length=64, description="What starts before this moment; default 24 h later.")
    ] = None,
    within: Annotated[
        str | None, QueryParameter(description="Instead of `until`: `90s`, `15m`, `8h`, `2d`.", max_length=8)
    ] = None,
    platform: Annotated[str | None, QueryParameter(description="`zoom`, `google_meet`, ...", max_length=64)] = None,
    calendar_id: Annotated[UUID | None, QueryParameter(description="With a copy on this calendar.")] = None,
    include_declined: Annotated[bool, QueryParameter(description="Also what every copy's owner declined.")] = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, "meetings")
    start = moment(from_, "from") or gateway.clock()
    query = MeetingQuery(
        from_=start,
        until=_end(start, moment(until, "until"), within),
        platform=platform,
        calendar_id=calendar_id,
        include_declined=include_declined,
        limit=limit,
        after=cursors.read(cursor, tuple[datetime, str]),
    )
    rows, last = await meetings.upcoming(gateway, project_id, query)
    return json_page(rows, None if last is None else cursors.write(last))


def _end(start: datetime, until: datetime | None, within: str | None) -> datetime:
    if within is None:
        return until or start + DEFAULT_WINDOW
    if until is not None:
        raise invalid("within", "and `until` exclude each other")
    return start + length_of_time(within, "within")


ROUTES: Final = [list_meetings]
