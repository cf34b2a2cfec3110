"""The key ring that belongs to this database: proved at the start, and changed without stopping.

A wrong ring is found out before the first secret is read, not when a calendar fails.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Table, and_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import bot_tables, connection_tables, writing_tables
from service.store.cipher import VARIABLE, Cipher, KeyRing, KeyRingError, Unreadable, place_of
from service.store.database import Database, insert
from webhooks.tables import metadata as webhooks_metadata

CANARY: Final = b"calgate"
CANARY_PLACE: Final = place_of("", "keyring", "canary", 1)
CHUNK: Final = 200
_FOREIGN: Final = f"{VARIABLE} is not the key ring of this database: it needs the key that sealed it"

_METADATA: Final = next(each.Table.metadata for each in (bot_tables, connection_tables, writing_tables))
_TABLES: Final = _METADATA.tables
_KEYRING: Final = _TABLES["keyring"]
_SEALED: Final[tuple[tuple[Table, str], ...]] = (
    (_TABLES["oauth_clients"], "client_secret"),
    (_TABLES["connections"], "refresh_token"),
    (_TABLES["connections"], "access_token"),
    (_TABLES["idempotency_keys"], "answer"),
    (_TABLES["bot_plans"], "config"),
    (_TABLES["bot_runners"], "headers"),
    (_TABLES["oauth_states"], "verifier"),
    (_TABLES["event_writes"], "draft"),
    (_TABLES["managed_events"], "draft"),
    (webhooks_metadata.tables["webhook_endpoints"], "secret"),
)


class Unlocked(NamedTuple):
    """The cipher for this database, and whether a key file was made for it just now."""

    cipher: Cipher
    made_key_file: bool


class Rotated(NamedTuple):
    """What a rotation did: values sealed anew, and values that no key of the ring opens."""

    resealed: int
    unreadable: int


async def unlock(database: Database, secret_keys: str | None) -> Unlocked:
    """The cipher under the ring of CALGATE_SECRET_KEYS, or of the key file beside a SQLite database (`FILE.key`).

    The key file is made for a database that has no ring yet, never for one whose file got lost. Raises KeyRingError, one
    line that says what to do, and DatabaseUnavailable.
    """
    await check(database, secret_keys)
    ring, made = KeyRing.load(secret_keys, _key_file(database))
    cipher = Cipher(ring)
    async with database.write() as conn:
        await prove(conn, cipher)
    return Unlocked(cipher, made)


def given_ring(database: Database, secret_keys: str | None) -> KeyRing | None:
    """The ring as it is there now; None where a key file would be made. Asks no database. Raises KeyRingError."""
    key_file = _key_file(database)
    if secret_keys is None and key_file is not None and not key_file.exists():
        return None
    return KeyRing.load(secret_keys, key_file)[0]


async def check(database: Database, secret_keys: str | None) -> None:
    """Try the ring on a database that may have one, without making a key file or writing anything.

    Raises KeyRingError, one line that says what to do, and DatabaseUnavailable.
    """
    ring = given_ring(database, secret_keys)
    async with database.read() as conn:
        canary = await _canary(conn)
    if canary is None:
        return
    if ring is None:
        missing = f"{_key_file(database)} is missing, and the secrets are sealed under it"
        raise KeyRingError(f"{missing}: restore it, or set {VARIABLE}")
    if not opens(Cipher(ring), canary):
        raise KeyRingError(_FOREIGN)


async def prove(conn: AsyncConnection, cipher: Cipher) -> None:
    """Seal a constant into a database that has none; raise KeyRingError when the ring does not open the one there."""
    canary = await _canary(conn)
    if canary is None:
        statement = insert(conn.dialect.name, _KEYRING).on_conflict_do_nothing(index_elements=["id"])
        await conn.execute(statement, {"id": 1, "canary": cipher.seal(CANARY, CANARY_PLACE)})
        canary = await _canary(conn)  # another process may have been first, with another ring
    if not opens(cipher, canary):
        raise KeyRingError(_FOREIGN)


async def is_proved(conn: AsyncConnection, cipher: Cipher) -> bool:
    """Whether the ring still opens the database's constant; writes nothing."""
    return opens(cipher, await _canary(conn))


def opens(cipher: Cipher, canary: bytes | None) -> bool:
    try:
        return canary is not None and cipher.open(canary, CANARY_PLACE) == CANARY
    except Unreadable:
        return False


async def rotate(database: Database, cipher: Cipher) -> Rotated:
    """Seal everything under the first key, while the gateway runs; after it the other keys may leave the ring.

    In chunks, each a short transaction; what was done stays done when it is interrupted. A value that somebody
    replaces meanwhile is left to them. Every running process must have the new key in its ring before, and have it
    first before the old one goes. The canary comes last, and only if nothing unreadable is left behind.
    """
    resealed = unreadable = 0
    for table, column in _SEALED:
        done = await _rotate_column(database, cipher, table, column)
        resealed += done.resealed
        unreadable += done.unreadable
    if not unreadable:
        async with database.write() as conn:
            canary = await _canary(conn)
            if canary is not None and not cipher.is_current(canary):
                await conn.execute(update(_KEYRING).values(canary=cipher.seal(CANARY, CANARY_PLACE)))
                resealed += 1
    return Rotated(resealed, unreadable)


async def _rotate_column(database: Database, cipher: Cipher, table: Table, column: str) -> Rotated:
    key = list(table.primary_key.columns)
    statement = select(table.c.project_id, *key, table.c[column].label("sealed")).order_by(*key).limit(CHUNK)
    after: ColumnElement[bool] | None = None
    resealed = unreadable = 0
    while True:
        async with database.read() as conn:
            rows = (await conn.execute(statement if after is None else statement.where(after))).all()
        changes: list[tuple[Any, bytes]] = []
        for row in rows:
            if not row.sealed or cipher.is_current(row.sealed):  # empty: wiped with what it belonged to
                continue
            place = place_of(row.project_id, table.name, column, _row_id(table, row))
            try:
                changes.append((row, cipher.seal(cipher.open(row.sealed, place), place)))
            except Unreadable:
                unreadable += 1
        if changes:
            async with database.write() as conn:
                for row, sealed in changes:
                    mine = and_(*(part == getattr(row, part.name) for part in key), table.c[column] == row.sealed)
                    resealed += (await conn.execute(update(table).where(mine).values({column: sealed}))).rowcount
        if len(rows) < CHUNK:
            return Rotated(resealed, unreadable)
        after = tuple_(*key) > tuple_(*(getattr(rows[-1], part.name) for part in key))


def _row_id(table: Table, row: Any) -> str:
    """The row within its project: its id, or what else its key consists of."""
    return "|".join(str(getattr(row, part.name)) for part in table.primary_key.columns if part.name != "project_id")


def _key_file(database: Database) -> Path | None:
    return None if database.path is None else database.path.with_name(f"{database.path.name}.key")


async def _canary(conn: AsyncConnection) -> bytes | None:
    return (await conn.execute(select(_KEYRING.c.canary))).scalar_one_or_none()
