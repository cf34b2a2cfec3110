"""Meetings about to start: which copies are to be looked at, and what was announced for which start.

`events.announce_at` says when a copy is next to be looked at; the look, and what it leads to, is one transaction. Copies
are locked first, and those that somebody holds are passed over; then the projects, against a change of their lead
times; then what was announced, by key: so nobody waits in a circle, and of two replicas one announces.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Interval, String, bindparam, case, cast, delete, exists, func, null, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.announcements import MeetingCopy
from service.core.event import DECLINED
from service.core.starting import earliest, first_look, outlook
from service.store import meetings
from service.store.database import insert
from service.store.tables import EventRow, Found, MeetingStartRow, ProjectRow, Table
from service.store.turns import Queue, Turns
from webhooks.claims import padded

_events = Table.metadata.tables[str(EventRow.__tablename__)]
_projects = Table.metadata.tables[str(ProjectRow.__tablename__)]
_starts = Table.metadata.tables[str(MeetingStartRow.__tablename__)]
_c = _events.c
_MOMENT: Final = _c.starts_at.type

SOON: Final = timedelta(seconds=2)
"""What becomes due within this is worth being told of; the rest is found by looking every second."""

_queue: Final = Queue(_events, due_at="announce_at", more=("meeting_key",))
_next = select(_c.announce_at).where(_c.announce_at.is_not(None)).order_by(_c.announce_at).limit(1)
_arm = (
    update(_events)
    .where(_c.id == bindparam("armed", type_=_c.id.type))
    .values(announce_at=bindparam("at", type_=_MOMENT))
)
# Not disturbed by those who take the project's numbers; only a change of the lead times waits for it, and it for that.
_lead_seconds = (
    select(_projects.c.id, _projects.c.starting_lead_seconds)
    .where(_projects.c.id.in_(bindparam("projects", expanding=True)))
    .order_by(_projects.c.id)
    .with_for_update(read=True, key_share=True)
)
_bodies = select(_c.id, _c.body).where(_c.id.in_(bindparam("ids", expanding=True)))
_lock_project = (
    select(_projects.c.starting_lead_seconds).where(_projects.c.id == bindparam("project")).with_for_update()
)

Meeting = tuple[UUID, str]
"""A project and a meeting's key in it."""


class Start(NamedTuple):
    """One announcement to be made: `lead` is the lead copy's `EventView` as JSON, `due_at` when it could first be."""

    project_id: UUID
    meeting_key: str
    starts_at: datetime
    lead_seconds: int
    due_at: datetime
    lead_calendar_id: UUID
    lead: bytes
    copies: list[MeetingCopy]


class Looked(NamedTuple):
    """How many copies were looked at, and what is to be announced, in the order in which it became due."""

    copies: int
    starts: list[Start]


async def next_look(conn: AsyncConnection) -> datetime | None:
    """When the next copy is to be looked at, which may be past."""
    found: datetime | None = (await conn.execute(_next)).scalar()
    return found


async def claim(conn: AsyncConnection, now: datetime, most: int, turns: Turns) -> Looked:
    """Look at up to `most` copies that are due and that nobody else holds; never at one that is not due yet.

    Where more are due, the projects that have some get equal parts.

    What is to be announced is remembered as announced, and the copies are armed for the next time: the caller puts it
    into the outbox in the same transaction.
    """
    due = (await _queue.pick(conn, now=now, most=most, turns=turns)).rows
    if not due:
        return Looked(0, [])
    projects = padded(sorted({row.project_id for row in due}))
    leads = {row.id: row.starting_lead_seconds for row in await conn.execute(_lead_seconds, {"projects": projects})}
    known = await _copies(conn, projects, due)
    announced = await _remember(conn, known, leads, now)
    await conn.execute(_arm, [_armed(row, known.get((row.project_id, row.meeting_key), []), leads, now) for row in due])
    return Looked(len(due), await _starts_of(conn, announced, known))


async def _copies(conn: AsyncConnection, projects: Sequence[UUID], due: Sequence[Found]) -> dict[Meeting, list[Found]]:
    """The attended copies of the meetings, the lead first, in the order in which they became due."""
    known: dict[Meeting, list[Found]] = {(row.project_id, row.meeting_key): [] for row in due}
    for copy in await meetings.elected(conn, projects, padded(sorted({row.meeting_key for row in due}))):
        # Another project may have a meeting of that key, which is not due.
        if (mine := known.get((copy.project_id, copy.meeting_key))) is not None:
            mine.append(copy)
    return {meeting: copies for meeting, copies in known.items() if copies}


async def _remember(
    conn: AsyncConnection, known: Mapping[Meeting, list[Found]], leads: Mapping[UUID, Sequence[int]], now: datetime
) -> list[tuple[Meeting, int]]:
    """Which lead times of which meetings are announced here and now, and were not for the same start before."""
    wanted = [
        (meeting, lead_seconds)
        for meeting, (lead, *_) in known.items()
        for lead_seconds in outlook(lead.starts_at, lead.ends_at, leads[meeting[0]], now).due
    ]
    if not wanted:
        return []
    rows = [
        {
            "project_id": meeting[0],
            "meeting_key": meeting[1],
            "lead_seconds": lead_seconds,
            "starts_at": known[meeting][0].starts_at,
            "ends_at": known[meeting][0].ends_at,
            "announced_at": now,
        }
        for meeting, lead_seconds in sorted(wanted)
    ]
    found = await conn.execute(_announced(conn.dialect.name), rows)
    fresh = {((row.project_id, row.meeting_key), row.lead_seconds) for row in found}
    return [each for each in wanted if each in fresh]


@cache
def _announced(dialect: str) -> Any:
    statement = insert(dialect, _starts)
    told = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[_starts.c.project_id, _starts.c.meeting_key, _starts.c.lead_seconds],
        set_={"starts_at": told.starts_at, "ends_at": told.ends_at, "announced_at": told.announced_at},
        where=_starts.c.starts_at != told.starts_at,
    ).returning(_starts.c.project_id, _starts.c.meeting_key, _starts.c.lead_seconds)


def _armed(
    row: Found, copies: Sequence[Found], leads: Mapping[UUID, Sequence[int]], now: datetime
) -> dict[str, datetime | UUID | None]:
    """When to look at a copy again: for its lead, and for itself, which may be the lead by then at another start."""
    mine = [copy for copy in copies if copy.id == row.id]
    looks = [outlook(copy.starts_at, copy.ends_at, leads[row.project_id], now) for copy in [*mine, *copies[:1]]]
    return {"armed": row.id, "at": earliest(*(look.next_at for look in looks)) if mine else None}


async def _starts_of(
    conn: AsyncConnection, announced: Sequence[tuple[Meeting, int]], known: Mapping[Meeting, list[Found]]
) -> list[Start]:
    if not announced:
        return []
    ids = sorted({known[meeting][0].id for meeting, _ in announced})
    bodies = {row.id: row.body for row in await conn.execute(_bodies, {"ids": padded(ids)})}
    return [
        Start(
            project_id=meeting[0],
            meeting_key=meeting[1],
            starts_at=lead.starts_at,
            lead_seconds=lead_seconds,
            # What was written after its moment could not be announced before it was written.
            due_at=max(lead.starts_at - timedelta(seconds=lead_seconds), lead.updated_at),
            lead_calendar_id=lead.calendar_id,
            lead=bodies[lead.id].encode(),
            copies=[_shown(copy) for copy in copies],
        )
        for meeting, lead_seconds in announced
        for copies in [known[meeting]]
        for lead in copies[:1]
    ]


def _shown(copy: Found) -> MeetingCopy:
    return MeetingCopy(
        event_id=copy.id,
        calendar_id=copy.calendar_id,
        calendar_status=copy.calendar_status,
        email=copy.email,
        response_status=copy.response_status,
    )


def is_soon(event_rows: Iterable[Mapping[str, Any]], now: datetime) -> bool:
    """Whether one of these rows of `events` is to be looked at before the next tick would find it."""
    soon = now + SOON
    return any(row["announce_at"] is not None and row["announce_at"] <= soon for row in event_rows)


async def correct(
    conn: AsyncConnection, event_rows: Sequence[dict[str, Any]], lead_seconds: Sequence[int], now: datetime
) -> None:
    """Arm events that this transaction has written for other lead times than those they were made with.

    The rows are brought in line as well.
    """
    for row in event_rows:
        attended = row["is_meeting"] and row["response_status"] != DECLINED
        row["announce_at"] = first_look(row["starts_at"], row["ends_at"], lead_seconds, now) if attended else None
    await conn.execute(_arm, [{"armed": row["id"], "at": row["announce_at"]} for row in event_rows])


async def rearm(conn: AsyncConnection, project_id: UUID, now: datetime, before: Sequence[int] = ()) -> None:
    """Arm every coming or running meeting of the project anew, because its lead times are others from here on.

    A lead time that was not there `before`, and whose moment has passed for a meeting, was not missed: it counts as said.
    To be called in the transaction that writes the lead times, after that; the caller wakes `starting` after the commit.
    """
    # Who holds an event's row now, a settling or a look, waits for the project's and reads the new lead times after
    # this commit, or has read the old ones and ends before this lock is had. So its rows can be passed over, and nobody
    # waits in a circle.
    leads: Sequence[int] = (await conn.execute(_lock_project, {"project": project_id})).scalar_one()
    asked: dict[str, Any] = {"project": project_id, "declined": DECLINED, "now": now}
    for lead in sorted(set(leads).difference(before)):
        passed = {"lead": lead, "reached": now + timedelta(seconds=lead)}
        await conn.execute(_waive(conn.dialect.name), asked | passed)
    if leads:
        longest = timedelta(seconds=max(leads))
        asked["far"] = now + longest
        asked["before"] = f"-{max(leads)} seconds" if conn.dialect.name == "sqlite" else longest
    await conn.execute(_rearm(conn.dialect.name, is_wanted=bool(leads)), asked)


@cache
def _waive(dialect: str) -> Any:
    moment = bindparam("now", type_=_MOMENT)
    place = func.row_number().over(partition_by=_c.meeting_key, order_by=(_c.rank, _c.id)).label("place")
    copies = (
        select(_c.project_id, _c.meeting_key, _c.starts_at, _c.ends_at, place)
        .where(
            _c.project_id == bindparam("project"),
            _c.is_meeting.is_(True),
            _c.response_status.is_distinct_from(bindparam("declined")),
        )
        .subquery()
    )
    passed = (
        select(
            copies.c.project_id,
            copies.c.meeting_key,
            cast(bindparam("lead"), _starts.c.lead_seconds.type),
            copies.c.starts_at,
            copies.c.ends_at,
            cast(moment, _MOMENT) if dialect != "sqlite" else moment,
        )
        .where(
            copies.c.place == 1,
            copies.c.ends_at > moment,
            copies.c.starts_at < bindparam("reached", type_=_MOMENT),
        )
        .order_by(copies.c.meeting_key)
    )
    said = insert(dialect, _starts).from_select([column.name for column in _starts.c], passed)
    renewed = {name: said.excluded[name] for name in ("starts_at", "ends_at", "announced_at")}
    return said.on_conflict_do_update(index_elements=list(_starts.primary_key), set_=renewed)


@cache
def _rearm(dialect: str, *, is_wanted: bool) -> Any:
    ahead = (
        select(_c.id)
        .where(
            _c.project_id == bindparam("project"),
            _c.is_meeting.is_(True),
            _c.response_status.is_distinct_from(bindparam("declined")),
            _c.ends_at > bindparam("now", type_=_MOMENT),
        )
        .with_for_update(skip_locked=True)
    )
    rearmed = update(_events).where(_c.id.in_(ahead.scalar_subquery()))
    if not is_wanted:
        return rearmed.values(announce_at=null())
    if dialect == "sqlite":
        # In the form in which its moments are stored; to the millisecond, and never later than it should be.
        first: Any = func.strftime("%Y-%m-%d %H:%M:%f", _c.starts_at, bindparam("before", type_=String())) + "000"
    else:
        first = _c.starts_at - bindparam("before", type_=Interval())
    far = _c.starts_at > bindparam("far", type_=_MOMENT)
    return rearmed.values(announce_at=case((far, first), else_=bindparam("now", type_=_MOMENT)))


async def purge(conn: AsyncConnection, ended_before: datetime, most: int) -> int:
    """Forget up to `most` announcements of meetings that were over before then; how many went."""
    key = (_starts.c.project_id, _starts.c.meeting_key, _starts.c.lead_seconds)
    goes_on = exists().where(
        _c.project_id == _starts.c.project_id, _c.meeting_key == _starts.c.meeting_key, _c.ends_at >= ended_before
    )
    old = (
        select(*key)
        .where(_starts.c.ends_at < ended_before, ~goes_on)
        .limit(most)
        .with_for_update(of=_starts, skip_locked=True)
    )
    return (await conn.execute(delete(_starts).where(tuple_(*key).in_(old)))).rowcount
