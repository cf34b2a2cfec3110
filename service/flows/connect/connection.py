"""Storing what the provider let in: the client, the connection and the calendar, new or renewed, in one transaction."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.audit import GATEWAY, Author
from service.core.blame import BLAMES
from service.core.credentials import Credentials, renewed
from service.core.lifecycle import State
from service.errors import FieldProblem, GatewayError
from service.flows.connect.admission import Admission, admit, choose, provider_of
from service.flows.connect.news import check_version, deliver, tell, unknown
from service.flows.connect.placing import (
    CHOICES,
    Joined,
    NewCalendar,
    chosen_values,
    described,
    differing,
    hold_project,
    join,
    place,
    reconnected,
    want_push,
)
from service.flows.gateway import Gateway
from service.store import (
    audit,
    calendars,
    connection_settings,
    connection_standing,
    connections,
    examinations,
    freshness,
    projects,
)
from service.store.tables import Found
from webhooks.message import Notice


class NewSecret(msgspec.Struct, frozen=True):
    """A refresh token for the OAuth client that the calendar has, a password for its login, an address for its feed."""

    secret: str

    def __repr__(self) -> str:
        return "NewSecret(secret=***)"


class CalendarPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a calendar: what is UNSET stays, and None is the default.

    `expected_version` is what the client believes to change.
    """

    credentials: Credentials | NewSecret | None = None
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    horizon_days: int | msgspec.UnsetType | None = msgspec.UNSET
    link_preference: str | msgspec.UnsetType | None = msgspec.UNSET
    meeting_hosts: list[Any] | msgspec.UnsetType | None = msgspec.UNSET
    expected_version: int | None = None


async def add(
    gateway: Gateway, project_id: UUID, wish: NewCalendar, object_id: UUID, by: Author = GATEWAY
) -> tuple[Found, bool]:
    """Connect a calendar, or give a connected one these credentials: its row, and whether it is new (`object_id`).

    The row is as this has written it: a worker may have read the calendar before the answer is on its way. The
    provider is asked before anything is stored. Raises GatewayError, among them AlreadyConnected.
    """
    now = gateway.clock()
    admission = await admit(gateway, wish.credentials, now)
    raw = choose(admission.calendars, wish.raw_calendar_id)
    async with gateway.database.write() as conn:
        await hold_project(gateway, conn, project_id)
        joined = await join(
            gateway, conn, project_id, wish.credentials.client, provider_of(wish.credentials), admission, now
        )
        placed = await place(gateway, conn, joined, admission.account, raw, wish, object_id, now)
        dispatches = placed.dispatches
        notices = await connection_standing.news(conn, [joined.connection_id], now)
        dispatches += await tell(gateway, conn, notices, now)
        await audit.append(conn, project_id, placed.act(by), now)
    deliver(gateway, dispatches)
    gateway.tokens.forget(joined.connection_id)
    return placed.row, placed.is_new


async def change(
    gateway: Gateway, project_id: UUID, calendar_id: UUID, patch: CalendarPatch, by: Author = GATEWAY
) -> Found:
    """Change a calendar; new credentials must belong to its account, and start it anew. Raises GatewayError.

    Its row as this has written it.
    """
    now = gateway.clock()
    async with gateway.database.read() as conn:
        row = await calendars.one(conn, project_id, calendar_id)
    if row is None:
        raise unknown()
    readmitted = None
    if patch.credentials is not None:
        readmitted = await _readmit(gateway, row, patch.credentials, now)
    async with gateway.database.write() as conn:
        await examinations.hold_choices(conn, project_id, alone=False)
        # Clients and connections are locked before calendars, as by everybody.
        joined = None
        if readmitted is not None:
            joined = await join(gateway, conn, project_id, readmitted[0].client, row.provider, readmitted[1], now)
            await connection_standing.hold(conn, [row.connection_id])
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise unknown()
        check_version(row, patch.expected_version)
        values = _patched(gateway, row, await projects.settings(conn, project_id), patch, now)
        if joined is not None and readmitted is not None:
            values |= await _reconnect(conn, row, joined, readmitted[1], now)
            await want_push(gateway, conn, row, now)
            await freshness.watch(conn, row.id, now)
        if not values:
            return row
        await calendars.change(conn, calendar_id, values, now)
        before, row = row, await calendars.stored(conn, calendar_id)
        notices: list[Notice] = []
        if row.connection_id != before.connection_id:
            notices += await connections.forget_unused(conn, before.connection_id, now)
        if joined is not None:
            notices += await connection_standing.news(conn, [row.connection_id], now)
        dispatches = await tell(gateway, conn, notices, now)
        gateway.wake.after(conn, "sync")
        action = "calendar.changed" if readmitted is None else "calendar.reconnected"
        await audit.append(conn, project_id, by.did(action, row.id, fields=differing(before, row)), now)
    deliver(gateway, dispatches)
    gateway.tokens.forget(row.connection_id)
    return row


async def _readmit(
    gateway: Gateway, row: Found, given: Credentials | NewSecret, now: datetime
) -> tuple[Credentials, Admission]:
    """The credentials, complete, and what the calendar's provider says to them."""
    credentials = await _completed(gateway, row, given) if isinstance(given, NewSecret) else given
    if provider_of(credentials) != row.provider:
        wrong = FieldProblem("provider", f"the calendar is of provider {row.provider}")
        raise GatewayError(422, "validation_failed", f"The calendar is of provider {row.provider}.", errors=[wrong])
    admission = await admit(gateway, credentials, now)
    if admission.account.id != row.account and gateway.providers[row.provider].keeps_account:
        detail = "These credentials belong to another account; connect its calendar with POST /calendars."
        wrong = FieldProblem(BLAMES[row.provider].owner, "other account")
        raise GatewayError(422, "credentials_rejected", detail, errors=[wrong])
    choose(admission.calendars, row.raw_calendar_id)
    return credentials, admission


async def _completed(gateway: Gateway, row: Found, given: NewSecret) -> Credentials:
    async with gateway.database.read() as conn:
        stored = await connections.stored_credentials(conn, gateway.cipher, row.connection_id)
    if stored is None:
        raise unknown()  # let go in the meantime
    return renewed(row.provider, *stored, given.secret)


async def _reconnect(
    conn: AsyncConnection, row: Found, joined: Joined, admission: Admission, now: datetime
) -> dict[str, Any]:
    """What changes of a calendar's row by new credentials. A feed at a new address is another connection."""
    connection_id, client_id = joined.connection_id, joined.client_id
    values = reconnected(row, now)
    if connection_id != row.connection_id:
        if await calendars.has_raw_id(conn, connection_id, row.raw_calendar_id):
            raise GatewayError(409, "conflict", "Another calendar of the project has this address already.")
        if joined.is_new:
            await connection_settings.inherit(conn, row.connection_id, connection_id)
        raw = choose(admission.calendars, row.raw_calendar_id)
        values |= {"connection_id": connection_id, "oauth_client_id": client_id, "account": admission.account.id}
        values["min_poll_seconds"] = await connection_settings.min_poll_seconds(conn, connection_id)
        values |= {"email": admission.account.email, **described(raw)}
    return values


def _patched(gateway: Gateway, row: Found, project: Found, patch: CalendarPatch, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if patch.name is not msgspec.UNSET:
        values["name"] = patch.name
    if patch.metadata is not msgspec.UNSET:
        values["metadata"] = patch.metadata or {}
    if patch.horizon_days is not msgspec.UNSET:
        values["horizon_days"] = patch.horizon_days or gateway.settings.sync_horizon_days
        if row.status != State.DISCONNECTED and row.retry_at is None:
            values["due_at"] = now
    chosen = {name: value for name in CHOICES if (value := getattr(patch, name)) is not msgspec.UNSET}
    return values | chosen_values(row, project, chosen, now)
