"""The beginning and the end of a wish: kept before the first request, and ended in the transaction that stores its result."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import GatewayError, ProviderError
from service.flows.gateway import Gateway
from service.flows.writing.reaching import PATIENCE
from service.flows.writing.scene import Job
from service.store import connection_standing, event_writes, events
from service.store.tables import Found

LEASE: Final = timedelta(seconds=PATIENCE + 20)
NEEDED: Final = timedelta(seconds=LEASE.total_seconds() - PATIENCE)
"""So much of a lease has to be left for one more request."""

READ_PATIENCE: Final = 5.0
"""For how many seconds a read of the calendar that is going on may end, before it is dropped and begun again later."""

FIRST_READ_PATIENCE: Final = 15.0
LOOK_EVERY: Final = 0.05

encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(Job).decode


class Overtaken(ProviderError):
    """The wish has passed to somebody else while we had it in hand: nothing more is to be done about it here."""


class Progress(msgspec.Struct):
    """What may be left if a wish fails from here on: `has_made` says that something was made, `tries` may have made it.

    `lacks` is the conference that the provider could not make for a change which is done but for that.
    """

    has_made: bool = False
    tries: int = 0
    lacks: str | None = None

    @property
    def may_have_made(self) -> bool:
        """Whether it takes a withdrawal until nothing is left. What was refused at the first try was never made."""
        return self.has_made or self.tries > 1


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A wish that this process has in hand under `lease`; `is_done` says that it was carried out before.

    Of one that `is_repeat` nobody knows what was done of it before.
    """

    row: Found
    job: Job
    lease: UUID
    is_done: bool = False
    is_repeat: bool = False
    progress: Progress = msgspec.field(default_factory=Progress)

    @property
    def id(self) -> UUID:
        """The wish's own id."""
        found: UUID = self.row.id
        return found


async def begin(
    gateway: Gateway,
    calendar: Found,
    kind: str,
    job: Job,
    *,
    event_id: UUID,
    request_key: bytes | None = None,
    in_turn: bool = False,
) -> Opened:
    """Keep a wish, and reads away from its calendar. Raises GatewayError 409 while the same request is being carried out.

    Of two wishes `in_turn` to one connection the one that is kept later has the later `created_at`, and finds the other. So
    has the later of two changes in one calendar.
    """
    lease, write_id = uuid4(), uuid4()

    async def keep(conn: AsyncConnection, now: datetime) -> Opened:
        is_ranked = in_turn or kind != "create"
        if is_ranked and (last := await event_writes.last_moment(conn, calendar.connection_id)) is not None:
            # The clocks of two processes may differ.
            now = max(now, last + timedelta(microseconds=1))
        if kind != "create":
            # A read that was waited for may have brought another version than its author has seen.
            await _check_event(conn, calendar.project_id, event_id, job)
        values: dict[str, Any] = {
            "id": write_id,
            "project_id": calendar.project_id,
            "calendar_id": calendar.id,
            "event_id": event_id,
            "kind": kind,
            "key": uuid4().hex,
            "state": "pending",
            "request_key": request_key,
            "attempts": 0,
            "next_at": now + LEASE,
            "lease": lease,
            "created_at": now,
            "updated_at": now,
        }
        row, is_new = await event_writes.begin(conn, gateway.cipher, values, encode(job))
        return Opened(row=row, job=job, lease=lease) if is_new else await _go_on(gateway, conn, row, job, lease, now)

    is_first = calendar.last_synced_at is None
    owner = calendar.connection_id if in_turn else None
    return await _while_unread(gateway, calendar.project_id, calendar.id, is_first, keep, connection_id=owner)


async def reopen(gateway: Gateway, row: Found, job: Job) -> Opened | None:
    """Take up a wish that was claimed by a Resumer; None when its calendar is gone."""

    async def keep(_conn: AsyncConnection, _now: datetime) -> Opened:
        return Opened(row=row, job=job, lease=row.lease, is_repeat=True)

    try:
        return await _while_unread(gateway, row.project_id, row.calendar_id, False, keep)
    except GatewayError:
        return None


def keeper(gateway: Gateway, opened: Opened) -> Callable[[], Awaitable[None]]:
    """What prolongs the lease of a wish, and keeps reads away, where too little is left of it for another request.

    Raises Overtaken when the wish has passed to somebody else, GatewayError 404 when its calendar is gone.
    """
    until: datetime | None = None if opened.is_repeat else opened.row.next_at

    async def hold() -> None:
        nonlocal until
        now = gateway.clock()
        if until is not None and until - now >= NEEDED:
            return
        async with gateway.database.write() as conn:
            await hold_still(conn, opened, now)
        until = now + LEASE

    return hold


async def hold_still(conn: AsyncConnection, opened: Opened, now: datetime) -> Found:
    """Lock the calendar of a wish, keep reads away and prolong the lease; its row. Raises as `keeper` says."""
    found = await lock(conn, opened, now, now + LEASE)
    if not await event_writes.prolong(conn, opened.id, opened.lease, now + LEASE):
        raise Overtaken("overtaken")
    return found


async def lock(conn: AsyncConnection, opened: Opened, now: datetime, until: datetime) -> Found:
    """Lock the calendar of a wish, and keep reads away until then; its row. Raises GatewayError 404."""
    row = opened.row
    try:
        found = await event_writes.hold(conn, row.project_id, row.calendar_id, now, until, force=True)
    except LookupError:
        raise GatewayError(404, "not_found", "There is no such calendar.") from None
    if found is None:
        raise AssertionError  # `force` never gives way
    return found


async def give_up(gateway: Gateway, opened: Opened, reason: str) -> bool:
    """The provider has refused it for good: nothing is left of it. False when it has passed to somebody else."""
    now = gateway.clock()
    async with gateway.database.write() as conn:
        # Before the wish, as in `begin`: who waits for the one must not have the other.
        await event_writes.lock_calendar(conn, opened.row.calendar_id)
        is_ours = await event_writes.end(conn, opened.id, opened.lease, "failed", now, reason=reason)
        if await event_writes.let_go(conn, opened.row.calendar_id, now):
            gateway.wake.after(conn, "sync")
    return is_ours


async def put_off(gateway: Gateway, opened: Opened, state: str, pause: timedelta, reason: str) -> bool:
    """Nobody knows whether it was done: a Resumer goes on with it (`pending`), or takes it back (`undoing`).

    What somebody else has in hand by now goes on with them, or is taken back once they are through. False when it has ended,
    or is gone with its calendar.
    """
    now = gateway.clock()
    async with gateway.database.write() as conn:
        gateway.wake.after(conn, "writes")
        if await event_writes.put_off(conn, opened.id, opened.lease, state, now + pause, now, reason=reason):
            return True
        if state == "undoing":
            return await event_writes.condemn(conn, opened.id, now, reason=reason)
        row = await event_writes.one(conn, opened.id)
        return row is not None and row.state in event_writes.OPEN


def digest(*parts: object) -> bytes:
    """What a request is known by."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).digest()


async def _check_event(conn: AsyncConnection, project_id: UUID, event_id: UUID, job: Job) -> None:
    """Raises GatewayError 412 for another version than was named, 404 for an event that is gone meanwhile."""
    row = await events.place_of(conn, project_id, event_id)
    if row is None:
        raise GatewayError(404, "not_found", "There is no such event.")
    if job.version is not None and job.version != row.version:
        raise GatewayError(412, "precondition_failed", f"The event is at version {row.version} by now.")


async def _go_on(gateway: Gateway, conn: AsyncConnection, row: Found, job: Job, lease: UUID, now: datetime) -> Opened:
    if event_writes.opened(gateway.cipher, row) != encode(job):
        raise GatewayError(422, "validation_failed", "This Idempotency-Key was used before with another request.")
    if row.state == "done":
        await event_writes.let_go(conn, row.calendar_id, now)
        return Opened(row=row, job=job, lease=lease, is_done=True)
    if row.lease is not None and row.next_at is not None and row.next_at > now:
        raise GatewayError(409, "conflict", "The first request with this Idempotency-Key is still running.")
    await event_writes.take(conn, row.id, {"state": "pending", "lease": lease, "next_at": now + LEASE})
    return Opened(row=row, job=job, lease=lease, is_repeat=True)


async def _while_unread(
    gateway: Gateway,
    project_id: UUID,
    calendar_id: UUID,
    is_first: bool,
    keep: Any,
    *,
    connection_id: UUID | None = None,
) -> Opened:
    """Hold the calendar and keep the wish in one transaction, once nobody reads it, or when that takes too long.

    The connection, where one is named, is held with it.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + (FIRST_READ_PATIENCE if is_first else READ_PATIENCE)
    while True:
        try:
            async with gateway.database.write() as conn:
                if connection_id is not None:
                    await connection_standing.hold(conn, [connection_id])
                now = gateway.clock()
                held = await event_writes.hold(
                    conn, project_id, calendar_id, now, now + LEASE, force=loop.time() >= end
                )
                if held is not None:
                    # Its row may have been waited for.
                    found: Opened = await keep(conn, gateway.clock())
                    return found
        except LookupError:
            raise GatewayError(404, "not_found", "There is no such calendar.") from None
        await asyncio.sleep(LOOK_EVERY)
