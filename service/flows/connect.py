"""Connecting a calendar, giving it new credentials, changing its settings, asking for a read, and letting it go."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core import lifecycle
from service.core.announcements import CalendarNotice
from service.core.credentials import Credentials
from service.core.lifecycle import Standing, State
from service.errors import (
    AccessRejected,
    ClientRejected,
    FieldProblem,
    GatewayError,
    GrantRejected,
    PolicyForbids,
    ProviderError,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.flows.gateway import Gateway
from service.providers.protocol import Access, OAuthClient, RawCalendar, TokenGrant
from service.store import calendars, channels, connections
from service.store.tables import Found
from webhooks import outbox
from webhooks.message import Dispatch, Notice

_log = logging.getLogger(__name__)

RETRY_AFTER = 30
"""Seconds that a client is asked to wait when a provider is unavailable or busy."""


class NewCalendar(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to connect; without `raw_calendar_id` the account's primary calendar."""

    credentials: Credentials
    raw_calendar_id: str | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None
    horizon_days: int | None = None


class CalendarPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a calendar: what is UNSET stays; `expected_version` is what the client believes to change."""

    credentials: Credentials | None = None
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    horizon_days: int | msgspec.UnsetType = msgspec.UNSET
    expected_version: int | None = None


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said to credentials: the tokens, the calendars behind them, and whose account it is."""

    grant: TokenGrant
    calendars: list[RawCalendar]
    account: str


async def look(gateway: Gateway, credentials: Credentials) -> list[RawCalendar]:
    """The provider's calendars behind these credentials; stores nothing. Raises GatewayError."""
    return (await _admit(gateway, credentials, gateway.clock())).calendars


async def add(gateway: Gateway, project_id: UUID, wish: NewCalendar, object_id: UUID) -> tuple[UUID, bool]:
    """Connect a calendar, or give a connected one these credentials: its id, and whether it is new (`object_id`).

    The provider is asked before anything is stored. Raises GatewayError.
    """
    now = gateway.clock()
    admission = await _admit(gateway, wish.credentials, now)
    raw = _choose(admission.calendars, wish.raw_calendar_id)
    async with gateway.database.write() as conn:
        connection_id, client_id = await _connect(gateway, conn, project_id, wish.credentials, admission, now)
        values = _new_values(gateway, project_id, connection_id, client_id, wish, admission, raw, now)
        created = await calendars.add(conn, {"id": object_id, **values})
        row = await calendars.by_raw_id(conn, connection_id, raw.id)
        if created:
            dispatches = await _announce(gateway, conn, row, "calendar.created", now, previous=None)
        else:
            await calendars.change(conn, row.id, _reconnected(row, now) | _wished(wish) | _described(raw), now)
            dispatches = []
        await _want_push(gateway, conn, row, now)
        gateway.wake.after(conn, "sync")
    _deliver(gateway, dispatches)
    gateway.tokens.forget(connection_id)
    return row.id, created


async def change(gateway: Gateway, project_id: UUID, calendar_id: UUID, patch: CalendarPatch) -> None:
    """Change a calendar; new credentials must belong to its account, and start it anew. Raises GatewayError."""
    now = gateway.clock()
    async with gateway.database.read() as conn:
        row = await calendars.one(conn, project_id, calendar_id)
    if row is None:
        raise _unknown()
    admission = None
    if patch.credentials is not None:
        admission = await _readmit(gateway, row, patch.credentials, now)
    async with gateway.database.write() as conn:
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise _unknown()
        _check_version(row, patch.expected_version)
        values = _patched(row, patch, now)
        if patch.credentials is not None and admission is not None:
            await _connect(gateway, conn, project_id, patch.credentials, admission, now)
            values |= _reconnected(row, now)
            await _want_push(gateway, conn, row, now)
        await calendars.change(conn, calendar_id, values, now)
        gateway.wake.after(conn, "sync")
    gateway.tokens.forget(row.connection_id)


async def remove(gateway: Gateway, project_id: UUID, calendar_id: UUID, expected_version: int | None = None) -> None:
    """Stop provider push, forget secrets and events, announce `calendar.deleted`. The user's grant is left alone."""
    async with gateway.database.read() as conn:
        row = await calendars.one(conn, project_id, calendar_id)
        if row is None:
            raise _unknown()
        _check_version(row, expected_version)
        opened = await channels.of_calendar(conn, calendar_id)
    await _close_channels(gateway, row, opened)
    now = gateway.clock()
    async with gateway.database.write() as conn:
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise _unknown()
        _check_version(row, expected_version)
        await channels.forget_calendar(conn, calendar_id)
        await calendars.remove(conn, calendar_id)
        await connections.forget_unused(conn, row.connection_id)
        dispatches = await _announce(gateway, conn, row, "calendar.deleted", now, previous=row.status)
    _deliver(gateway, dispatches)
    gateway.tokens.forget(row.connection_id)


async def resync(gateway: Gateway, project_id: UUID, calendar_id: UUID, *, full: bool) -> None:
    """Read a calendar now, whatever its back-off says; `full` forgets the cursor. Raises GatewayError."""
    async with gateway.database.write() as conn:
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise _unknown()
        if row.status == State.DISCONNECTED:
            raise GatewayError(409, "conflict", "The calendar is disconnected: PATCH it with new credentials first.")
        await calendars.make_due(conn, calendar_id, gateway.clock(), "resync", full=full)
        gateway.wake.after(conn, "sync")


async def resync_all(gateway: Gateway, project_id: UUID, *, full: bool) -> int:
    """Read every calendar of the project that is not disconnected; how many there are."""
    async with gateway.database.write() as conn:
        count = await calendars.make_all_due(conn, project_id, gateway.clock(), full=full)
        gateway.wake.after(conn, "sync")
    return count


async def _admit(gateway: Gateway, credentials: Credentials, now: datetime) -> Admission:
    provider = gateway.providers[_provider_of(credentials)]
    client = OAuthClient(client_id=credentials.client_id, client_secret=credentials.client_secret)
    try:
        async with gateway.slots.borrow() as http:
            grant = await provider.refresh(http, client, credentials.refresh_token, now)
            access = Access(http=http, token=grant.access_token, client_key=client.client_id, user_key="")
            found = await provider.calendars(access)
    except ProviderError as error:
        raise_refusal(error, now)
    if not found:
        raise GatewayError(422, "calendar_not_found", "The account has no calendars.")
    account = next((calendar.id for calendar in found if calendar.is_primary), found[0].id)
    return Admission(grant=grant, calendars=found, account=account)


def raise_refusal(error: ProviderError, now: datetime) -> NoReturn:
    """Tell a client why its credentials cannot be used, in the contract's codes."""
    match error:
        case GrantRejected() | AccessRejected():
            status, code, field = 422, "credentials_rejected", "refresh_token"
        case ClientRejected():
            status, code, field = 422, "client_rejected", "client_secret"
        case ScopeMissing() | PolicyForbids():
            status, code, field = 422, "insufficient_scope", "refresh_token"
        case Throttled() | TransientFault():
            code = "provider_throttled" if isinstance(error, Throttled) else "provider_unavailable"
            wait = max(1, int((error.retry_at - now).total_seconds())) if error.retry_at else RETRY_AFTER
            detail = f"The provider cannot answer now; nothing was stored, try again later. ({error.reason})"
            raise GatewayError(503, code, detail, headers={"Retry-After": str(wait)}) from error
        case _:
            status, code, field = 422, "credentials_rejected", "refresh_token"
    detail = lifecycle.explain(code, error.reason)
    raise GatewayError(status, code, detail, errors=[FieldProblem(field, error.reason)]) from error


def _choose(found: list[RawCalendar], wanted: str | None) -> RawCalendar:
    if wanted is None or wanted == "primary":
        return next((calendar for calendar in found if calendar.is_primary), found[0])
    for calendar in found:
        if calendar.id == wanted:
            return calendar
    detail = "The account has no calendar with this raw_calendar_id; POST /calendars/raw lists those it has."
    raise GatewayError(422, "calendar_not_found", detail, errors=[FieldProblem("raw_calendar_id", "not found")])


async def _readmit(gateway: Gateway, row: Found, credentials: Credentials, now: datetime) -> Admission:
    if _provider_of(credentials) != row.provider:
        raise GatewayError(422, "validation_failed", f"The calendar is of provider {row.provider}.")
    admission = await _admit(gateway, credentials, now)
    if admission.account != row.account:
        detail = "These credentials belong to another account; connect its calendar with POST /calendars."
        raise GatewayError(422, "credentials_rejected", detail, errors=[FieldProblem("refresh_token", "other account")])
    _choose(admission.calendars, row.raw_calendar_id)
    return admission


async def _connect(
    gateway: Gateway,
    conn: AsyncConnection,
    project_id: UUID,
    credentials: Credentials,
    admission: Admission,
    now: datetime,
) -> tuple[UUID, UUID]:
    """Store the client and the connection with their secrets, new or renewed; their ids."""
    client_id = await connections.put_client(
        conn,
        gateway.cipher,
        project_id,
        provider=_provider_of(credentials),
        client_id=credentials.client_id,
        tenant="",
        client_secret=credentials.client_secret,
        now=now,
    )
    connection_id, previous_client = await connections.put_connection(
        conn,
        gateway.cipher,
        project_id,
        client_id,
        provider=_provider_of(credentials),
        account=admission.account,
        refresh_token=admission.grant.refresh_token or credentials.refresh_token,
        access_token=admission.grant.access_token,
        access_expires_at=admission.grant.expires_at,
        now=now,
    )
    if previous_client != client_id:
        await calendars.move_connection(conn, connection_id, client_id)
        await connections.forget_unused_client(conn, previous_client)
    await calendars.recheck_client(conn, client_id, now)
    return connection_id, client_id


def _new_values(
    gateway: Gateway,
    project_id: UUID,
    connection_id: UUID,
    client_id: UUID,
    wish: NewCalendar,
    admission: Admission,
    raw: RawCalendar,
    now: datetime,
) -> dict[str, Any]:
    return {
        "project_id": project_id,
        "connection_id": connection_id,
        "oauth_client_id": client_id,
        "provider": _provider_of(wish.credentials),
        "account": admission.account,
        "raw_calendar_id": raw.id,
        **_described(raw),
        "name": wish.name,
        "email": admission.account,
        "metadata": wish.metadata or {},
        "horizon_days": wish.horizon_days or gateway.settings.sync_horizon_days,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        **calendars.standing_values(Standing()),
        "announced_status": State.SYNCING.value,
        "due_at": now,
        "due_cause": "poll",
    }


def _described(raw: RawCalendar) -> dict[str, Any]:
    return {"calendar_name": raw.name, "time_zone": raw.time_zone, "is_primary": raw.is_primary}


def _wished(wish: NewCalendar) -> dict[str, Any]:
    given = {"name": wish.name, "metadata": wish.metadata, "horizon_days": wish.horizon_days}
    return {name: value for name, value in given.items() if value is not None}


def _reconnected(row: Found, now: datetime) -> dict[str, Any]:
    standing = lifecycle.after(calendars.standing(row), lifecycle.Reconnected(), now, 0.0)
    return {
        **calendars.standing_values(standing),
        "announced_status": State.SYNCING.value,
        # A read in flight was begun with the old credentials: its result is dropped.
        "lease": None,
        "leased_until": None,
        "cursor": None,
        "due_at": now,
        "due_cause": "resync",
    }


def _patched(row: Found, patch: CalendarPatch, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if patch.name is not msgspec.UNSET:
        values["name"] = patch.name
    if patch.metadata is not msgspec.UNSET:
        values["metadata"] = patch.metadata
    if patch.horizon_days is not msgspec.UNSET:
        values["horizon_days"] = patch.horizon_days
        if row.due_at is not None and row.retry_at is None:
            values["due_at"] = now
    return values


async def _want_push(gateway: Gateway, conn: AsyncConnection, row: Found, now: datetime) -> None:
    if gateway.settings.public_url is not None and row.provider in gateway.push_readers:
        await channels.want(conn, row.id, row.project_id, now)
        gateway.wake.after(conn, "push")


async def _close_channels(gateway: Gateway, row: Found, opened: Any) -> None:
    """Tell the provider to stop; a channel that it keeps runs out by itself, and is answered as unknown."""
    if not opened:
        return
    provider = gateway.providers[row.provider]
    try:
        granted = await gateway.tokens.access(row.connection_id, gateway.clock())
        async with gateway.slots.borrow() as http:
            access = Access(http=http, token=granted.token, client_key=granted.client_key, user_key=granted.user_key)
            for channel in opened:
                if channel.resource_id is not None:
                    await provider.close_channel(access, channel_id=str(channel.id), resource_id=channel.resource_id)
    except ProviderError as error:
        _log.info("calendar %s: push could not be stopped (%s); it ends by itself", row.id, error.reason)


async def _announce(
    gateway: Gateway, conn: AsyncConnection, row: Found, event_type: str, now: datetime, previous: str | None
) -> list[Dispatch]:
    data = CalendarNotice(
        calendar_id=row.id,
        provider=row.provider,
        email=row.email,
        raw_calendar_id=row.raw_calendar_id,
        status=row.status,
        previous_status=previous,
        error_code=row.error_code,
        error_message=row.error_message,
        metadata=row.metadata,
    )
    lease = gateway.deliverer.lease(now) if gateway.deliverer is not None else None
    notice = Notice(row.project_id, event_type, data, now, row.id)
    dispatches = await outbox.put(conn, [notice], now=now, lease=lease)
    if lease is None:
        gateway.wake.after(conn, "deliver")
    return dispatches


def _deliver(gateway: Gateway, dispatches: list[Dispatch]) -> None:
    if dispatches and gateway.deliverer is not None:
        gateway.deliverer.submit(dispatches)


def _check_version(row: Found, expected: int | None) -> None:
    if expected is not None and expected != row.version:
        raise GatewayError(412, "precondition_failed", f"The calendar is at version {row.version} by now.")


def _unknown() -> GatewayError:
    return GatewayError(404, "not_found", "There is no such calendar.")


def _provider_of(credentials: Credentials) -> str:
    tag: Mapping[str, Any] | str | int | None = credentials.__struct_config__.tag
    return str(tag)
