"""What the gateway and the process that reads calendars for it say to each other: frames of MessagePack."""

from typing import Final

import msgspec

from service.providers.vevent.series import Findings, Reading
from service.providers.vevent.units import Document

LONGEST_FRAME: Final = 128 * 1024 * 1024
"""Octets; a longer one is not believed."""

LENGTH: Final = 4
"""Octets before each frame that say how long it is, the greatest first."""


class Order(msgspec.Struct, frozen=True, array_like=True):
    """Read these texts, each with the id that its events are called by, the first from this unit of it on."""

    texts: list[tuple[str | None, bytes]]
    reading: Reading
    unit: int


class Report(msgspec.Struct, frozen=True, array_like=True):
    """What came of `unit` of `text`, and what is to come: `next_unit` (None: the text is done) and its name.

    The first of a text has its `document`, or in `spoilt` the reason why it cannot be read; `is_pause` asks whether to go on.
    """

    text: int
    next_unit: int | None = None
    next_name: str = ""
    findings: Findings | None = None
    document: Document | None = None
    spoilt: str | None = None
    is_pause: bool = False


def framed(message: Order | Report) -> tuple[bytes, bytes]:
    """A message as it goes over the pipe."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH), body
