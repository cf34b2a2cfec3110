"""What users ask for: an event made, changed or removed, and how it went."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET

from service.core.drafts import Patch, for_series
from service.errors import FieldProblem, GatewayError, ProviderError
from service.flows.gateway import Gateway
from service.flows.writing import carrying
from service.flows.writing.opening import Opened, begin, give_up, put_off
from service.flows.writing.reaching import reach
from service.flows.writing.refusals import FAULTS, GONE_ON_WITH, TAKEN_BACK, UNKNOWN, UNTOUCHED, refuse
from service.flows.writing.scene import Job, Scene, check_direction, set_scene
from service.flows.writing.validation import check_time
from service.providers.writing import Target
from service.store import events
from service.store.tables import Found

SOON: Final = timedelta(seconds=5)
_NO_RULE: Final = "One occurrence has no rule of its own: PATCH the event with ?series=true to change its whole series."

Work = Callable[[Scene, Opened], Awaitable[UUID]]


class Meant(msgspec.Struct, frozen=True, kw_only=True):
    """The event that a change is about; `version` is what its author has seen, `is_series` the whole series."""

    event_id: UUID
    is_series: bool = False
    version: int | None = None
    notify: bool = True


async def create_event(
    gateway: Gateway, project_id: UUID, calendar_id: UUID, job: Job, *, event_id: UUID, request_key: bytes | None
) -> UUID:
    """Write a new event to a provider, once: its id, `event_id` unless a read has met the event first.

    `request_key` tells the request from every other: the same one again goes on where the first broke off, or gets what it
    made. Raises GatewayError; after 503 nothing is left, unless the request comes again.
    """
    scene = await set_scene(gateway, project_id, calendar_id)
    check_direction(scene)
    in_turn = scene.settings.validate_availability
    opened = await begin(
        gateway, scene.calendar, "create", job, event_id=event_id, request_key=request_key, in_turn=in_turn
    )
    if opened.is_done:
        found: UUID = opened.row.event_id
        return found
    return await _carry(scene, opened, carrying.create)


async def change_event(
    gateway: Gateway,
    project_id: UUID,
    meant: Meant,
    patch: Patch,
    *,
    buffer_before: int | None = None,
    buffer_after: int | None = None,
) -> UUID:
    """Change an event at its provider: its id. Raises GatewayError, 412 where it is another than `meant.version`."""
    scene, row = await _find(gateway, project_id, meant)
    if patch.recurrence is not UNSET and row.series_id is not None and not meant.is_series:
        raise GatewayError(422, "validation_failed", _NO_RULE, errors=[FieldProblem("recurrence", _NO_RULE)])
    begins_at = patch.starts_at if isinstance(patch.starts_at, datetime) else None
    if meant.is_series and patch.moves:
        patch = await _for_series(scene, row, patch)
    job = msgspec.structs.replace(
        _about(row, meant, patch=patch),
        buffer_before=buffer_before,
        buffer_after=buffer_after,
        occurrence_starts_at=begins_at,
    )
    in_turn = scene.settings.validate_availability
    opened = await begin(gateway, scene.calendar, "change", job, event_id=row.id, in_turn=in_turn)
    return await _carry(scene, opened, carrying.change)


async def remove_event(gateway: Gateway, project_id: UUID, meant: Meant) -> None:
    """Delete an event at its provider; one that is gone there already is a success. Raises GatewayError."""
    scene, row = await _find(gateway, project_id, meant)
    opened = await begin(gateway, scene.calendar, "remove", _about(row, meant), event_id=row.id)
    await _carry(scene, opened, carrying.remove)


async def _find(gateway: Gateway, project_id: UUID, meant: Meant) -> tuple[Scene, Found]:
    async with gateway.database.read() as conn:
        row = await events.place_of(conn, project_id, meant.event_id)
    if row is None or row.deleted_at is not None:
        raise GatewayError(404, "not_found", "There is no such event.")
    if meant.version is not None and meant.version != row.version:
        raise GatewayError(412, "precondition_failed", f"The event is at version {row.version} by now.")
    if meant.is_series and row.series_id is None:
        raise GatewayError(422, "validation_failed", "The event is not one of a series.")
    scene = await set_scene(gateway, project_id, row.calendar_id)
    check_direction(scene)
    return scene, row


def _about(row: Found, meant: Meant, *, patch: Patch | None = None) -> Job:
    return Job(
        patch=patch,
        provider_event_id=row.series_id if meant.is_series else row.provider_event_id,
        series_id=row.series_id,
        is_series=meant.is_series,
        strict=meant.version is not None,
        version=meant.version,
        notify=meant.notify,
    )


async def _for_series(scene: Scene, row: Found, patch: Patch) -> Patch:
    """A change of an occurrence's time as one of its series, which moves by as much. Raises GatewayError."""
    gateway, calendar = scene.gateway, scene.calendar
    async with gateway.database.read() as conn:
        (event,) = (await events.stored(conn, [row.id])).values()
    target = Target(provider_event_id=row.series_id, is_series=True)
    try:
        whole = await reach(gateway, calendar, lambda access: scene.writer.read(access, scene.place, target))
    except ProviderError as error:
        refuse(calendar.provider, error, gateway.clock(), UNTOUCHED)
    slot = event.original_start_date or event.start_date if event.is_all_day else event.original_starts_at
    zone = patch.time_zone if isinstance(patch.time_zone, str) else event.time_zone or calendar.time_zone or "UTC"
    begins = whole.first_start_date or whole.first_starts_at
    moved = for_series(patch, slot or event.starts_at, begins, ZoneInfo(zone))
    if moved is None:
        detail = "A whole series cannot be turned from times into whole days, or the other way round."
        raise GatewayError(422, "validation_failed", detail)
    return moved


async def _carry(scene: Scene, opened: Opened, work: Work) -> UUID:
    gateway = scene.gateway
    try:
        if opened.row.kind != "remove" and opened.row.attempts == 0:
            await check_time(scene, opened)
        return await work(scene, opened)
    except FAULTS as error:
        if opened.row.kind == "create":
            # Who can ask again with the same key will; of what nobody asks for any more nothing may be left.
            state = "undoing" if opened.row.request_key is None else "pending"
            await put_off(gateway, opened, state, SOON, error.reason)
        else:
            await give_up(gateway, opened, error.reason)
        refuse(scene.calendar.provider, error, gateway.clock(), _fate(opened))
    except ProviderError as error:
        await _leave_nothing(gateway, opened, error.reason, is_made=isinstance(error, carrying.Spoilt))
        refuse(scene.calendar.provider, error, gateway.clock(), UNTOUCHED)
    except GatewayError as error:
        await _leave_nothing(gateway, opened, error.detail)
        raise


def _fate(opened: Opened) -> str:
    """What becomes of a wish whose answer is lost, for whoever made it."""
    if opened.row.kind != "create":
        return UNKNOWN
    return TAKEN_BACK if opened.row.request_key is None else GONE_ON_WITH


async def _leave_nothing(gateway: Gateway, opened: Opened, reason: str, *, is_made: bool = False) -> None:
    draft = opened.job.draft
    if is_made or (draft is not None and draft.conference is not None):
        await put_off(
            gateway, opened, "undoing", timedelta(0), reason
        )  # its call, or it without one, may have been made
    else:
        await give_up(gateway, opened, reason)
