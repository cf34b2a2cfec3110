"""A sentence as an event, for providers that do not read sentences themselves."""

from service.core.drafts import Draft
from service.flows.writing.scene import Scene


def drafted(scene: Scene, text: str) -> Draft:
    """The draft that a sentence means, in the calendar's time zone. Raises GatewayError 422 where it names no time."""
    raise NotImplementedError((scene, text))
