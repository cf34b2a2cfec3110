"""A process that hands over what is due at a moment, and ends when nothing is: to be killed at work.

Run as `relay_worker.py DATABASE_URL SVIX_URL TOKEN MOMENT`.
"""

import asyncio
import sys
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from webhook_bench import PlacedCipher
from webhook_stores import Store, engine_for

from service.providers.guarded_http import Slots
from webhooks.claims import any_due
from webhooks.delivery import Deliverer
from webhooks.relay.remote import Remote
from webhooks.relay.sender import RelaySender
from webhooks.settings import DeliverySettings


async def main(url: str, svix_url: str, token: str, moment: str) -> None:
    began, start = monotonic(), datetime.fromisoformat(moment)

    def clock() -> datetime:
        return start + timedelta(seconds=monotonic() - began)

    slots, store = Slots(64), Store(engine_for(url))
    remote = Remote(slots, token, svix_url, [], deadline=0.3)
    deliverer = Deliverer(
        store,
        slots,
        PlacedCipher(),
        clock,
        DeliverySettings(tick=0.05),
        jitter=lambda: 0.0,
        relay=RelaySender(remote, clock),
    )
    running = asyncio.create_task(deliverer.run())
    idle = 0
    while idle < 5:
        await asyncio.sleep(0.02)
        async with store.read() as conn:
            idle = 0 if await any_due(conn, clock()) or deliverer._slots else idle + 1
    await deliverer.drain(2)
    await running
    await slots.aclose()
    await store.engine.dispose()
    assert isinstance(deliverer.owner, UUID)


asyncio.run(main(*sys.argv[1:]))
