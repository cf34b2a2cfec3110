"""Meetings about to start: which copies are to be looked at, and what was announced for which start.

`events.announce_at` says when a copy is next to be looked at; the look, and what it leads to, is one transaction.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.event import DECLINED
from service.store.tables import EventRow, ProjectRow, Table

_events = Table.metadata.tables[str(EventRow.__tablename__)]
_projects = Table.metadata.tables[str(ProjectRow.__tablename__)]
_c = _events.c

_lock_project = select(_projects.c.id).where(_projects.c.id == bindparam("project")).with_for_update()
_ahead = (
    select(_c.id)
    .where(
        _c.project_id == bindparam("project"),
        _c.is_meeting.is_(True),
        _c.response_status.is_distinct_from(bindparam("declined")),
        _c.ends_at > bindparam("now", type_=_c.ends_at.type),
    )
    .with_for_update(skip_locked=True)
)
_rearm = (
    update(_events)
    .where(_c.id.in_(_ahead.scalar_subquery()))
    .values(announce_at=bindparam("now", type_=_c.announce_at.type))
)


async def rearm(conn: AsyncConnection, project_id: UUID, now: datetime) -> None:
    """Have every coming or running meeting of the project looked at, because its lead times are others from here on.

    To be called in the transaction that writes the lead times, after that; the caller wakes `starting` after the commit.
    """
    # Who holds an event's row now, a settling or a look, waits for the project's and reads the new lead times after
    # this commit, or has read the old ones and ends before this lock is had. So its rows can be passed over, and nobody
    # waits in a circle.
    await conn.execute(_lock_project, {"project": project_id})
    await conn.execute(_rearm, {"project": project_id, "declined": DECLINED, "now": now})
