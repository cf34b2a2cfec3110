"""Whose turn it is: a queue per endpoint, taken in rotation, none with more than its share in flight, news first."""

import heapq
from collections import deque
from itertools import count
from uuid import UUID

from webhooks.message import Dispatch, Rank


class Lane:
    """One endpoint's dispatches in memory: those that wait, by rank, and how many are in flight."""

    def __init__(self, cap: int) -> None:
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


class Lanes:
    """All lanes. Times are seconds of a monotonic clock.

    An endpoint that timed out gets a single slot until it answers in time again, and all of those together no more
    than `most_slow`, so that hanging receivers, few or many, leave slots for the others. In the same way all that is
    made up for leaves slots for news.
    """

    def __init__(self, cap: int, most_slow: int) -> None:
        self._cap = cap
        self._most_slow = self._most_backfill = most_slow
        self._lanes: dict[UUID, Lane] = {}
        self._slow: set[UUID] = set()
        self._rotations: dict[str, deque[Lane]] = {kind: deque() for kind in ("news", "slow", "backfill")}
        self._paced: list[tuple[float, int, Lane]] = []
        self._backfill_in_flight = 0
        self._tie = count()

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
            lane = self._lanes[endpoint_id] = Lane(self._cap)
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
        lane = self._first("news", now)
        if lane is None and self._rotations["slow"] and self._slow_in_flight() < self._most_slow:
            lane = self._first("slow", now)
        if lane is None and self._backfill_in_flight < self._most_backfill:
            lane = self._first("backfill", now)
        return self._take(lane, now) if lane else None

    def _first(self, kind: str, now: float) -> Lane | None:
        """The first lane in a rotation that still belongs there; the others leave it for where they do."""
        rotation = self._rotations[kind]
        while rotation:
            lane = rotation.popleft()
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

    def _slow_in_flight(self) -> int:
        lanes = (self._lanes.get(endpoint_id) for endpoint_id in self._slow)
        return sum(lane.in_flight for lane in lanes if lane)

    def follow(self, endpoint_id: UUID, now: float) -> Dispatch | None:
        """The same endpoint's next dispatch, out of turn, for a slot whose connection is open to it."""
        lane = self._lanes.get(endpoint_id)
        kind = self._kind(lane, now) if lane else None
        if lane is None or kind is None or kind == "paced":
            return None
        if kind == "backfill" and (self._rotations["news"] or self._backfill_in_flight >= self._most_backfill):
            return None
        return self._take(lane, now)

    def _take(self, lane: Lane, now: float) -> Dispatch:
        dispatch = lane.waiting[lane.next_rank or Rank.NEWS].popleft()
        lane.in_flight += 1
        if dispatch.rank:
            lane.backfill_in_flight += 1
            self._backfill_in_flight += 1
        if dispatch.target.rate_limit:
            lane.free_at = max(lane.free_at, now) + 1 / dispatch.target.rate_limit
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
            self._rotations[kind].append(lane)

    def done(self, dispatch: Dispatch, now: float, *, timed_out: bool | None) -> None:
        """A dispatch is no longer in flight; `timed_out` is None when it was never sent."""
        endpoint_id = dispatch.target.endpoint_id
        lane = self._lanes[endpoint_id]
        lane.in_flight -= 1
        if dispatch.rank:
            lane.backfill_in_flight -= 1
            self._backfill_in_flight -= 1
        if timed_out is not None:
            (self._slow.add if timed_out else self._slow.discard)(endpoint_id)
            lane.slow = timed_out
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

    def full(self, rank: int = Rank.NEWS) -> list[UUID]:
        """The endpoints that no more should be claimed for."""
        return [endpoint_id for endpoint_id in self._lanes if self.room(endpoint_id, rank) <= 0]

    def load(self, rank: int = Rank.NEWS) -> int:
        """How many dispatches of a rank are here, waiting or in flight, but for those of slow endpoints."""
        return sum(lane.load(rank) for lane in self._lanes.values() if not lane.slow)

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
            most = min(most, max(1, lane.pace))
        return max(0, most - lane.load(rank))
