"""The route of the change log, for those who would rather ask than be told; with `wait` it answers when there is news."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Final
from uuid import UUID

from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from service.api.auth import ApiRequest
from service.api.draining import Draining
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Limit, json_bytes
from service.api.problems import invalid
from service.api.views import ChangesView
from service.errors import GatewayError
from service.flows.gateway import Gateway
from service.store import changes
from service.store.wake import Listener

KINDS: Final = ("created", "updated", "cancelled")


@get(
    "/changes",
    operation_id="listChanges",
    summary="Read the change log",
    description="Every change of every event, by `seq`, without a hole: who keeps the last `seq` misses nothing. 410 when "
    "what follows `after` is older than CALGATE_RETENTION_DAYS, or `after` itself is not in the log, which was put back from a "
    "backup: list the events anew and go on after the number that the answer names.",
    tags=["Changes"],
    responses={200: ResponseSpec(ChangesView, description="The changes behind `after`", generate_examples=False)},
    opt={"statuses": (410,)},
)
async def list_changes(
    request: ApiRequest,
    gateway: Injected[Gateway],
    draining: Injected[Draining],
    after: Annotated[int, QueryParameter(ge=0, le=2**62, description="The last `seq` that you have.")] = 0,
    limit: Limit = DEFAULT_LIMIT,
    wait: Annotated[
        int, QueryParameter(ge=0, le=30, description="Seconds to wait for a change when there is none yet.")
    ] = 0,
    kinds: Annotated[
        str | None, QueryParameter(name="type", description="`created`, `updated`, `cancelled`; several by comma.")
    ] = None,
) -> Response[bytes]:
    wanted = _kinds(kinds)
    project_id = request.auth.project_id
    if not wait:
        _is_answer, response = await _read(gateway, project_id, after, limit, wanted)
        return response
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    with gateway.wake.listen(f"changes:{project_id}") as news:
        while True:
            is_answer, response = await _read(gateway, project_id, after, limit, wanted)
            left = end - loop.time()
            if is_answer or left <= 0 or draining.is_begun or not await _has_news(news, left, request, draining):
                return response


async def _read(
    gateway: Gateway, project_id: UUID, after: int, limit: int, kinds: Sequence[str] | None
) -> tuple[bool, Response[bytes]]:
    """The changes behind `after` as a response, and whether there are any."""
    async with gateway.database.read() as conn:
        after, last, lost_until = await changes.place(conn, project_id, after)
        if lost_until is not None:
            raise _lost(after, lost_until)
        found = await changes.read(conn, project_id, after, limit, kinds)
        if after < last and (not found or found[0][0] != after + 1):
            _check_kept(after, await changes.oldest_seq(conn, project_id))
    # A full page ends at its last row. Otherwise all up to `last` is known: no number appears below it later.
    read_to = found[-1][0] if len(found) == limit else last
    joined = b",".join(body for _seq, body in found)
    # Who waits behind the end of the log would wait for ever.
    return bool(found) or after > last, json_bytes(b'{"data":[' + joined + b'],"last_seq":%d}' % read_to)


def _lost(after: int, lost_until: int) -> GatewayError:
    return GatewayError(
        410,
        "cursor_too_old",
        f"The change {after} is not in this log: it is another one, or was put back from a backup older than that. List the "
        f"events anew, then go on after {lost_until}.",
    )


def _check_kept(after: int, oldest: int) -> None:
    if after + 1 < oldest:
        raise GatewayError(
            410,
            "cursor_too_old",
            f"The changes behind {after} are no longer kept; the oldest is {oldest}. List the events anew, then go on "
            f"after {oldest - 1}.",
        )


async def _has_news(news: Listener, seconds: float, request: ApiRequest, draining: Draining) -> bool:
    """Wait for an announcement; False when time is up, the client hung up or the process is ending."""
    heard = asyncio.create_task(news.wait(seconds))
    others = [asyncio.create_task(_hung_up(request)), asyncio.create_task(draining.wait())]
    try:
        await asyncio.wait([heard, *others], return_when=asyncio.FIRST_COMPLETED)
        return heard.done() and heard.result()
    finally:
        for task in (heard, *others):
            task.cancel()
        for task in (heard, *others):
            with suppress(asyncio.CancelledError):
                await task


async def _hung_up(request: ApiRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _kinds(text: str | None) -> list[str] | None:
    if text is None:
        return None
    found = [kind.strip().removeprefix("event.") for kind in text.split(",")]
    if not set(found) <= set(KINDS):
        raise invalid("type", f"accepts {', '.join(KINDS)}, or several by comma")
    return found


ROUTES: Final = [list_changes]
