"""States of users who are at a consent page: stored hashed, proved before they are looked up, and used once.

A state is  random(32 bytes) . HMAC(provider, random),  both in base64url; the HMAC's key comes of the key ring. So a state
that somebody made up costs a hash, and never a query.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.hosted import Wish
from service.store.cipher import Cipher, place_of
from service.store.connection_tables import OAuthStateRow
from service.store.database import insert
from service.store.tables import Table

_states: Final = Table.metadata.tables[str(OAuthStateRow.__tablename__)]
_s = _states.c

_PURPOSE: Final = b"calgate state of a consent page"
_RANDOM_BYTES: Final = 32


class Walk(NamedTuple):
    """One walk through a consent page, to be stored under its state; `browser` is the cookie of the browser, if known."""

    project_id: UUID
    oauth_client_id: UUID
    provider: str
    verifier: str
    wish: Wish
    browser: str | None

    def __repr__(self) -> str:
        return f"Walk(provider={self.provider!r}, ***)"


def make_state(cipher: Cipher, provider: str) -> str:
    """A state that nobody can guess or forge."""
    random = _text(secrets.token_bytes(_RANDOM_BYTES))
    return f"{random}.{_proof(cipher.ring.keys[cipher.ring.first], provider, random)}"


def is_ours(cipher: Cipher, provider: str, state: str) -> bool:
    """Whether a state was made here, by any key of the ring, for this provider."""
    if not state.isascii():
        return False
    random, _, proof = state.partition(".")
    # Every key is tried, so that the time taken tells nothing of which it was.
    proofs = [hmac.compare_digest(_proof(key, provider, random), proof) for key in cipher.ring.keys.values()]
    return any(proofs)


async def add(
    conn: AsyncConnection, cipher: Cipher, state: str, walk: Walk, now: datetime, expires_at: datetime
) -> None:
    """Store a walk under its state."""
    state_id = _id(state)
    place = place_of(walk.project_id, "oauth_states", "verifier", state_id)
    row = {
        "id": state_id,
        "project_id": walk.project_id,
        "oauth_client_id": walk.oauth_client_id,
        "provider": walk.provider,
        "browser": None if walk.browser is None else _digest(walk.browser),
        "verifier": cipher.seal(walk.verifier.encode(), place),
        "wish": msgspec.to_builtins(walk.wish),
        "created_at": now,
        "expires_at": expires_at,
    }
    await conn.execute(insert(conn.dialect.name, _states).values(**row))


async def take(
    conn: AsyncConnection, cipher: Cipher, state: str, provider: str, browser: str | None, now: datetime
) -> Walk | None:
    """Use a state up, if it is alive, unused, and this browser's (or nobody's yet); one of many who try at once gets it."""
    mine = _s.browser.is_(None) if browser is None else or_(_s.browser.is_(None), _s.browser == _digest(browser))
    statement = (
        update(_states)
        .where(_s.id == _id(state), _s.provider == provider, _s.used_at.is_(None), _s.expires_at > now, mine)
        .values(used_at=now)
        .returning(_s.id, _s.project_id, _s.oauth_client_id, _s.provider, _s.verifier, _s.wish)
    )
    row = (await conn.execute(statement)).one_or_none()
    if row is None:
        return None
    place = place_of(row.project_id, "oauth_states", "verifier", row.id)
    return Walk(
        row.project_id,
        row.oauth_client_id,
        row.provider,
        cipher.open(row.verifier, place).decode(),
        msgspec.convert(row.wish, Wish),
        browser,
    )


async def purge(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """Forget at most `limit` states that were over before then; how many."""
    old = select(_s.id).where(_s.expires_at < before).limit(limit)
    return (await conn.execute(delete(_states).where(_s.id.in_(old)))).rowcount


def _proof(key: bytes, provider: str, random: str) -> str:
    own = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(key)
    return _text(hmac.digest(own, f"{provider}|{random}".encode(), "sha256"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _id(state: str) -> str:
    return hashlib.sha256(state.partition(".")[0].encode()).hexdigest()
