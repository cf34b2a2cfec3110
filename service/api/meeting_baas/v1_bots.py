"""Routes of bots in v1: on one event or on all of its series, answered with the events as they are then."""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from litestar import Response, delete, patch, post
from litestar.params import FromPath

from service.api.auth import ApiRequest
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.meeting_baas import bots
from service.api.meeting_baas.asking import OBJECT, Query
from service.api.meeting_baas.bots import Target
from service.api.meeting_baas.envelopes import HIDDEN, answer
from service.api.meeting_baas.errors import PREFIX
from service.api.meeting_baas.showing import shown_v1, viewed
from service.api.meeting_baas.v1_events import known_event
from service.core.meeting_baas.bot_param import changed_v1
from service.flows.gateway import Gateway
from service.store import meeting_baas

BOT: Final = f"{PREFIX}/calendar_events/{{uuid:str}}/bot"
RECORD: Final = f"{PREFIX}/calendars/{{calendar:str}}/events/{{uuid:str}}/record"


@post(BOT, status_code=200, **HIDDEN)
async def schedule(uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    return await _schedule(request, gateway, uuid, None)


@post(RECORD, status_code=200, **HIDDEN)
async def schedule_by_path(
    calendar: FromPath[str], uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[bytes]:
    return await _schedule(request, gateway, uuid, calendar)


@patch(BOT, **HIDDEN)
async def update(uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    return await _update(request, gateway, uuid, None)


@patch(RECORD, **HIDDEN)
async def update_by_path(
    calendar: FromPath[str], uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[bytes]:
    return await _update(request, gateway, uuid, calendar)


@delete(BOT, status_code=200, **HIDDEN)
async def unschedule(uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    return await _unschedule(request, gateway, uuid, None)


@delete(RECORD, status_code=200, **HIDDEN)
async def unschedule_by_path(
    calendar: FromPath[str], uuid: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[bytes]:
    return await _unschedule(request, gateway, uuid, calendar)


async def _schedule(request: ApiRequest, gateway: Gateway, event_id: str, calendar_id: str | None) -> Response[bytes]:
    body = await OBJECT.read(request)
    config = bots.checked_config(body, needs_name=True)

    async def work(_object_id: UUID) -> Response[bytes]:
        async def plan(target: Target) -> None:
            await bots.plan(gateway, request.auth.project_id, target, config)

        return await _done(request, gateway, event_id, calendar_id, plan)

    return await once(gateway, request, work)


async def _update(request: ApiRequest, gateway: Gateway, event_id: str, calendar_id: str | None) -> Response[bytes]:
    body = bots.checked_config(await OBJECT.read(request), needs_name=False)

    async def change(target: Target) -> None:
        await bots.change(gateway, request.auth.project_id, target, lambda config: changed_v1(config, body))

    return await _done(request, gateway, event_id, calendar_id, change)


async def _unschedule(request: ApiRequest, gateway: Gateway, event_id: str, calendar_id: str | None) -> Response[bytes]:
    async def drop(target: Target) -> None:
        await bots.drop(gateway, request.auth.project_id, target)

    return await _done(request, gateway, event_id, calendar_id, drop)


async def _done(
    request: ApiRequest,
    gateway: Gateway,
    event_id: str,
    calendar_id: str | None,
    do: Callable[[Target], Awaitable[None]],
) -> Response[bytes]:
    """Do something to the event, or to its series where all occurrences are meant, and show what was meant."""
    project_id = request.auth.project_id
    means_all = Query(request).flag("all_occurrences", default=False)
    async with gateway.database.read() as conn:
        row = await known_event(conn, request, event_id, calendar_id)
    target, event = bots.single(row), viewed(row)
    if means_all and event.series_id is not None:
        target = await bots.whole_series(gateway, project_id, event.calendar_id, event.series_id)
    await do(target)
    async with gateway.database.read() as conn:
        rows = await meeting_baas.events_named(conn, project_id, [one.id for one in target.events])
        return answer(await shown_v1(gateway, conn, project_id, rows))


ROUTES: Final = [schedule, schedule_by_path, update, update_by_path, unschedule, unschedule_by_path]
