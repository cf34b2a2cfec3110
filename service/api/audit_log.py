"""The route of the audit log: who did what in the project behind the key."""

from typing import Annotated, Final

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from service.api.auth import ApiRequest
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Moment, Page, json_page, moment
from service.api.problems import invalid
from service.core.audit import ACTIONS, Entry
from service.flows.gateway import Gateway
from service.store import audit
from service.store.audit import Wanted


class AuditEntryView(Entry, frozen=True, kw_only=True):
    """One act: who (`actor`: an API key by its id, a command by its name), what, upon which object, by which request.

    `details` names what changed, never a value. `hash` covers the entry and the hash before it (`previous`).
    """


@get(
    "/audit",
    operation_id="listAuditEntries",
    summary="List who did what, newest first",
    description="Needs the scope `admin`. Acts upon the project, its API keys, calendars, webhook endpoints and bot runner, by "
    "whichever route or command; what was refused or rolled back is not there, and no secret is. `calgate audit verify` "
    "tells whether entries were tampered with.\n\n"
    + "\n".join(f"- `{name}`: {says}." for name, says in ACTIONS.items()),
    tags=["Audit"],
    opt={"scope": "admin"},
    responses={200: ResponseSpec(Page[AuditEntryView], description="A page", generate_examples=False)},
)
async def list_entries(
    request: ApiRequest,
    gateway: Injected[Gateway],
    action: Annotated[str | None, QueryParameter(description="`calendar.deleted`, for one.", max_length=64)] = None,
    actor: Annotated[
        str | None, QueryParameter(description="The `id` of an actor, or the `kind` of several.", max_length=255)
    ] = None,
    object_id: Annotated[
        str | None, QueryParameter(description="The `id` of what was acted upon.", max_length=255)
    ] = None,
    since: Moment = None,
    until: Moment = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    if action is not None and action not in ACTIONS:
        raise invalid("action", f"accepts {', '.join(ACTIONS)}")
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, "audit")
    wanted = Wanted(
        action=action,
        actor=actor,
        object_id=object_id,
        since=moment(since, "since"),
        until=moment(until, "until"),
        before=cursors.read(cursor, int),
    )
    async with gateway.database.read() as conn:
        found = await audit.page(conn, project_id, wanted, limit + 1)
    rows = [msgspec.json.encode(entry) for entry in found[:limit]]
    return json_page(rows, cursors.write(found[limit - 1].seq) if len(found) > limit else None)


ROUTES: Final = [list_entries]
