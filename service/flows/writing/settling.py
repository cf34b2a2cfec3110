"""What a wish has come to is stored, and the wish ended, in one transaction; what is ours of the event is remembered."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.drafts import Patch
from service.core.managed import Remembered, remembered, said_anew, seen
from service.core.sync import Known, Listed
from service.errors import RequestRefused
from service.flows.writing.opening import Opened, Overtaken, lock
from service.flows.writing.scene import Job, Scene
from service.flows.writing.storing import Harvest, store
from service.providers.writing import Written
from service.store import event_writes, events, managed_events
from service.store.tables import Found

encode_draft: Final = msgspec.json.Encoder().encode
decode_draft: Final = msgspec.json.Decoder(Remembered).decode


class Spoilt(RequestRefused):
    """The provider has made something else than was asked for: it is to be taken back."""


class Managed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be remembered of an event that is ours: columns of its row, and what its author said, whole.

    What was one event and is a series by now, or the other way round, `replaces` the row of another event.
    """

    draft: Remembered
    values: dict[str, Any]
    replaces: UUID | None = None


def recall(scene: Scene, row: Found) -> Remembered:
    """What the author of a managed event said. Raises Unreadable."""
    return remembered(decode_draft(managed_events.opened(scene.gateway.cipher, row)), scene.settings.event_privacy)


def said_by(scene: Scene, row: Found, job: Job) -> Remembered:
    """The same with a change of it; what is set right was said before. Raises Unreadable."""
    draft = recall(scene, row)
    return draft if job.is_news else said_anew(draft, job.patch or Patch(), scene.settings.event_privacy)


async def settle(
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
        row = await lock(conn, opened, now, now)
        event_id: UUID = opened.row.event_id
        if not await event_writes.end(conn, opened.id, opened.lease, "done", now):
            raise Overtaken("overtaken")
        if managed is not None and managed.replaces is None and opened.row.kind == "change":
            managed = await _merged(scene, conn, opened, managed, now)
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
        values = {"event_id": first.id, "written": first.fingerprint} | managed.values
        values |= {"updated_at": now, "created_at": now}
        if managed.replaces is not None:
            await managed_events.remove(conn, managed.replaces)
        draft = managed.draft
        if isinstance(written.item, Listed) and "written" not in managed.values:
            draft = seen(draft, written.item.event)
        await managed_events.put(conn, scene.gateway.cipher, values, encode_draft(draft))
        if "look_at" in values:
            scene.gateway.wake.after(conn, "managed")
    return first.id if row.kind == "create" else _shown(known, row.event_id, opened.job)


async def _merged(scene: Scene, conn: AsyncConnection, opened: Opened, managed: Managed, now: datetime) -> Managed:
    """What is to be remembered of a change, beside what was said meanwhile of other fields.

    What others had made of the event before is not taken for our own words: it is still to be judged.
    """
    job = opened.job
    provider_id = managed.values["provider_event_id"]
    row = await managed_events.of_event(conn, opened.row.calendar_id, provider_id)
    before = (await events.known(conn, opened.row.calendar_id, rows=[provider_id])).get(provider_id)
    if row is None or before is None:
        return managed
    draft = said_by(scene, row, job)
    values = managed.values
    if before.fingerprint != row.written and before.fingerprint.hex() != job.fingerprint:
        values = values | {"written": row.written, "look_at": now}
    return Managed(draft=draft, values=values)


def _shown(known: Mapping[str, Known], event_id: UUID, job: Job) -> UUID:
    """The event that a change is answered with: itself, or the occurrence that has taken its place."""
    live = sorted((each for each in known.values() if not each.is_cancelled), key=lambda each: each.starts_at)
    if not live or any(each.id == event_id for each in live):
        return event_id
    return next((each.id for each in live if each.starts_at == job.occurrence_starts_at), live[0].id)
