"""Whose turn it is: a queue per endpoint, taken in rotation, none with more than its share in flight."""

import heapq
from collections import deque
from itertools import count
from uuid import UUID

from webhooks.message import Dispatch


class Lane:
    """One endpoint's dispatches in memory: those that wait, and how many are in flight."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.slow = False  # its last attempt timed out
        self.waiting: deque[Dispatch] = deque()
        self.in_flight = 0
        self.free_at = 0.0  # when its rate limit allows the next one
        self.listed = False  # in the rotation, or in the heap of those that pace themselves

    @property
    def held(self) -> int:
        return len(self.waiting) + self.in_flight

    @property
    def may_send(self) -> bool:
        return bool(self.waiting) and self.in_flight < (1 if self.slow else self.cap)


class Lanes:
    """All lanes. Times are seconds of a monotonic clock.

    An endpoint that timed out gets a single slot until it answers in time again, and all of those together no more
    than `most_slow`, so that hanging receivers, few or many, leave slots for the others.
    """

    def __init__(self, cap: int, most_slow: int) -> None:
        self._cap = cap
        self._most_slow = most_slow
        self._lanes: dict[UUID, Lane] = {}
        self._slow: set[UUID] = set()
        self._rotation: deque[Lane] = deque()
        self._slow_rotation: deque[Lane] = deque()
        self._paced: list[tuple[float, int, Lane]] = []
        self._tie = count()

    def push(self, dispatch: Dispatch, now: float) -> None:
        endpoint_id = dispatch.target.endpoint_id
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            lane = self._lanes[endpoint_id] = Lane(self._cap)
            lane.slow = endpoint_id in self._slow
        lane.waiting.append(dispatch)
        self._list(lane, now)

    def pop(self, now: float) -> Dispatch | None:
        """The next dispatch in rotation, in flight from here on; None when nothing may be sent now."""
        while self._paced and self._paced[0][0] <= now:
            free = heapq.heappop(self._paced)[2]
            free.listed = False
            self._list(free, now)
        lane = self._first(self._rotation)
        if lane is None and self._slow_rotation and self._slow_in_flight() < self._most_slow:
            lane = self._first(self._slow_rotation)
        return self._take(lane, now) if lane else None

    def _first(self, rotation: deque[Lane]) -> Lane | None:
        """The first lane that still has something to send and may; the others leave the rotation."""
        while rotation:
            lane = rotation.popleft()
            lane.listed = False
            if lane.may_send:
                return lane
        return None

    def _slow_in_flight(self) -> int:
        lanes = (self._lanes.get(endpoint_id) for endpoint_id in self._slow)
        return sum(lane.in_flight for lane in lanes if lane)

    def follow(self, endpoint_id: UUID, now: float) -> Dispatch | None:
        """The same endpoint's next dispatch, out of turn, for a slot whose connection is open to it."""
        lane = self._lanes.get(endpoint_id)
        return self._take(lane, now) if lane and lane.may_send and lane.free_at <= now else None

    def _take(self, lane: Lane, now: float) -> Dispatch:
        dispatch = lane.waiting.popleft()
        lane.in_flight += 1
        if dispatch.target.rate_limit:
            lane.free_at = max(lane.free_at, now) + 1 / dispatch.target.rate_limit
        self._list(lane, now)
        return dispatch

    def _list(self, lane: Lane, now: float) -> None:
        if lane.listed or not lane.may_send:
            return
        lane.listed = True
        if lane.free_at > now:
            heapq.heappush(self._paced, (lane.free_at, next(self._tie), lane))
        else:
            (self._slow_rotation if lane.slow else self._rotation).append(lane)

    def done(self, endpoint_id: UUID, now: float, *, timed_out: bool | None) -> None:
        """One dispatch of this endpoint is no longer in flight; `timed_out` is None when it was never sent."""
        lane = self._lanes[endpoint_id]
        lane.in_flight -= 1
        if timed_out is not None:
            (self._slow.add if timed_out else self._slow.discard)(endpoint_id)
            lane.slow = timed_out
        if not lane.held and lane.free_at <= now:
            del self._lanes[endpoint_id]
        self._list(lane, now)

    def withdraw(self, endpoint_id: UUID) -> list[Dispatch]:
        """Take back all that wait for one endpoint."""
        lane = self._lanes.get(endpoint_id)
        taken = list(lane.waiting) if lane else []
        if lane:
            lane.waiting.clear()
        return taken

    def withdraw_all(self) -> list[Dispatch]:
        return [dispatch for endpoint_id in list(self._lanes) for dispatch in self.withdraw(endpoint_id)]

    def pause(self, now: float) -> float | None:
        """Seconds until a rate limit allows the next dispatch, or None when none waits for that."""
        return max(0.0, self._paced[0][0] - now) if self._paced else None

    def full(self) -> list[UUID]:
        """The endpoints that no more should be claimed for."""
        return [endpoint_id for endpoint_id in self._lanes if not self.room(endpoint_id)]

    def load(self) -> int:
        """How many dispatches are here, waiting or in flight, but for those of slow endpoints."""
        return sum(lane.held for lane in self._lanes.values() if not lane.slow)

    def room(self, endpoint_id: UUID) -> int:
        """How many more of this endpoint's due deliveries are worth claiming.

        As many as are sent at once may wait, but nothing waits behind a slow one.
        """
        lane = self._lanes.get(endpoint_id)
        most = 1 if endpoint_id in self._slow else 2 * self._cap
        return max(0, most - (lane.held if lane else 0))
