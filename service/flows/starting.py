"""Saying that a meeting starts: at its lead times to the moment, once for each, whoever of the project's users has it.

    the next look ──► an alarm for its moment ──► claim what is due ──► remember, arm again, outbox ──► deliver

A claim is one transaction without a request in it: what dies in its middle has said nothing and is looked at again.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from service.core.starting import announcement
from service.flows.gateway import Gateway
from service.observability import METRICS
from service.store import starts
from service.store.database import DatabaseUnavailable
from service.store.starts import Start
from service.store.turns import Turns
from webhooks import outbox
from webhooks.message import Dispatch, Notice

AT_ONCE: Final = 250
"""Copies looked at in one transaction: some tens of milliseconds, for which the others wait."""

HELD_SECONDS: Final = 0.5
"""For how long announcements are not yet sent while others are still to be written: sending them would take most of the
processor, and the last of a thousand would be written three times as late."""

_log = logging.getLogger(__name__)


class Announcer:
    """Announces what starts in every project. One per process; `run_due` is never to run twice at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._closing = False
        self._turns = Turns()
        self._alarm: asyncio.TimerHandle | None = None
        self._written: list[Dispatch] = []

    async def run_due(self) -> int:
        """Announce what is due, and set an alarm for what will be in a moment; how many announcements were made.

        Raises DatabaseUnavailable.
        """
        announced, since = 0, time.monotonic()
        try:
            while not self._closing:
                async with self._gateway.database.look() as conn:
                    next_look = await starts.next_look(conn)
                if next_look is None or next_look > self._gateway.clock():
                    self._wake_at(next_look)
                    break
                looked, said = await self._announce_patiently()
                announced += said
                if not looked:
                    break  # others hold what is due, and go on
                if time.monotonic() - since > HELD_SECONDS:
                    self._send()
                    since = time.monotonic()
        finally:
            self._send()
        return announced

    def drain(self) -> None:
        """Begin nothing more; the transaction that is being written ends by itself."""
        self._closing = True
        if self._alarm is not None:
            self._alarm.cancel()

    async def _announce_patiently(self) -> tuple[int, int]:
        try:
            return await self._announce()
        except DatabaseUnavailable:
            # Perhaps no more than a lost race for a lock, which the next try wins.
            return await self._announce()

    async def _announce(self) -> tuple[int, int]:
        """Look at some copies that are due; how many there were, and how many announcements came of them."""
        gateway = self._gateway
        async with gateway.database.write() as conn:
            now = gateway.clock()
            looked = await starts.claim(conn, now, AT_ONCE, self._turns)
            lease = gateway.deliverer.lease(now) if gateway.deliverer is not None else None
            dispatches = await outbox.put(conn, _notices(looked.starts, now), now=now, lease=lease)
            if lease is None and looked.starts:
                gateway.wake.after(conn, "deliver")
        self._written += dispatches
        done = gateway.clock()
        for start in looked.starts:
            METRICS.announced((done - start.due_at).total_seconds())
        return looked.copies, len(looked.starts)

    def _send(self) -> None:
        """Hand over what is committed."""
        written, self._written = self._written, []
        if self._gateway.deliverer is not None and written:
            self._gateway.deliverer.submit(written)

    def _wake_at(self, moment: datetime | None) -> None:
        """Look again at the moment instead of at the next tick, which may be a second late."""
        if self._alarm is not None:
            self._alarm.cancel()
        if moment is None or self._closing:
            return
        pause = moment - self._gateway.clock()
        if pause < starts.SOON:
            rouse = self._gateway.wake.rouse
            self._alarm = asyncio.get_running_loop().call_later(max(0.0, pause.total_seconds()), rouse, "starting")


def _notices(due: Iterable[Start], now: datetime) -> list[Notice]:
    notices = []
    for start in due:
        try:
            said = announcement(start.meeting_key, start.starts_at, start.lead_seconds, start.lead, start.copies)
        except msgspec.MsgspecError:
            # A fault of ours in one event must not keep the others from being announced.
            _log.exception("meeting %s: its start cannot be announced by a fault of calgate's", start.meeting_key)
            continue
        on = tuple(copy.calendar_id for copy in start.copies)
        notices.append(Notice(start.project_id, "meeting.starting", said, now, start.lead_calendar_id, also=on))
    return notices
