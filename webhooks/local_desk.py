"""The desk of endpoints and messages that live in our own database."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks import endpoints, health, history, outbox, redelivery
from webhooks.delivery import Deliverer
from webhooks.desk import (
    MOST_ENDPOINTS,
    Deed,
    OutdatedVersion,
    Portal,
    Record,
    Selection,
    TooMany,
    Unavailable,
    UnknownObject,
    WrongState,
)
from webhooks.endpoints import Endpoint, EndpointDraft
from webhooks.health import Rates
from webhooks.history import Attempt, Delivery, Message
from webhooks.message import EndpointState, Notice
from webhooks.ports import Cipher, Sessions

MANUAL = "manual"
"""The reason of an endpoint that its user has disabled."""

PATIENCE = 20.0
LOOK_EVERY = 0.1

Announce = Callable[[AsyncConnection, str], None]
"""Told, inside a transaction, what other processes are to look at after it: `deliver`, `endpoints`."""


def tell_nobody(_conn: AsyncConnection, _topic: str) -> None:
    """For one process alone."""


async def keep_no_record(_conn: AsyncConnection, _project_id: UUID, _deed: Deed) -> None:
    """For callers whose deeds nobody asks about."""


class LocalDesk:
    """Satisfies `Desk`. `deliverer` is None in a process that sends nothing; `announce` reaches those that do.

    `patience` is for how many seconds a test waits for one of them; `record` is told what callers do.
    """

    def __init__(
        self,
        sessions: Sessions,
        cipher: Cipher,
        deliverer: Deliverer | None,
        *,
        announce: Announce = tell_nobody,
        patience: float = PATIENCE,
        record: Record = keep_no_record,
    ) -> None:
        self._sessions = sessions
        self._cipher = cipher
        self._deliverer = deliverer
        self._announce = announce
        self._patience = patience
        self._record = record

    def telling(self, record: Record) -> "LocalDesk":
        return LocalDesk(
            self._sessions,
            self._cipher,
            self._deliverer,
            announce=self._announce,
            patience=self._patience,
            record=record,
        )

    async def create(
        self, project_id: UUID, draft: EndpointDraft, *, endpoint_id: UUID, now: datetime
    ) -> tuple[Endpoint, str]:
        async with self._sessions.write() as conn:
            known = await endpoints.get(conn, project_id, endpoint_id)
            if known is not None:
                # A run that died before it could answer has made it.
                return known, await endpoints.reveal(conn, self._cipher, project_id, endpoint_id) or ""
            await endpoints.hold_project(conn, project_id)
            if len(await endpoints.page(conn, project_id, limit=MOST_ENDPOINTS)) >= MOST_ENDPOINTS:
                raise TooMany(f"A project has at most {MOST_ENDPOINTS} webhook endpoints.")
            made = await endpoints.create(conn, self._cipher, project_id, draft, now=now, endpoint_id=endpoint_id)
            await self._record(conn, project_id, Deed("endpoint.created", endpoint_id))
            return made

    async def page(self, project_id: UUID, *, after: UUID | None, limit: int, now: datetime) -> list[Endpoint]:
        async with self._sessions.read() as conn:
            found = await endpoints.page(conn, project_id, after=after, limit=limit)
            return await _with_health(conn, found, now)

    async def get(self, project_id: UUID, endpoint_id: UUID, *, now: datetime) -> Endpoint:
        async with self._sessions.read() as conn:
            return await _shown(conn, await endpoints.get(conn, project_id, endpoint_id), now)

    async def change(
        self, project_id: UUID, endpoint_id: UUID, changes: dict[str, Any], *, version: int | None, now: datetime
    ) -> Endpoint:
        async with self._sessions.write() as conn:
            held = await self._held(conn, project_id, endpoint_id, version)
            changed = await _changed(conn, self._cipher, held, changes, now)
            if changed.version != held.version:
                self._announce(conn, "endpoints")
                self._announce(conn, "deliver")
            shown = await _shown(conn, changed, now)
            if changed.version != held.version:
                await self._record(conn, project_id, Deed("endpoint.changed", endpoint_id, _differing(held, changed)))
        if changed.version != held.version:
            self._renew(endpoint_id, changed.version)
        return shown

    async def delete(self, project_id: UUID, endpoint_id: UUID, *, version: int | None, now: datetime) -> None:
        async with self._sessions.write() as conn:
            await self._held(conn, project_id, endpoint_id, version)
            await endpoints.delete(conn, project_id, endpoint_id, now=now)
            self._announce(conn, "endpoints")
            await self._record(conn, project_id, Deed("endpoint.deleted", endpoint_id))
        self._renew(endpoint_id, None)

    async def reveal(self, project_id: UUID, endpoint_id: UUID) -> str:
        # Not a mere look: who has seen a secret is to be known.
        async with self._sessions.write() as conn:
            secret = await endpoints.reveal(conn, self._cipher, project_id, endpoint_id)
            if secret is None:
                raise UnknownObject
            await self._record(conn, project_id, Deed("endpoint.secret_revealed", endpoint_id))
        return secret

    async def rotate(
        self, project_id: UUID, endpoint_id: UUID, *, grace: timedelta, rotation_id: UUID, now: datetime
    ) -> str:
        async with self._sessions.write() as conn:
            held = await self._held(conn, project_id, endpoint_id, None)
            secret = await endpoints.rotate_secret(
                conn, self._cipher, project_id, endpoint_id, now=now, overlap=grace, rotation_id=rotation_id
            )
            rotated = await endpoints.get(conn, project_id, endpoint_id)
            if secret is None or rotated is None:
                raise UnknownObject
            version = (await endpoints.versions(conn, [endpoint_id])).get(endpoint_id)
            self._announce(conn, "endpoints")
            if rotated.version != held.version:
                await self._record(conn, project_id, Deed("endpoint.secret_rotated", endpoint_id))
        self._renew(endpoint_id, version)
        return secret

    async def test(self, project_id: UUID, endpoint_id: UUID, *, now: datetime) -> Attempt:
        data = {"endpoint_id": str(endpoint_id), "reason": "test"}
        notice = Notice(project_id=project_id, type="webhook.test", data=data, at=now)
        lease = self._deliverer.lease(now) if self._deliverer else None
        async with self._sessions.write() as conn:
            await self._enabled(conn, project_id, endpoint_id)
            delivery_id, dispatch = await outbox.put_once(conn, notice, endpoint_id, now=now, lease=lease)
            if dispatch is None:
                self._announce(conn, "deliver")
            await self._record(conn, project_id, Deed("endpoint.tested", endpoint_id))
        if self._deliverer is not None and dispatch is not None:
            await self._deliverer.deliver(dispatch)
        return await self._attempt(delivery_id)

    async def _attempt(self, delivery_id: UUID) -> Attempt:
        """Wait for the attempt, which another process may be making."""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    async with self._sessions.read() as conn:
                        attempt = await history.delivery_attempt(conn, delivery_id)
                    if attempt is not None:
                        return attempt
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            raise Unavailable("No worker has sent the test yet; the messages' history will have it.") from None

    async def recover(
        self,
        project_id: UUID,
        endpoint_id: UUID,
        *,
        since: datetime,
        until: datetime | None,
        event_types: list[str] | None,
        now: datetime,
    ) -> int:
        total = 0
        last: UUID | None = None
        while True:
            async with self._sessions.write() as conn:
                await self._enabled(conn, project_id, endpoint_id)
                piece = await redelivery.recover(
                    conn,
                    project_id,
                    endpoint_id,
                    since=since,
                    until=until,
                    event_types=event_types,
                    now=now,
                    after=last,
                )
                if piece:
                    self._announce(conn, "deliver")
                if last is None:
                    await self._record(conn, project_id, Deed("endpoint.recovered", endpoint_id))
            total += len(piece)
            if len(piece) < redelivery.PIECE:
                self._wake()
                return total
            last = piece[-1]
            await asyncio.sleep(0)

    async def messages(self, project_id: UUID, wanted: Selection) -> list[tuple[Message, list[Delivery]]]:
        async with self._sessions.read() as conn:
            found = await history.page(conn, project_id, **wanted._asdict())
            deliveries = await history.message_deliveries(conn, project_id, [message.id for message in found])
        by_message: dict[UUID, list[Delivery]] = {message.id: [] for message in found}
        for delivery in deliveries:
            by_message[delivery.message_id].append(delivery)
        return [(message, by_message[message.id]) for message in found]

    async def message(self, project_id: UUID, message_id: UUID) -> tuple[Message, list[Delivery]]:
        async with self._sessions.read() as conn:
            found = await history.message(conn, project_id, message_id)
        if found is None:
            raise UnknownObject
        return found

    async def attempts(self, project_id: UUID, message_id: UUID) -> list[Attempt]:
        async with self._sessions.read() as conn:
            found = await history.message_attempts(conn, project_id, message_id)
            if not found and await history.message(conn, project_id, message_id) is None:
                raise UnknownObject
        return found

    async def resend(self, project_id: UUID, message_id: UUID, *, endpoint_id: UUID | None, now: datetime) -> int:
        async with self._sessions.write() as conn:
            if await history.message(conn, project_id, message_id) is None:
                raise UnknownObject
            if endpoint_id is not None:
                await self._enabled(conn, project_id, endpoint_id)
            count = await redelivery.resend(conn, project_id, message_id, endpoint_id=endpoint_id, now=now)
            if not count:
                raise WrongState("None of the endpoints that this message was for can be sent to.")
            self._announce(conn, "deliver")
            await self._record(conn, project_id, Deed("message.resent", message_id))
        self._wake()
        return count

    async def portal(self, project_id: UUID, *, now: datetime) -> Portal:  # noqa: ARG002  (the protocol has it)
        raise WrongState("This gateway sends its webhooks itself; there is a portal once CALGATE_SVIX_TOKEN is set.")

    async def _held(self, conn: AsyncConnection, project_id: UUID, endpoint_id: UUID, version: int | None) -> Endpoint:
        held = await endpoints.hold(conn, project_id, endpoint_id)
        if held is None:
            raise UnknownObject
        if version is not None and held.version != version:
            raise OutdatedVersion(held.version)
        return held

    async def _enabled(self, conn: AsyncConnection, project_id: UUID, endpoint_id: UUID) -> None:
        found = await endpoints.get(conn, project_id, endpoint_id)
        if found is None:
            raise UnknownObject
        if found.state != EndpointState.ENABLED:
            raise WrongState("The endpoint is disabled; a PATCH enables it.")

    def _wake(self) -> None:
        if self._deliverer is not None:
            self._deliverer.wake()

    def _renew(self, endpoint_id: UUID, version: int | None) -> None:
        if self._deliverer is not None:
            self._deliverer.renew(endpoint_id, version)
            self._deliverer.wake()


async def _changed(
    conn: AsyncConnection, cipher: Cipher, held: Endpoint, changes: dict[str, Any], now: datetime
) -> Endpoint:
    """The endpoint with its new fields, and in the state that the change asks for: a change enables."""
    wish = dict(changes)
    state, headers = wish.pop("state", EndpointState.ENABLED.value), wish.pop("headers", None)
    fields = {name: value for name, value in wish.items() if getattr(held, name) != value}
    result: Endpoint | None = held
    if fields:
        is_moved = headers is not None and "url" in fields
        secret = await endpoints.sealed_with(conn, cipher, held, headers) if is_moved else None
        result = await endpoints.change(conn, held.project_id, held.id, fields, now=now, secret=secret)
    if result is not None and fields.keys() & {"event_types", "calendar_ids"}:
        await endpoints.cancel_unwanted(conn, result)
    if fields.get("ordering", outbox.FIFO) != outbox.FIFO:
        await endpoints.free_from_order(conn, held.id, now=now)
    if held.state != state and state == EndpointState.ENABLED:
        result = await endpoints.enable(conn, held.project_id, held.id, now=now)
    elif held.state != state:
        result = await endpoints.disable(conn, held.project_id, held.id, reason=MANUAL, now=now)
    if result is None:
        raise UnknownObject
    return result


def _differing(held: Endpoint, changed: Endpoint) -> tuple[str, ...]:
    names = (*sorted(endpoints.CHANGEABLE), "state")
    return tuple(name for name in names if getattr(held, name) != getattr(changed, name))


async def _shown(conn: AsyncConnection, endpoint: Endpoint | None, now: datetime) -> Endpoint:
    if endpoint is None:
        raise UnknownObject
    return (await _with_health(conn, [endpoint], now))[0]


async def _with_health(conn: AsyncConnection, found: list[Endpoint], now: datetime) -> list[Endpoint]:
    known = await health.rates(conn, [endpoint.id for endpoint in found], now=now)
    return [msgspec.structs.replace(each, **known.get(each.id, Rates())._asdict()) for each in found]
