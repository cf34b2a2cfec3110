"""API keys: shown once, kept as SHA-256, found by their prefix, compared in constant time.

A key reads `cgk_` + 8 characters that name it + `_` + 43 characters (32 random bytes). That is why one fast hash is enough.
"""

import hashlib
import hmac
import re
import secrets
import string
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from service.core.audit import GATEWAY, Author
from service.store import audit
from service.store.tables import ApiKeyRow, ProjectRow

Scope = Literal["read", "write", "admin"]

_FORM: Final = re.compile(r"cgk_([a-z0-9]{8})_[A-Za-z0-9_-]{43}", re.ASCII)
_LENGTH: Final = len("cgk_") + 8 + len("_") + 43
_ALPHABET: Final = string.ascii_lowercase + string.digits
_NOBODY: Final = bytes(hashlib.sha256().digest_size)

_KEYS: Final = ApiKeyRow.metadata.tables["api_keys"]
_PROJECTS: Final = ProjectRow.metadata.tables["projects"]
_FIND: Final = select(_KEYS.c.project_id, _KEYS.c.id, _KEYS.c.scope, _KEYS.c.digest).where(
    _KEYS.c.prefix == bindparam("prefix"), _KEYS.c.revoked_at.is_(None)
)


class Principal(NamedTuple):
    """Who is asking: a key of a project, and what it may do (`read`, `write` or `admin`)."""

    project_id: UUID
    key_id: UUID
    scope: str


class KeyListing(NamedTuple):
    """A key as it may be shown; `prefix` is how it begins."""

    id: UUID
    project: str
    prefix: str
    scope: str
    created_at: datetime
    revoked_at: datetime | None


async def create_key(conn: AsyncConnection, project_id: UUID, scope: Scope, now: datetime, by: Author = GATEWAY) -> str:
    """A new key, in plain: the only time that anybody sees it."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    key = f"cgk_{prefix}_{secrets.token_urlsafe(32)}"
    row = {"id": uuid7(), "project_id": project_id, "prefix": prefix, "scope": scope, "created_at": now}
    await conn.execute(insert(_KEYS), row | {"digest": _digest(key)})
    await audit.append(conn, project_id, by.did("key.created", str(row["id"]), scope=scope), now)
    return key


async def find(conn: AsyncConnection, presented: str) -> Principal | None:
    """Whose key this is; None for an unknown, revoked or malformed one. One indexed look-up, or none if malformed."""
    if len(presented) != _LENGTH or (match := _FORM.fullmatch(presented)) is None:
        return None
    row = (await conn.execute(_FIND, {"prefix": match[1]})).one_or_none()
    # An unknown prefix is compared as well, with what no key has.
    is_right = hmac.compare_digest(_digest(presented), _NOBODY if row is None else row.digest)
    return Principal(row.project_id, row.id, row.scope) if row is not None and is_right else None


async def list_keys(conn: AsyncConnection, project_id: UUID | None = None) -> list[KeyListing]:
    """The keys of a project, or of all, oldest first, revoked ones too."""
    statement = (
        select(_KEYS.c.id, _PROJECTS.c.name, _KEYS.c.prefix, _KEYS.c.scope, _KEYS.c.created_at, _KEYS.c.revoked_at)
        .join(_PROJECTS, _PROJECTS.c.id == _KEYS.c.project_id)
        .order_by(_KEYS.c.id)
    )
    if project_id is not None:
        statement = statement.where(_KEYS.c.project_id == project_id)
    return [
        KeyListing(row.id, row.name, f"cgk_{row.prefix}", row.scope, row.created_at, row.revoked_at)
        for row in await conn.execute(statement)
    ]


async def revoke(conn: AsyncConnection, key_id: UUID, now: datetime, by: Author = GATEWAY) -> bool:
    """Whether there was such a key; it is refused from the commit on."""
    found = (await conn.execute(select(_KEYS.c.project_id).where(_KEYS.c.id == key_id))).one_or_none()
    valid = update(_KEYS).where(_KEYS.c.id == key_id, _KEYS.c.revoked_at.is_(None))
    if found is not None and (await conn.execute(valid.values(revoked_at=now))).rowcount:
        await audit.append(conn, found.project_id, by.did("key.revoked", key_id), now)
    return found is not None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
