"""Storing what a provider let in, within the caller's transaction: the client, the connection, and a calendar of it.

`hold_project` ──► `join`: client and connection, new or renewed ──► `place`: the calendar, new or begun anew
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core import lifecycle
from service.core.audit import Act, Author
from service.core.credentials import Credentials, OAuthClient
from service.core.lifecycle import Standing, State
from service.core.meeting_links.choices import inherited_rules
from service.errors import FieldProblem, GatewayError
from service.flows.connect.admission import Admission
from service.flows.connect.news import announce
from service.flows.gateway import Gateway
from service.providers.protocol import Account, RawCalendar
from service.store import (
    calendars,
    channels,
    connection_settings,
    connections,
    examinations,
    freshness,
    projects,
    user_connections,
)
from service.store.tables import Found
from webhooks.message import Dispatch

CHOICES: Final = ("link_preference", "meeting_hosts")
_SETTINGS: Final = ("name", "metadata", "horizon_days", *CHOICES)


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """What a calendar is to be like; None is the default, or what it is like already.

    `renews` False asks for a new one: where it is connected already, nothing is stored, not even its credentials.
    """

    name: str | None = None
    metadata: dict[str, Any] | None = None
    horizon_days: int | None = None
    link_preference: str | None = None
    meeting_hosts: list[Any] | None = None
    renews: bool = True


class NewCalendar(Tuning, frozen=True, kw_only=True):
    """A wish to connect; without `raw_calendar_id` the account's primary calendar."""

    credentials: Credentials
    raw_calendar_id: str | None = None


class Joined(NamedTuple):
    """A connection as it is stored now, and its client; `is_new` says that this transaction has made it."""

    project_id: UUID
    provider: str
    connection_id: UUID
    client_id: UUID
    is_new: bool


class Placed(NamedTuple):
    """A calendar as it is stored now. `dispatches` are for `news.deliver`; `before` is its row, unless it is new."""

    row: Found
    before: Found | None
    dispatches: list[Dispatch]

    @property
    def is_new(self) -> bool:
        return self.before is None

    def act(self, by: Author) -> Act:
        """What the audit log is told."""
        if self.before is None:
            return by.did("calendar.created", self.row.id, provider=self.row.provider)
        return by.did("calendar.reconnected", self.row.id, fields=differing(self.before, self.row))


class AlreadyConnected(GatewayError):
    """Somebody who wants a new calendar is told which one it is that they have."""

    def __init__(self, calendar_id: UUID) -> None:
        super().__init__(409, "conflict", "This calendar is connected already.")
        self.calendar_id = calendar_id


async def hold_project(gateway: Gateway, conn: AsyncConnection, project_id: UUID) -> None:
    """To be called before the first lock. Where calendars are counted, those who connect at once take turns."""
    await examinations.hold_choices(conn, project_id, alone=gateway.settings.max_calendars_per_project is not None)


async def join(
    gateway: Gateway,
    conn: AsyncConnection,
    project_id: UUID,
    client: OAuthClient | UUID,
    provider: str,
    admission: Admission,
    now: datetime,
    *,
    renews: UUID | None = None,
) -> Joined:
    """Store the client and the connection with their secrets, new or renewed; what was lost with the old ones is revived.

    A client that is named by its id is held already (`connections.hold_client`), and keeps the secret that it has.
    The connection that it `renews` takes on this account. Raises GatewayError 422 where that is another connection's.
    """
    client_id = (
        client if isinstance(client, UUID) else await _put_client(gateway, conn, project_id, client, provider, now)
    )
    account = admission.account
    if renews is not None and not await user_connections.give_account(
        conn, project_id, renews, provider, account.id, account.email
    ):
        raise GatewayError(422, "credentials_rejected", "This is connected already, by another connection.")
    connection_id, previous_client, is_new = await connections.put_connection(
        conn,
        gateway.cipher,
        project_id,
        client_id,
        provider=provider,
        account=account.id,
        email=account.email,
        refresh_token=admission.secret,
        access_token=admission.grant.access_token,
        access_expires_at=admission.grant.expires_at,
        now=now,
    )
    if previous_client != client_id:
        await calendars.move_connection(conn, connection_id, client_id)
        await connections.forget_unused_client(conn, previous_client)
    await calendars.revive(conn, connection_id, now)
    await calendars.recheck_client(conn, client_id, now)
    return Joined(project_id, provider, connection_id, client_id, is_new)


async def _put_client(
    gateway: Gateway, conn: AsyncConnection, project_id: UUID, client: OAuthClient, provider: str, now: datetime
) -> UUID:
    return await connections.put_client(
        conn,
        gateway.cipher,
        project_id,
        provider=provider,
        client_id=client.client_id,
        tenant=client.tenant or "",
        client_secret=client.client_secret,
        now=now,
    )


async def place(
    gateway: Gateway,
    conn: AsyncConnection,
    joined: Joined,
    account: Account,
    raw: RawCalendar,
    wish: Tuning,
    object_id: UUID,
    now: datetime,
) -> Placed:
    """Store one calendar of a connection that is held: a new one under `object_id`, or the one that is there, begun anew.

    Announces `calendar.created`; the audit log is left to the caller. Raises AlreadyConnected, or GatewayError 422 when
    the project has as many calendars as it may have.
    """
    project = await projects.settings(conn, joined.project_id)
    values = _new_values(gateway, project, joined, account, wish, raw, now)
    values["min_poll_seconds"] = await connection_settings.min_poll_seconds(conn, joined.connection_id)
    created = await calendars.add(conn, {"id": object_id, **values})
    row = await calendars.by_raw_id(conn, joined.connection_id, raw.id)
    if not wish.renews and row.id != object_id:
        raise AlreadyConnected(row.id)
    before, dispatches = None, []
    if created:
        most = gateway.settings.max_calendars_per_project
        if most is not None and await calendars.are_there_more(conn, joined.project_id, most):
            raise _full(most)
        dispatches = await announce(gateway, conn, row, "calendar.created", now, previous=None)
    else:
        wanted = _wished(row, project, wish, now) | described(raw)
        await calendars.change(conn, row.id, reconnected(row, now) | wanted, now)
        before, row = row, await calendars.by_raw_id(conn, joined.connection_id, raw.id)
    await want_push(gateway, conn, row, now)
    await freshness.watch(conn, row.id, now)
    gateway.wake.after(conn, "sync")
    return Placed(row, before, dispatches)


def chosen_values(row: Found, project: Found, chosen: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Choices about links, and the rules that come of them where those are others than the calendar has had."""
    if not chosen:
        return {}
    preference, hosts = (chosen.get(name, getattr(row, name)) for name in CHOICES)
    rules = inherited_rules(preference, hosts, project.link_preference, project.meeting_hosts)
    changed = rules != examinations.rules_of(row)
    return {**chosen, **(examinations.new_rule_values(rules, now) if changed else {})}


def reconnected(row: Found, now: datetime) -> dict[str, Any]:
    """What changes of a calendar's row when its credentials are given anew."""
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


def described(raw: RawCalendar) -> dict[str, Any]:
    """What the provider says of a calendar, as columns of its row."""
    return {"calendar_name": raw.name, "time_zone": raw.time_zone, "is_primary": raw.is_primary}


def differing(before: Found, row: Found) -> list[str]:
    """Which settings of a calendar are others now."""
    return [name for name in _SETTINGS if getattr(before, name) != getattr(row, name)]


async def want_push(gateway: Gateway, conn: AsyncConnection, row: Found, now: datetime) -> None:
    """Have a push channel opened, where provider and installation can have one."""
    if gateway.settings.public_url is not None and row.provider in gateway.push_readers:
        await channels.want(conn, row.id, row.project_id, now)
        gateway.wake.after(conn, "push")


def _new_values(
    gateway: Gateway, project: Found, joined: Joined, account: Account, wish: Tuning, raw: RawCalendar, now: datetime
) -> dict[str, Any]:
    return {
        "project_id": joined.project_id,
        "connection_id": joined.connection_id,
        "oauth_client_id": joined.client_id,
        "provider": joined.provider,
        "account": account.id,
        "raw_calendar_id": raw.id,
        **described(raw),
        "name": wish.name,
        "email": account.email,
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


def _wished(row: Found, project: Found, wish: Tuning, now: datetime) -> dict[str, Any]:
    settings = ("name", "metadata", "horizon_days")
    given = {name: value for name in settings if (value := getattr(wish, name)) is not None}
    chosen = {name: value for name in CHOICES if (value := getattr(wish, name)) is not None}
    return given | chosen_values(row, project, chosen, now)
