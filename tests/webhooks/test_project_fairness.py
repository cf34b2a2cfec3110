"""Deliveries of many projects: the backlog of one, spread over many endpoints, is not in the way of another's news."""

from uuid import uuid4

import pytest

pytestmark = pytest.mark.anyio
ENDPOINTS, EACH = 20, 20


@pytest.mark.xfail(
    strict=True, reason="claims are fair between endpoints; a project has as many turns as it has endpoints"
)
async def test_a_project_with_many_endpoints_delays_no_other(bench):
    receiver, other = await bench.receiver(), await bench.receiver()
    for _ in range(ENDPOINTS):
        await bench.endpoint(receiver.url)
    await bench.put(*[bench.notice() for _ in range(EACH)])
    bench.clock.advance(seconds=1)
    theirs = uuid4()
    await bench.endpoint(other.url, project_id=theirs)
    await bench.put(bench.notice(project_id=theirs))
    deliverer = bench.deliverer(concurrency=8)
    for _ in range(2):
        await deliverer.claim_due()
    await receiver.until(8)
    assert other.requests, "in the first or second claim"
