"""The names that series have in the v2 dialect, where every event belongs to one, also an event that does not recur.

Providers name a series by texts of their own; the dialect wants a UUID. It is derived, so that nothing has to be stored and
every process derives the same one.
"""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID, uuid5

import msgspec

SeriesKind = Literal["one_off", "recurring"]


class SeriesName(msgspec.Struct, frozen=True):
    """What a series of the dialect is here: the provider's series, or the single event that stands alone in it."""

    series_id: str | None = None
    event_id: UUID | None = None


def series_uuid(calendar_id: UUID, series_id: str | None, event_id: UUID) -> UUID:
    """The dialect's name for the series of an event: of the provider's `series_id`, or of the event that has none."""
    # The words keep apart an event and a series that happen to be called alike.
    return uuid5(calendar_id, f"event {event_id}" if series_id is None else f"series {series_id}")


def series_kind(series_id: str | None) -> SeriesKind:
    """`recurring` for what a provider says belongs to a series."""
    return "one_off" if series_id is None else "recurring"


def find_series(calendar_id: UUID, wanted: UUID, series: Iterable[str], singles: Iterable[UUID]) -> SeriesName | None:
    """Which of a calendar's series, or of its single events, has this name in the dialect."""
    for series_id in series:
        if uuid5(calendar_id, f"series {series_id}") == wanted:
            return SeriesName(series_id=series_id)
    for event_id in singles:
        if uuid5(calendar_id, f"event {event_id}") == wanted:
            return SeriesName(event_id=event_id)
    return None
