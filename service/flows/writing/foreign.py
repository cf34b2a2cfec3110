"""What others have made of an event is told before we write upon it: read at the provider, and stored as a sync would."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import msgspec
from uuid_utils.compat import uuid7

from service.core.drafts import Patch
from service.core.sync import Listed
from service.errors import EventGone, Outdated
from service.flows.writing.asking import ask
from service.flows.writing.opening import Opened, decode, hold_still
from service.flows.writing.scene import Scene
from service.flows.writing.storing import Harvest, gone, harvest, store
from service.providers.edits import unmade
from service.providers.protocol import Access
from service.providers.writing import Target, Written
from service.store import event_writes, events
from service.store.cipher import Unreadable
from service.store.tables import Found

T = TypeVar("T")

MOST_TRIES: Final = 3
"""Times that somebody else may write an event between our reading and our writing of it."""

CAUSE: Final = "poll"
"""Of what was found by looking, as a sync's."""

Deed = Callable[[Access, Target, bool], Awaitable[T]]


class Superseded(Outdated):
    """What was judged of an event is not what stands by now: it is to be judged anew."""


async def write_upon(scene: Scene, opened: Opened, deed: Deed[T], mine: Patch | None = None) -> T:
    """Write to an event upon what the provider has of it, which is told first as far as others have made it so.

    `deed` is given the event, and whether it is to be done only if that is still what the provider has. `mine` is what this
    wish makes of it. Raises service.errors.ProviderError: Outdated when somebody else keeps writing, or the event is not what
    its author has seen; Superseded when it is not what was judged.
    """
    job = opened.job
    target = Target(provider_event_id=job.provider_event_id, is_series=job.is_series)
    if job.strict:
        async with scene.gateway.database.read() as conn:
            raw = await events.source(conn, opened.row.event_id)
        target = msgspec.structs.replace(target, raw=raw)
        return await ask(scene, lambda access: deed(access, target, True))
    is_repeat = opened.is_repeat
    for left in reversed(range(MOST_TRIES)):
        found = await _tell(scene, opened, target, mine if is_repeat else None, is_repeat=is_repeat)
        is_repeat = True
        try:
            return await ask(scene, partial(_do, deed, found))
        except Outdated:
            if not left:
                raise
    raise AssertionError


async def remove_upon(scene: Scene, opened: Opened, deed: Deed[None]) -> None:
    """The same for a removal. That others have removed the event before is told, too."""
    job = opened.job
    try:
        await write_upon(scene, opened, deed)
    except EventGone:
        if not opened.is_repeat and not job.is_news:
            await _announce(scene, opened, gone(job.provider_event_id, job.series_id, is_series=job.is_series))


def _do(deed: Deed[T], target: Target, access: Access) -> Awaitable[T]:
    return deed(access, target, target.raw is not None)


async def _tell(scene: Scene, opened: Opened, target: Target, mine: Patch | None, *, is_repeat: bool) -> Target:
    """The event as the provider has it now, once the world has heard what others have made of it."""
    if target.is_series:
        if not is_repeat:
            there = Written(provider_event_id=target.provider_event_id, series_id=target.provider_event_id)
            await _tell_series(scene, opened, there)
        return target
    there = await ask(scene, lambda access: scene.writer.read(access, scene.place, target))
    if not isinstance(there.item, Listed):
        if there.series_id is not None and not is_repeat:
            await _tell_series(scene, opened, there)  # others have made it one
        return target
    event, job = there.item.event, opened.job
    async with scene.gateway.database.read() as conn:
        known = (await events.known(conn, scene.calendar.id, rows=[event.provider_event_id])).get(
            event.provider_event_id
        )
        stored = (await events.stored(conn, [known.id]))[known.id] if known is not None else event
        others = [] if job.is_news else await event_writes.waiting(conn, opened.row)
    if job.is_news and known is not None and job.fingerprint and known.fingerprint.hex() != job.fingerprint:
        raise Superseded("superseded")
    theirs = event if mine is None else unmade(stored, event, mine)
    for patch in [] if theirs == stored else _patches(scene, others, job.provider_event_id):
        theirs = unmade(stored, theirs, patch)
    if theirs != stored:
        if job.is_news:
            raise Superseded("superseded")
        await _announce(scene, opened, Harvest(items=[Listed(theirs, there.item.raw)]))
    return msgspec.structs.replace(target, raw=there.item.raw)


async def _tell_series(scene: Scene, opened: Opened, there: Written) -> None:
    found = await harvest(scene, there)
    if found.items:  # none at all may be a bad moment of the provider's, which would cancel every meeting
        await _announce(scene, opened, found)


def _patches(scene: Scene, rows: Sequence[Found], provider_event_id: str) -> list[Patch]:
    """What other wishes for the same event may have made of it already."""
    found = []
    for row in rows:
        try:
            job = decode(event_writes.opened(scene.gateway.cipher, row))
        except Unreadable:
            continue
        if job.provider_event_id == provider_event_id and not job.is_series and job.patch is not None:
            found.append(job.patch)
    return found


async def _announce(scene: Scene, opened: Opened, found: Harvest) -> None:
    gateway, now = scene.gateway, scene.gateway.clock()
    async with gateway.database.write() as conn:
        row = await hold_still(conn, opened, now)
        dispatches = await store(gateway, conn, row, found, now, uuid7(), cause=CAUSE, is_news=True)
    if dispatches and gateway.deliverer is not None:
        gateway.deliverer.submit(dispatches)
