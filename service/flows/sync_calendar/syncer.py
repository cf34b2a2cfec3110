"""The worker: claims due calendars into its free slots and runs each as a task under its lease."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core import lifecycle, schedule
from service.core.decision import Decision
from service.core.lifecycle import Fact, Standing, State
from service.errors import ProviderError
from service.flows.gateway import Gateway
from service.flows.sync_calendar.examination import decide_alone, is_due_for_examination_alone
from service.flows.sync_calendar.facts import fact_of
from service.flows.sync_calendar.reading import Reading, read_calendar
from service.observability import METRICS
from service.providers.tokens import PAIRING
from service.store import calendars, events, leases, starts
from service.store.cipher import Unreadable
from service.store.database import DatabaseUnavailable
from service.store.group_commit import GroupCommit
from service.store.leases import Claimed
from service.store.settlement import Settled, Settlement, news_of, settle
from service.store.tables import LEAD_SECONDS, Found
from service.store.turns import Turns

LEASE: Final = timedelta(seconds=30)
RENEW_EVERY: Final = 10.0
LOOK_AHEAD: Final = 1.0
"""A calendar that becomes due within so many seconds is claimed when it does; later ones are left to the tick."""

GATHER: Final = 0.1
"""Seconds that few free slots wait for more, since the last one became free."""

PACE: Final = 0.03
"""Seconds between two claims at least: what becomes due meanwhile is claimed together."""

LOOKED_ENOUGH: Final = 0.8
"""What part of a provider's `second_look` has to have passed since a notice; the pace is up to a tenth faster."""

_log = logging.getLogger(__name__)


def _is_news(row: Found, since: datetime) -> bool:
    """Whether a claimed calendar was notified so lately that what the notice is about may not show yet."""
    return row.due_cause == "push" or (row.push_received_at is not None and row.push_received_at > since)


class Syncer:
    """Syncs calendars of every project, at most `CALGATE_SYNC_CONCURRENCY` at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._most = gateway.settings.sync_concurrency
        self._running: dict[asyncio.Task[None], Found] = {}
        self._turns = Turns()
        self._freed = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._closing = False
        self._has_left = False  # what is due, of projects that have their share of the slots
        self._alarm: asyncio.TimerHandle | None = None
        self._renewer: asyncio.Task[None] | None = None
        self._settler: GroupCommit[Settlement, Settled] = GroupCommit(
            gateway.database, self._settle, weigh=lambda settlement: settlement.weight
        )

    async def idle(self) -> None:
        """Wait until no sync is running."""
        while self._running:
            await asyncio.wait(list(self._running))

    async def run_due(self) -> int:
        """Claim and start calendars until none is due, waiting for free slots; how many were started.

        Raises DatabaseUnavailable when nothing could be claimed.
        """
        started = 0
        async with self._claiming:
            while not self._closing:
                if not (free := await self._room()):
                    continue
                claimed, next_due = await self._claim(free)
                if self._closing:
                    await self._give_back(claimed.rows)
                    break
                for row in claimed.rows:
                    self._start(row)
                started += len(claimed.rows)
                if len(claimed.rows) < free:
                    self._has_left = claimed.cut_short
                    self._wake_at(next_due)
                    break
        return started

    async def _room(self) -> int:
        """How many calendars to claim now; 0 after a wait.

        A claim costs the same for one calendar as for many: it waits until it is worth its while, though not for slots
        that nobody gives back, which may be all that one project has left to the others.
        """
        free = self._most - len(self._running)
        if free >= max(1, self._most // 4):
            return free
        self._freed.clear()
        try:
            async with asyncio.timeout(GATHER if free else None):
                await self._freed.wait()
        except TimeoutError:
            return free
        return 0

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - a bound on the whole, after which leases go back
        """Claim no more, let running syncs end for at most `timeout` seconds, give the leases of the others back."""
        self._closing = True
        self._freed.set()
        if self._alarm is not None:
            self._alarm.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=timeout)
        left = dict(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._renewer is not None:
            self._renewer.cancel()
            await asyncio.gather(self._renewer, return_exceptions=True)
        await self._give_back(list(left.values()))

    async def _give_back(self, rows: Sequence[Found]) -> None:
        if rows:
            async with self._gateway.database.write() as conn:
                await leases.release(conn, [(row.id, row.lease) for row in rows], self._gateway.clock())

    async def _claim(self, most: int) -> tuple[Claimed, datetime | None]:
        """Up to `most` due calendars; where there are no more to be had, also when the next one becomes due."""
        now = self._gateway.clock()
        held = Counter(row.project_id for row in self._running.values())
        async with self._gateway.database.write() as conn:
            claimed = await leases.claim(
                conn, now=now, until=now + LEASE, owner=uuid4(), most=most, turns=self._turns, held=held
            )
            return claimed, await leases.next_due(conn, now) if len(claimed.rows) < most else None

    def _wake_at(self, due: datetime | None) -> None:
        """Look again when a calendar becomes due, instead of at the next tick: few at a time, each on time."""
        if self._alarm is not None:
            self._alarm.cancel()
        pause = (due - self._gateway.clock()).total_seconds() if due is not None else LOOK_AHEAD
        if pause < LOOK_AHEAD and not self._closing:
            wake = self._gateway.wake
            self._alarm = asyncio.get_running_loop().call_later(max(pause, PACE), wake.rouse, "sync")

    def _start(self, row: Found) -> None:
        task = asyncio.create_task(self._run(row), name=f"sync {row.id}")
        self._running[task] = row
        task.add_done_callback(self._ended)
        if self._renewer is None or self._renewer.done():
            self._renewer = asyncio.create_task(self._renew_leases(), name="sync leases")

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._freed.set()
        if self._has_left:
            self._has_left = False
            self._wake_at(self._gateway.clock())

    async def _renew_leases(self) -> None:
        while self._running:
            await asyncio.sleep(RENEW_EVERY)
            held = [(row.id, row.lease) for row in self._running.values()]
            if not held:
                return
            try:
                async with self._gateway.database.write() as conn:
                    await leases.renew(conn, held, self._gateway.clock() + LEASE)
            except DatabaseUnavailable:
                _log.warning("leases could not be prolonged; results that come too late will be dropped")

    async def _run(self, row: Found) -> None:
        """One calendar's sync, whatever happens in it; only a database that is gone leaves it to the lease."""
        began = perf_counter()
        now = self._gateway.clock()
        try:
            settlement, outcome = await self._attempt(row, now)
            settled = await self._settler.submit(settlement)
        except DatabaseUnavailable:
            _log.warning("calendar %s: the database is away; its lease runs out and it is read again", row.id)
            return
        except Exception:  # noqa: BLE001 - the edge of a task: nobody else would ever hear of it
            _log.exception("calendar %s: a sync could not be settled; its lease runs out and it is read again", row.id)
            return
        if not settled.applied:
            outcome = "superseded"
        if settled.dispatches and self._gateway.deliverer is not None:
            self._gateway.deliverer.submit(settled.dispatches)
        if settled.applied and settlement.last_synced_at != row.last_synced_at and row.last_synced_at is not None:
            METRICS.verified(row.provider, (now - row.last_synced_at).total_seconds())
        METRICS.synced(row.provider, outcome, perf_counter() - began, settlement.entries)

    async def _attempt(self, row: Found, now: datetime) -> tuple[Settlement, str]:
        if is_due_for_examination_alone(row, now):
            return await self._examined(row, calendars.standing(row), now), "examined"
        gateway = self._gateway
        try:
            reading = await read_calendar(gateway, row, now)
        except ProviderError as error:
            fact = fact_of(error)
            return await self._failed(row, fact, now), type(fact).__name__
        except DatabaseUnavailable:
            raise
        except Unreadable:
            # A value that was swapped or cut off, or a key that left the ring: this connection's trouble alone.
            _log.error("calendar %s: no key of the ring opens its stored credentials", row.id)
            return await self._failed(row, lifecycle.Refused("credential_unreadable", ""), now), "unreadable"
        except Exception:  # noqa: BLE001
            # A fault of ours in one calendar must not stop the others, nor this one for ever.
            _log.exception("calendar %s: the sync failed by a fault of calgate's", row.id)
            fact = lifecycle.TransientFailure("an internal fault; the gateway's log has the details")
            return await self._failed(row, fact, now), "internal"
        return await self._synced(row, reading, now), "changed" if reading.decision else "unchanged"

    async def _synced(self, row: Found, reading: Reading, now: datetime) -> Settlement:
        gateway = self._gateway
        standing = lifecycle.after(calendars.standing(row), lifecycle.Synced(), now, gateway.draw())
        pushed = row.push_until is not None and row.push_until > now
        next_meeting = None if pushed else await self._next_meeting(row, reading.decision, now)
        interval = schedule.poll_interval(
            timedelta(seconds=gateway.settings.poll_seconds),
            pushed=pushed,
            until_next_meeting=next_meeting - now if next_meeting else None,
            sharers=gateway.sharers.get((row.oauth_client_id, pushed), 0),
        )
        interval = schedule.no_sooner(max(interval, reading.rest or interval), row.min_poll_seconds)
        second_look = gateway.providers[row.provider].second_look
        if second_look is not None and _is_news(row, now - second_look * LOOKED_ENOUGH):
            interval = min(interval, second_look)
        return Settlement(
            row=row,
            now=now,
            standing=standing,
            next_due=schedule.next_poll(now, interval, gateway.draw()),
            cursor=msgspec.json.encode(reading.cursor).decode(),
            last_synced_at=now,
            stale_at=now + schedule.promise(interval),
            next_meeting_at=next_meeting,
            time_zone=reading.time_zone,
            **self._news(row, reading.decision, now),
        )

    async def _failed(self, row: Found, fact: Fact, now: datetime) -> Settlement:
        before = calendars.standing(row)
        standing: Standing = lifecycle.after(before, fact, now, self._gateway.draw())
        if standing.status is not before.status or standing.status is State.ERROR:
            _log.warning("calendar %s: %s (%s)", row.id, standing.status, standing.error_message)
        settlement = await self._examined(row, standing, now)
        rejected = isinstance(fact, lifecycle.ClientRejected) and fact.reason not in PAIRING
        return msgspec.structs.replace(settlement, rejected_client=rejected)

    async def _examined(self, row: Found, standing: Standing, now: datetime) -> Settlement:
        """The result without a reading: how the calendar stands from now on, and the links of what is stored."""
        decision, is_examined = Decision(), True
        try:
            decision = await decide_alone(self._gateway, row, now)
        except DatabaseUnavailable:
            raise
        except Exception:  # noqa: BLE001 - by a fault of ours; how the calendar stands is to be written all the same
            _log.exception("calendar %s: its events could not be examined by a fault of calgate's", row.id)
            is_examined = False
        return Settlement(
            row=row,
            now=now,
            standing=standing,
            next_due=standing.retry_at,
            cursor=row.cursor,
            last_synced_at=row.last_synced_at,
            stale_at=None if standing.status is State.DISCONNECTED else row.stale_at,
            next_meeting_at=await self._next_meeting(row, decision, now) if decision else row.next_meeting_at,
            time_zone=row.time_zone,
            is_examined=is_examined,
            **self._news(row, decision, now),
        )

    def _news(self, row: Found, decision: Decision, now: datetime) -> dict[str, Any]:
        return news_of(row, decision, now, self._gateway.lead_seconds.get(row.project_id, LEAD_SECONDS))

    async def _next_meeting(self, row: Found, decision: Decision, now: datetime) -> datetime | None:
        """When the next meeting starts, as far as the pace of polling needs to know it."""
        coming = [
            upsert.event.starts_at
            for upsert in decision.upserts
            if upsert.event.meeting is not None and upsert.event.starts_at > now
        ]
        known = row.next_meeting_at
        if known is not None and known <= now:
            async with self._gateway.database.read() as conn:
                known = await events.next_meeting(conn, row.id, now)
        return min([*coming, *([known] if known else [])], default=None)

    async def _settle(self, conn: AsyncConnection, settlements: Sequence[Settlement]) -> Sequence[Settled]:
        deliverer = self._gateway.deliverer
        now = self._gateway.clock()
        delivery = deliverer.lease(now) if deliverer is not None else None
        results = await settle(conn, settlements, delivery, self._gateway.lead_seconds)
        news = [each for each in settlements if each.entries]
        for project_id in {each.row.project_id for each in news}:
            self._gateway.wake.after(conn, f"changes:{project_id}")
        if news and deliverer is None:
            self._gateway.wake.after(conn, "deliver")
        if any(starts.is_soon(each.event_rows, now) for each in settlements):
            self._gateway.wake.after(conn, "starting")
        if results[0].has_bots:
            self._gateway.wake.after(conn, "bots")
        if results[0].has_managed:
            self._gateway.wake.after(conn, "managed")
        return results
