"""Changing what a user wants of a connection: its settings, and which of the account's calendars are kept in step.

asked (network): what the provider lists ──► judged: what is wished for is there ──► one transaction:
settings ──► calendars that go ──► calendars that come ──► news
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core.audit import GATEWAY, Act, Author
from service.core.connection import changed_settings, read_settings
from service.errors import FieldProblem, GatewayError
from service.flows.connect.account import provider_calendars
from service.flows.connect.news import CONNECTION, check_version, deliver, tell, unknown
from service.flows.connect.placing import Joined, Tuning, hold_project, place
from service.flows.connect.removal import drop, stop_push
from service.flows.gateway import Gateway
from service.providers.protocol import Account, RawCalendar
from service.store import audit, calendars, channels, connection_settings, connection_standing, connection_views
from service.store.connection_views import Pictured
from service.store.tables import Found
from webhooks.message import Dispatch

PRIMARY: Final = "primary"
"""The account's primary calendar, by whatever id the provider has for it."""

READERS: Final = frozenset({"reader", "freeBusyReader"})


class ConnectionPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a connection: settings by name, None being the default, and the calendars that are to be kept in step.

    `selected_calendars` None is the account's primary calendar alone; what is UNSET stays. `expected_version` is what the
    client believes to change.
    """

    settings: Mapping[str, Any] = {}
    selected_calendars: list[str] | UnsetType | None = UNSET
    expected_version: int | None = None


class _Plan(msgspec.Struct, frozen=True):
    """A change whose ids are the provider's own; `listed` is what the provider has, where it was asked."""

    settings: Mapping[str, Any]
    selection: list[str] | None
    listed: Mapping[str, RawCalendar]


def may_edit(raw: RawCalendar) -> bool:
    """Whether the account may write to a calendar; where the provider does not say, it is tried."""
    return raw.access_role not in READERS


async def change_connection(
    gateway: Gateway, project_id: UUID, connection_id: UUID, patch: ConnectionPatch, by: Author = GATEWAY
) -> Pictured:
    """Change settings of a connection; the connection as this has written it.

    The provider is asked where calendars are named that are not kept in step yet. Raises GatewayError: 404, 412, 422
    `calendar_not_found` for a calendar that the account does not have, and what the provider's refusal comes to.
    """
    async with gateway.database.read() as conn:
        found = await connection_views.picture(conn, project_id, connection_id)
    if found is None:
        raise unknown(CONNECTION)
    check_version(found.row, patch.expected_version, CONNECTION)
    plan = await _plan(gateway, found, patch)
    now = gateway.clock()
    async with gateway.database.write() as conn:
        await hold_project(gateway, conn, project_id)
        row = await connection_settings.locked(conn, project_id, connection_id)
        if row is None:
            raise unknown(CONNECTION)
        check_version(row, patch.expected_version, CONNECTION)
        mine = await calendars.of_connection(conn, connection_id)
        going = [] if plan.selection is None else [one for one in mine if one.raw_calendar_id not in plan.selection]
        opened = [(one, await channels.of_calendar(conn, one.id)) for one in going]
        dispatches = await _apply(gateway, conn, row, mine, plan, by, now)
        pictured = await connection_views.picture(conn, project_id, connection_id)
        if pictured is None:
            raise AssertionError("the connection is locked by this transaction")
    deliver(gateway, dispatches)
    await stop_push(gateway, opened)
    return pictured


async def _plan(gateway: Gateway, found: Pictured, patch: ConnectionPatch) -> _Plan:
    """Put ids of calendars into the provider's own words. Raises GatewayError for those that it does not have."""
    known = {row.raw_calendar_id for row in found.calendars}
    named = _named(patch)
    listed: dict[str, RawCalendar] = {}
    # What is kept in step is there; only of the calendar for new events it matters whether it may be written to.
    if patch.selected_calendars is None or "primary_calendar" in named or not set().union(*named.values()) <= known:
        listed = {raw.id: raw for raw in await provider_calendars(gateway, found.row)}
    resolved = {field: [_resolve(raw_id, listed, known, field) for raw_id in ids] for field, ids in named.items()}
    settings = dict(patch.settings)
    if "primary_calendar" in resolved:
        settings["primary_calendar"] = _writable(resolved["primary_calendar"][0], listed)
    if "busy_calendars" in resolved:
        settings["busy_calendars"] = list(dict.fromkeys(resolved["busy_calendars"]))
    selection = None
    if patch.selected_calendars is None:
        selection = [_resolve(PRIMARY, listed, known, "selected_calendars")] if listed else []
    elif patch.selected_calendars is not UNSET:
        selection = list(dict.fromkeys(resolved["selected_calendars"]))
    return _Plan(settings, selection, listed)


def _named(patch: ConnectionPatch) -> dict[str, list[str]]:
    """The calendars that a change names, by field."""
    named: dict[str, list[str]] = {}
    if primary := patch.settings.get("primary_calendar"):
        named["primary_calendar"] = [primary]
    if patch.settings.get("busy_calendars") is not None:
        named["busy_calendars"] = patch.settings["busy_calendars"]
    if isinstance(patch.selected_calendars, list):
        named["selected_calendars"] = patch.selected_calendars
    return named


def _resolve(raw_id: str, listed: Mapping[str, RawCalendar], known: set[str], field: str) -> str:
    if raw_id in listed or raw_id in known:
        return raw_id
    if raw_id == PRIMARY and listed:
        return next((raw.id for raw in listed.values() if raw.is_primary), next(iter(listed)))
    detail = "The account has no calendar with this id; GET /connections/{id}/calendars lists those it has."
    raise GatewayError(422, "calendar_not_found", detail, errors=[FieldProblem(field, f"not found: {raw_id}")])


def _writable(raw_id: str, listed: Mapping[str, RawCalendar]) -> str:
    if (raw := listed.get(raw_id)) is not None and not may_edit(raw):
        wrong = FieldProblem("primary_calendar", "the account may only read this calendar")
        raise GatewayError(422, "validation_failed", "New events cannot go to this calendar.", errors=[wrong])
    return raw_id


async def _apply(
    gateway: Gateway, conn: AsyncConnection, row: Found, mine: Sequence[Found], plan: _Plan, by: Author, now: datetime
) -> list[Dispatch]:
    """Write a change of a connection that is held, and of its calendars; what `deliver` is to send."""
    before = read_settings(row.settings)
    after = changed_settings(before, plan.settings)
    fields = [name for name in after.__struct_fields__ if getattr(after, name) != getattr(before, name)]
    selected = [one.raw_calendar_id for one in mine]
    if plan.selection is not None and set(plan.selection) != set(selected):
        fields.append("selected_calendars")
    values = connection_settings.values_of(after)
    if plan.selection == [] and not row.is_kept:
        # Without calendars nothing else would say that somebody still wants this account.
        values["is_kept"] = True
        fields.append("is_kept")
    if not fields:
        return []
    await connection_settings.change(conn, row.id, values, now)
    if "sync_frequency" in fields:
        await connection_settings.set_pace(conn, row.id, connection_settings.seconds_between_polls(after), now)
        gateway.wake.after(conn, "sync")
    dispatches: list[Dispatch] = []
    acts: list[Act] = []
    if plan.selection is not None:
        dispatches += await _deselect(gateway, conn, mine, plan.selection, by, now, acts)
        coming = [one for one in plan.selection if one not in selected]
        dispatches += await _select(gateway, conn, row, coming, plan, by, acts)
    dispatches += await tell(gateway, conn, await connection_standing.news(conn, [row.id], now), now)
    shown = [name for name in fields if name != "is_kept"]
    acts.append(by.did("connection.changed", row.id, fields=shown))
    await audit.append_each(conn, row.project_id, acts, now)
    return dispatches


async def _deselect(
    gateway: Gateway,
    conn: AsyncConnection,
    mine: Sequence[Found],
    selection: Sequence[str],
    by: Author,
    now: datetime,
    acts: list[Act],
) -> list[Dispatch]:
    """Let go of calendars; what is done comes to `acts`."""
    dispatches: list[Dispatch] = []
    for one in mine:
        if one.raw_calendar_id not in selection:
            dispatches += await drop(gateway, conn, one, now)
            acts.append(by.did("calendar.deleted", one.id, provider=one.provider))
    return dispatches


async def _select(
    gateway: Gateway,
    conn: AsyncConnection,
    row: Found,
    coming: Sequence[str],
    plan: _Plan,
    by: Author,
    acts: list[Act],
) -> list[Dispatch]:
    """Connect calendars; what is done comes to `acts`."""
    now = gateway.clock()
    joined = Joined(row.project_id, row.provider, row.id, row.oauth_client_id, is_new=False)
    account = Account(id=row.account, email=row.email)
    dispatches: list[Dispatch] = []
    for raw_id in coming:
        if raw_id not in plan.listed:
            # It was one of the connection's when we looked, and somebody has let it go since.
            raise GatewayError(
                409, "conflict", "The connection's calendars were changed meanwhile; look, and try again."
            )
        raw = plan.listed[raw_id]
        try:
            placed = await place(gateway, conn, joined, account, raw, Tuning(renews=False), uuid7(), now)
        except GatewayError as error:
            # Of the field that `POST /calendars` has nothing was sent.
            problems = [FieldProblem("selected_calendars", each.message) for each in error.errors]
            raise GatewayError(error.status, error.code, error.detail, errors=problems) from error
        dispatches += placed.dispatches
        acts.append(placed.act(by))
    return dispatches
