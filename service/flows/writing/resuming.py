"""Wishes that were left behind: by a process that died in the middle, or by a provider that was away."""

import asyncio
import logging
from datetime import timedelta
from typing import Final
from uuid import uuid4

from service.errors import GatewayError, ProviderError
from service.flows.gateway import Gateway
from service.flows.writing import carrying
from service.flows.writing.opening import LEASE, Opened, decode, give_up, put_off, reopen
from service.flows.writing.refusals import FAULTS
from service.flows.writing.scene import Scene, set_scene
from service.store import event_writes
from service.store.cipher import Unreadable
from service.store.database import DatabaseUnavailable
from service.store.tables import Found

AT_ONCE: Final = 8
MOST_PAUSE: Final = timedelta(minutes=10)
FORGOTTEN: Final = timedelta(minutes=15)
"""A wish whose author was told that it failed, and has not come again for so long, is taken back."""

_WORK: Final = {
    "create": carrying.create,
    "change": carrying.change,
    "remove": carrying.remove,
    "follow": carrying.follow,
}
_log = logging.getLogger(__name__)


class Resumer:
    """Goes on with wishes of every project. One per process; `run_due` is never to run twice at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._closing = False
        self._running: set[asyncio.Task[None]] = set()

    async def run_due(self) -> int:
        """Take up what nobody works on; how many. Raises DatabaseUnavailable."""
        gateway = self._gateway
        async with gateway.database.look() as conn:
            next_due = await event_writes.next_due(conn)
        now = gateway.clock()
        room = AT_ONCE - len(self._running)
        if self._closing or room <= 0 or next_due is None or next_due > now:
            return 0
        async with gateway.database.write() as conn:
            rows = await event_writes.claim(conn, now=now, until=now + LEASE, owner=uuid4(), most=room)
        for row in rows:
            task = asyncio.create_task(self._run(row), name=f"write {row.id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(rows)

    async def idle(self) -> None:
        """Wait until nothing is being gone on with."""
        while self._running:
            await asyncio.wait(list(self._running))

    async def drain(self, grace: float) -> None:
        """Begin nothing more; what runs has so many seconds to end in, and is left to the next process then."""
        self._closing = True
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace)
        left = list(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _run(self, row: Found) -> None:
        try:
            await self._go_on(row)
        except DatabaseUnavailable:
            _log.warning("write %s: the database is away; it is gone on with later", row.id)
        except Exception:  # noqa: BLE001 - the edge of a task: nobody else would ever hear of it
            _log.exception("write %s: failed by a fault of calgate's; it is gone on with later", row.id)

    async def _go_on(self, row: Found) -> None:
        gateway = self._gateway
        try:
            job = decode(event_writes.opened(gateway.cipher, row))
        except Unreadable:
            _log.error("write %s: no key of the ring opens it", row.id)
            return
        opened = await reopen(gateway, row, job)
        if opened is None:
            return
        try:
            scene = await set_scene(gateway, row.project_id, row.calendar_id)
        except GatewayError as error:
            await give_up(gateway, opened, error.detail)
            return
        await self._carry(scene, opened)

    async def _carry(self, scene: Scene, opened: Opened) -> None:
        gateway, row = self._gateway, opened.row
        is_forgotten = row.request_key is not None and gateway.clock() - row.created_at > FORGOTTEN and row.attempts > 0
        state = "undoing" if row.state == "undoing" or (is_forgotten and row.kind == "create") else "pending"
        try:
            if state == "undoing":
                await carrying.undo(scene, opened)
                await give_up(gateway, opened, row.reason or "undone")
            else:
                await _WORK[row.kind](scene, opened)
        except FAULTS as error:
            pause = min(MOST_PAUSE, timedelta(seconds=5 * 2 ** min(row.attempts, 8)))
            await put_off(gateway, opened, state, pause, error.reason)
        except (ProviderError, GatewayError) as error:
            _log.warning("write %s: %s", row.id, error)
            await give_up(gateway, opened, str(error))
