"""Places that several projects want: how many each may have, so that none of them can keep the others out.

A project may hold twice as many as it leaves free (dynamic thresholds: Choudhury and Hahne, 1998). There are half as many
places again as one project gets while it is alone, and these are what the others find free, at once, whatever the first
does with its own.
"""

import heapq
from collections import Counter
from collections.abc import Mapping
from uuid import UUID

LEFT_FREE = 2


def with_spare(most: int) -> int:
    """How many places there have to be for one project alone to get `most`."""
    return -(-most * (LEFT_FREE + 1) // LEFT_FREE)


def may_have(held: int, free: int) -> bool:
    """Whether somebody who holds so many places may have one of those that are free; who has none always may."""
    return free > 0 and (held == 0 or held + 1 <= LEFT_FREE * (free - 1))


class Places:
    """Places that are taken and given back one by one; a project alone may take `most`."""

    def __init__(self, most: int) -> None:
        self._free = with_spare(most)
        self._held: Counter[UUID] = Counter()

    def has_one_for(self, project_id: UUID) -> bool:
        return may_have(self._held.get(project_id, 0), self._free)

    def take(self, project_id: UUID, many: int = 1) -> None:
        self._free -= many
        self._held[project_id] += many

    def give_back(self, project_id: UUID, many: int = 1) -> None:
        self._free += many
        self._held[project_id] -= many
        if not self._held[project_id]:
            del self._held[project_id]


def free_of(most: int, held: Mapping[UUID, int]) -> int:
    """How many places are free where one project alone gets `most`.

    Some always are: what one brings along, without having asked for places, keeps nobody else out.
    """
    there = with_spare(most)
    return max(there - sum(held.values()), there // 8, 1)


def shared_out(waiting: Mapping[UUID, int], held: Mapping[UUID, int], free: int) -> dict[UUID, int]:
    """How many of what waits each project gets of `free` places, where it has `held` already.

    Whoever has least is next, of equals the first in `waiting`.
    """
    given: dict[UUID, int] = {}
    line = [(held.get(project, 0), place, project) for place, project in enumerate(waiting) if waiting[project]]
    heapq.heapify(line)
    while line and may_have(line[0][0], free):
        has, place, project = heapq.heappop(line)
        given[project] = given.get(project, 0) + 1
        free -= 1
        if given[project] < waiting[project]:
            heapq.heappush(line, (has + 1, place, project))
    return given
