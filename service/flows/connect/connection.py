"""Storing what the provider let in: the client, the connection and the calendar, new or renewed, in one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core import lifecycle
from service.core.audit import GATEWAY, Author
from service.core.blame import BLAMES
from service.core.credentials import Credentials, renewed
from service.core.lifecycle import Standing, State
from service.core.meeting_links.choices import inherited_rules
from service.errors import FieldProblem, GatewayError
from service.flows.connect.admission import Admission, admit, choose, provider_of
from service.flows.connect.news import announce, check_version, deliver, tell, unknown
from service.flows.gateway import Gateway
from service.providers.protocol import RawCalendar
from service.store import (
    audit,
    calendars,
    channels,
    connection_standing,
    connections,
    examinations,
    freshness,
    projects,
)
from service.store.tables import Found
from webhooks.message import Notice

_CHOICES: Final = ("link_preference", "meeting_hosts")
_SETTINGS: Final = ("name", "metadata", "horizon_days", *_CHOICES)


class AlreadyConnected(GatewayError):
    """Somebody who wants a new calendar is told which one it is that they have."""

    def __init__(self, calendar_id: UUID) -> None:
        super().__init__(409, "conflict", "This calendar is connected already.")
        self.calendar_id = calendar_id


class NewCalendar(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to connect; without `raw_calendar_id` the account's primary calendar.

    `renews` False asks for a new one: where it is connected already, nothing is stored, not even its credentials.
    """

    credentials: Credentials
    raw_calendar_id: str | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None
    horizon_days: int | None = None
    link_preference: str | None = None
    meeting_hosts: list[Any] | None = None
    renews: bool = True


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
        most = gateway.settings.max_calendars_per_project
        # Where calendars are counted, those who connect at once take turns.
        await examinations.hold_choices(conn, project_id, alone=most is not None)
        project = await projects.settings(conn, project_id)
        connection_id, client_id = await _connect(gateway, conn, project_id, wish.credentials, admission, now)
        values = _new_values(gateway, project, connection_id, client_id, wish, admission, raw, now)
        created = await calendars.add(conn, {"id": object_id, **values})
        row = await calendars.by_raw_id(conn, connection_id, raw.id)
        if not wish.renews and row.id != object_id:
            raise AlreadyConnected(row.id)
        if created:
            if most is not None and await calendars.are_there_more(conn, project_id, most):
                raise _full(most)
            dispatches = await announce(gateway, conn, row, "calendar.created", now, previous=None)
            act = by.did("calendar.created", row.id, provider=row.provider)
        else:
            wanted = _wished(row, project, wish, now) | _described(raw)
            await calendars.change(conn, row.id, _reconnected(row, now) | wanted, now)
            before, row = row, await calendars.by_raw_id(conn, connection_id, raw.id)
            dispatches = []
            act = by.did("calendar.reconnected", row.id, fields=_differing(before, row))
        await _want_push(gateway, conn, row, now)
        await freshness.watch(conn, row.id, now)
        dispatches += await tell(gateway, conn, await connection_standing.news(conn, [connection_id], now), now)
        gateway.wake.after(conn, "sync")
        await audit.append(conn, project_id, act, now)
    deliver(gateway, dispatches)
    gateway.tokens.forget(connection_id)
    return row, created


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
            joined = await _connect(gateway, conn, project_id, *readmitted, now)
            await connection_standing.hold(conn, [row.connection_id])
        row = await calendars.locked(conn, project_id, calendar_id)
        if row is None:
            raise unknown()
        check_version(row, patch.expected_version)
        values = _patched(gateway, row, await projects.settings(conn, project_id), patch, now)
        if joined is not None and readmitted is not None:
            values |= await _reconnect(conn, row, joined, readmitted[1], now)
            await _want_push(gateway, conn, row, now)
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
        await audit.append(conn, project_id, by.did(action, row.id, fields=_differing(before, row)), now)
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
    conn: AsyncConnection, row: Found, joined: tuple[UUID, UUID], admission: Admission, now: datetime
) -> dict[str, Any]:
    """What changes of a calendar's row by new credentials. A feed at a new address is another connection."""
    connection_id, client_id = joined
    values = _reconnected(row, now)
    if connection_id != row.connection_id:
        if await calendars.has_raw_id(conn, connection_id, row.raw_calendar_id):
            raise GatewayError(409, "conflict", "Another calendar of the project has this address already.")
        raw = choose(admission.calendars, row.raw_calendar_id)
        values |= {"connection_id": connection_id, "oauth_client_id": client_id, "account": admission.account.id}
        values |= {"email": admission.account.email, **_described(raw)}
    return values


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
        provider=provider_of(credentials),
        client_id=credentials.client.client_id,
        tenant=credentials.client.tenant or "",
        client_secret=credentials.client.client_secret,
        now=now,
    )
    connection_id, previous_client = await connections.put_connection(
        conn,
        gateway.cipher,
        project_id,
        client_id,
        provider=provider_of(credentials),
        account=admission.account.id,
        email=admission.account.email,
        refresh_token=admission.grant.refresh_token or credentials.secret,
        access_token=admission.grant.access_token,
        access_expires_at=admission.grant.expires_at,
        now=now,
    )
    if previous_client != client_id:
        await calendars.move_connection(conn, connection_id, client_id)
        await connections.forget_unused_client(conn, previous_client)
    await calendars.revive(conn, connection_id, now)
    await calendars.recheck_client(conn, client_id, now)
    return connection_id, client_id


def _new_values(
    gateway: Gateway,
    project: Found,
    connection_id: UUID,
    client_id: UUID,
    wish: NewCalendar,
    admission: Admission,
    raw: RawCalendar,
    now: datetime,
) -> dict[str, Any]:
    return {
        "project_id": project.id,
        "connection_id": connection_id,
        "oauth_client_id": client_id,
        "provider": provider_of(wish.credentials),
        "account": admission.account.id,
        "raw_calendar_id": raw.id,
        **_described(raw),
        "name": wish.name,
        "email": admission.account.email,
        "metadata": wish.metadata or {},
        "horizon_days": wish.horizon_days or gateway.settings.sync_horizon_days,
        "link_preference": wish.link_preference,
        "meeting_hosts": wish.meeting_hosts,
        **examinations.rule_values(
            inherited_rules(wish.link_preference, wish.meeting_hosts, project.link_preference, project.meeting_hosts)
        ),
        "version": 1,
        "created_at": now,
        "updated_at": now,
        **calendars.standing_values(Standing()),
        "announced_status": State.SYNCING.value,
        **freshness.renewed(now),
        "due_at": now,
        "due_cause": "poll",
    }


def _full(most: int) -> GatewayError:
    detail = f"The project has {most} calendars, which is all that this installation allows it; delete one first."
    return GatewayError(422, "validation_failed", detail, errors=[FieldProblem("raw_calendar_id", "one too many")])


def _described(raw: RawCalendar) -> dict[str, Any]:
    return {"calendar_name": raw.name, "time_zone": raw.time_zone, "is_primary": raw.is_primary}


def _wished(row: Found, project: Found, wish: NewCalendar, now: datetime) -> dict[str, Any]:
    settings = ("name", "metadata", "horizon_days")
    given = {name: value for name in settings if (value := getattr(wish, name)) is not None}
    chosen = {name: value for name in _CHOICES if (value := getattr(wish, name)) is not None}
    return given | _chosen(row, project, chosen, now)


def _chosen(row: Found, project: Found, chosen: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Choices about links, and the rules that come of them where those are others than the calendar has had."""
    if not chosen:
        return {}
    preference, hosts = (chosen.get(name, getattr(row, name)) for name in _CHOICES)
    rules = inherited_rules(preference, hosts, project.link_preference, project.meeting_hosts)
    changed = rules != examinations.rules_of(row)
    return {**chosen, **(examinations.new_rule_values(rules, now) if changed else {})}


def _reconnected(row: Found, now: datetime) -> dict[str, Any]:
    standing = lifecycle.after(calendars.standing(row), lifecycle.Reconnected(), now, 0.0)
    return {
        **calendars.standing_values(standing),
        "announced_status": State.SYNCING.value,
        # A read in flight was begun with the old credentials: its result is dropped.
        "lease": None,
        "leased_until": None,
        "cursor": None,
        **freshness.renewed(now),
        "due_at": now,
        "due_cause": "resync",
    }


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
    chosen = {name: value for name in _CHOICES if (value := getattr(patch, name)) is not msgspec.UNSET}
    return values | _chosen(row, project, chosen, now)


def _differing(before: Found, row: Found) -> list[str]:
    return [name for name in _SETTINGS if getattr(before, name) != getattr(row, name)]


async def _want_push(gateway: Gateway, conn: AsyncConnection, row: Found, now: datetime) -> None:
    if gateway.settings.public_url is not None and row.provider in gateway.push_readers:
        await channels.want(conn, row.id, row.project_id, now)
        gateway.wake.after(conn, "push")
