"""Bots as stored, and the looks at their meetings: what is claimed is locked, read anew, decided and written at once.

A look at a meeting is a row with a time. Who changes one of its events, or a plan, sets the time to now in his own
transaction; who looks holds the row until what he decided is committed. So of a launch and a move one comes first, and
the other sees it. Events are written before looks are touched, and looking locks no event: nobody waits in a circle.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.event import DECLINED
from service.store import bot_plans
from service.store.bot_tables import BotLookRow, BotPlanRow, BotRow
from service.store.database import insert
from service.store.tables import CalendarRow, EventRow, Found, ProjectRow, Table
from webhooks.claims import padded

_bots = Table.metadata.tables[str(BotRow.__tablename__)]
_looks = Table.metadata.tables[str(BotLookRow.__tablename__)]
_plans = Table.metadata.tables[str(BotPlanRow.__tablename__)]
_events = Table.metadata.tables[str(EventRow.__tablename__)]
_calendars = Table.metadata.tables[str(CalendarRow.__tablename__)]
_projects = Table.metadata.tables[str(ProjectRow.__tablename__)]
_b = _bots.c
_e = _events.c
_l = _looks.c

Meeting = tuple[UUID, str]
"""A project and a meeting's key in it."""

_ASKED = (_e.id, _e.calendar_id, _e.meeting_key, _e.series_id, _e.ical_uid, _e.status, _e.ends_at)
_next_look = select(_l.look_at).order_by(_l.look_at).limit(1)
_due = (
    select(_l.project_id, _l.meeting_key)
    .where(_l.look_at <= bindparam("now", type_=_l.look_at.type))
    .order_by(_l.look_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_copies = (
    select(
        _e.project_id,
        _e.meeting_key,
        _e.id,
        _e.calendar_id,
        _e.series_id,
        _e.ical_uid,
        _e.starts_at,
        _e.ends_at,
        _e.status,
        _e.platform,
        _e.is_meeting,
        _e.response_status,
        _e.body,
    )
    .where(
        _e.project_id.in_(bindparam("projects", expanding=True)), _e.meeting_key.in_(bindparam("keys", expanding=True))
    )
    .order_by(_e.rank, _e.id)
)
_current = (
    select(_bots)
    .where(
        _b.project_id.in_(bindparam("projects", expanding=True)),
        _b.meeting_key.in_(bindparam("keys", expanding=True)),
        _b.is_current.is_(True),
    )
    .order_by(_b.id)
)


class Looked(NamedTuple):
    """Meetings that are held by this transaction, with all copies (the lead first), all plans, and all current bots."""

    meetings: list[Meeting]
    copies: Mapping[Meeting, list[Found]]
    plans: Mapping[Meeting, list[Found]]
    bots: Mapping[Meeting, list[Found]]


async def next_look(conn: AsyncConnection) -> datetime | None:
    """When the next meeting is to be looked at, which may be past."""
    found: datetime | None = (await conn.execute(_next_look)).scalar()
    return found


async def claim_looks(conn: AsyncConnection, now: datetime, most: int) -> Looked:
    """Hold up to `most` meetings that are to be looked at and that nobody else holds; never one that is not due yet."""
    due = [(row.project_id, row.meeting_key) for row in await conn.execute(_due, {"now": now, "most": most})]
    return await read(conn, due)


async def read(conn: AsyncConnection, meetings: Sequence[Meeting]) -> Looked:
    """What there is of these meetings, held or not."""
    if not meetings:
        return Looked([], {}, {}, {})
    projects = padded(sorted({project for project, _ in meetings}))
    keys = padded(sorted({key for _, key in meetings}))
    asked = {"projects": projects, "keys": keys}
    copies = _by_meeting(meetings, await conn.execute(_copies, asked))
    found = await bot_plans.covering(conn, projects, keys, [copy for rows in copies.values() for copy in rows])
    plans = {
        (project, key): [
            plan for plan in found if plan.project_id == project and bot_plans.covers(plan, key, copies[project, key])
        ]
        for project, key in meetings
    }
    return Looked(list(meetings), copies, plans, _by_meeting(meetings, await conn.execute(_current, asked)))


def _by_meeting(meetings: Sequence[Meeting], rows: Iterable[Any]) -> dict[Meeting, list[Found]]:
    found: dict[Meeting, list[Found]] = {meeting: [] for meeting in meetings}
    for row in rows:
        # Another project may have a meeting of that key, which was not asked for.
        if (mine := found.get((row.project_id, row.meeting_key))) is not None:
            mine.append(row)
    return found


async def write(conn: AsyncConnection, new: Sequence[dict[str, Any]], changed: Sequence[dict[str, Any]]) -> None:
    """Write what was decided of bots: rows to insert, and rows with `id` and the columns that change."""
    # Those that are replaced first: of a slot only one is current.
    for row in changed:
        values = {name: value for name, value in row.items() if name != "id"}
        await conn.execute(update(_bots).where(_b.id == row["id"]).values(**values))
    if new:
        await conn.execute(insert(conn.dialect.name, _bots), list(new))


async def set_looks(conn: AsyncConnection, looks: Mapping[Meeting, datetime | None]) -> None:
    """When to look at these meetings, which this transaction holds; None for not before something changes."""
    over = [meeting for meeting, at in looks.items() if at is None]
    if over:
        await conn.execute(delete(_looks).where(tuple_(_l.project_id, _l.meeting_key).in_(over)))
    for (project, key), at in looks.items():
        if at is not None:
            await conn.execute(update(_looks).where(_l.project_id == project, _l.meeting_key == key).values(look_at=at))


async def look_soon(conn: AsyncConnection, meetings: Iterable[Meeting], now: datetime) -> bool:
    """Have these meetings looked at after the commit; whether there are any. Waits for who holds one of them."""
    rows = [{"project_id": project, "meeting_key": key, "look_at": now} for project, key in sorted(set(meetings))]
    if not rows:
        return False
    statement = insert(conn.dialect.name, _looks)
    statement = statement.on_conflict_do_update(
        index_elements=[_l.project_id, _l.meeting_key], set_={"look_at": statement.excluded.look_at}
    )
    await conn.execute(statement, rows)
    return True


async def mark_written(
    conn: AsyncConnection, project_id: UUID, event_rows: Sequence[Mapping[str, Any]], now: datetime
) -> bool:
    """Have the meetings of events that this transaction has written looked at, where a plan or a bot is for them.

    To be called when the project's row is locked and says that it has bots; whether there is anything to look at.
    """
    rows = [_Written(**{name: row[name] for name in _Written._fields}) for row in event_rows]
    keys = sorted({row.meeting_key for row in rows})
    plans = await bot_plans.covering(conn, [project_id], keys, rows)  # type: ignore[arg-type]
    wanted = {
        row.meeting_key
        for row in rows
        if any(bot_plans.covers(plan, row.meeting_key, [row]) for plan in plans)  # type: ignore[list-item]
    }
    query = select(_b.meeting_key).where(
        _b.project_id == project_id, _b.meeting_key.in_(padded(keys)), _b.is_current.is_(True)
    )
    wanted |= set((await conn.execute(query)).scalars())
    return await look_soon(conn, [(project_id, key) for key in wanted], now)


class _Written(NamedTuple):
    meeting_key: str
    series_id: str | None
    ical_uid: str | None


async def mark_calendars(conn: AsyncConnection, calendar_ids: Sequence[UUID], now: datetime) -> bool:
    """Have every meeting on these calendars that has a bot looked at: they are about to go, or lead less, or again."""
    if not calendar_ids:
        return False
    query = (
        select(_b.project_id, _b.meeting_key)
        .join(_events, (_e.project_id == _b.project_id) & (_e.meeting_key == _b.meeting_key))
        .where(_e.calendar_id.in_(padded(sorted(calendar_ids))), _b.is_current.is_(True))
    )
    rows = await conn.execute(query.distinct())
    return await look_soon(conn, [(row.project_id, row.meeting_key) for row in rows], now)


async def series_events(conn: AsyncConnection, project_id: UUID, series_id: str) -> Sequence[Found]:
    """The occurrences of a series on every calendar of the project, as of `event`."""
    # By calendar, for which there is an index.
    mine = select(_calendars.c.id).where(_calendars.c.project_id == project_id)
    return (await conn.execute(select(*_ASKED).where(_e.calendar_id.in_(mine), _e.series_id == series_id))).all()


async def event(conn: AsyncConnection, project_id: UUID, event_id: UUID) -> Found | None:
    """One event as far as plans ask: `meeting_key`, `series_id`, `ical_uid`, `status`, `ends_at`."""
    return (await conn.execute(select(*_ASKED).where(_e.project_id == project_id, _e.id == event_id))).one_or_none()


async def events_of(conn: AsyncConnection, project_id: UUID, event_ids: Sequence[UUID]) -> Sequence[Found]:
    """Several events likewise."""
    return (await conn.execute(select(*_ASKED).where(_e.project_id == project_id, _e.id.in_(padded(event_ids))))).all()


async def meetings_of_plan(conn: AsyncConnection, project_id: UUID, plan_id: UUID) -> list[Meeting]:
    """The meetings that a plan has bots for."""
    query = select(_b.meeting_key).where(_b.project_id == project_id, _b.plan_id == plan_id, _b.is_current.is_(True))
    return [(project_id, key) for key in (await conn.execute(query.distinct())).scalars()]


async def of_plan(conn: AsyncConnection, project_id: UUID, plan_id: UUID, most: int) -> Sequence[Found]:
    """The current bots of a plan, the next one to start first."""
    query = select(_bots).where(_b.project_id == project_id, _b.plan_id == plan_id, _b.is_current.is_(True))
    return (await conn.execute(query.order_by(_b.starts_at, _b.id).limit(most))).all()


async def purge(conn: AsyncConnection, ended_before: datetime, most: int) -> int:
    """Forget up to `most` bots whose meeting was over before then and that nothing will happen to; how many went."""
    looked_at = select(_l.meeting_key).where(_l.project_id == _b.project_id, _l.meeting_key == _b.meeting_key)
    old = (
        select(_b.id)
        .where(_b.ends_at < ended_before, _b.next_try_at.is_(None), ~looked_at.exists())
        .limit(most)
        .with_for_update(of=_bots, skip_locked=True)
    )
    return (await conn.execute(delete(_bots).where(_b.id.in_(old)))).rowcount


def is_attended(copy: Found) -> bool:
    """Whether a copy is something to join: a link, not cancelled, not declined by its calendar's owner."""
    return bool(copy.is_meeting) and copy.response_status != DECLINED
