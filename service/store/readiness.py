"""Whether the database takes writes, found out by one that changes nothing."""

from typing import Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.tables import KeyringRow

_KEYRING: Final = KeyringRow.metadata.tables["keyring"]
_TOUCH: Final = update(_KEYRING).values(id=_KEYRING.c.id)


async def try_to_write(conn: AsyncConnection) -> None:
    """Write the key ring's row as it is; raises what a write raises on a read-only or full database."""
    await conn.execute(_TOUCH)
