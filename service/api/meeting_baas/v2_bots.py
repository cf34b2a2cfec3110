"""Routes of bots in v2: several events are answered at once, those that cannot have a bot with the reason."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from litestar import Response, delete, patch, post
from litestar.params import FromPath

from service.api.auth import ApiRequest
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.meeting_baas import bots
from service.api.meeting_baas.asking import NIL, OBJECT, uuid_of
from service.api.meeting_baas.bots import Target
from service.api.meeting_baas.envelopes import HIDDEN, answer
from service.api.meeting_baas.errors import DialectError
from service.api.meeting_baas.showing import viewed
from service.api.meeting_baas.v2_calendars import CALENDAR, known_calendar, path_uuid
from service.api.meeting_baas.v2_events import event_unknown
from service.api.problems import invalid
from service.core.event import EventView
from service.core.meeting_baas import v2
from service.core.meeting_baas.bot_param import changed_v2, check_switches, config_of
from service.core.meeting_baas.identity import event_status
from service.core.meeting_baas.refusals import EVENT_CANCELLED, NO_MEETING_URL, SERIES_NOT_FOUND, translate
from service.core.meeting_baas.series import SeriesName, find_series
from service.flows.gateway import Gateway
from service.store import events, meeting_baas

BOTS: Final = f"{CALENDAR}/bots"


@post(BOTS, status_code=201, **HIDDEN)
async def schedule(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    within = path_uuid(calendar_id, "calendar_id")
    body = await OBJECT.read(request)
    config = bots.checked_config(config_of(body), needs_name=True)

    async def work(_object_id: UUID) -> Response[bytes]:
        target = await _target(request, gateway, within, body)
        faults = [fault for event in target.events if (fault := _fault(event)) is not None]
        refused = {fault.event_id for fault in faults}
        done = [event for event in target.events if event.id not in refused]
        if done or not faults:
            await bots.plan(gateway, request.auth.project_id, target, config)
        return _batch(done, faults, status=201)

    return await once(gateway, request, work)


@patch(BOTS, **HIDDEN)
async def update(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    within = path_uuid(calendar_id, "calendar_id")
    body = await OBJECT.read(request)
    changes = bots.checked_config(config_of(body), needs_name=False)
    if (wrong := check_switches(changes)) is not None:
        raise invalid(*wrong)
    target = await _target(request, gateway, within, body)
    await bots.change(gateway, request.auth.project_id, target, lambda config: changed_v2(config, changes))
    return _batch(target.events, [])


@delete(BOTS, status_code=200, **HIDDEN)
async def unschedule(calendar_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[bytes]:
    """Events that have no bot are named too: what was asked for is so."""
    within = path_uuid(calendar_id, "calendar_id")
    target = await _target(request, gateway, within, await OBJECT.read(request))
    await bots.drop(gateway, request.auth.project_id, target)
    return _batch(target.events, [])


async def _target(request: ApiRequest, gateway: Gateway, calendar_id: UUID, body: Mapping[str, Any]) -> Target:
    """Which events a body means.

    A `series_id` is asked for where all occurrences are meant, and even then an `event_id` may stand in for it: the
    vendor's client has no way to say which series it means when it takes a bot back. Raises GatewayError 404 and 422.
    """
    means_all = body.get("all_occurrences") or False
    if not isinstance(means_all, bool):
        raise invalid("all_occurrences", "has to be true or false")
    event_id, series_id = _id(body, "event_id"), _id(body, "series_id")
    series_id = None if series_id == NIL else series_id
    if event_id is None and (series_id is None or not means_all):
        raise invalid("series_id" if means_all else "event_id", "is required")
    project_id = request.auth.project_id
    async with gateway.database.read() as conn:
        await known_calendar(conn, request, calendar_id)
        name = None
        if means_all and series_id is not None:
            known = await meeting_baas.series_names(conn, project_id, calendar_id)
            name = find_series(calendar_id, series_id, *known)
            if name is None:
                raise DialectError(404, SERIES_NOT_FOUND, "The calendar has no series with this series_id.")
            event_id = name.event_id
        row = None if event_id is None else await events.one(conn, project_id, event_id, calendar_id)
    if row is None and (name is None or name.series_id is None):
        raise event_unknown()
    if means_all and name is None and row is not None:
        name = SeriesName(series_id=viewed(row).series_id)
    if name is not None and name.series_id is not None:
        return await bots.whole_series(gateway, project_id, calendar_id, name.series_id)
    if row is None:
        raise event_unknown()
    return bots.single(row)


def _id(body: Mapping[str, Any], name: str) -> UUID | None:
    given = body.get(name)
    if given is None:
        return None
    found = uuid_of(given)
    if found is None:
        raise invalid(name, "is not a UUID")
    return found


def _fault(event: EventView) -> v2.EventFault | None:
    """Why an event cannot have a bot, if it cannot."""
    if event_status(event.status, event.response_status) == "cancelled":
        _, code = translate("v2", 422, EVENT_CANCELLED)
        return v2.EventFault(event_id=event.id, code=code, message="The event is cancelled, or declined.", details=None)
    if event.meeting is None:
        _, code = translate("v2", 422, NO_MEETING_URL)
        return v2.EventFault(event_id=event.id, code=code, message="The event has no meeting URL.", details=None)
    return None


def _batch(done: Sequence[EventView], faults: list[v2.EventFault], *, status: int = 200) -> Response[bytes]:
    return answer(v2.Batch(data=[v2.EventRef(event.id) for event in done], errors=faults), status=status)


ROUTES: Final = [schedule, update, unschedule]
