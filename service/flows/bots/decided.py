"""One meeting's bots, decided: which plans count, what `core.bots` says of each, and the rows and news that come of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from service.core.bots import Absence, Bot, BotStatus, Notice, Place, Plan, Verdict, again, first, launch_moment
from service.core.event import CANCELLED, DECLINED
from service.core.event import Meeting as Link
from service.core.starting import earliest
from service.store.bots import Meeting, is_attended
from service.store.tables import Found


class News(NamedTuple):
    """A webhook to be sent: of which bot (its values), by which plan's config, about which copy of the meeting."""

    notice: Notice
    bot: dict[str, Any]
    plan: Found | None
    copy: Found | None


class Decided(NamedTuple):
    """What is to be written of a meeting's bots, and said; `asks` that a runner is to be asked."""

    new: list[dict[str, Any]]
    changed: list[dict[str, Any]]
    news: list[News]
    look_at: datetime | None
    asks: bool


class _Linked(msgspec.Struct, gc=False):
    meeting: Link | None = None


_linked = msgspec.json.Decoder(_Linked)


def decide_meeting(
    meeting: Meeting,
    copies: Sequence[Found],
    plans: Sequence[Found],
    known: Sequence[Found],
    *,
    is_handed: bool,
    now: datetime,
) -> Decided:
    """What becomes of the bots of one meeting; with `is_handed` an HTTP runner launches them, else the webhook does."""
    decided = Decided([], [], [], None, asks=False)
    place, copy = _place(copies)
    wanted = slots(meeting[1], plans)
    for slot in {**dict.fromkeys(wanted), **{bot.slot: None for bot in known}}:
        bot = next((each for each in known if each.slot == slot), None)
        case = _Case(meeting, slot, wanted.get(slot), place, copy, is_handed, now)
        decided = _add(decided, case, bot)
    return decided


def slots(key: str, plans: Sequence[Found]) -> dict[str, Found]:
    """Which plan fills which slot of a meeting: those made for the event itself before those of its series.

    All that deduplicate share one slot, which the oldest plan fills; every other plan has a slot of its own.
    """
    own = [plan for plan in plans if plan.event_id is not None]
    counting = [plan for plan in own or plans if not plan.is_off]
    shared = [plan for plan in counting if plan.deduplicate]
    single = {f"{key} {plan.id}": plan for plan in counting if not plan.deduplicate}
    return ({key: shared[0]} if shared else {}) | single


class _Case(NamedTuple):
    meeting: Meeting
    slot: str
    plan: Found | None
    place: Place | None
    copy: Found | None
    is_handed: bool
    now: datetime


def _add(decided: Decided, case: _Case, bot: Found | None) -> Decided:
    """One slot's bot added to what was decided."""
    plan = _as_plan(case.plan) if case.plan is not None else None
    look_at = decided.look_at
    asks = decided.asks
    if bot is not None:
        verdict = again(_as_bot(bot, case.now), case.place, plan, case.now)
        values = _values(case, verdict, bot)
        if values:
            decided.changed.append({"id": bot.id, **values, "updated_at": case.now})
        whole = {**bot._asdict(), **values}
        if verdict.notice is not None and _is_told(verdict, values):
            decided.news.append(News(verdict.notice, whole, case.plan, case.copy))
        held_until = bot.next_try_at if bot.lease is not None else None
        look_at = earliest(look_at, verdict.look_at, held_until)
        asks = asks or values.get("next_try_at") is not None
        if not verdict.is_new:
            return decided._replace(look_at=look_at, asks=asks)
    if case.place is None or plan is None or case.plan is None:
        return decided._replace(look_at=look_at, asks=asks)
    verdict = first(case.place, plan, case.now)
    if verdict.reason == "ended":
        return decided._replace(look_at=look_at, asks=asks)
    values = _new_values(case, case.plan, case.place, verdict)
    decided.new.append(values)
    if verdict.notice is not None and _is_told(verdict, values):
        decided.news.append(News(verdict.notice, values, case.plan, case.copy))
    return decided._replace(look_at=earliest(look_at, verdict.look_at), asks=asks or values["next_try_at"] is not None)


def _as_plan(row: Found) -> Plan:
    return Plan(id=row.id, version=row.version, join_lead_seconds=row.join_lead_seconds)


def _as_bot(row: Found, now: datetime) -> Bot:
    return Bot(
        status=BotStatus(row.status),
        reason=row.reason,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        url=row.meeting_url,
        event_id=row.event_id,
        plan=Plan(
            id=row.plan_id,
            version=row.plan_version,
            join_lead_seconds=round((row.starts_at - row.launch_at).total_seconds()),
        ),
        launched_at=row.launched_at,
        is_held=row.lease is not None and row.next_try_at is not None and row.next_try_at > now,
    )


def _is_told(verdict: Verdict, values: dict[str, Any]) -> bool:
    """A launch through a runner is not announced: whoever runs bots would send two."""
    return verdict.notice is not Notice.LAUNCH or values.get("status") == BotStatus.LAUNCHED.value


def _place(copies: Sequence[Found]) -> tuple[Place | None, Found | None]:
    """Where the meeting is by its lead copy; why there is nothing to join, where no copy is attended."""
    if not copies:
        return None, None
    lead = next((copy for copy in copies if is_attended(copy)), None)
    if lead is None:
        shown = next((copy for copy in copies if copy.status != CANCELLED), copies[0])
        place = Place(event_id=shown.id, starts_at=shown.starts_at, ends_at=shown.ends_at, absence=_absence(copies))
        return place, shown
    link = _linked.decode(lead.body).meeting
    place = Place(
        event_id=lead.id,
        starts_at=lead.starts_at,
        ends_at=lead.ends_at,
        url=link.url if link is not None else None,
        platform=link.platform if link is not None else None,
        absence=None if link is not None else Absence.NO_LINK,
    )
    return place, lead


def _absence(copies: Sequence[Found]) -> Absence:
    live = [copy for copy in copies if copy.status != CANCELLED]
    if not live:
        return Absence.CANCELLED
    return Absence.DECLINED if all(copy.response_status == DECLINED for copy in live) else Absence.NO_LINK


def _values(case: _Case, verdict: Verdict, bot: Found) -> dict[str, Any]:
    """The columns of a bot that a verdict changes."""
    wanted = _stand(case, verdict)
    if bot.lease is not None and not verdict.notice:
        wanted = {}  # a runner is being asked: its answer decides
    if verdict.status is BotStatus.LAUNCHING and verdict.notice is None:
        wanted = {}
    if bot.withdraws:
        wanted.pop("next_try_at", None)
    elif bot.launched_at is not None and verdict.notice is Notice.CANCELLED and bot.external_id is not None:
        wanted |= {"withdraws": True, "next_try_at": case.now, "attempts": 0}
    if not verdict.keeps_place and case.place is not None and case.plan is not None:
        wanted |= _situation(case.place, case.plan)
    if case.plan is not None and bot.launched_at is None:
        wanted |= {"plan_id": case.plan.id, "plan_version": case.plan.version}
    if verdict.is_new:
        wanted["is_current"] = False
    return {name: value for name, value in wanted.items() if getattr(bot, name) != value}


def _stand(case: _Case, verdict: Verdict) -> dict[str, Any]:
    values: dict[str, Any] = {"status": verdict.status.value, "reason": verdict.reason, "next_try_at": None}
    if verdict.notice is not Notice.LAUNCH:
        return values
    if case.is_handed:
        return values | {"next_try_at": case.now, "attempts": 0}
    return values | {"status": BotStatus.LAUNCHED.value, "launched_at": case.now}


def _situation(place: Place, plan: Found) -> dict[str, Any]:
    values = {
        "event_id": place.event_id,
        "starts_at": place.starts_at,
        "ends_at": place.ends_at,
        "launch_at": launch_moment(place.starts_at, plan.join_lead_seconds),
    }
    # A link that was taken away is kept: whoever is told of it wants to know which bot that was.
    return values | ({"meeting_url": place.url, "platform": place.platform} if place.url is not None else {})


def _new_values(case: _Case, plan: Found, place: Place, verdict: Verdict) -> dict[str, Any]:
    project_id, key = case.meeting
    bot_id: UUID = uuid7()
    return {
        "id": bot_id,
        "project_id": project_id,
        "plan_id": plan.id,
        "plan_version": plan.version,
        "slot": case.slot,
        "is_current": True,
        "meeting_key": key,
        "meeting_url": None,
        "platform": None,
        "launched_at": None,
        "external_id": None,
        "answer": None,
        "withdraws": False,
        "attempts": 0,
        "lease": None,
        **_situation(place, plan),
        **_stand(case, verdict),
        "created_at": case.now,
        "updated_at": case.now,
    }
