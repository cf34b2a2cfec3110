"""How often somebody may ask: the generic cell rate algorithm (ITU-T I.371), one number per caller."""

import math
from collections.abc import Callable
from typing import Final

from service.errors import GatewayError

MOST_CALLERS: Final = 50_000


class RateLimiter:
    """Lets each caller through `per_second` times a second for ever, and `burst` times at once.

    What is stored is the theoretical arrival time: when the caller would be back at a full burst. `clock` counts seconds
    and never goes back. In memory, so each process has limits of its own.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._spacing = 1 / per_second
        self._tolerance = (burst - 1) / per_second
        self._clock = clock
        self._arrivals: dict[object, float] = {}

    def take(self, caller: object) -> float:
        """Count one request: 0.0 when it is within the limit, else the seconds to wait (and it is not counted)."""
        now = self._clock()
        arrival = max(self._arrivals.get(caller, now), now)
        wait = arrival - now - self._tolerance
        if wait > 1e-9:
            return wait
        if len(self._arrivals) >= MOST_CALLERS and caller not in self._arrivals:
            self._forget(now)
        self._arrivals[caller] = arrival + self._spacing
        return 0.0

    def _forget(self, now: float) -> None:
        kept = {caller: arrival for caller, arrival in self._arrivals.items() if arrival > now}
        # A flood of new callers must not grow the table without bound: the oldest of them start afresh.
        surplus = len(kept) - MOST_CALLERS * 3 // 4
        self._arrivals = dict(list(kept.items())[surplus:]) if surplus > 0 else kept


def too_many(wait: float, detail: str) -> GatewayError:
    """The 429 that says when to come back."""
    return GatewayError(429, "rate_limited", detail, headers={"retry-after": str(max(1, math.ceil(wait)))})
