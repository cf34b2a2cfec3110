"""A wish carried out: the requests that it takes, which may all be repeated, and then one transaction."""

import logging
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.drafts import Draft, Patch, given
from service.core.event import Event
from service.core.managed import (
    Remembered,
    complete,
    followed,
    guests_of,
    is_declined,
    left_on_list,
    remembered,
    shown,
    with_link,
)
from service.core.sync import Listed
from service.errors import CannotBeSilent, EventGone, FieldProblem, GatewayError, ProviderError
from service.flows.writing import buffers, calls
from service.flows.writing.asking import ask
from service.flows.writing.foreign import Superseded, remove_upon, write_upon
from service.flows.writing.opening import Opened, Overtaken, hold_still, keeper, lock
from service.flows.writing.reaching import reach
from service.flows.writing.refusals import FAULTS
from service.flows.writing.scene import Job, Scene, notifies
from service.flows.writing.sentences import wanted
from service.flows.writing.settling import Managed, Spoilt, encode_draft, recall, said_by, settle
from service.flows.writing.storing import Harvest, gone, harvest, store
from service.providers.protocol import Access
from service.providers.writing import Target, Written
from service.store import event_writes, events, managed_events
from service.store.tables import Found

_log = logging.getLogger(__name__)
_ONE_CALL: Final = "One occurrence has the Zoom call of its series: PATCH the event with ?series=true to change all of it, or delete the occurrence."


async def create(scene: Scene, opened: Opened) -> UUID:
    """Make the event, its call and its buffers, and store them: the event's id. Raises service.errors.ProviderError."""
    scene = _holding(scene, opened)
    job, key = opened.job, opened.row.key
    said = await wanted(scene, job, opened.row.created_at)
    if said is None:
        return await _quick_add(scene, opened)
    draft = remembered(said, scene.settings.event_privacy)
    call = await _make_call(scene, opened, draft) if draft.conference == calls.ZOOM else None
    ours = given_to_provider(scene, draft, call.url if call is not None else None)
    try:
        written = await _create(scene, opened, ours, key)
    except EventGone:
        # It was made and deleted under this key, which is used up.
        key = await _new_key(scene, opened)
        written = await _create(scene, opened, ours, key)
    if written.conference == "failed":
        raise Spoilt(f"it could not make a conference ({draft.conference})")
    before, after = job.buffer_before or 0, job.buffer_after or 0
    held, around = await buffers.keep(scene, draft, before, after, [], key)
    found = (await harvest(scene, written, draft.starts_at)).joined(around)
    values = _managed_values(opened, written, before, after, held, call)
    return await settle(scene, opened, found, written, Managed(draft=draft, values=values))


async def undo(scene: Scene, opened: Opened) -> None:
    """See to it that nothing is left of an event whose author was told that it failed. Raises ProviderError.

    Of a change that is the call which was made for it.
    """
    job, key = opened.job, opened.row.key
    if opened.row.kind != "create":
        await calls.withdraw(scene, key)
        return
    # What became of a sentence is known by its key alone, and by none where the provider has read it.
    draft = remembered(complete(job.draft or Draft(), scene.settings), scene.settings.event_privacy)
    ours = given_to_provider(scene, draft, None)
    await ask(scene, lambda access: scene.writer.withdraw(access, scene.place, ours, key=key))
    await buffers.withdraw(scene, draft, job.buffer_before or 0, job.buffer_after or 0, key)
    if draft.conference == calls.ZOOM:
        await calls.withdraw(scene, key)


async def change(scene: Scene, opened: Opened) -> UUID:
    """Change the event, and what hangs on it, and store it: the event's id. Raises service.errors.ProviderError."""
    scene = _holding(scene, opened)
    job, gateway = opened.job, scene.gateway
    patch = job.patch or Patch()
    async with gateway.database.read() as conn:
        managed = await _managed_of(conn, scene, job)
        whole_series = await _series_of(conn, scene, job) if managed is None else None
        before = (await events.stored(conn, [opened.row.event_id])).get(opened.row.event_id)
    asked = msgspec.structs.replace(patch, notify=notifies(scene, job))
    draft = call = None
    if managed is not None:
        draft = said_by(scene, managed, job)
        if draft.conference == calls.ZOOM:
            call = calls.held(managed) or await _make_call(scene, opened, draft)
        is_new_text = managed.call_url != (call.url if call else None)
        asked = _shown_patch(scene, asked, draft, call, before, is_new_text=is_new_text)
    elif whole_series is not None:
        asked = _shown_of_occurrence(scene, asked, whole_series, job, before)
    elif patch.conference == calls.ZOOM:
        raise GatewayError(422, "validation_failed", "Zoom meetings are made for events alone that were written here.")
    written = await _write(scene, opened, asked)
    if written.conference == "failed":
        opened.progress.lacks = str(patch.conference)
    moment = draft.starts_at if draft is not None else patch.starts_at
    moment = moment if isinstance(moment, datetime) else None
    was_series = job.series_id if job.is_series else None
    found = await harvest(scene, written, moment, was_series=was_series)
    if managed is None or draft is None:
        return await settle(scene, opened, found, written, None)
    if managed.zoom_meeting_id is not None:
        # Only now, as a change that is refused must not move the call, nor take it away.
        call, previous = await calls.follow(scene, managed, draft, opened.row.key), call
        if call is not None and previous is not None and call.url != previous.url:
            opened.progress.has_made = True
            whole = given_to_provider(scene, draft, call.url)
            text = Patch(description=whole.description, location=whole.location, notify=asked.notify)
            target = Target(provider_event_id=job.provider_event_id, is_series=job.is_series)
            written = await ask(scene, partial(_do_change, scene, text, target))
            found = await harvest(scene, written, moment, was_series=was_series)
    lead = managed.buffer_before if job.buffer_before is None else job.buffer_before
    trail = managed.buffer_after if job.buffer_after is None else job.buffer_after
    held, around = await buffers.keep(scene, draft, lead, trail, managed.buffers, opened.row.key)
    values = {"buffer_before": lead, "buffer_after": trail, "buffers": held, **calls.columns(call)}
    values |= _doubts(scene, before, written)
    # What we set right ourselves is counted, so that two who will not give way come to an end.
    values["attempts"] = managed.attempts + 1 if job.is_news else 0
    return await settle(scene, opened, found.joined(around), written, _ours(managed, written, draft, values))


async def follow(scene: Scene, opened: Opened) -> UUID:
    """Bring what hangs on an event in line with what somebody has made of it. Raises service.errors.ProviderError."""
    scene = _holding(scene, opened)
    job, gateway, now = opened.job, scene.gateway, scene.gateway.clock()
    draft = job.draft or Draft()
    async with gateway.database.read() as conn:
        managed = await _managed_of(conn, scene, job)
        if not await _is_judged(conn, scene, job):
            raise Superseded("superseded")
    around, values = Harvest(), {}
    if managed is not None and scene.settings.sync_direction == "inbound":
        values = {"attempts": 0, "written": bytes.fromhex(job.fingerprint or ""), "updated_at": now}
    elif managed is not None:
        call = await calls.follow(scene, managed, draft, opened.row.key)
        before, after, key = managed.buffer_before, managed.buffer_after, opened.row.key
        held, around = await buffers.keep(scene, draft, before, after, managed.buffers, key)
        written = bytes.fromhex(job.fingerprint or "")
        values = {"buffers": held, "attempts": 0, "written": written, "updated_at": now, **calls.columns(call)}
    found: UUID = opened.row.event_id
    async with gateway.database.write() as conn:
        row = await lock(conn, opened, now, now)
        if not await event_writes.end(conn, opened.id, opened.lease, "done", now):
            raise Overtaken("overtaken")
        await store(gateway, conn, row, around, now, uuid4())
        if managed is not None and not await _is_judged(conn, scene, job):
            # It was written meanwhile: what it says by now stands, and is to be judged anew.
            del values["written"]
            await managed_events.change(conn, gateway.cipher, managed, values | {"look_at": now})
            gateway.wake.after(conn, "managed")
        elif managed is not None:
            kept = encode_draft(followed(draft, recall(scene, managed)))
            await managed_events.change(conn, gateway.cipher, managed, values, kept)
        if await event_writes.let_go(conn, row.id, now):
            gateway.wake.after(conn, "sync")
    return found


async def remove(scene: Scene, opened: Opened) -> UUID:
    """Delete the event, and what hangs on it, and store that. Raises service.errors.ProviderError."""
    scene = _holding(scene, opened)
    job = opened.job
    async with scene.gateway.database.read() as conn:
        managed = await _managed_of(conn, scene, job)
        if job.is_news and not await _is_judged(conn, scene, job):
            raise Superseded("superseded")
    if not job.is_gone:
        try:
            await remove_upon(scene, opened, partial(_remove, scene, notifies(scene, job)))
        except CannotBeSilent:
            if not job.is_news:
                raise
            # Nobody asks for this at the moment who could choose: that it is called off counts for more than silence.
            await remove_upon(scene, opened, partial(_remove, scene, True))
    found = gone(job.provider_event_id, job.series_id, is_series=job.is_series)
    if managed is not None:
        found = found.joined(await buffers.drop(scene, managed.buffers))
        await calls.drop(scene, managed)
    return await settle(scene, opened, found, None, None, forgets=managed)


def given_to_provider(scene: Scene, draft: Remembered, url: str | None) -> Draft:
    """What the provider is given of what an author said."""
    return with_link(shown(complete(draft, scene.settings)), url)


async def _quick_add(scene: Scene, opened: Opened) -> UUID:
    gateway, row, job = scene.gateway, scene.calendar, opened.job
    adder = gateway.quick_adders[row.provider]
    notify = notifies(scene, job)
    since: datetime = opened.row.created_at
    written = await reach(
        gateway, row, lambda access: adder.quick_add(access, scene.place, job.text or "", notify=notify, now=since)
    )
    managed = None
    if written.item is not None and isinstance(written.item, Listed):
        event = written.item.event
        draft = Remembered(
            title=event.title,
            description=event.description,
            location=event.location,
            starts_at=None if event.is_all_day else event.starts_at,
            ends_at=None if event.is_all_day else event.ends_at,
            start_date=event.start_date,
            end_date=event.end_date,
            attendees=guests_of(event),
            visibility=event.visibility,
            is_busy=event.is_busy,
            notify=notify,
            hidden=[],
        )
        managed = Managed(draft=draft, values=_managed_values(opened, written, 0, 0, [], None))
    return await settle(scene, opened, await harvest(scene, written), written, managed)


def _holding(scene: Scene, opened: Opened) -> Scene:
    return msgspec.structs.replace(scene, hold=keeper(scene.gateway, opened))


async def _make_call(scene: Scene, opened: Opened, draft: Draft) -> calls.Call:
    call = await calls.make(scene, draft, opened.row.key)
    opened.progress.has_made = True
    return call


async def _write(scene: Scene, opened: Opened, patch: Patch) -> Written:
    try:
        return await write_upon(scene, opened, partial(_change, scene, patch), patch)
    except (*FAULTS, Overtaken):
        raise
    except (ProviderError, GatewayError):
        await _take_back_call(scene, opened)
        raise


async def _take_back_call(scene: Scene, opened: Opened) -> None:
    """Leave no call that was made for a change which is refused; while Zoom is away, it is left to whoever undoes the wish."""
    if not opened.progress.has_made:
        return
    try:
        await calls.withdraw(scene, opened.row.key)
    except ProviderError as error:
        _log.warning("write %s: its call is taken back later (%s)", opened.id, error)
    else:
        opened.progress.has_made = False


async def _create(scene: Scene, opened: Opened, draft: Draft, key: str) -> Written:
    async def make(access: Access) -> Written:
        opened.progress.tries += 1
        return await scene.writer.create(access, scene.place, draft, key=key)

    written = await ask(scene, make)
    opened.progress.has_made = True
    return written


async def _change(scene: Scene, patch: Patch, access: Access, target: Target, strict: bool) -> Written:
    if not given(patch):
        return await scene.writer.read(access, scene.place, target)
    return await scene.writer.change(access, scene.place, target, patch, strict=strict)


async def _do_change(scene: Scene, patch: Patch, target: Target, access: Access) -> Written:
    return await _change(scene, patch, access, target, strict=False)


async def _remove(scene: Scene, notify: bool, access: Access, target: Target, strict: bool) -> None:
    await scene.writer.remove(access, scene.place, target, notify=notify, strict=strict)


async def _new_key(scene: Scene, opened: Opened) -> str:
    key = uuid4().hex
    now = scene.gateway.clock()
    async with scene.gateway.database.write() as conn:
        await hold_still(conn, opened, now)
        await event_writes.take(conn, opened.id, {"key": key})
    return key


async def _is_judged(conn: AsyncConnection, scene: Scene, job: Job) -> bool:
    """Whether the event still is what it was when somebody decided what to do about it."""
    known = await events.known(conn, scene.calendar.id, rows=[job.provider_event_id])
    found = known.get(job.provider_event_id)
    return found is None or not job.fingerprint or found.fingerprint.hex() == job.fingerprint


async def _managed_of(conn: AsyncConnection, scene: Scene, job: Job) -> Found | None:
    """The managed event that a wish is about; one occurrence of a series is not the series."""
    return await managed_events.of_event(conn, scene.calendar.id, job.provider_event_id)


async def _series_of(conn: AsyncConnection, scene: Scene, job: Job) -> Found | None:
    """The managed series that an occurrence is one of."""
    if job.is_series or job.series_id is None:
        return None
    return await managed_events.of_event(conn, scene.calendar.id, job.series_id)


def _doubts(scene: Scene, before: Event | None, written: Written) -> dict[str, Any]:
    """What has an event judged once more after a change by which nobody is left of its guests but who has declined."""
    after = written.item.event if isinstance(written.item, Listed) else None
    is_left = after is not None and is_declined(after) and (before is None or not is_declined(before))
    is_wanted = is_left and scene.settings.cancel_if_declined_or_deleted
    return {"written": b"", "look_at": scene.gateway.clock()} if is_wanted else {}


def _shown_of_occurrence(scene: Scene, patch: Patch, series: Found, job: Job, before: Event | None) -> Patch:
    """The part of a patch of one occurrence of our series that the provider may see, which is no more than of the series.

    Nothing is remembered of it. Raises GatewayError 422 where it is to have another Zoom call than its series, or none.
    """
    if patch.conference == calls.ZOOM or (patch.conference is not UNSET and series.call_url is not None):
        raise GatewayError(422, "validation_failed", _ONE_CALL, errors=[FieldProblem("conference", _ONE_CALL)])
    return _shown_patch(scene, patch, said_by(scene, series, job), calls.held(series), before, is_new_text=False)


def _shown_patch(
    scene: Scene,
    patch: Patch,
    draft: Remembered,
    call: "calls.Call | None",
    before: Event | None,
    *,
    is_new_text: bool,
) -> Patch:
    """The part of a patch that the provider may see; text in which a link to join stands is given whole."""
    fields = given(patch)
    whole = given_to_provider(scene, draft, call.url if call is not None else None)
    for name in fields.keys() & {"title", "description", "location", "attendees"}:
        fields[name] = getattr(whole, name)
    if "attendees" in fields and "attendees" in (draft.hidden or ()):
        fields["attendees"] = left_on_list(draft, before)
    if is_new_text:
        fields |= {"description": whole.description, "location": whole.location}
    if fields.get("conference") == calls.ZOOM:
        # The provider's own would be the event's meeting otherwise, and bots would wait there.
        fields["conference"] = None
    return Patch(**fields, notify=patch.notify)


def _managed_values(
    opened: Opened,
    written: Written,
    before: int,
    after: int,
    held: list[dict[str, Any]],
    call: "calls.Call | None",
) -> dict[str, Any]:
    row = opened.row
    return {
        "project_id": row.project_id,
        "calendar_id": row.calendar_id,
        "provider_event_id": written.provider_event_id,
        "series_id": written.series_id,
        "buffer_before": before,
        "buffer_after": after,
        "buffers": held,
        "attempts": 0,
        **calls.columns(call),
    }


def _ours(managed: Found, written: Written, draft: Remembered, values: dict[str, Any]) -> Managed:
    """What is to be remembered of a managed event that was changed, which may be a series by now, or one event."""
    names = ("event_id", "project_id", "calendar_id", "provider_event_id", "series_id")
    kept = {name: getattr(managed, name) for name in names} | values
    if (managed.series_id is None) == (written.series_id is None):
        return Managed(draft=draft, values=kept)
    turned = kept.pop("event_id")
    return Managed(draft=draft, values=kept | {"series_id": written.series_id}, replaces=turned)
