"""What users ask for: an event made, changed or removed, and how it went."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET

from service.core.drafts import Patch, for_series
from service.errors import CannotBeSilent, FieldProblem, GatewayError, ProviderError, TransientFault
from service.flows.gateway import Gateway
from service.flows.writing import carrying
from service.flows.writing.opening import Opened, Overtaken, begin, give_up, put_off
from service.flows.writing.reaching import reach
from service.flows.writing.refusals import (
    FAULTS,
    GONE_ON_WITH,
    TAKEN_BACK,
    UNKNOWN,
    UNKNOWN_SENTENCE,
    UNTOUCHED,
    refuse,
    refuse_silence,
)
from service.flows.writing.scene import Job, Scene, check_direction, set_scene
from service.flows.writing.sentences import is_read_there
from service.flows.writing.validation import check_time
from service.providers.writing import Target
from service.store import event_writes, events
from service.store.tables import Found

_log = logging.getLogger(__name__)
SOON: Final = timedelta(seconds=5)
_NO_CONFERENCE: Final = (
    "The provider could not make a conference ({}) for this event; whatever else was asked for is written."
)
_NO_RULE: Final = "One occurrence has no rule of its own: PATCH the event with ?series=true to change its whole series."

Work = Callable[[Scene, Opened], Awaitable[UUID]]


class Meant(msgspec.Struct, frozen=True, kw_only=True):
    """The event that a change is about; `version` is what its author has seen, `is_series` the whole series."""

    event_id: UUID
    is_series: bool = False
    version: int | None = None
    notify: bool | None = None


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
    found = await _carry(scene, opened, carrying.change)
    if opened.progress.lacks is not None:
        raise GatewayError(422, "validation_failed", _NO_CONFERENCE.format(opened.progress.lacks))
    return found


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
        if opened.row.kind != "remove" and not opened.is_repeat:
            # What a repeated wish has made already would be in its own way.
            await check_time(scene, opened)
        return await work(scene, opened)
    except (*FAULTS, Overtaken) as error:
        fault = TransientFault("it took too long") if isinstance(error, Overtaken) else error
        fate = _fate(scene, opened)
        if not await _leave_open(gateway, opened, fate, fault.reason):
            # Somebody else has taken it over meanwhile, and may have brought it to its end.
            async with gateway.database.read() as conn:
                row = await event_writes.found(conn, opened.id)
            if row is not None and row.state == "done":
                done: UUID = row.event_id
                return done
        refuse(scene.calendar.provider, fault, gateway.clock(), fate)
    except ProviderError as error:
        await _leave_nothing(scene, opened, error.reason)
        if isinstance(error, CannotBeSilent) and opened.job.notify is None:
            refuse_silence(error)
        refuse(scene.calendar.provider, error, gateway.clock(), UNTOUCHED)
    except GatewayError as error:
        await _leave_nothing(scene, opened, error.detail)
        raise


def _fate(scene: Scene, opened: Opened) -> str:
    """What becomes of a wish whose answer is lost, for whoever made it."""
    if opened.row.kind != "create":
        return UNKNOWN
    if opened.row.request_key is not None:
        return GONE_ON_WITH
    return UNKNOWN_SENTENCE if opened.job.draft is None and is_read_there(scene) else TAKEN_BACK


async def _leave_open(gateway: Gateway, opened: Opened, fate: str, reason: str) -> bool:
    """Have done what was said of a wish whose answer is lost; False when it has ended, or passed to somebody else."""
    if fate in {UNKNOWN, UNKNOWN_SENTENCE}:
        return await give_up(gateway, opened, reason)
    # Who can ask again with the same key will; of what nobody asks for any more nothing may be left.
    return await put_off(gateway, opened, "undoing" if fate == TAKEN_BACK else "pending", SOON, reason)


async def _leave_nothing(scene: Scene, opened: Opened, reason: str) -> None:
    gateway, draft = scene.gateway, opened.job.draft
    # With a conference it may have been made without one; and what somebody else has in hand by now is not ours to end.
    may_be_there = opened.is_repeat or opened.progress.may_have_made
    is_clean = not may_be_there and (draft is None or draft.conference is None)
    if is_clean and (await give_up(gateway, opened, reason) or opened.row.kind != "create"):
        return
    if not await put_off(gateway, opened, "undoing", timedelta(0), reason) and opened.row.kind == "create":
        await _withdraw_now(scene, opened)


async def _withdraw_now(scene: Scene, opened: Opened) -> None:
    """Take back what was made of a wish that is gone with its calendar: nobody else will."""
    async with scene.gateway.database.read() as conn:
        row = await event_writes.found(conn, opened.id)
    if row is not None:
        return
    try:
        await carrying.undo(scene, opened)
    except (ProviderError, GatewayError) as error:
        _log.warning("write %s: its calendar is gone, and its event may be left (%s)", opened.id, error)
