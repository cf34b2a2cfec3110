"""Plans of bots as stored: made, found by event, by series or by meeting, and forgotten when nothing is left of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core.meeting_key import SHORTEST_UID, global_uid
from service.store.bot_tables import BotPlanRow
from service.store.cipher import Cipher, place_of
from service.store.database import insert
from service.store.tables import EventRow, Found, ProjectRow, Table
from webhooks.claims import padded

_plans = Table.metadata.tables[str(BotPlanRow.__tablename__)]
_events = Table.metadata.tables[str(EventRow.__tablename__)]
_projects = Table.metadata.tables[str(ProjectRow.__tablename__)]
_c = _plans.c


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan asks for; `config` is any JSON object, kept as it came."""

    config: dict[str, Any]
    join_lead_seconds: int = 60
    deduplicate: bool = True
    is_off: bool = False


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is for: an event with its meeting's key, or a series with its iCalendar UID."""

    event_id: UUID | None = None
    meeting_key: str | None = None
    series_id: str | None = None
    ical_uid: str | None = None


async def put(
    conn: AsyncConnection, cipher: Cipher, project_id: UUID, anchor: Anchor, wish: Wish, now: datetime
) -> tuple[Found, bool]:
    """Make the plan of an event or a series, or replace it: its row, and whether it is new.

    The project's row is locked from here on: who settles a sync has read before that it has no bots, and is committed,
    or reads afterwards that it has.
    """
    await conn.execute(update(_projects).where(_projects.c.id == project_id).values(has_bots=True))
    known = await find(conn, project_id, anchor)
    plan_id = known.id if known is not None else uuid7()
    values: dict[str, Any] = {
        "meeting_key": anchor.meeting_key,
        "ical_uid": anchor.ical_uid,
        "is_off": wish.is_off,
        "dropped_at": None,
        "config": cipher.seal(msgspec.json.encode(wish.config), _place(project_id, plan_id)),
        "join_lead_seconds": wish.join_lead_seconds,
        "deduplicate": wish.deduplicate,
        "updated_at": now,
    }
    if known is not None:
        await conn.execute(update(_plans).where(_c.id == plan_id).values(**values, version=_c.version + 1))
    else:
        named = {"id": plan_id, "project_id": project_id, "event_id": anchor.event_id, "series_id": anchor.series_id}
        await conn.execute(insert(conn.dialect.name, _plans).values(**named, **values, version=1, created_at=now))
    row = (await conn.execute(select(_plans).where(_c.id == plan_id))).one()
    return row, known is None or known.is_off or known.dropped_at is not None


async def hold(conn: AsyncConnection, project_id: UUID) -> None:
    """Let nobody else change plans of a project until this transaction ends: what is read of them from here on stays so."""
    await conn.execute(select(_projects.c.id).where(_projects.c.id == project_id).with_for_update(key_share=True))


async def find(conn: AsyncConnection, project_id: UUID, anchor: Anchor) -> Found | None:
    """The plan made for this very event or series, also one that is off or dropped."""
    mine = _c.event_id == anchor.event_id if anchor.event_id is not None else _c.series_id == anchor.series_id
    return (await conn.execute(select(_plans).where(_c.project_id == project_id, mine))).one_or_none()


async def by_ids(conn: AsyncConnection, ids: Sequence[UUID]) -> Sequence[Found]:
    """Plans by their ids, also those that count no more."""
    return (await conn.execute(select(_plans).where(_c.id.in_(padded(ids))))).all()


async def drop(conn: AsyncConnection, plan_id: UUID, now: datetime) -> None:
    """A plan counts no more; its config is still told with the news of its bots."""
    await conn.execute(update(_plans).where(_c.id == plan_id).values(dropped_at=now, version=_c.version + 1))


async def exclude(conn: AsyncConnection, plan_id: UUID, now: datetime) -> None:
    """The plan of an event says from now on that it is to have no bot, whatever its series has."""
    await conn.execute(
        update(_plans).where(_c.id == plan_id).values(is_off=True, updated_at=now, version=_c.version + 1)
    )


def opened(cipher: Cipher, row: Found) -> dict[str, Any]:
    """The plan's config. Raises Unreadable."""
    config: dict[str, Any] = msgspec.json.decode(cipher.open(row.config, _place(row.project_id, row.id)))
    return config


async def covering(
    conn: AsyncConnection, project_ids: Sequence[UUID], keys: Sequence[str], copies: Sequence[Found]
) -> Sequence[Found]:
    """Every plan that counts and may be for one of the meetings with these keys, of which `copies` are left; the oldest first."""
    series = sorted({row.series_id for row in copies if row.series_id is not None})
    uids = sorted({uid for row in copies if row.series_id is not None and (uid := series_uid(row.ical_uid))})
    named: list[ColumnElement[bool]] = [_c.meeting_key.in_(padded(sorted(set(keys))))]
    if series:
        named.append(_c.series_id.in_(padded(series)))
    if uids:
        named.append(_c.ical_uid.in_(padded(uids)))
    projects = padded(sorted(set(project_ids)))
    query = select(_plans).where(_c.project_id.in_(projects), _c.dropped_at.is_(None), or_(*named))
    return (await conn.execute(query.order_by(_c.id))).all()


async def covered(conn: AsyncConnection, project_id: UUID, events: Sequence[Any]) -> dict[UUID, bool]:
    """Of these events those that are to have a bot; True where it is for the whole series.

    An event has `id`, `meeting_key`, `series_id` and `ical_uid`.
    """
    found: dict[UUID, bool] = {}
    plans = await covering(conn, [project_id], [event.meeting_key for event in events], events) if events else []
    for event in events:
        mine = [plan for plan in plans if covers(plan, event.meeting_key, [event])]
        own = [plan for plan in mine if plan.event_id is not None]
        if any(not plan.is_off for plan in own or mine):
            found[event.id] = any(plan.series_id is not None for plan in mine)
    return found


def series_uid(ical_uid: str | None) -> str | None:
    """The UID by which the copies of a series on other calendars are known; None for one that is not worth the name."""
    uid, _ = global_uid(ical_uid or "")
    return uid if len(uid) >= SHORTEST_UID else None


def covers(plan: Found, key: str, copies: Sequence[Found]) -> bool:
    """Whether a plan is for the meeting with this key, of which these are the copies."""
    if plan.event_id is not None:
        return bool(plan.meeting_key == key)
    return any(
        copy.series_id is not None
        and (
            copy.series_id == plan.series_id
            or (plan.ical_uid is not None and series_uid(copy.ical_uid) == plan.ical_uid)
        )
        for copy in copies
    )


_orphaned: Final = ~exists().where(_events.c.project_id == _c.project_id, _events.c.meeting_key == _c.meeting_key)


async def purge(conn: AsyncConnection, before: datetime, most: int) -> int:
    """Forget what was dropped long ago, and plans of events that no calendar has any more; how many went.

    Those of series stay, for they may yet have occurrences.
    """
    is_over = or_(_c.dropped_at < before, and_(_c.event_id.is_not(None), _c.updated_at < before, _orphaned))
    old = select(_c.id).where(is_over).limit(most)
    found = (await conn.execute(old)).scalars().all()
    if found:
        await conn.execute(delete(_plans).where(_c.id.in_(found)))
    return len(found)


def _place(project_id: UUID, plan_id: UUID) -> str:
    return place_of(project_id, "bot_plans", "config", plan_id)
