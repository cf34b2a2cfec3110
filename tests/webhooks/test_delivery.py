"""Delivery from the outbox to real receivers on loopback."""

import pytest
from receivers import answers

pytestmark = pytest.mark.anyio


async def test_a_message_goes_out_at_once_signed_and_as_stored(bench):
    receiver = await bench.receiver()
    _, secret = await bench.endpoint(receiver.url)
    deliverer = bench.deliverer()
    [dispatch] = await bench.publish(deliverer)
    [request] = await receiver.until(1)
    await bench.attempts(1)
    [message] = await bench.rows("messages")
    assert request.body == message.body == dispatch.body
    assert request.headers["webhook-id"] == str(message.id)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "calgate/1.2.3"
    assert request.headers["accept-encoding"] == "identity"
    assert request.verify(secret) == {
        "type": "calendar.active",
        "timestamp": bench.clock().isoformat().replace("+00:00", "Z"),
        "data": {"n": 0},
    }
    assert await bench.states() == ["delivered"]
    assert bench.observed == ["delivered"]
