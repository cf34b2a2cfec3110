"""Going on from a backup: what was given out after it was made must not be given out again, and is not known here.

    the log      numbers go on far above those of then; who stands among the lost ones is told
    calendars    as of then ──► all are due now: the provider says what changed since
    push         channels of since are unknown here, those of then may be gone ──► polled until new ones are open
    outbox       what was not done then is sent again, under the same `webhook-id`

None of it may happen while a gateway works with the database.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.audit import GATEWAY, Author
from service.core.lifecycle import State
from service.store import audit
from service.store.tables import CalendarRow, KeyringRow, ProjectRow, PushRow, Table

JUMP: Final = 1_000_000_000
"""How many numbers a log leaves out: more than any has given out since its last backup; nine million jumps fit into the
numbers that JSON carries exactly."""

_TABLES: Final = Table.metadata.tables
_calendars = _TABLES[str(CalendarRow.__tablename__)]
_keyring = _TABLES[str(KeyringRow.__tablename__)]
_projects = _TABLES[str(ProjectRow.__tablename__)]
_pushes = _TABLES[str(PushRow.__tablename__)]


async def claim_copy(conn: AsyncConnection) -> datetime | None:
    """When this database was copied, for the first that asks since it is worked with; None for the others."""
    copied_at: datetime | None = (await conn.execute(select(_keyring.c.copied_at))).scalar()
    if copied_at is None:
        return None
    mine = update(_keyring).where(_keyring.c.copied_at.is_not(None)).values(copied_at=None)
    return copied_at if (await conn.execute(mine)).rowcount else None


async def carry_on(conn: AsyncConnection, now: datetime, by: Author = GATEWAY) -> int:
    """Go on as of `now` with a database that is older: see above; how many projects it has. No gateway may be running."""
    projects = (await conn.execute(select(_projects.c.id, _projects.c.seq, _projects.c.gaps).with_for_update())).all()
    for row in projects:
        beyond = row.seq + JUMP
        values = {"seq": beyond, "gaps": [*row.gaps, [row.seq, beyond]]}
        await conn.execute(update(_projects).where(_projects.c.id == row.id).values(values))
    again = {"due_at": now, "due_cause": "resync", "lease": None, "leased_until": None, "push_until": None}
    await conn.execute(update(_calendars).where(_calendars.c.status != State.DISCONNECTED.value).values(again))
    await conn.execute(update(_pushes).where(_pushes.c.due_at.is_not(None)).values(due_at=now, failures=0))
    await audit.append_to_all(conn, by.did("project.restored", ""), now)
    return len(projects)
