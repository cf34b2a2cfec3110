"""What the tests of VEVENTs share: texts made of lines, and what is listed of them, read in this process."""

from datetime import UTC, datetime
from typing import Any

from service.core.event import Event
from service.core.schedule import Window
from service.core.sync import Item, Listed, Malformed, Removed
from service.providers.vevent.series import Reading
from service.providers.vevent.text import scan
from service.providers.vevent.units import Units

MARCH = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))


def vevent(*lines: str, uid: str | None = "u") -> str:
    """A VEVENT of these lines, with a UID unless that is None."""
    named = lines if uid is None else (f"UID:{uid}", *lines)
    return "\r\n".join(["BEGIN:VEVENT", *named, "END:VEVENT"])


def calendar(*parts: str) -> bytes:
    """A VCALENDAR of these components and lines."""
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *parts, "END:VCALENDAR", ""]).encode()


def items(text: bytes, base_id: str | None = None, **reading: Any) -> list[Item]:
    units = Units(scan(text), base_id, Reading(window=reading.pop("window", MARCH), **reading))
    return [item for unit in units.all for item in units.read(unit).items()]


def events(text: bytes, base_id: str | None = None, **reading: Any) -> list[Event]:
    """Those that are listed, by id; none may be malformed."""
    found = items(text, base_id, **reading)
    assert not [each for each in found if isinstance(each, Malformed)], found
    return sorted((each.event for each in found if isinstance(each, Listed)), key=lambda event: event.provider_event_id)


def only(text: bytes, **reading: Any) -> Event:
    [event] = events(text, **reading)
    return event


def ids(text: bytes, base_id: str | None = None, **reading: Any) -> list[str]:
    return [event.provider_event_id for event in events(text, base_id, **reading)]


def removed(text: bytes, **reading: Any) -> list[str]:
    return sorted(each.provider_event_id for each in items(text, **reading) if isinstance(each, Removed))


def reasons(text: bytes, **reading: Any) -> dict[str, str]:
    """Why what cannot be read cannot, by id."""
    return {each.provider_event_id: each.reason for each in items(text, **reading) if isinstance(each, Malformed)}
