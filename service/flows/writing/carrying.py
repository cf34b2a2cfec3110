"""A wish carried out: the requests that it takes, which may all be repeated, and then one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.drafts import Draft, Patch, given, patched
from service.core.managed import complete, shown, with_link
from service.core.sync import Known, Listed
from service.errors import EventGone, GatewayError, RequestRefused
from service.flows.writing import buffers, calls
from service.flows.writing.opening import Opened
from service.flows.writing.reaching import reach
from service.flows.writing.scene import Job, Scene
from service.flows.writing.sentences import wanted
from service.flows.writing.storing import Harvest, gone, harvest, store
from service.providers.writing import Target, Written
from service.store import event_writes, events, managed_events
from service.store.tables import Found

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Draft).decode


class Spoilt(RequestRefused):
    """The provider has made something else than was asked for: it is to be taken back."""


class Managed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be remembered of an event that is ours: columns of its row, and what its author said, whole.

    What was one event and is a series by now, or the other way round, `replaces` the row of another event.
    """

    draft: Draft
    values: dict[str, Any]
    replaces: UUID | None = None


async def create(scene: Scene, opened: Opened) -> UUID:
    """Make the event, its call and its buffers, and store them: the event's id. Raises service.errors.ProviderError."""
    job, key = opened.job, opened.row.key
    draft = await wanted(scene, job, opened.row.created_at)
    if draft is None:
        return await _quick_add(scene, opened)
    call = await calls.make(scene, draft, key) if draft.conference == calls.ZOOM else None
    ours = given_to_provider(scene, draft, call.url if call is not None else None)
    try:
        written = await _create(scene, ours, key)
    except EventGone:
        # It was made and deleted under this key, which is used up.
        key = await _new_key(scene, opened)
        written = await _create(scene, ours, key)
    if written.conference == "failed":
        raise Spoilt(f"it could not make a conference ({draft.conference})")
    before, after = job.buffer_before or 0, job.buffer_after or 0
    held, around = await buffers.keep(scene, draft, before, after, [], key)
    found = (await harvest(scene, written, draft.starts_at)).joined(around)
    values = _managed_values(opened, written, before, after, held, call)
    return await _settle(scene, opened, found, written, Managed(draft=draft, values=values))


async def undo(scene: Scene, opened: Opened) -> None:
    """See to it that nothing is left of an event whose author was told that it failed. Raises ProviderError."""
    job, key = opened.job, opened.row.key
    # What became of a sentence is known by its key alone, and by none where the provider has read it.
    draft = complete(job.draft or Draft(), scene.settings)
    ours = given_to_provider(scene, draft, None)
    await reach(scene.gateway, scene.calendar, lambda access: scene.writer.withdraw(access, scene.place, ours, key=key))
    await buffers.withdraw(scene, draft, job.buffer_before or 0, job.buffer_after or 0, key)
    if draft.conference == calls.ZOOM:
        await calls.withdraw(scene, key)


async def change(scene: Scene, opened: Opened) -> UUID:
    """Change the event, and what hangs on it, and store it: the event's id. Raises service.errors.ProviderError."""
    job, gateway = opened.job, scene.gateway
    patch = job.patch or Patch()
    async with gateway.database.read() as conn:
        managed = await _managed_of(conn, scene, job)
        whole_series = await _series_of(conn, scene, job) if managed is None else None
        raw = await events.source(conn, opened.row.event_id)
    target = Target(provider_event_id=job.provider_event_id, raw=raw, is_series=job.is_series)
    asked = msgspec.structs.replace(patch, notify=_notifies(scene, job))
    draft = call = None
    if managed is not None:
        draft = patched(_decode(managed_events.opened(gateway.cipher, managed)), patch)
        call = calls.held(managed) if draft.conference == calls.ZOOM else None
        if call is None and draft.conference == calls.ZOOM:
            call = await calls.make(scene, draft, opened.row.key)
        asked = _shown_patch(scene, asked, draft, call, is_new_text=managed.call_url != (call.url if call else None))
    elif patch.conference == calls.ZOOM:
        raise GatewayError(422, "validation_failed", "Zoom meetings are made for events alone that were written here.")
    elif whole_series is not None:
        # One occurrence of our series: nothing is remembered of it, and the provider is shown no more of it than of the series.
        occurrence = patched(_decode(managed_events.opened(gateway.cipher, whole_series)), patch)
        asked = _shown_patch(scene, asked, occurrence, calls.held(whole_series), is_new_text=False)
    written = await _change(scene, target, asked, strict=job.strict)
    moment = draft.starts_at if draft is not None else patch.starts_at
    moment = moment if isinstance(moment, datetime) else None
    was_series = job.series_id if job.is_series else None
    found = await harvest(scene, written, moment, was_series=was_series)
    if managed is None or draft is None:
        return await _settle(scene, opened, found, written, None)
    if managed.zoom_meeting_id is not None:
        # Only now, as a change that is refused must not move the call, nor take it away.
        call, previous = await calls.follow(scene, managed, draft, opened.row.key), call
        if call is not None and previous is not None and call.url != previous.url:
            whole = given_to_provider(scene, draft, call.url)
            text = Patch(description=whole.description, location=whole.location, notify=asked.notify)
            written = await _change(scene, target, text, strict=False)
            found = await harvest(scene, written, moment, was_series=was_series)
    before = managed.buffer_before if job.buffer_before is None else job.buffer_before
    after = managed.buffer_after if job.buffer_after is None else job.buffer_after
    held, around = await buffers.keep(scene, draft, before, after, managed.buffers, opened.row.key)
    values = {"buffer_before": before, "buffer_after": after, "buffers": held, **calls.columns(call)}
    # What we set right ourselves is counted, so that two who will not give way come to an end.
    kept = _kept(managed) | values | {"attempts": managed.attempts + 1 if job.is_news else 0}
    turned = None
    if (managed.series_id is None) != (written.series_id is None):
        turned = kept.pop("event_id")
        kept["series_id"] = written.series_id
    ours = Managed(draft=draft, values=kept, replaces=turned)
    return await _settle(scene, opened, found.joined(around), written, ours)


async def follow(scene: Scene, opened: Opened) -> UUID:
    """Bring what hangs on an event in line with what somebody has made of it. Raises service.errors.ProviderError."""
    job, gateway, now = opened.job, scene.gateway, scene.gateway.clock()
    draft = job.draft or Draft()
    async with gateway.database.read() as conn:
        managed = await _managed_of(conn, scene, job)
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
        row = await event_writes.hold(conn, scene.calendar.project_id, scene.calendar.id, now, now, force=True)
        if row is None or not await event_writes.end(conn, opened.id, opened.lease, "done", now):
            return found
        await store(gateway, conn, row, around, now, uuid4())
        if managed is not None:
            await managed_events.change(conn, gateway.cipher, managed, values, _encode(draft))
        if await event_writes.let_go(conn, row.id, now):
            gateway.wake.after(conn, "sync")
    return found


async def remove(scene: Scene, opened: Opened) -> UUID:
    """Delete the event, and what hangs on it, and store that. Raises service.errors.ProviderError."""
    job, gateway = opened.job, scene.gateway
    async with gateway.database.read() as conn:
        managed = await _managed_of(conn, scene, job)
        raw = await events.source(conn, opened.row.event_id)
    target = Target(provider_event_id=job.provider_event_id, raw=raw, is_series=job.is_series)
    if not job.is_gone:
        notify = _notifies(scene, job)
        await reach(
            gateway,
            scene.calendar,
            lambda access: scene.writer.remove(access, scene.place, target, notify=notify, strict=job.strict),
        )
    found = gone(job.provider_event_id, job.series_id, is_series=job.is_series)
    if managed is not None:
        found = found.joined(await buffers.drop(scene, managed.buffers))
        await calls.drop(scene, managed)
    return await _settle(scene, opened, found, None, None, forgets=managed)


def given_to_provider(scene: Scene, draft: Draft, url: str | None) -> Draft:
    """What the provider is given of what an author said."""
    settings = scene.settings
    return with_link(shown(complete(draft, settings), settings.event_privacy), url)


async def _quick_add(scene: Scene, opened: Opened) -> UUID:
    gateway, row, job = scene.gateway, scene.calendar, opened.job
    adder = gateway.quick_adders[row.provider]
    notify = _notifies(scene, job)
    since: datetime = opened.row.created_at
    written = await reach(
        gateway, row, lambda access: adder.quick_add(access, scene.place, job.text or "", notify=notify, now=since)
    )
    managed = None
    if written.item is not None and isinstance(written.item, Listed):
        event = written.item.event
        draft = Draft(
            title=event.title,
            description=event.description,
            location=event.location,
            starts_at=None if event.is_all_day else event.starts_at,
            ends_at=None if event.is_all_day else event.ends_at,
            start_date=event.start_date,
            end_date=event.end_date,
            notify=notify,
        )
        managed = Managed(draft=draft, values=_managed_values(opened, written, 0, 0, [], None))
    return await _settle(scene, opened, await harvest(scene, written), written, managed)


async def _create(scene: Scene, draft: Draft, key: str) -> Written:
    return await reach(
        scene.gateway, scene.calendar, lambda access: scene.writer.create(access, scene.place, draft, key=key)
    )


async def _change(scene: Scene, target: Target, patch: Patch, *, strict: bool) -> Written:
    if not given(patch):
        return await reach(scene.gateway, scene.calendar, lambda access: scene.writer.read(access, scene.place, target))
    return await reach(
        scene.gateway,
        scene.calendar,
        lambda access: scene.writer.change(access, scene.place, target, patch, strict=strict),
    )


async def _new_key(scene: Scene, opened: Opened) -> str:
    key = uuid4().hex
    async with scene.gateway.database.write() as conn:
        await event_writes.take(conn, opened.id, {"key": key})
    return key


async def _managed_of(conn: AsyncConnection, scene: Scene, job: Job) -> Found | None:
    """The managed event that a wish is about; one occurrence of a series is not the series."""
    return await managed_events.of_event(conn, scene.calendar.id, job.provider_event_id)


async def _series_of(conn: AsyncConnection, scene: Scene, job: Job) -> Found | None:
    """The managed series that an occurrence is one of."""
    if job.is_series or job.series_id is None:
        return None
    return await managed_events.of_event(conn, scene.calendar.id, job.series_id)


def _shown_patch(scene: Scene, patch: Patch, draft: Draft, call: "calls.Call | None", *, is_new_text: bool) -> Patch:
    """The part of a patch that the provider may see; text in which a link to join stands is given whole."""
    fields = given(patch)
    whole = given_to_provider(scene, draft, call.url if call is not None else None)
    for name in fields.keys() & {"title", "description", "location", "attendees"}:
        fields[name] = getattr(whole, name)
    if is_new_text:
        fields |= {"description": whole.description, "location": whole.location}
    if draft.conference == calls.ZOOM:
        fields.pop("conference", None)
    return Patch(**fields, notify=patch.notify)


def _notifies(scene: Scene, job: Job) -> bool:
    return job.notify and not scene.settings.disable_attendee_notification


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


def _kept(managed: Found) -> dict[str, Any]:
    names = ("event_id", "project_id", "calendar_id", "provider_event_id", "series_id")
    return {name: getattr(managed, name) for name in names}


async def _settle(
    scene: Scene,
    opened: Opened,
    found: Harvest,
    written: Written | None,
    managed: Managed | None,
    *,
    forgets: Found | None = None,
) -> UUID:
    """Store what a wish has come to, end it, and let reads in again, in one transaction; the id of its event."""
    gateway, now = scene.gateway, scene.gateway.clock()
    async with gateway.database.write() as conn:
        row = await event_writes.hold(conn, scene.calendar.project_id, scene.calendar.id, now, now, force=True)
        event_id: UUID = opened.row.event_id
        if row is None or not await event_writes.end(conn, opened.id, opened.lease, "done", now):
            return event_id  # it passed to somebody else, who stores the same
        dispatches = await store(gateway, conn, row, found, now, event_id, is_news=opened.job.is_news)
        if written is not None:
            event_id = await _remember(scene, conn, opened, written, managed, now)
        if forgets is not None:
            await managed_events.remove(conn, forgets.event_id)
        if await event_writes.let_go(conn, row.id, now):
            gateway.wake.after(conn, "sync")
    if dispatches and gateway.deliverer is not None:
        gateway.deliverer.submit(dispatches)
    return event_id


async def _remember(
    scene: Scene, conn: AsyncConnection, opened: Opened, written: Written, managed: Managed | None, now: datetime
) -> UUID:
    """Keep what is ours of the event that was just stored; its id. A series is known by its first occurrence."""
    row = opened.row
    is_whole = written.series_id == written.provider_event_id
    known = {} if is_whole else await events.known(conn, row.calendar_id, rows=[written.provider_event_id])
    if not known and written.series_id is not None:
        known = await events.known(conn, row.calendar_id, rows=[], series=[written.series_id])
    live = [each for each in known.values() if not each.is_cancelled]
    first = min(live, key=lambda each: each.starts_at, default=None)
    if first is None and row.kind == "change":
        kept: UUID = row.event_id
        return kept  # the series lies beyond what is kept of it
    if first is None:
        raise Spoilt("the provider's answer cannot be read as an event")
    if first.id != row.event_id and row.kind == "create":
        await event_writes.take(conn, opened.id, {"event_id": first.id})
    if managed is not None:
        values = {"event_id": first.id} | managed.values | {"written": first.fingerprint}
        values |= {"updated_at": now, "created_at": now}
        if managed.replaces is not None:
            await managed_events.remove(conn, managed.replaces)
        await managed_events.put(conn, scene.gateway.cipher, values, _encode(managed.draft))
    return first.id if row.kind == "create" else _shown(known, row.event_id, opened.job)


def _shown(known: Mapping[str, Known], event_id: UUID, job: Job) -> UUID:
    """The event that a change is answered with: itself, or the occurrence that has taken its place."""
    live = sorted((each for each in known.values() if not each.is_cancelled), key=lambda each: each.starts_at)
    if not live or any(each.id == event_id for each in live):
        return event_id
    return next((each.id for each in live if each.starts_at == job.occurrence_starts_at), live[0].id)
