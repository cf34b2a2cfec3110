"""The beginning and the end of a wish: kept before the first request, and ended in the transaction that stores its result."""

import asyncio
import hashlib
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import GatewayError
from service.flows.gateway import Gateway
from service.flows.writing.reaching import PATIENCE
from service.flows.writing.scene import Job
from service.store import connection_standing, event_writes, events
from service.store.tables import Found

LEASE: Final = timedelta(seconds=PATIENCE + 20)
READ_PATIENCE: Final = 5.0
"""For how many seconds a read of the calendar that is going on may end, before it is dropped and begun again later."""

FIRST_READ_PATIENCE: Final = 15.0
LOOK_EVERY: Final = 0.05

encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(Job).decode


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A wish that this process has in hand under `lease`; `is_done` says that it was carried out before."""

    row: Found
    job: Job
    lease: UUID
    is_done: bool = False

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

    Of two wishes `in_turn` to one connection the one that is kept later has the later `created_at`, and finds the other.
    """
    lease, write_id = uuid4(), uuid4()

    async def keep(conn: AsyncConnection, now: datetime) -> Opened:
        if in_turn and (last := await event_writes.last_moment(conn, calendar.connection_id)) is not None:
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
        return Opened(row=row, job=job, lease=row.lease)

    try:
        return await _while_unread(gateway, row.project_id, row.calendar_id, False, keep)
    except GatewayError:
        return None


async def give_up(gateway: Gateway, opened: Opened, reason: str) -> None:
    """The provider has refused it for good: nothing is left of it."""
    now = gateway.clock()
    async with gateway.database.write() as conn:
        await event_writes.end(conn, opened.id, opened.lease, "failed", now, reason=reason)
        if await event_writes.let_go(conn, opened.row.calendar_id, now):
            gateway.wake.after(conn, "sync")


async def put_off(gateway: Gateway, opened: Opened, state: str, pause: timedelta, reason: str) -> None:
    """Nobody knows whether it was done: a Resumer goes on with it (`pending`), or takes it back (`undoing`)."""
    now = gateway.clock()
    async with gateway.database.write() as conn:
        await event_writes.put_off(conn, opened.id, opened.lease, state, now + pause, now, reason=reason)
        gateway.wake.after(conn, "writes")


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
    return Opened(row=row, job=job, lease=lease)


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
