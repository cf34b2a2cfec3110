"""Claims: of all that is due, what is sent next, so that neither a project's backlog nor an endpoint's hides anybody else's.

    the longest due ──► all that is due? ──► shared out
                            │ no: more than there is room for
                            └──► whoever has anything due ──► the longest due of each ──► shared out

Where no more is due than there is room for, one query does. Otherwise two walks through indexes find who has something
due. A walk ends after so many steps, and the next one goes on there.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice, zip_longest
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks import due
from webhooks.claims import take
from webhooks.message import Dispatch, Lease, Rank
from webhooks.places import shared_out
from webhooks.walks import FIRST, Walk

Item = TypeVar("Item")


class Room(Protocol):
    """What the claiming process can take, and has."""

    def loads(self, rank: int) -> Mapping[UUID, int]: ...

    def room(self, endpoint_id: UUID, rank: int) -> int: ...


class Turns:
    """Whose turn it is, as this process remembers it: where its walks go on, and which project had the last turn."""

    def __init__(self) -> None:
        self.projects = {rank: Walk() for rank in Rank}
        self.ordered = {rank: Walk() for rank in Rank}
        self.served = FIRST


class Claimed(NamedTuple):
    """The dispatches that are ours now; the endpoints with more due than they have room for; whether others have too."""

    dispatches: list[Dispatch]
    crowded: Collection[UUID]
    cut_short: bool


class _Picked(NamedTuple):
    ids: list[UUID]
    crowded: set[UUID]
    cut_short: bool


async def claim(
    conn: AsyncConnection,
    lease: Lease,
    *,
    now: datetime,
    limits: Mapping[Rank, int],
    room: Room,
    held: Collection[UUID],
    turns: Turns,
) -> Claimed:
    """Lease due deliveries, of each rank up to its limit, shared out among projects, and in each among its endpoints.

    Of each endpoint the longest due, as many as `room` has for it. `held` are deliveries that this process has in memory,
    whatever their leases say. Deliveries of endpoints that are disabled or deleted are parked or cancelled on the way.
    """
    ids: list[UUID] = []
    crowded: set[UUID] = set()
    cut_short = False
    for rank, limit in limits.items():
        if limit <= 0:
            cut_short = True
            continue
        picked = await _pick(conn, rank, now=now, limit=limit, room=room, held=held, turns=turns)
        ids += picked.ids
        crowded |= picked.crowded
        cut_short = cut_short or picked.cut_short
    return Claimed(await take(conn, lease, ids, now=now), crowded, cut_short=cut_short)


async def _pick(
    conn: AsyncConnection,
    rank: Rank,
    *,
    now: datetime,
    limit: int,
    room: Room,
    held: Collection[UUID],
    turns: Turns,
) -> _Picked:
    most = limit + len(held) + 1
    longest = await due.longest_due(conn, rank, now=now, most=most)
    if not longest:
        return _Picked([], set(), cut_short=False)
    is_all = len(longest) < most
    if is_all:
        found, crowded, went_far = [row for row in longest if row.is_first], set[UUID](), False
    else:
        found, crowded, went_far = await _of_everybody(conn, rank, now=now, limit=limit, room=room, turns=turns)
    queues, more_crowded = _queues((row for row in found if row.id not in held), rank, room)
    waiting = {project: sum(map(len, queues[project].values())) for project in _rotated(queues, turns.served)}
    given = shared_out(waiting, room.loads(rank), limit)
    turns.served = list(given)[-1] if given else turns.served
    ids = [row.id for project, many in given.items() for row in _in_turn(queues[project], many)]
    is_cut = sum(waiting.values()) > len(ids) or (not is_all and (went_far or bool(ids)))
    return _Picked(ids, crowded | more_crowded, cut_short=is_cut)


async def _of_everybody(
    conn: AsyncConnection, rank: Rank, *, now: datetime, limit: int, room: Room, turns: Turns
) -> tuple[list[Any], set[UUID], bool]:
    """Rows of all who have something due, the endpoints without room for it, and whether others may have some, too."""
    heads, heads_further = await turns.ordered[rank].go(partial(due.in_order, conn))
    firsts, firsts_further = await turns.projects[rank].go(partial(due.by_project, conn, rank))
    found = [row for row in heads if row.rank == rank and row.next_at <= now]
    asked: defaultdict[UUID, list[UUID]] = defaultdict(list)
    crowded, most = set[UUID](), 0
    for row in firsts:
        if row.next_at > now:
            continue
        if here := room.room(row.endpoint_id, rank):
            asked[row.project_id].append(row.endpoint_id)
            most = max(most, here)
        else:
            crowded.add(row.endpoint_id)
    chosen = _in_turn({project: asked[project] for project in _rotated(asked, turns.served)}, limit)
    if chosen:
        share = min(most, max(1, 2 * limit // len(chosen)))
        found += await due.of_each(conn, rank, chosen, now=now, share=share)
    return found, crowded, heads_further or firsts_further


def _queues(
    rows: Iterable[Any], rank: Rank, room: Room
) -> tuple[defaultdict[UUID, defaultdict[UUID, list[Any]]], set[UUID]]:
    """The rows of each endpoint of each project, the longest due first, and who has more than there is room for."""
    queues: defaultdict[UUID, defaultdict[UUID, list[Any]]] = defaultdict(lambda: defaultdict(list))
    crowded: set[UUID] = set()
    for row in sorted(rows, key=_due_since):
        mine = queues[row.project_id][row.endpoint_id]
        if len(mine) < room.room(row.endpoint_id, rank):
            mine.append(row)
        else:
            crowded.add(row.endpoint_id)
    return queues, crowded


def _due_since(row: Any) -> datetime:
    since: datetime = row.next_at
    return since


def _rotated(projects: Iterable[UUID], served: UUID) -> list[UUID]:
    """The projects in their order, those behind the one that was served last first."""
    return sorted(projects, key=lambda each: (each <= served, each))


def _in_turn(lines: Mapping[UUID, Sequence[Item]], most: int) -> list[Item]:
    """The first of each line, then the second of each, and so on, up to so many."""
    rounds = zip_longest(*lines.values())
    return list(islice((item for each in rounds for item in each if item is not None), most))
