"""Projects: the tenants. Everything else belongs to exactly one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core.audit import GATEWAY, Author
from service.core.meeting_links.choices import make_rules
from service.core.meeting_links.evidence import LinkRules
from service.store import audit
from service.store.database import insert
from service.store.tables import Found, ProjectRow

DEFAULT: Final = "default"

_PROJECTS: Final = ProjectRow.metadata.tables["projects"]


async def create_project(conn: AsyncConnection, name: str, now: datetime, by: Author = GATEWAY) -> UUID:
    """The id of the project of that name, which is made when it is new."""
    statement = insert(conn.dialect.name, _PROJECTS).on_conflict_do_nothing(index_elements=["name"])
    is_new = (
        await conn.execute(statement, {"id": uuid7(), "name": name, "created_at": now, "updated_at": now})
    ).rowcount
    found: UUID = (await conn.execute(select(_PROJECTS.c.id).where(_PROJECTS.c.name == name))).scalar_one()
    if is_new:
        await audit.append(conn, found, by.did("project.created", found), now)
    return found


async def every_project(conn: AsyncConnection) -> Sequence[Found]:
    """The id and the name of every project, by name."""
    return (await conn.execute(select(_PROJECTS.c.id, _PROJECTS.c.name).order_by(_PROJECTS.c.name))).all()


async def find_project(conn: AsyncConnection, name: str) -> UUID | None:
    """The id of the project of that name, if there is one."""
    return (await conn.execute(select(_PROJECTS.c.id).where(_PROJECTS.c.name == name))).scalar_one_or_none()


async def ensure_default(conn: AsyncConnection, now: datetime, by: Author = GATEWAY) -> UUID | None:
    """The id of the project `default`, made now because the database had no project; None when it has one."""
    if (await conn.execute(select(_PROJECTS.c.id).limit(1))).first() is not None:
        return None
    return await create_project(conn, DEFAULT, now, by)


async def settings(conn: AsyncConnection, project_id: UUID) -> Found:
    """A project with what it has decided: every column of its row."""
    return (await conn.execute(select(_PROJECTS).where(_PROJECTS.c.id == project_id))).one()


async def change(conn: AsyncConnection, project_id: UUID, values: Mapping[str, Any], now: datetime) -> None:
    """Set columns of a project; its `version` rises. Raises sqlalchemy.exc.IntegrityError for a name that is taken."""
    statement = update(_PROJECTS).where(_PROJECTS.c.id == project_id)
    await conn.execute(statement.values(**values, version=_PROJECTS.c.version + 1, updated_at=now))


async def link_rules(conn: AsyncConnection, project_id: UUID) -> LinkRules:
    """By which rules a project judges links, where a calendar does not decide otherwise."""
    row = await settings(conn, project_id)
    return make_rules(row.link_preference, row.meeting_hosts)
