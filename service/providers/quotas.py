"""Our own share of a provider's request quotas: calls wait here rather than be refused there."""

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Final

import msgspec

MOST_KEYS: Final = 100_000
LONGEST_QUEUE: Final = 3600.0
CLOCK_TOLERANCE: Final = 2.0


class Limit(msgspec.Struct, frozen=True):
    """`steady` requests per minute and, after a rest, `burst` at once; in no minute more than both together."""

    steady: int
    burst: int


class _Bucket(msgspec.Struct):
    """In seconds since the epoch: when all calls have grown back, and until when the provider wants silence.

    Callers that were sent away are told moments up to `queued_until`.
    """

    full_at: float = 0.0
    queued_until: float = 0.0
    silent_until: float = 0.0


class Quotas:
    """Token buckets per OAuth client and per account, in this process's memory.

    The defaults are Google's (10,000 requests a minute for a client, 600 for a user, in a sliding minute), split so
    that no sliding minute exceeds them. The least recently used keys are forgotten beyond 100,000.
    """

    def __init__(self, client: Limit = Limit(9_000, 1_000), user: Limit = Limit(450, 150)) -> None:  # noqa: B008  (frozen)
        self._limits = {"client": client, "user": user}
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._last = 0.0

    def reserve(self, client_key: str, user_key: str, now: datetime) -> datetime | None:
        """None: one call may go now, and is counted. Otherwise when to ask again, and nothing is counted.

        Callers that are sent away are told different moments, as far apart as the calls may then be.
        """
        at = now.timestamp()
        if at < self._last - CLOCK_TOLERANCE:
            self._put_back(self._last - at)
        self._last = at
        buckets = [("client", self._bucket("client", client_key)), ("user", self._bucket("user", user_key))]
        waits = [self._wait(scope, bucket, at) for scope, bucket in buckets]
        if max(waits) > 0:
            scope, bucket = buckets[waits.index(max(waits))]
            return datetime.fromtimestamp(self._queue(scope, bucket, at, max(waits)), UTC)
        for scope, bucket in buckets:
            bucket.full_at = max(bucket.full_at, at) + 60 / self._limits[scope].steady
        return None

    def penalise(self, scope: str, key: str, until: datetime) -> None:
        """Let nobody call before `until`, because the provider said so; `scope` is `client` or `user`."""
        bucket = self._bucket(scope, key)
        bucket.silent_until = max(bucket.silent_until, until.timestamp())

    def _put_back(self, seconds: float) -> None:
        """The clock was ahead by so much: what was reckoned by it would park everybody until it is there again."""
        for bucket in self._buckets.values():
            bucket.full_at -= seconds
            bucket.queued_until -= seconds

    def _wait(self, scope: str, bucket: _Bucket, at: float) -> float:
        limit = self._limits[scope]
        # GCRA (ITU-T I.371): the bucket holds `burst` calls, and each takes 60/steady seconds to grow back.
        slack = (limit.burst - 1) * 60 / limit.steady
        return max(bucket.full_at - slack - at, bucket.silent_until - at, 0.0)

    def _queue(self, scope: str, bucket: _Bucket, at: float, wait: float) -> float:
        soonest = max(at + wait, bucket.queued_until)
        # Whoever finds the queue an hour long starts again at its head: there is then no order to keep.
        place = soonest if soonest - at - wait < LONGEST_QUEUE else at + wait
        bucket.queued_until = place + 60 / self._limits[scope].steady
        return place

    def _bucket(self, scope: str, key: str) -> _Bucket:
        bucket = self._buckets.get((scope, key))
        if bucket is None:
            bucket = self._buckets[(scope, key)] = _Bucket()
            if len(self._buckets) > MOST_KEYS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end((scope, key))
        return bucket
