"""A whole series of Google's moved: its lines, and what was said of single occurrences.

Exceptions hang on the moment at which their occurrence was to begin. Google drops them when the series has no occurrence
there any more, also those that were deleted; what is deleted has to be said in EXDATE then. Where the series has another
occurrence there after the move, that one would take the exception over.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from service.core.recurrence import Slot
from service.core.series_moves import REMEDY, Immovable, Move, moved_lines
from service.errors import SeriesUnmovable, TransientFault
from service.providers.google.wire import MOMENT, WireMoment
from service.providers.lenient import UNREADABLE

INSTANCE_FIELDS: Final = f"nextPageToken,items(status,start({MOMENT}),originalStartTime({MOMENT}))"


class WireInstance(msgspec.Struct, gc=False, rename="camel"):
    """An occurrence, as far as its series' move has to know it."""

    status: str | None = None
    start: WireMoment | None = None
    original_start_time: WireMoment | None = None


_instance: Final = msgspec.json.Decoder(WireInstance)


def moved_recurrence(lines: Sequence[str], rows: Iterable[bytes], move: Move) -> list[str]:
    """The recurrence of a series after its move; `rows` are all its occurrences before it, the deleted ones, too.

    Raises SeriesUnmovable where the move would not be exact.
    """
    try:
        moved = moved_lines(lines, move)
    except Immovable as error:
        raise SeriesUnmovable(str(error)) from None
    slots, deleted, displaced = _occurrences(rows)
    taken = {move.slot(slot) for slot in slots - deleted}
    if taken & (deleted | displaced):
        raise SeriesUnmovable(f"an occurrence that was deleted or moved by itself is in the way of another: {REMEDY}")
    # Those that Google keeps away by itself need no word.
    return moved + [_excluded(slot) for slot in sorted({move.slot(slot) for slot in deleted} - deleted, key=str)]


def _occurrences(rows: Iterable[bytes]) -> tuple[set[Slot], set[Slot], set[Slot]]:
    """All of them by the moments at which they were to begin, those that were deleted, and those that are held elsewhere."""
    slots, deleted, displaced = set(), set(), set()
    for raw in rows:
        try:
            row = _instance.decode(raw)
            slot = _slot(row.original_start_time)
            at = _slot(row.start)
        except (*UNREADABLE, ValueError):
            raise TransientFault("an occurrence in an answer cannot be read") from None
        if slot is None:
            continue
        slots.add(slot)
        if row.status == "cancelled":
            deleted.add(slot)
        elif at is not None and at != slot:
            displaced.add(slot)
    return slots, deleted, displaced


def _slot(moment: WireMoment | None) -> Slot | None:
    if moment is None or not (moment.date or moment.date_time):
        return None
    return date.fromisoformat(moment.date) if moment.date else _utc(datetime.fromisoformat(moment.date_time or ""))


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("an instant without an offset")
    return at.astimezone(UTC)


def _excluded(slot: Slot) -> str:
    if isinstance(slot, datetime):
        return f"EXDATE:{slot:%Y%m%dT%H%M%SZ}"
    return f"EXDATE;VALUE=DATE:{slot:%Y%m%d}"
