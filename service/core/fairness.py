"""Who gets the free places: what waits, of many projects, is served so that none of them can keep the others out."""

import heapq
from collections.abc import Mapping
from typing import Final
from uuid import UUID

LEFT_FREE: Final = 3
"""A project may hold this many times as many places as it leaves free: alone three quarters of all; where several take
what they can, always less than all."""


def shares(waiting: Mapping[UUID, int], held: Mapping[UUID, int], free: int, *, spares: bool) -> dict[UUID, int]:
    """How many of what waits each project may have of `free` places, where it has `held` places already.

    Whoever has least is next (max-min fairness), of equals the first in `waiting`. With `spares` some places stay free
    for projects that come later (dynamic thresholds: Choudhury and Hahne, 1998), but one that has none gets one.
    """
    given: dict[UUID, int] = {}
    line = [(held.get(project, 0), place, project) for place, project in enumerate(waiting) if waiting[project]]
    heapq.heapify(line)
    while line and free:
        has, place, project = heapq.heappop(line)
        if spares and has and has + 1 > LEFT_FREE * (free - 1):
            break  # nor may anybody who has more
        given[project] = given.get(project, 0) + 1
        free -= 1
        if given[project] < waiting[project]:
            heapq.heappush(line, (has + 1, place, project))
    return given
