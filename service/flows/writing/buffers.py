"""The time before and after an event, kept free by events of their own in the same calendar."""

import logging
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from service.core.drafts import Draft, Patch
from service.errors import EventGone, RequestRefused
from service.flows.writing.asking import ask
from service.flows.writing.scene import Scene
from service.flows.writing.storing import Harvest, gone, harvest
from service.providers.writing import Target, Written

TITLE: Final = "Buffer"
SIDES: Final = ("before", "after")

_log = logging.getLogger(__name__)


def stretches(draft: Draft, before: int, after: int) -> dict[str, tuple[datetime, datetime]]:
    """What is to be kept free, by side; nothing around whole days, and of a series around its first occurrence alone."""
    if draft.starts_at is None or draft.ends_at is None:
        return {}
    found = {}
    if before:
        found["before"] = draft.starts_at - timedelta(minutes=before), draft.starts_at
    if after:
        found["after"] = draft.ends_at, draft.ends_at + timedelta(minutes=after)
    return found


async def keep(
    scene: Scene, draft: Draft, before: int, after: int, held: list[dict[str, Any]], key: str
) -> tuple[list[dict[str, Any]], Harvest]:
    """Bring the buffers in line with an event: which there are now, and what is to be stored of it.

    `held` are those that there are (`side`, `id`), `key` that of the event. Raises service.errors.ProviderError.
    """
    wanted = stretches(draft, before, after) if scene.settings.sync_buffers_to_calendar else {}
    kept: list[dict[str, Any]] = []
    stored = Harvest()
    by_side = {each["side"]: each["id"] for each in held}
    for side in SIDES:
        there = by_side.get(side)
        if side not in wanted and there is not None:
            stored = stored.joined(await _drop(scene, there))
        elif side in wanted:
            written = await _put(scene, wanted[side], there, _key(key, side, wanted[side]))
            if written is not None:
                kept.append({"side": side, "id": written.provider_event_id})
                stored = stored.joined(await harvest(scene, written))
    return kept, stored


async def drop(scene: Scene, held: list[dict[str, Any]]) -> Harvest:
    """Remove every buffer of an event. Raises service.errors.ProviderError."""
    stored = Harvest()
    for each in held:
        stored = stored.joined(await _drop(scene, each["id"]))
    return stored


async def withdraw(scene: Scene, draft: Draft, before: int, after: int, key: str) -> None:
    """See to it that no buffer of an event that is taken back is left. Raises service.errors.ProviderError."""
    for side, stretch in stretches(draft, before, after).items():
        await _withdraw(scene, _draft(stretch), _key(key, side, stretch))


async def _withdraw(scene: Scene, draft: Draft, key: str) -> None:
    await ask(scene, lambda access: scene.writer.withdraw(access, scene.place, draft, key=key))


async def _put(scene: Scene, stretch: tuple[datetime, datetime], there: str | None, key: str) -> Written | None:
    patch = Patch(starts_at=stretch[0], ends_at=stretch[1])
    place = scene.place
    try:
        if there is not None:
            target = Target(provider_event_id=there)
            return await ask(scene, lambda access: scene.writer.change(access, place, target, patch, strict=False))
    except EventGone:
        pass  # somebody has deleted it: it is wanted again
    try:
        return await ask(scene, lambda access: scene.writer.create(access, place, _draft(stretch), key=key))
    except RequestRefused as error:
        _log.warning("calendar %s: a buffer could not be kept (%s)", scene.calendar.id, error.reason)
        return None


async def _drop(scene: Scene, provider_event_id: str) -> Harvest:
    target = Target(provider_event_id=provider_event_id)
    await ask(scene, lambda access: scene.writer.remove(access, scene.place, target, notify=False, strict=False))
    return gone(provider_event_id, None, is_series=False)


def _draft(stretch: tuple[datetime, datetime]) -> Draft:
    return Draft(
        title=TITLE, starts_at=stretch[0], ends_at=stretch[1], visibility="private", reminders=[], notify=False
    )


def _key(key: str, side: str, stretch: tuple[datetime, datetime]) -> str:
    # An id that was deleted stays taken at Google: a buffer elsewhere is another event.
    return uuid5(UUID(key), f"{side} {stretch[0].isoformat()}").hex
