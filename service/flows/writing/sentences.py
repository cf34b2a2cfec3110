"""A sentence as an event, for providers that do not read sentences themselves."""

from datetime import datetime

from service.core.drafts import Draft
from service.core.quick_add import NoDateFound, read_sentence
from service.errors import FieldProblem, GatewayError
from service.flows.writing.scene import Scene


def drafted(scene: Scene, text: str, asked_at: datetime) -> Draft:
    """The draft that a sentence means, in the calendar's zone. Raises GatewayError 422 where it names no time."""
    try:
        return read_sentence(text, now=asked_at, time_zone=scene.calendar.time_zone)
    except NoDateFound as error:
        detail = 'The sentence does not say when: "Lunch with Sarah tomorrow at 1pm" does.'
        raise GatewayError(422, "validation_failed", detail, errors=[FieldProblem("text", str(error))]) from error
