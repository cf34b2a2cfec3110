"""How Alembic meets the database: on the connection it is given, or on one of its own to CALGATE_DATABASE_URL.

A new version, from a database at head:  alembic revision --autogenerate --rev-id 0002 -m "what changes"
"""

import asyncio
import os
from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.types import TypeDecorator

from service.settings import Settings
from service.store import audit, bot_tables, connection_tables, tables, writing_tables
from service.store.migrations import connect
from webhooks.tables import metadata as webhooks_metadata

METADATA = next(module.Table.metadata for module in (tables, audit, bot_tables, connection_tables, writing_tables))
"""One catalogue for all the modules that declare tables: naming each of them here has it imported."""


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Our column types as plain SQLAlchemy ones, so that an old version outlives the code that it was made with."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=[METADATA, webhooks_metadata],
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_alone() -> None:
    async with connect(Settings.from_environment(os.environ).database_url) as database, database.write() as conn:
        await conn.run_sync(run)


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_alone())
