"""Projects: the tenants. Everything else belongs to exactly one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core.meeting_links.choices import make_rules
from service.core.meeting_links.evidence import LinkRules
from service.store.database import insert
from service.store.tables import Found, ProjectRow

DEFAULT: Final = "default"

_PROJECTS: Final = ProjectRow.metadata.tables["projects"]


async def create_project(conn: AsyncConnection, name: str, now: datetime) -> UUID:
    """The id of the project of that name, which is made when it is new."""
    statement = insert(conn.dialect.name, _PROJECTS).on_conflict_do_nothing(index_elements=["name"])
    await conn.execute(statement, {"id": uuid7(), "name": name, "created_at": now, "updated_at": now})
    found: UUID = (await conn.execute(select(_PROJECTS.c.id).where(_PROJECTS.c.name == name))).scalar_one()
    return found


async def find_project(conn: AsyncConnection, name: str) -> UUID | None:
    """The id of the project of that name, if there is one."""
    return (await conn.execute(select(_PROJECTS.c.id).where(_PROJECTS.c.name == name))).scalar_one_or_none()


async def ensure_default(conn: AsyncConnection, now: datetime) -> UUID | None:
    """The id of the project `default`, made now because the database had no project; None when it has one."""
    if (await conn.execute(select(_PROJECTS.c.id).limit(1))).first() is not None:
        return None
    return await create_project(conn, DEFAULT, now)


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
