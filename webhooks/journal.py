"""The one writer of results: it gathers them for some milliseconds and settles them together."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from uuid import UUID

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from webhooks import health
from webhooks.claims import release
from webhooks.health import Tally, joined
from webhooks.message import Dispatch, Lease
from webhooks.ports import Clock, Sessions
from webhooks.settings import DeliverySettings
from webhooks.settlement import Result, Settled, settle

COUNT_EVERY = 1.0
"""Endpoints' successes and failures are added up for so many seconds before they are written, but for the first."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between tries while the database is away

log = logging.getLogger("webhooks")

Entry = Result | Dispatch
"""A result to settle, or a dispatch that goes back unsent."""


def is_refused(error: Exception) -> bool:
    """Whether the database judged the values themselves (SQLSTATE classes 22 and 23), so that trying again is vain."""
    if isinstance(error, DataError | IntegrityError):
        return True
    return isinstance(error, DBAPIError) and str(getattr(error.orig, "sqlstate", "")).startswith(("22", "23"))


class Outage:
    """Keeps the log of a lost database to two lines, however often it is tried: when it begins, when it is over."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._lasts = False

    def goes_on(self, error: Exception) -> None:
        """Say so, with what was raised, unless that was said."""
        if not self._lasts:
            log.warning("%s has to wait for the database", self._work, exc_info=error)
        self._lasts = True

    def is_over(self) -> None:
        if self._lasts:
            log.info("%s goes on", self._work)
        self._lasts = False


class Journal:
    """Keeps entries until they are committed, however long the database is away.

    `written` is told, after each commit, the entries that are now history and what they led to.
    """

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        settings: DeliverySettings,
        *,
        owner: UUID,
        lease: Callable[[], Lease],
        written: Callable[[Sequence[Entry], Settled], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._settings = settings
        self._owner = owner
        self._lease = lease
        self._written = written
        self._jitter = jitter
        self._entries: list[Entry] = []
        self._writer: asyncio.Task[None] | None = None
        self._outage = Outage("recording webhook attempts")
        self._tally: Tally = {}
        self._counted_at = -COUNT_EVERY
        self._alarm: asyncio.TimerHandle | None = None
        self._one_by_one = 0  # how many of the next entries are under suspicion of being unwritable

    def add(self, entry: Entry) -> None:
        """Take an entry; the writer runs as long as there are any."""
        self._entries.append(entry)
        self._write()

    def _write(self) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="webhooks journal")

    async def close(self, seconds: float) -> None:
        """Wait until everything is written, at most so long; what is not is found by its lease."""
        if self._alarm:
            self._alarm.cancel()
        self._counted_at = -COUNT_EVERY
        if self._tally:
            self._write()
        if self._writer is None:
            return
        _, late = await asyncio.wait({self._writer}, timeout=seconds)
        for writer in late:
            log.error("webhook results left unwritten: %d", len(self._entries))
            writer.cancel()
            await asyncio.wait({writer})

    async def _write_all(self) -> None:
        pause = SHORTEST_PAUSE
        try:
            while self._entries or self._must_count():
                if self._entries and len(self._entries) < self._settings.group:
                    await asyncio.sleep(self._settings.linger)
                if await self._write_group():
                    pause = SHORTEST_PAUSE
                else:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._writer = None
        if self._tally:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(max(0.0, self._counted_at + COUNT_EVERY - loop.time()), self._write)

    def _must_count(self) -> bool:
        return bool(self._tally) and asyncio.get_running_loop().time() - self._counted_at >= COUNT_EVERY

    async def _write_group(self) -> bool:
        """Write the oldest entries; False when the database would not have them now."""
        group = self._entries[: 1 if self._one_by_one else self._settings.group]
        settled = Settled([], [], [], {})
        try:
            settled = await self._commit(group)
        except Exception as error:
            # A writer that dies loses every later result, so it outlives whatever a lost database raises.
            if not is_refused(error):
                self._outage.goes_on(error)
                return False
            # Some entry cannot be written, ever. It must not keep the others from it: find it, log it, let it go.
            log.exception("webhook results refused by the database", extra={"entries": len(group)})
            self._tally = {}
            if len(group) > 1:
                self._one_by_one = len(group)
                return True
        self._outage.is_over()
        self._one_by_one = max(0, self._one_by_one - len(group))
        del self._entries[: len(group)]
        self._written(group, settled)
        return True

    async def _commit(self, group: Sequence[Entry]) -> Settled:
        now = self._clock()
        results = [entry for entry in group if isinstance(entry, Result)]
        returned = [entry.delivery_id for entry in group if isinstance(entry, Dispatch)]
        settled = Settled([], [], [], {})
        async with self._sessions.write() as conn:
            await release(conn, self._owner, returned, now=now)
            if results:
                settled = await settle(
                    conn, results, owner=self._owner, now=now, jitter=self._jitter, lease=self._lease()
                )
            tally = joined(self._tally, settled.tally)
            moment = asyncio.get_running_loop().time()
            if is_time := moment - self._counted_at >= COUNT_EVERY:
                await health.count(conn, tally, now=now)
        self._tally, self._counted_at = ({}, moment) if is_time else (tally, self._counted_at)
        return settled
