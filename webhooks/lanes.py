"""Whose turn it is: a queue per endpoint; projects in rotation, and the endpoints of each; news first.

No endpoint and no project has more than its share in flight.
"""

import heapq
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from itertools import count
from uuid import UUID

from webhooks.message import Dispatch, Rank
from webhooks.places import Places


class Lane:
    """One endpoint's dispatches in memory: those that wait, by rank, and how many are in flight."""

    def __init__(self, project_id: UUID, cap: int) -> None:
        self.project_id = project_id
        self.cap = cap
        self.slow = False  # its last attempt timed out
        self.pace: int | None = None  # messages per second
        self.waiting: dict[int, deque[Dispatch]] = {Rank.NEWS: deque(), Rank.BACKFILL: deque()}
        self.in_flight = 0
        self.backfill_in_flight = 0
        self.free_at = 0.0  # when its rate limit allows the next one
        self.listed: set[str] = set()  # the rotations that it stands in

    @property
    def held(self) -> int:
        return self.in_flight + sum(len(waiting) for waiting in self.waiting.values())

    def load(self, rank: int) -> int:
        """How many of a rank are here. What is made up for has a share of its own, which news never has to wait for."""
        flying = self.backfill_in_flight if rank else self.in_flight - self.backfill_in_flight
        return flying + len(self.waiting[rank])

    @property
    def backfill_cap(self) -> int:
        return max(1, self.cap // 2)

    @property
    def next_rank(self) -> int | None:
        """The rank of what it would send next; None when there is nothing that it may."""
        if self.in_flight >= (1 if self.slow else self.cap):
            return None
        if self.waiting[Rank.NEWS]:
            return Rank.NEWS
        if self.waiting[Rank.BACKFILL] and self.backfill_in_flight < self.backfill_cap:
            return Rank.BACKFILL
        return None


class Rotation:
    """Lanes that wait for a slot: a project's turn comes after that of all others, however many lanes it has."""

    def __init__(self) -> None:
        self._projects: OrderedDict[UUID, deque[Lane]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._projects)

    def add(self, lane: Lane) -> None:
        self._projects.setdefault(lane.project_id, deque()).append(lane)

    def next(self, may_go: Callable[[UUID], bool]) -> Lane | None:
        """The next lane of the first project that may go; it stands here no more."""
        project_id = next((each for each in self._projects if may_go(each)), None)
        if project_id is None:
            return None
        lane = self._projects[project_id].popleft()
        if self._projects[project_id]:
            self._projects.move_to_end(project_id)
        else:
            del self._projects[project_id]
        return lane


class Lanes:
    """All lanes. Times are seconds of a monotonic clock.

    One project alone has up to `most` in flight, and leaves slots for the others. An endpoint that timed out gets a
    single slot until it answers in time again, and all of those of a project together no more than `most_slow`, so that
    hanging receivers, few or many, leave slots for the others. In the same way all that is made up for leaves slots for news.
    """

    def __init__(self, cap: int, most_slow: int, most: int) -> None:
        self._cap = cap
        self.sharers = 1  # processes that send to the same endpoints: each has its part of a rate limit
        self._places, self._slow_places, self._backfill_places = Places(most), Places(most_slow), Places(most_slow)
        self._lanes: dict[UUID, Lane] = {}
        self._slow: set[UUID] = set()
        self._rotations = {kind: Rotation() for kind in ("news", "slow", "backfill")}
        self._paced: list[tuple[float, int, Lane]] = []
        self._tie = count()
        self._may_go: dict[str, Callable[[UUID], bool]] = {
            "news": self._places.has_one_for,
            "slow": lambda mine: self._places.has_one_for(mine) and self._slow_places.has_one_for(mine),
            "backfill": lambda mine: self._places.has_one_for(mine) and self._backfill_places.has_one_for(mine),
        }

    def has_room(self, dispatch: Dispatch) -> bool:
        """Whether a dispatch may wait here.

        Beyond its lane's room it would only keep others from it: from merging, from other processes, from a new address.
        Where the lane is quick it is here sooner than it is claimed again, and what cannot merge may wait.
        """
        lane = self._lanes.get(dispatch.target.endpoint_id)
        if lane is None or self.room(dispatch.target.endpoint_id, dispatch.rank) > 0:
            return True
        return not (lane.slow or dispatch.mergeable or dispatch.target.rate_limit)

    def push(self, dispatch: Dispatch, now: float) -> None:
        endpoint_id = dispatch.target.endpoint_id
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            lane = self._lanes[endpoint_id] = Lane(dispatch.target.project_id, self._cap)
            lane.slow = endpoint_id in self._slow
        lane.pace = dispatch.target.rate_limit
        lane.waiting[dispatch.rank].append(dispatch)
        self._list(lane, now)

    def pop(self, now: float) -> Dispatch | None:
        """The next dispatch in rotation, in flight from here on; None when nothing may be sent now."""
        while self._paced and self._paced[0][0] <= now:
            free = heapq.heappop(self._paced)[2]
            free.listed.discard("paced")
            self._list(free, now)
        for kind in self._rotations:
            if (lane := self._first(kind, now)) is not None:
                return self._take(lane, now)
        return None

    def _first(self, kind: str, now: float) -> Lane | None:
        """The first lane in a rotation that still belongs there and may go; the others leave it for where they do."""
        while lane := self._rotations[kind].next(self._may_go[kind]):
            lane.listed.discard(kind)
            if self._kind(lane, now) == kind:
                return lane
            self._list(lane, now)
        return None

    def _kind(self, lane: Lane, now: float) -> str | None:
        rank = lane.next_rank
        if rank is None:
            return None
        if lane.free_at > now:
            return "paced"
        if lane.slow:
            return "slow"
        return "backfill" if rank else "news"

    def follow(self, endpoint_id: UUID, now: float) -> Dispatch | None:
        """The same endpoint's next dispatch, out of turn, for a slot whose connection is open to it."""
        lane = self._lanes.get(endpoint_id)
        kind = self._kind(lane, now) if lane else None
        if lane is None or kind is None or kind == "paced":
            return None
        if not self._may_go[kind](lane.project_id) or (kind == "backfill" and self._rotations["news"]):
            return None
        return self._take(lane, now)

    def _take(self, lane: Lane, now: float) -> Dispatch:
        dispatch = lane.waiting[lane.next_rank or Rank.NEWS].popleft()
        lane.in_flight += 1
        self._places.take(lane.project_id)
        if lane.slow:
            self._slow_places.take(lane.project_id)
        if dispatch.rank:
            lane.backfill_in_flight += 1
            self._backfill_places.take(lane.project_id)
        if dispatch.target.rate_limit:
            lane.free_at = max(lane.free_at, now) + self.sharers / dispatch.target.rate_limit
        self._list(lane, now)
        return dispatch

    def _list(self, lane: Lane, now: float) -> None:
        kind = self._kind(lane, now)
        if kind is None or kind in lane.listed:
            return
        lane.listed.add(kind)
        if kind == "paced":
            heapq.heappush(self._paced, (lane.free_at, next(self._tie), lane))
        else:
            self._rotations[kind].add(lane)

    def done(self, dispatch: Dispatch, now: float, *, timed_out: bool | None) -> None:
        """A dispatch is no longer in flight; `timed_out` is None when it was never sent."""
        endpoint_id = dispatch.target.endpoint_id
        lane = self._lanes[endpoint_id]
        lane.in_flight -= 1
        self._places.give_back(lane.project_id)
        if lane.slow:
            self._slow_places.give_back(lane.project_id)
        if dispatch.rank:
            lane.backfill_in_flight -= 1
            self._backfill_places.give_back(lane.project_id)
        if timed_out is not None and timed_out != lane.slow:
            (self._slow.add if timed_out else self._slow.discard)(endpoint_id)
            lane.slow = timed_out
            move = self._slow_places.take if timed_out else self._slow_places.give_back
            move(lane.project_id, lane.in_flight)
        if not lane.held and lane.free_at <= now:
            del self._lanes[endpoint_id]
        self._list(lane, now)

    def withdraw(self, endpoint_id: UUID) -> list[Dispatch]:
        """Take back all that wait for one endpoint."""
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            return []
        taken = [dispatch for waiting in lane.waiting.values() for dispatch in waiting]
        for waiting in lane.waiting.values():
            waiting.clear()
        return taken

    def withdraw_all(self) -> list[Dispatch]:
        return [dispatch for endpoint_id in list(self._lanes) for dispatch in self.withdraw(endpoint_id)]

    def pause(self, now: float) -> float | None:
        """Seconds until a rate limit allows the next dispatch, or None when none waits for that."""
        return max(0.0, self._paced[0][0] - now) if self._paced else None

    def endpoints(self) -> list[UUID]:
        """The endpoints that something is here for."""
        return list(self._lanes)

    def loads(self, rank: int = Rank.NEWS) -> Counter[UUID]:
        """How many dispatches of a rank are here of each project, waiting or in flight, but for those of slow endpoints."""
        found: Counter[UUID] = Counter()
        for lane in self._lanes.values():
            if not lane.slow and (load := lane.load(rank)):
                found[lane.project_id] += load
        return found

    def room(self, endpoint_id: UUID, rank: int = Rank.NEWS) -> int:
        """How many more of this endpoint's due deliveries are worth holding.

        As many as are sent at once may wait, of what is made up for some more, for it is claimed seldom; of a rate limit's
        worth a second's, and nothing waits behind a slow one.
        """
        lane = self._lanes.get(endpoint_id)
        if endpoint_id in self._slow:
            return max(0, 1 - (lane.held if lane else 0))
        if lane is None:
            return 2 * self._cap
        most = (4 if rank else 2) * self._cap
        if lane.pace:
            most = min(most, max(1, lane.pace // self.sharers))
        return max(0, most - lane.load(rank))
