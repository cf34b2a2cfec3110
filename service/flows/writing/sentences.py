"""A sentence as an event, where its provider does not read it, or would write it past the connection's settings."""

import asyncio
from datetime import datetime
from typing import Final

import msgspec

from service.core.connection import Settings
from service.core.drafts import Draft
from service.core.managed import complete
from service.errors import FieldProblem, GatewayError
from service.flows.writing.scene import Job, Scene, notifies

_PLAIN: Final = Settings()


async def wanted(scene: Scene, job: Job, asked_at: datetime) -> Draft | None:
    """The whole draft of a wish to create; None for a sentence that the provider reads and writes by itself.

    Raises GatewayError 422 for a sentence that is read here and names no time.
    """
    draft = job.draft
    if draft is None and is_read_there(scene):
        return None
    if draft is None:
        # The first sentence takes a second to get the reader of dates up.
        draft = await asyncio.to_thread(_drafted, job.text or "", asked_at, scene.calendar.time_zone)
    return msgspec.structs.replace(complete(draft, scene.settings), notify=notifies(scene, job))


def is_read_there(scene: Scene) -> bool:
    """Whether the provider reads a sentence by itself, and no setting has a say in what it makes of it."""
    mine = scene.settings
    is_plain = (mine.event_privacy, mine.event_defaults) == (_PLAIN.event_privacy, _PLAIN.event_defaults)
    return scene.calendar.provider in scene.gateway.quick_adders and is_plain and not mine.validate_availability


def _drafted(text: str, asked_at: datetime, time_zone: str | None) -> Draft:
    # Start-up, and memory: most gateways never read a sentence.
    from service.core.quick_add import read_sentence  # noqa: PLC0415
    from service.core.sentence_days import NoDateFound  # noqa: PLC0415

    try:
        return read_sentence(text, now=asked_at, time_zone=time_zone)
    except NoDateFound as error:
        detail = 'The sentence does not say when: "Lunch with Sarah tomorrow at 1pm" does.'
        raise GatewayError(422, "validation_failed", detail, errors=[FieldProblem("text", str(error))]) from error
