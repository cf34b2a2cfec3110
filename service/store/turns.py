"""Claims that are fair: of rows that are due, of many projects, which ones to take next.

    the longest due ──► all that is due? ──► they are shared out
                            │ no: more than there is room for
                            └──► which projects have anything due ──► the longest due of each ──► shared out

Where no more is due than there is room for, one query does. Otherwise the projects are looked at in rotation, so many at
a time: each costs a step in the index by project, however much it has due.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Select, bindparam, literal, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.fairness import shares
from service.store.tables import Found, ProjectRow
from webhooks.claims import padded

LOOKED_AT: Final = 256
"""Projects that one claim asks for what they have due, at most."""

LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)
NOBODY: Final[Mapping[UUID, int]] = MappingProxyType({})

_projects = ProjectRow.metadata.tables["projects"]


class Turns:
    """Whose turn it is, as this process remembers it: behind which project to go on."""

    def __init__(self) -> None:
        self.after = UUID(int=0)


class Picked(NamedTuple):
    """Rows that may be taken now, locked until the transaction ends; whether some that are due have to wait."""

    rows: list[Found]
    cut_short: bool


class Queue:
    """Rows of a table that become due, each a project's (`project_id`).

    Two partial indexes have to lead to them: by `due_at`, and by project and `due_at`. `is_free` says what else has to be
    true of a row that may be taken (of a table with its columns; `now` is bound); `more` are columns to be answered
    beside `id`, `project_id` and `due_at`.
    """

    def __init__(
        self,
        table: FromClause,
        *,
        row_id: str = "id",
        due_at: str = "due_at",
        is_free: Callable[[FromClause], ColumnElement[bool]] = lambda _table: true(),
        more: Sequence[str] = (),
    ) -> None:
        now = bindparam("now", type_=table.c[due_at].type)

        def first(rows: FromClause, name: str, *shown: ColumnElement[Any]) -> Select[Any]:
            due = select(*shown).where(rows.c[due_at] <= now, is_free(rows)).order_by(rows.c[due_at])
            return due.limit(bindparam(name))

        def answered(rows: FromClause) -> list[ColumnElement[Any]]:
            always = [rows.c[row_id].label("id"), rows.c.project_id, rows.c[due_at].label("due_at")]
            return [*always, *(rows.c[name] for name in more)]

        self._longest = first(table, "most", *answered(table)).with_for_update(skip_locked=True)
        self._several = _ends_differ(table)

        def exactly(owner: ColumnElement[Any], name: str, *shown: ColumnElement[Any]) -> Select[Any]:
            # As a range of pairs: PostgreSQL would otherwise walk through the index by `due_at`, and through the crowd of
            # somebody else in it, where its statistics tell of few projects.
            pair = tuple_(table.c.project_id, table.c[due_at])
            mine = first(table, name, *shown).where(pair >= tuple_(owner, long_ago), pair <= tuple_(owner, now))
            return mine.order_by(None).order_by(table.c.project_id, table.c[due_at])

        long_ago = literal(LONG_AGO, table.c[due_at].type)
        self._waiting = _waiting(lambda owner: exactly(owner, "one", table.c[due_at]))
        self._waiting_listed = _waiting(
            lambda owner: first(table, "one", table.c[due_at]).where(table.c.project_id == owner)
        )
        chosen = _projects.c.id.in_(bindparam("projects", expanding=True))
        mine = exactly(_projects.c.id, "share", *answered(table))
        lateral = mine.with_for_update(skip_locked=True).correlate(_projects).lateral("mine")
        self._of_each = select(*lateral.c).select_from(_projects.join(lateral, true())).where(chosen)
        # SQLite has no lateral joins; a list that depends on the row before it comes to the same.
        again = table.alias("again")
        listed = first(again, "share", again.c[row_id]).where(again.c.project_id == _projects.c.id).correlate(_projects)
        joined = _projects.join(table, table.c[row_id].in_(listed))
        self._of_each_listed = select(*answered(table)).select_from(joined).where(chosen)

    async def pick(
        self,
        conn: AsyncConnection,
        *,
        now: datetime,
        most: int,
        turns: Turns,
        held: Mapping[UUID, int] = NOBODY,
        spares: bool = False,
    ) -> Picked:
        """Up to `most` rows, shared out among the projects that have some due; of each project the longest due.

        `held` counts what projects have in hand already. With `spares`, and where there is more than one project, none
        may have everything, though nobody else wants it now.
        """
        rows = (await conn.execute(self._longest, {"now": now, "most": most})).all()
        if not rows:
            return Picked([], cut_short=False)
        is_all = len(rows) < most
        line = {} if is_all else await self._of_others(conn, now, most, turns, {row.project_id for row in rows})
        line |= {row.id: row for row in rows if row.id not in line}
        waiting = Counter(row.project_id for row in line.values())
        given = shares(waiting, held, most, spares=spares)
        if spares and sum(given.values()) < min(most, len(line)) and not await self._has_several(conn):
            given = shares(waiting, held, most, spares=False)
        picked = []
        for row in sorted(line.values(), key=_due_since):
            if given.get(row.project_id, 0):
                given[row.project_id] -= 1
                picked.append(row)
        return Picked(picked, cut_short=not is_all or len(picked) < len(rows))

    async def _of_others(
        self, conn: AsyncConnection, now: datetime, most: int, turns: Turns, seen: set[UUID]
    ) -> dict[UUID, Found]:
        """The longest due rows of the projects whose turn it is, the same number of each; enough to fill the room."""
        looked = await self._look(conn, now, turns.after, LOOKED_AT)
        if len(looked) < LOOKED_AT and turns.after.int:
            looked += await self._look(conn, now, UUID(int=0), LOOKED_AT - len(looked))
        due = list(dict.fromkeys(row.id for row in looked if row.is_waiting))[:most]
        if len(due) == most:
            turns.after = due[-1]
        else:
            turns.after = looked[-1].id if len(looked) == LOOKED_AT else UUID(int=0)
        if not due or set(due) == seen == {due[0]}:
            return {}
        statement = self._of_each_listed if conn.dialect.name == "sqlite" else self._of_each
        asked = {"now": now, "share": -(-most // len(due)), "projects": padded(due)}
        found = (await conn.execute(statement, asked)).all()
        place = {project: number for number, project in enumerate(due)}
        return {row.id: row for row in sorted(found, key=lambda row: (place[row.project_id], row.due_at))}

    async def _look(self, conn: AsyncConnection, now: datetime, after: UUID, most: int) -> list[Found]:
        asked = {"now": now, "after": after, "looked_at": most, "one": 1}
        statement = self._waiting_listed if conn.dialect.name == "sqlite" else self._waiting
        return list((await conn.execute(statement, asked)).all())

    async def _has_several(self, conn: AsyncConnection) -> bool:
        return bool((await conn.execute(self._several)).scalar())


def _ends_differ(table: FromClause) -> Select[Any]:
    """Whether rows of more than one project are there, by the two ends of an index."""
    project_id = table.c.project_id
    ends = (select(project_id).order_by(order).limit(1).scalar_subquery() for order in (project_id, project_id.desc()))
    return select(next(ends) != next(ends))


def _waiting(first_of: Callable[[ColumnElement[Any]], Select[Any]]) -> Select[Any]:
    """Some projects in the order of their ids, and whether each has anything due."""
    page = (
        select(_projects.c.id)
        .where(_projects.c.id > bindparam("after"))
        .order_by(_projects.c.id)
        .limit(bindparam("looked_at"))
        .subquery("looked")
    )
    has_one = first_of(page.c.id).correlate(page).scalar_subquery().is_not(None)
    return select(page.c.id, has_one.label("is_waiting")).order_by(page.c.id)


def _due_since(row: Found) -> datetime:
    since: datetime = row.due_at
    return since
