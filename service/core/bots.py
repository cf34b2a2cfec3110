"""Bots for meetings: what is to become of one, decided from its plan, its meeting and the time. All of it pure.

                    due, webhook
    planned ─────────────────────────────────► launched ──┐
     ▲   │ due, runner            accepted      ▲         │ cancelled, moved far away, no longer wanted
     │   └──────────────► launching ────────────┘         ▼
     │                        │ refused, or tried     cancelled
     ▼                        ▼ until the end
    waiting (why?)          failed

`waiting` is a bot that has nothing to join now: no link, declined, cancelled. What has been launched for a start is never
launched again for that start, whatever happens to the meeting in between.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

COVERED: Final = timedelta(minutes=15)
"""A launched bot waits in the meeting: a move that is not later than this needs no other one."""

MOST_CONFIG_BYTES: Final = 64 * 1024
LONGEST_LEAD: Final = 3600


class BotStatus(StrEnum):
    """Where a bot stands."""

    PLANNED = "planned"
    WAITING = "waiting"
    LAUNCHING = "launching"
    LAUNCHED = "launched"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Absence(StrEnum):
    """Why a meeting is nothing to join now."""

    NO_LINK = "no_link"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    GONE = "gone"
    """No calendar has it any more."""


class Notice(StrEnum):
    """The last word of the webhook that a decision calls for."""

    PLANNED = "planned"
    LAUNCH = "launch"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when a meeting is, by the copy of it that leads; without a `url` there is nothing to join."""

    event_id: object
    starts_at: datetime
    ends_at: datetime
    url: str | None = None
    platform: str | None = None
    absence: Absence | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a bot was, or is to be, planned by; `version` rises when it is replaced."""

    id: object
    version: int
    join_lead_seconds: int


class Bot(msgspec.Struct, frozen=True, kw_only=True):
    """A bot as it was decided last; `is_held` while a runner is being asked about it."""

    status: BotStatus
    reason: str | None = None
    starts_at: datetime
    ends_at: datetime
    url: str | None = None
    event_id: object = None
    plan: Plan | None = None
    launched_at: datetime | None = None
    is_held: bool = False


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a bot: its next status, the webhook that says so, and when to look at the meeting again.

    With `is_new` the bot that there is stands as `status` says, and another one is planned for the meeting as it is now.
    `keeps_place` leaves start and link as they were when it was launched.
    """

    status: BotStatus
    reason: str | None = None
    notice: Notice | None = None
    look_at: datetime | None = None
    is_new: bool = False
    keeps_place: bool = False


ENDED: Final = frozenset({BotStatus.CANCELLED, BotStatus.FAILED})


def launch_moment(starts_at: datetime, join_lead_seconds: int) -> datetime:
    """When a bot is to be launched for a start."""
    return starts_at - timedelta(seconds=join_lead_seconds)


def first(place: Place, plan: Plan, now: datetime) -> Verdict:
    """What becomes of a bot that is not there yet. A meeting that is over has none: `waiting`, `ended`."""
    if now >= place.ends_at:
        return Verdict(status=BotStatus.WAITING, reason="ended")
    if place.url is None:
        return Verdict(status=BotStatus.WAITING, reason=place.absence, look_at=place.ends_at)
    return _planned(place, plan, now, Notice.PLANNED)


def again(bot: Bot, place: Place | None, plan: Plan | None, now: datetime) -> Verdict:
    """What becomes of a bot that is there.

    No `place` means that no calendar has the meeting any more, no `plan` that nobody wants the bot.
    """
    if bot.is_held:
        # Whether it was launched is not known yet; the answer leads to another look.
        return Verdict(status=bot.status, reason=bot.reason, keeps_place=True)
    if plan is None or place is None:
        return _called_off(bot, "unplanned" if plan is None else Absence.GONE, now)
    if bot.launched_at is not None:
        return _after_launch(bot, place, now)
    if bot.status is BotStatus.FAILED:
        is_new = place.starts_at - bot.starts_at > COVERED and place.url is not None and now < place.ends_at
        return Verdict(status=bot.status, reason=bot.reason, is_new=is_new, keeps_place=True)
    return _before_launch(bot, place, plan, now)


def _before_launch(bot: Bot, place: Place, plan: Plan, now: datetime) -> Verdict:
    hopes = bot.status in {BotStatus.PLANNED, BotStatus.LAUNCHING}
    if now >= place.ends_at:
        if hopes and place.url is not None:
            return Verdict(status=BotStatus.FAILED, reason="missed", notice=Notice.FAILED)
        return Verdict(status=BotStatus.WAITING, reason="ended", notice=Notice.CANCELLED if hopes else None)
    if place.url is None:
        return Verdict(
            status=BotStatus.WAITING,
            reason=_said(bot, place.absence),
            notice=Notice.CANCELLED if hopes else None,
            look_at=place.ends_at,
        )
    if bot.status is BotStatus.LAUNCHING and place.starts_at == bot.starts_at:
        return Verdict(status=bot.status, look_at=place.ends_at)
    is_same = (bot.starts_at, bot.url, bot.event_id) == (place.starts_at, place.url, place.event_id)
    is_same = is_same and bot.plan == plan
    news = None if is_same and bot.status is BotStatus.PLANNED else Notice.PLANNED
    return _planned(place, plan, now, news)


def _after_launch(bot: Bot, place: Place, now: datetime) -> Verdict:
    """A launched bot is there for its start; only a meeting that goes away, or far away, changes anything."""
    over = now >= bot.ends_at
    if place.starts_at - bot.starts_at > COVERED:
        if place.url is None or now >= place.ends_at:
            return _called_off(bot, _said(bot, place.absence) or "moved", now)
        told = None if over or bot.status in ENDED else Notice.CANCELLED
        status = bot.status if over or bot.status in ENDED else BotStatus.CANCELLED
        return Verdict(status=status, reason=bot.reason or "moved", notice=told, is_new=True, keeps_place=True)
    if place.url is None:
        return _called_off(bot, _said(bot, place.absence), now)
    if bot.status is BotStatus.CANCELLED and bot.reason != "unplanned" and not over:
        # It was told to go, and nobody is sent twice to one meeting: whoever runs bots has to know.
        return Verdict(status=BotStatus.FAILED, reason="restored_after_launch", notice=Notice.FAILED, keeps_place=True)
    return Verdict(status=bot.status, reason=bot.reason, keeps_place=True)


def _planned(place: Place, plan: Plan, now: datetime, notice: Notice | None) -> Verdict:
    launch_at = launch_moment(place.starts_at, plan.join_lead_seconds)
    if launch_at <= now:
        return Verdict(status=BotStatus.LAUNCHING, notice=Notice.LAUNCH, look_at=place.ends_at)
    return Verdict(status=BotStatus.PLANNED, notice=notice, look_at=launch_at)


def _called_off(bot: Bot, reason: str | None, now: datetime) -> Verdict:
    """The bot is not wanted: said once, and only while it matters."""
    if bot.status in ENDED or bot.status is BotStatus.WAITING:
        status = bot.status if bot.status in ENDED else BotStatus.CANCELLED
        return Verdict(status=status, reason=bot.reason if bot.status in ENDED else reason, keeps_place=True)
    if bot.launched_at is not None and now >= bot.ends_at:
        return Verdict(status=bot.status, reason=bot.reason, keeps_place=True)
    return Verdict(status=BotStatus.CANCELLED, reason=reason, notice=Notice.CANCELLED, keeps_place=True)


def _said(bot: Bot, absence: Absence | None) -> str | None:
    """`link_removed` for a link that was there."""
    return "link_removed" if absence is Absence.NO_LINK and bot.url is not None else absence
