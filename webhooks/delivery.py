"""The deliverer: dispatches go out at once, due ones are claimed, results are written in groups.

submit() and claim_due() fill the lanes, slots send from them, the journal writes down what came of it. What a crash
leaves behind is a leased row: when the lease runs out, a claim sends the same bytes again under the same id.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import httpx

from webhooks import health
from webhooks.attempt import Sender, vouch_for_all
from webhooks.claims import any_due
from webhooks.endpoints import versions
from webhooks.journal import Entry, Journal, Outage
from webhooks.keyring import Keyring
from webhooks.lanes import Lanes
from webhooks.message import RELAY, Dispatch, Lease, Outcome, Rank
from webhooks.places import free_of
from webhooks.ports import Cipher, Clients, Clock, Observe, Sends, Sessions, Vouch
from webhooks.retry import told_to_stop
from webhooks.settings import DeliverySettings
from webhooks.settlement import Result, Settled, settle
from webhooks.turns import Turns, claim

SOON = timedelta(seconds=60)
"""A retry within this is waited for to the moment, so that jitter is all that is added to its pause."""

STAY = 0.1
"""For how many seconds a slot goes on with the endpoint that its connection is open to before others have a turn."""

REMEMBERED = 4096
"""Of how many changed endpoints the version is remembered; a dispatch is in memory for seconds."""

SLOW = frozenset({"timeout", "dns"})
"""Kinds of failures that may have cost a slot many seconds: silent receivers, and names whose servers are silent."""

log = logging.getLogger("webhooks")


def unobserved(kind: str, seconds: float) -> None:
    """The observer of those who do not count."""


class Deliverer:
    """Sends webhooks. One per process and event loop; `owner` is what its leases say.

    `relay` makes the attempts that go to the relay, where there is one; `vouch` says which headers of endpoints still go.
    """

    def __init__(
        self,
        sessions: Sessions,
        clients: Clients,
        cipher: Cipher,
        clock: Clock,
        settings: DeliverySettings,
        *,
        observe: Observe = unobserved,
        jitter: Callable[[], float] = random.random,
        relay: Sends | None = None,
        vouch: Vouch = vouch_for_all,
    ) -> None:
        self.owner: UUID = uuid4()
        self._sessions = sessions
        self._clients = clients
        self._clock = clock
        self._settings = settings
        self._observe = observe
        self._jitter = jitter
        self._relay = relay
        self._sender = Sender(
            Keyring(cipher),
            clock,
            user_agent=settings.user_agent,
            deadline=settings.deadline,
            prefixes=settings.prefixes,
            vouch=vouch,
        )
        most = settings.concurrency
        self._lanes = Lanes(settings.endpoint_concurrency, most_slow=max(1, most // 2), most=most)
        self._turns = Turns()
        self._journal = Journal(
            sessions, clock, settings, owner=self.owner, lease=self.lease, written=self._written, jitter=jitter
        )
        self._outage = Outage("claiming due webhooks")
        self._held: set[UUID] = set()  # deliveries in memory until what came of them is committed
        self._slots: set[asyncio.Task[None]] = set()
        self._claiming = asyncio.Lock()
        self._woken = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._crowded: Collection[UUID] = ()  # endpoints with more due than was claimed, when last looked
        self._cut_short = False
        self._newest: dict[UUID, int] = {}  # versions of endpoints that were changed while this process ran
        self._closing = False

    def lease(self, now: datetime | None = None) -> Lease:
        """A lease from now on, for `outbox.put`."""
        return Lease(self.owner, (now or self._clock()) + timedelta(seconds=self._settings.lease))

    def submit(self, dispatches: Iterable[Dispatch]) -> None:
        """Send what `outbox.put` answered. To be called right after the commit, never before; does not block."""
        now = asyncio.get_running_loop().time()
        for dispatch in dispatches:
            if dispatch.lease is None:
                self.wake()
            elif self._closing or not self._lanes.has_room(dispatch):
                self._journal.add(dispatch)
            else:
                self._held.add(dispatch.delivery_id)
                self._lanes.push(dispatch, now)
        self._pump()

    def wake(self) -> None:
        """Let `run` look for due deliveries now instead of at its next tick."""
        self._woken.set()

    def share_rates(self, processes: int) -> None:
        """So many processes send, this one included: each keeps to its part of an endpoint's rate limit from here on."""
        self._lanes.sharers = max(1, processes)

    def renew(self, endpoint_id: UUID, version: int | None) -> None:
        """An endpoint is at this version by now, or gone (None): what waits here for an older one is claimed anew.

        So whatever is sent from here on goes to its present address, signed with its present secrets.
        """
        self._newest.pop(endpoint_id, None)
        if version is not None:
            self._newest[endpoint_id] = version
            if len(self._newest) > REMEMBERED:
                del self._newest[next(iter(self._newest))]
        now = asyncio.get_running_loop().time()
        for dispatch in self._lanes.withdraw(endpoint_id):
            if version is not None and dispatch.target.version >= version:
                self._lanes.push(dispatch, now)
            else:
                self._journal.add(dispatch)

    async def refresh(self) -> None:
        """Learn which endpoints have changed, of those that something waits for here."""
        waiting = self._lanes.endpoints()
        if not waiting:
            return
        async with self._sessions.read() as conn:
            found = await versions(conn, waiting)
        for endpoint_id in waiting:
            self.renew(endpoint_id, found.get(endpoint_id))

    async def run(self) -> None:
        """Claim due deliveries whenever woken, and every tick, until drained. Outlives a lost database."""
        while not self._closing:
            self._woken.clear()
            try:
                await self.claim_due()
                self._outage.is_over()
            except Exception as error:  # noqa: BLE001  of whatever kind: the next tick tries again, and nobody else would
                self._outage.goes_on(error)
            try:
                async with asyncio.timeout(self._settings.tick):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def claim_due(self) -> int:
        """Lease what is due, as far as there is room in memory, and begin to send it; how many that was."""
        async with self._claiming:
            if self._closing:
                return 0
            most = self._settings.concurrency
            limits = {
                Rank.NEWS: free_of(2 * most, self._lanes.loads(Rank.NEWS)),
                Rank.BACKFILL: free_of(most, self._lanes.loads(Rank.BACKFILL)),
            }
            now = self._clock()
            async with self._sessions.read() as conn:
                if not await any_due(conn, now):
                    self._crowded, self._cut_short = (), False
                    return 0
            async with self._sessions.write() as conn:
                claimed = await claim(
                    conn, self.lease(now), now=now, limits=limits, room=self._lanes, held=self._held, turns=self._turns
                )
            self._crowded, self._cut_short = claimed.crowded, claimed.cut_short
            self.submit(claimed.dispatches)
            return len(claimed.dispatches)

    async def deliver(self, dispatch: Dispatch) -> Outcome:
        """Send one dispatch past all queues, write down the outcome and answer with it (a test message)."""
        self._held.add(dispatch.delivery_id)
        try:
            async with self._clients.borrow() as client:
                outcome = await self._send(client, dispatch)
            result = Result(dispatch, outcome)
            async with self._sessions.write() as conn:
                settled = await settle(
                    conn,
                    [result],
                    owner=self.owner,
                    now=self._clock(),
                    jitter=self._jitter,
                    lease=self.lease(),
                )
                await health.count(conn, settled.tally, now=self._clock())
        finally:
            self._held.discard(dispatch.delivery_id)
        self._observe(outcome.error_kind or "delivered", outcome.duration)
        self._written([result], settled)
        return outcome

    async def _send(self, client: httpx.AsyncClient, dispatch: Dispatch) -> Outcome:
        if dispatch.target.format != RELAY:
            return await self._sender.send(client, dispatch)
        if self._relay is None:
            return Outcome(self._clock(), 0.0, error_kind="unavailable", error_detail="this process has no relay")
        return await self._relay.send(client, dispatch)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  a deadline for the work, not for this call
        """Stop: nothing new is begun, what waits goes back at once, what is in flight has `timeout` seconds to end."""
        self._closing = True
        self.wake()
        end = asyncio.get_running_loop().time() + timeout
        if self._alarm:
            self._alarm.cancel()
        self._give_back(self._lanes.withdraw_all())
        if self._slots:
            _, late = await asyncio.wait(self._slots, timeout=timeout)
            for slot in late:
                slot.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._journal.close(max(1.0, end - asyncio.get_running_loop().time()))

    def _pump(self) -> None:
        """Fill free slots from the lanes."""
        loop = asyncio.get_running_loop()
        while len(self._slots) < self._settings.slots and (dispatch := self._next(None, loop.time())):
            slot = asyncio.create_task(self._work(dispatch), name="webhooks slot")
            self._slots.add(slot)
            slot.add_done_callback(self._freed)
        pause = self._lanes.pause(loop.time())
        if pause is not None and not self._closing and len(self._slots) < self._settings.slots:
            if self._alarm:
                self._alarm.cancel()
            self._alarm = loop.call_later(pause, self._pump)

    def _freed(self, slot: asyncio.Task[None]) -> None:
        self._slots.discard(slot)
        self._pump()

    def _next(self, endpoint_id: UUID | None, now: float) -> Dispatch | None:
        """The next dispatch with enough left of its lease, of this endpoint or in rotation; the stale ones go back."""
        fresh_until = self._clock() + timedelta(seconds=self._settings.deadline)
        while not self._closing:
            dispatch = self._lanes.follow(endpoint_id, now) if endpoint_id else self._lanes.pop(now)
            if dispatch is None or (
                dispatch.lease and dispatch.lease.until >= fresh_until and self._is_current(dispatch)
            ):
                return dispatch
            self._lanes.done(dispatch, now, timed_out=None)
            self._journal.add(dispatch)
        return None

    def _is_current(self, dispatch: Dispatch) -> bool:
        return dispatch.target.version >= self._newest.get(dispatch.target.endpoint_id, 0)

    async def _work(self, dispatch: Dispatch) -> None:
        """One slot: send, and go on sending, as long as there is anything to send."""
        loop = asyncio.get_running_loop()
        current: Dispatch | None = dispatch
        try:
            async with self._clients.borrow() as client:
                since = loop.time()
                while current is not None:
                    outcome = await self._send(client, current)
                    sent, current = current, None
                    self._record(sent, outcome)
                    now = loop.time()
                    if now - since < STAY:
                        current = self._next(sent.target.endpoint_id, now)
                    if current is None:
                        since, current = now, self._next(None, now)
                    self._pump()  # the place that was given back may let several go on
        except Exception as error:  # a client that cannot be had is a failed attempt: given back, it would spin
            log.exception("a webhook slot broke off")
            if current is not None:
                self._record(current, Outcome(self._clock(), 0.0, error_kind="internal", error_detail=repr(error)))
                current = None
        finally:
            if current is not None:
                self._lanes.done(current, loop.time(), timed_out=None)
                self._journal.add(current)

    def _record(self, dispatch: Dispatch, outcome: Outcome) -> None:
        now = asyncio.get_running_loop().time()
        timed_out = outcome.error_kind in SLOW
        self._lanes.done(dispatch, now, timed_out=timed_out)
        self._journal.add(Result(dispatch, outcome))
        self._observe(outcome.error_kind or "delivered", outcome.duration)
        if told_to_stop(outcome) or timed_out:
            self._give_back(self._lanes.withdraw(dispatch.target.endpoint_id))
        if outcome.error_kind:
            log.info(
                "webhook attempt failed",
                extra={
                    "message_id": str(dispatch.message_id),
                    "endpoint_id": str(dispatch.target.endpoint_id),
                    "attempt": dispatch.attempt,
                    "status": outcome.status,
                    "error_kind": outcome.error_kind,
                },
            )

    def _give_back(self, dispatches: Iterable[Dispatch]) -> None:
        """Unsent, to be claimed again by anybody, or to be parked with the rest of a disabled endpoint."""
        for dispatch in dispatches:
            self._journal.add(dispatch)

    def _written(self, entries: Sequence[Entry], settled: Settled) -> None:
        """After a commit: forget what is history, take up what it led to."""
        again = self._cut_short
        for entry in entries:
            dispatch = entry.dispatch if isinstance(entry, Result) else entry
            self._held.discard(dispatch.delivery_id)
            made_room = dispatch.target.endpoint_id in self._crowded
            again = again or made_room or dispatch.ordered or isinstance(entry, Dispatch)
        for endpoint_id in settled.disabled:
            self._give_back(self._lanes.withdraw(endpoint_id))
        self.submit(settled.dispatches)
        self._wake_for(settled.retries)
        if again:
            self.wake()

    def _wake_for(self, retries: Sequence[datetime]) -> None:
        """Look again when these are due; those that are far off are found by a tick, which is near enough for them."""
        now = self._clock()
        pauses = {round((moment - now).total_seconds() + 0.05, 1) for moment in retries if moment - now <= SOON}
        loop = asyncio.get_running_loop()
        for pause in pauses:
            loop.call_later(max(0.0, pause), self.wake)
