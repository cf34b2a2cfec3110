"""Wishes for bots: made for an event or a series, shown with the bots that come of them, and taken back."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.event import CANCELLED
from service.errors import GatewayError
from service.flows.bots.keeping import settle_looks
from service.flows.gateway import Gateway
from service.store import bot_plans, bots
from service.store.bot_plans import Anchor, Wish
from service.store.bots import Meeting
from service.store.cipher import Cipher
from service.store.tables import Found
from webhooks.message import Dispatch

MOST_SHOWN: Final = 250
AT_ONCE: Final = 100


class PlanWish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants: `config` is handed on as it is, `join_lead_seconds` before the start the bot is launched.

    With `deduplicate` all plans of one real meeting make one bot, that of the oldest plan.
    """

    config: dict[str, Any]
    join_lead_seconds: int = 60
    deduplicate: bool = True


class PlannedBot(msgspec.Struct, frozen=True, kw_only=True):
    """One bot of a plan; `external_id` is what the runner calls it.

    `status` is `planned`, `waiting` (`reason` says for what), `launching`, `launched`, `cancelled` or `failed`.
    """

    bot_id: UUID
    status: str
    reason: str | None
    meeting_key: str
    meeting_url: str | None
    platform: str | None
    starts_at: datetime
    launch_at: datetime
    event_id: UUID
    launched_at: datetime | None
    external_id: str | None


class BotPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan for an event or for a series, with its bots, the next one first (at most 250)."""

    id: UUID
    event_id: UUID | None
    series_id: str | None
    config: dict[str, Any]
    join_lead_seconds: int
    deduplicate: bool
    version: int
    created_at: datetime
    updated_at: datetime
    bots: list[PlannedBot]


async def plan_event(
    gateway: Gateway, project_id: UUID, event_id: UUID, wish: PlanWish, *, expected_version: int | None = None
) -> tuple[BotPlan, bool]:
    """Plan a bot for an event, or change its plan; whether it is new.

    Raises GatewayError 404 for an unknown event, 409 for one that is over or cancelled, 412.
    """
    async with gateway.database.write() as conn:
        now = gateway.clock()
        event = await bots.event(conn, project_id, event_id)
        if event is None:
            raise unknown("event")
        _check_coming([event], now)
        anchor = Anchor(event_id=event_id, meeting_key=event.meeting_key)
        await _check_version(conn, project_id, anchor, expected_version)
        row, is_new, dispatches = await _plan(gateway, conn, project_id, anchor, wish, {event.meeting_key}, now)
        plan = await _shown(conn, gateway.cipher, row)
    _submit(gateway, dispatches)
    return plan, is_new


async def plan_series(
    gateway: Gateway, project_id: UUID, series_id: str, wish: PlanWish, *, expected_version: int | None = None
) -> tuple[BotPlan, bool]:
    """Plan bots for every occurrence of a series, those to come included, or change that; whether it is new.

    Raises GatewayError 404 for an unknown series, 409 for one that is over or cancelled, 412.
    """
    async with gateway.database.write() as conn:
        now = gateway.clock()
        events = await bots.series_events(conn, project_id, series_id)
        if not events:
            raise unknown("series")
        _check_coming(events, now)
        uid = next((uid for event in events if (uid := bot_plans.series_uid(event.ical_uid))), None)
        anchor = Anchor(series_id=series_id, ical_uid=uid)
        await _check_version(conn, project_id, anchor, expected_version)
        keys = {event.meeting_key for event in events if event.ends_at > now}
        row, is_new, dispatches = await _plan(gateway, conn, project_id, anchor, wish, keys, now)
        plan = await _shown(conn, gateway.cipher, row)
    _submit(gateway, dispatches)
    return plan, is_new


async def show_event(gateway: Gateway, project_id: UUID, event_id: UUID) -> BotPlan | None:
    """The plan of an event: its own, else that of its series; None where it is to have no bot."""
    async with gateway.database.read() as conn:
        return (await covering(conn, gateway.cipher, project_id, [event_id])).get(event_id)


async def show_series(gateway: Gateway, project_id: UUID, series_id: str) -> BotPlan | None:
    """The plan of a series."""
    async with gateway.database.read() as conn:
        row = await bot_plans.find(conn, project_id, Anchor(series_id=series_id))
        return await _shown(conn, gateway.cipher, row) if _counts(row) and row is not None else None


async def drop_event(
    gateway: Gateway, project_id: UUID, event_id: UUID, *, expected_version: int | None = None
) -> bool:
    """No bot for this event any more, also where its series has one; False when it was to have none anyway. Raises 412."""
    async with gateway.database.write() as conn:
        now = gateway.clock()
        event = await bots.event(conn, project_id, event_id)
        if event is None:
            return False
        anchor = Anchor(event_id=event_id, meeting_key=event.meeting_key)
        await _check_version(conn, project_id, anchor, expected_version)
        own = await bot_plans.find(conn, project_id, anchor)
        covering_plans = await bot_plans.covering(conn, [project_id], [event.meeting_key], [event])
        series = [
            plan
            for plan in covering_plans
            if plan.series_id is not None and bot_plans.covers(plan, event.meeting_key, [event])
        ]
        if not (_counts(own) or (series and not (own is not None and own.is_off and own.dropped_at is None))):
            return False
        if series:
            wish = Wish(config={}, is_off=True)
            if own is None:
                await bot_plans.put(conn, gateway.cipher, project_id, anchor, wish, now)
            else:
                await bot_plans.exclude(conn, own.id, now)
        elif own is not None:
            await bot_plans.drop(conn, own.id, now)
        dispatches = await _look_now(gateway, conn, [(project_id, event.meeting_key)], now)
    _submit(gateway, dispatches)
    return True


async def drop_series(
    gateway: Gateway, project_id: UUID, series_id: str, *, expected_version: int | None = None
) -> bool:
    """No bots for this series any more; events with plans of their own keep theirs. False when there was no plan."""
    async with gateway.database.write() as conn:
        now = gateway.clock()
        anchor = Anchor(series_id=series_id)
        row = await bot_plans.find(conn, project_id, anchor)
        if row is None or not _counts(row):
            return False
        await _check_version(conn, project_id, anchor, expected_version)
        meetings = await bots.meetings_of_plan(conn, project_id, row.id)
        await bot_plans.drop(conn, row.id, now)
        dispatches = await _look_now(gateway, conn, meetings, now)
    _submit(gateway, dispatches)
    return True


async def covering(
    conn: AsyncConnection, cipher: Cipher, project_id: UUID, event_ids: Sequence[UUID]
) -> dict[UUID, BotPlan]:
    """The plan that covers each of these events, of those that have one: its own, else its series'."""
    events = await bots.events_of(conn, project_id, event_ids) if event_ids else []
    if not events:
        return {}
    plans = await bot_plans.covering(conn, [project_id], [event.meeting_key for event in events], events)
    shown: dict[UUID, BotPlan] = {}
    found: dict[UUID, BotPlan] = {}
    for event in events:
        mine = [plan for plan in plans if bot_plans.covers(plan, event.meeting_key, [event])]
        own = sorted((plan for plan in mine if plan.event_id is not None), key=lambda plan: plan.event_id != event.id)
        chosen = next(iter(own or mine), None)
        if chosen is None or chosen.is_off:
            continue
        if chosen.id not in shown:
            shown[chosen.id] = await _shown(conn, cipher, chosen)
        found[event.id] = shown[chosen.id]
    return found


async def covered(conn: AsyncConnection, project_id: UUID, event_ids: Sequence[UUID]) -> dict[UUID, bool]:
    """Of these events those that are to have a bot; True where it is for the whole series."""
    events = await bots.events_of(conn, project_id, event_ids) if event_ids else []
    return await bot_plans.covered(conn, project_id, events)


def unknown(what: str) -> GatewayError:
    """A foreign event is told exactly as one that never was."""
    return GatewayError(404, "not_found", f"There is no such {what}.")


async def _plan(
    gateway: Gateway,
    conn: AsyncConnection,
    project_id: UUID,
    anchor: Anchor,
    wish: PlanWish,
    keys: Iterable[str],
    now: datetime,
) -> tuple[Found, bool, list[Dispatch]]:
    stored = Wish(
        config=wish.config, join_lead_seconds=wish.join_lead_seconds, deduplicate=wish.deduplicate, is_off=False
    )
    row, is_new = await bot_plans.put(conn, gateway.cipher, project_id, anchor, stored, now)
    return row, is_new, await _look_now(gateway, conn, [(project_id, key) for key in keys], now)


async def _look_now(
    gateway: Gateway, conn: AsyncConnection, meetings: Sequence[Meeting], now: datetime
) -> list[Dispatch]:
    """Decide about some meetings in this very transaction, so that the answer shows it; many are left to the keeper."""
    if await bots.look_soon(conn, meetings, now) and len(meetings) > AT_ONCE:
        gateway.wake.after(conn, "bots")
        return []
    if not meetings:
        return []
    gateway.wake.after(conn, "bots")
    return await settle_looks(gateway, conn, await bots.read(conn, sorted(set(meetings))), now)


def _submit(gateway: Gateway, dispatches: list[Dispatch]) -> None:
    if dispatches and gateway.deliverer is not None:
        gateway.deliverer.submit(dispatches)


def _counts(row: Found | None) -> bool:
    return row is not None and row.dropped_at is None and not row.is_off


def _check_coming(events: Sequence[Found], now: datetime) -> None:
    if all(event.ends_at <= now for event in events):
        raise GatewayError(409, "conflict", "It is over: a bot can only be planned for what is still to come.")
    if all(event.status == CANCELLED for event in events if event.ends_at > now):
        raise GatewayError(409, "conflict", "It is cancelled: a bot can be planned again when it is confirmed.")


async def _check_version(conn: AsyncConnection, project_id: UUID, anchor: Anchor, expected_version: int | None) -> None:
    if expected_version is None:
        return
    await bot_plans.hold(conn, project_id)
    row = await bot_plans.find(conn, project_id, anchor)
    version = row.version if row is not None and _counts(row) else 0
    if version != expected_version:
        raise GatewayError(412, "precondition_failed", f"The plan is at version {version} by now.")


async def _shown(conn: AsyncConnection, cipher: Cipher, row: Found) -> BotPlan:
    found = await bots.of_plan(conn, row.project_id, row.id, MOST_SHOWN)
    return BotPlan(
        id=row.id,
        event_id=row.event_id,
        series_id=row.series_id,
        config=bot_plans.opened(cipher, row),
        join_lead_seconds=row.join_lead_seconds,
        deduplicate=row.deduplicate,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        bots=[
            PlannedBot(bot_id=bot.id, **{name: getattr(bot, name) for name in PlannedBot.__struct_fields__[1:]})
            for bot in found
        ],
    )
