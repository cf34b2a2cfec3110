"""Lists of v2: `limit`, `cursor`, and envelopes that lead both ways."""

from collections.abc import Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from service.api.meeting_baas.asking import Query
from service.api.paging import Cursors

T = TypeVar("T")

DEFAULT_LIMIT: Final = 50
MOST: Final = 250


class Mark(NamedTuple, Generic[T]):
    """What a cursor holds: the row that the page was left at, and in which direction."""

    backwards: bool
    place: T


class Turn(NamedTuple, Generic[T]):
    """Which page is asked for: `limit` rows behind `place`, or before it."""

    limit: int
    place: T | None
    backwards: bool


def read_turn(query: Query, cursors: Cursors, place: type[T]) -> Turn[T]:
    """The page that a request asks for. Raises GatewayError 422 for a limit out of bounds and for a forged cursor."""
    limit = query.whole("limit", DEFAULT_LIMIT, 1, MOST)
    mark = cursors.read(query.text("cursor", most=4096), Mark[place])  # type: ignore[valid-type]
    return Turn(limit, None, backwards=False) if mark is None else Turn(limit, mark.place, mark.backwards)


def cut(turn: Turn[T], found: Sequence[Any]) -> tuple[Sequence[Any], bool, bool]:
    """The page out of `limit + 1` rows as they were found, in the list's order, and whether there is one behind and before."""
    rows = found[: turn.limit]
    more = len(found) > turn.limit
    if turn.backwards:
        return rows[::-1], bool(rows), more
    return rows, more, turn.place is not None and bool(rows)


def marks(cursors: Cursors, ends: tuple[T, T] | None, *, behind: bool, before: bool) -> tuple[str | None, str | None]:
    """`cursor` and `prev_cursor`, from the places of the first and the last row (None: there are none)."""
    if ends is None:
        return None, None
    first, last = ends
    following = cursors.write(Mark(backwards=False, place=last)) if behind else None
    return following, cursors.write(Mark(backwards=True, place=first)) if before else None
