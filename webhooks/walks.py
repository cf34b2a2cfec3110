"""Walks through an index, from one group's items to the next group's: so many steps at a time, lap by lap."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)

STEPS = 512
"""How far a walk goes at a time."""

FEWEST, AT_FIRST = 8, 64
"""How many items of each group it looks at in a lap: at least, and as long as it does not know how many groups there are."""


class Ask(Protocol):
    """Answers rows with `id`, `grouped` and `item`: see `due`."""

    async def __call__(self, *, after: UUID, within: UUID, each: int, steps: int) -> Sequence[Any]: ...


class Walk:
    """Where a walk goes on.

    Each lap looks at the first items of all groups, and of those that have more than a lap looks at, further ones each
    time: so a group of very many items neither hides other groups nor, for long, any of its own.
    """

    def __init__(self) -> None:
        self._after = self._within = FIRST
        self._each = AT_FIRST
        self._least = LAST  # how far this lap came in the group that it came least far in, of those with more

    async def go(self, ask: Ask) -> tuple[list[Any], bool]:
        """The rows of the next stretch, the whole lap if it is not longer; and whether there are others that it left out."""
        began, each = self._after, self._each
        first = await ask(after=began, within=FIRST, each=each, steps=STEPS)
        further = (
            first if self._within == FIRST else await ask(after=began, within=self._within, each=each, steps=STEPS)
        )
        seen = {row.id: row for row in [*first, *further]}
        self._least = min([self._least, *self._ends_of_cut(further)])
        goes_on = [_last_whole(rows) for rows in (first, further) if len(rows) == STEPS]
        left_out = bool(goes_on) or self._within != FIRST or self._least != LAST
        if goes_on:
            self._after, self._each = min(goes_on), max(FEWEST, each // 2)
            return list(seen.values()), left_out
        if began != FIRST:
            again = await ask(after=FIRST, within=FIRST, each=each, steps=STEPS)
            seen |= {row.id: row for row in again}
        self._after, self._within, self._least = FIRST, FIRST if self._least == LAST else self._least, LAST
        self._each = max(FEWEST, STEPS // max(1, len({row.grouped for row in seen.values()})))
        return list(seen.values()), left_out

    def _ends_of_cut(self, rows: Sequence[Any]) -> list[UUID]:
        """The last items of the groups that may have more than was looked at."""
        return [row.item for row in rows if row.seen == self._each]


def _last_whole(rows: Sequence[Any]) -> UUID:
    """The last group that was gone through; the only one, if there are no others."""
    groups = list(dict.fromkeys(row.grouped for row in rows))
    last: UUID = groups[-2 if len(groups) > 1 else -1]
    return last
