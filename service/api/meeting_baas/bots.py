"""Bots of both dialects over the plans that our own routes make: which events are meant, and what becomes of their plans.

`all_occurrences` means every occurrence that is still to come, also those that had a plan of their own or were left out.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from service.api.meeting_baas.errors import DialectError
from service.api.meeting_baas.showing import viewed
from service.api.problems import invalid
from service.core.bots import MOST_CONFIG_BYTES, BotStatus
from service.core.event import CANCELLED, EventView
from service.core.meeting_baas.refusals import BOT_LAUNCHED, BOT_NOT_FOUND, EVENT_CANCELLED, EVENT_OVER
from service.errors import GatewayError
from service.flows.bots import planning
from service.flows.bots.planning import BotPlan, PlanWish
from service.flows.gateway import Gateway
from service.store import meeting_baas
from service.store.tables import Found

LONGEST_NAME: Final = 255
ATTEMPTS: Final = 10
"""So often a change is made anew when another one was quicker."""

_ON_ITS_WAY: Final = frozenset({BotStatus.LAUNCHING.value, BotStatus.LAUNCHED.value})

Config = dict[str, Any]
Edit = Callable[[Config], Config]


class Target(NamedTuple):
    """Which events are meant: one, or (with a `series_id`) the live ones of a series that are still to come."""

    series_id: str | None
    events: list[EventView]


def single(row: Found) -> Target:
    """One event."""
    return Target(None, [viewed(row)])


async def whole_series(gateway: Gateway, project_id: UUID, calendar_id: UUID, series_id: str) -> Target:
    """The series that the provider calls so on a calendar."""
    now = gateway.clock()
    async with gateway.database.read() as conn:
        rows = await meeting_baas.events_of_series(conn, project_id, calendar_id, series_id)
    views = [viewed(row) for row in rows]
    return Target(series_id, [one for one in views if one.ends_at > now and one.status != CANCELLED])


def checked_config(config: Mapping[str, Any], *, needs_name: bool) -> Config:
    """A configuration that may be kept: nothing is looked at but the bot's name and the size. Raises GatewayError 422."""
    name = config.get("bot_name")
    if name is None and needs_name:
        raise invalid("bot_name", "is required")
    if name is not None and not (isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME):
        raise invalid("bot_name", f"has to be a string of 1 to {LONGEST_NAME} characters")
    if len(msgspec.json.encode(config)) > MOST_CONFIG_BYTES:
        raise invalid("", f"the configuration is larger than {MOST_CONFIG_BYTES} bytes of JSON")
    return dict(config)


async def plan(gateway: Gateway, project_id: UUID, target: Target, config: Config) -> None:
    """Have a bot for the events, in the place of any that was planned. Raises DialectError for what has no future."""
    _check_coming(gateway, target)
    wish = PlanWish(config=config)
    if target.series_id is None:
        await planning.plan_event(gateway, project_id, target.events[0].id, wish)
        return
    await planning.plan_series(gateway, project_id, target.series_id, wish)
    plans = await _plans(gateway, project_id, target)
    for event in target.events:
        found = plans.get(event.id)
        if found is None or found.event_id == event.id:
            await planning.plan_event(gateway, project_id, event.id, wish)


async def change(gateway: Gateway, project_id: UUID, target: Target, edit: Edit) -> None:
    """Change what the bots of the events are to do. Raises DialectError 404 where there is none, 409 for one on its way."""
    for left in reversed(range(ATTEMPTS)):
        try:
            await _change(gateway, project_id, target, edit)
        except GatewayError as error:
            # Somebody else's change came between reading the plan and writing it: theirs is to be kept, too.
            if error.status != 412 or not left:
                raise
        else:
            return


async def _change(gateway: Gateway, project_id: UUID, target: Target, edit: Edit) -> None:
    plans = await _plans(gateway, project_id, target)
    if target.series_id is None:
        (event,) = target.events
        found = plans.get(event.id)
        if found is None:
            raise DialectError(404, BOT_NOT_FOUND, "There is no bot for this event.")
        if any(bot.status in _ON_ITS_WAY and event.id in {bot.event_id, found.event_id} for bot in found.bots):
            raise DialectError(409, BOT_LAUNCHED, "The bot is on its way already.")
        version = found.version if found.event_id == event.id else 0
        await planning.plan_event(gateway, project_id, event.id, _edited(found, edit), expected_version=version)
        return
    whole = await planning.show_series(gateway, project_id, target.series_id)
    own = [found for event in target.events if (found := plans.get(event.id)) and found.event_id == event.id]
    if whole is None and not own:
        raise DialectError(404, BOT_NOT_FOUND, "There are no bots for this series.")
    for found in own:
        if found.event_id is not None:
            wish = _edited(found, edit)
            await planning.plan_event(gateway, project_id, found.event_id, wish, expected_version=found.version)
    if whole is not None:
        wish = _edited(whole, edit)
        await planning.plan_series(gateway, project_id, target.series_id, wish, expected_version=whole.version)


async def drop(gateway: Gateway, project_id: UUID, target: Target) -> None:
    """Have no bot for the events; none is needed to be there."""
    if target.series_id is not None:
        await planning.drop_series(gateway, project_id, target.series_id)
    plans = await _plans(gateway, project_id, target)
    for event in target.events:
        if event.id in plans:
            await planning.drop_event(gateway, project_id, event.id)


async def _plans(gateway: Gateway, project_id: UUID, target: Target) -> dict[UUID, BotPlan]:
    async with gateway.database.read() as conn:
        return await planning.covering(conn, gateway.cipher, project_id, [event.id for event in target.events])


def _edited(found: BotPlan, edit: Edit) -> PlanWish:
    config = checked_config(edit(found.config), needs_name=False)
    return PlanWish(config=config, join_lead_seconds=found.join_lead_seconds, deduplicate=found.deduplicate)


def _check_coming(gateway: Gateway, target: Target) -> None:
    now = gateway.clock()
    if all(event.ends_at <= now for event in target.events):
        raise DialectError(422, EVENT_OVER, "It is over: a bot can only be sent to what is still to come.")
    if all(event.status == CANCELLED for event in target.events):
        raise DialectError(422, EVENT_CANCELLED, "The event is cancelled.")
