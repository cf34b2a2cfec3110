"""What the rate limit costs a request, beside one look into a dictionary and one write; target: 20 microseconds at most."""

from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Final
from uuid import UUID, uuid4

import measure
from measure import Options, Row, Spent

from service.api.limits import MOST_CALLERS, RateLimiter

REQUESTS: Final = 200_000
MOST_MICROSECONDS: Final = 20.0
WITHOUT_END: Final = 10**9


async def main(given: Options) -> AsyncIterator[Row]:
    """Callers that are let through, a caller that is refused, and more callers than are remembered."""
    requests = REQUESTS // 10 if given.quick else REQUESTS
    rounds = 1 if given.quick else measure.ROUNDS
    few = [uuid4() for _ in range(100)]
    many = [uuid4() for _ in range(2 * MOST_CALLERS)]
    async for row in compare(
        "let through, 100 keys", few, lambda: RateLimiter(WITHOUT_END, 100, monotonic), requests, rounds
    ):
        yield row
    async for row in compare("refused, one key", few[:1], lambda: RateLimiter(0.001, 1, monotonic), requests, rounds):
        yield row
    # The only row in which the table is thinned out, which takes a moment once in thousands of requests.
    async for row in compare("a flood of new keys", many, lambda: RateLimiter(0.001, 1, monotonic), len(many), rounds):
        yield row


async def compare(
    what: str, callers: list[UUID], made: Callable[[], RateLimiter], requests: int, rounds: int
) -> AsyncIterator[Row]:
    """Product and floor over the same callers in turn; CPU of each request."""

    async def ask() -> None:
        take = made().take
        for number in range(requests):
            take(callers[number % len(callers)])

    async def note() -> None:
        seen: dict[UUID, float] = {}
        for number in range(requests):
            caller = callers[number % len(callers)]
            now = monotonic()
            seen[caller] = max(seen.get(caller, now), now)

    async def product() -> Spent:
        return await measure.spend(ask)

    async def floor() -> Spent:
        return await measure.spend(note)

    ours, bare = await measure.interleave(rounds, product, floor)
    each, least = (1e6 * spent.cpu / requests for spent in (ours, bare))
    yield Row("none", what, f"{each:.2f} us", f"{least:.2f} us", each / least)
    yield Row("none", "the same, microseconds", f"{each:.2f}", "", each, MOST_MICROSECONDS, at_most=True)


if __name__ == "__main__":
    measure.run(main, __doc__)
