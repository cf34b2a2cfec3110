"""The worker of push channels: claims the calendars that are due for one into places of its own, fairly between projects.

A provider that hangs holds what it was asked for, in the places that its project may have, and nobody else.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final
from uuid import UUID

from service.flows.gateway import Gateway
from service.flows.push.renewal import CLAIM, close_channel, open_channel
from service.store import channels
from service.store.database import DatabaseUnavailable
from service.store.turns import Turns

PLACES: Final = 12
CLOSING_PLACES: Final = 4
"""Channels that are opened, and channels that are closed, at once: closing never waits for opening, nor the reverse."""

_log = logging.getLogger(__name__)


class Renewer:
    """Opens, prolongs and closes the channels of every project. One per process."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._turns = Turns()
        self._opening: dict[asyncio.Task[None], UUID] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._has_left = False
        self._stopped = False

    async def run_due(self) -> int:
        """Start on what is due, as far as there are places; how many were started. Raises DatabaseUnavailable."""
        gateway = self._gateway
        if gateway.settings.public_url is None or self._stopped:
            return 0
        now, until = gateway.clock(), gateway.clock() + CLAIM
        to_open, to_close = PLACES - len(self._opening), CLOSING_PLACES - len(self._closing)
        held = Counter(self._opening.values())
        async with gateway.database.write() as conn:
            wanted = await channels.claim_wanted(conn, now, until, to_open, turns=self._turns, held=held)
            replaced = await channels.claim_closing(conn, now, until, to_close)
        for row in wanted.rows:
            self._opening[self._start(open_channel(gateway, row))] = row.project_id
        self._closing |= {self._start(close_channel(gateway, row)) for row in replaced}
        self._has_left = wanted.cut_short or len(replaced) == to_close
        return len(wanted.rows) + len(replaced)

    async def idle(self) -> None:
        """Wait until nothing is being opened or closed."""
        while running := {*self._opening, *self._closing}:
            await asyncio.wait(running)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - a bound on the whole
        """Start nothing more; what runs has `timeout` seconds to end. What is cut off is due again in a minute."""
        self._stopped = True
        if running := {*self._opening, *self._closing}:
            _, late = await asyncio.wait(running, timeout=timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        task = asyncio.create_task(_survive(work), name="push channel")
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._opening.pop(task, None)
        self._closing.discard(task)
        if self._has_left and not self._stopped:
            self._has_left = False
            self._gateway.wake.rouse("push")


async def _survive(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except DatabaseUnavailable:
        _log.warning("a push channel has to wait: the database is away")
    except Exception:  # noqa: BLE001 - the edge of a task: nobody else would ever hear of it
        _log.exception("a push channel failed by a fault of calgate's; it is tried again")


async def renew_due(gateway: Gateway) -> int:
    """Start on what is due, as a worker does once, and wait for it; how many channels that was."""
    renewer = Renewer(gateway)
    count = await renewer.run_due()
    await renewer.idle()
    return count
