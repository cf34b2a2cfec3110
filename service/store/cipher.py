"""Secrets at rest: AES-256-GCM under a ring of keys, each value bound to the place where it is kept.

A sealed value is  version(1) | length of key id(1) | key id | nonce(12) | ciphertext and tag(16).
Everything before the nonce and the place are authenticated, so a value moved to another row does not open.
"""

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION: Final = 1
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
VARIABLE: Final = "CALGATE_SECRET_KEYS"
FORM: Final = "a comma list of id:base64(32 bytes), the first of which encrypts"


class Unreadable(Exception):
    """A sealed value that no key of the ring opens here: another key, another place, or damage."""


class KeyRingError(Exception):
    """The keys themselves are at fault; the message is one line and names what to set."""


class KeyRing:
    """The keys by id; the first encrypts, all decrypt."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self.keys = MappingProxyType(dict(keys))
        self.first = next(iter(keys))

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.keys)})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Keys from `id:base64,id:base64`. Raises KeyRingError, which says which entry is wrong, never its key."""
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(text.split(","), start=1):
            name, separator, encoded = entry.strip().partition(":")
            if not separator or not 1 <= len(name) <= 32 or not name.isascii() or not name.isprintable():
                raise KeyRingError(f"{VARIABLE}: entry {number} has no id; expected {FORM}")
            try:
                key = base64.b64decode(_padded(encoded.strip()), altchars=_alphabet(encoded), validate=True)
            except (binascii.Error, ValueError):
                raise KeyRingError(f"{VARIABLE}: the key {name!r} is not base64; expected {FORM}") from None
            if len(key) != KEY_BYTES:
                raise KeyRingError(f"{VARIABLE}: the key {name!r} has {len(key)} bytes; expected {FORM}")
            if name in keys:
                raise KeyRingError(f"{VARIABLE}: the id {name!r} is there twice; expected {FORM}")
            keys[name] = key
        return cls(keys)

    @classmethod
    def load(cls, text: str | None, key_file: Path | None) -> tuple[Self, bool]:
        """The ring from the variable, or else from `key_file` beside a SQLite database; and whether that is new.

        The file is made, readable by its owner alone, when it is missing. Raises KeyRingError, also for a file that others
        may read, and when neither variable nor file is there (`key_file` None: PostgreSQL).
        """
        if text is not None:
            return cls.parse(text), False
        if key_file is None:
            raise KeyRingError(f"{VARIABLE} is required with PostgreSQL: {FORM}")
        try:
            made = _make_key_file(key_file)
            if key_file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyRingError(f"{key_file} can be read by others: chmod 600 it, or set {VARIABLE}")
            return cls.parse(key_file.read_text("ascii").strip()), made
        except (OSError, UnicodeDecodeError) as error:
            raise KeyRingError(
                f"{key_file} cannot be used as key file ({type(error).__name__}): set {VARIABLE}"
            ) from error


class Cipher:
    """Seals and opens under a ring. `place` names the column and row, as `place_of` writes it."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self._ciphers = {name.encode(): AESGCM(key) for name, key in ring.keys.items()}
        first = ring.first.encode()
        self._head = bytes((VERSION, len(first))) + first
        self._first = self._ciphers[first]

    def seal(self, plaintext: bytes, place: str) -> bytes:
        """The plaintext, encrypted with a fresh nonce under the first key. About 2 microseconds."""
        # Random nonces of 96 bits are safe for 2**32 values under one key (NIST SP 800-38D, 8.3).
        nonce = os.urandom(NONCE_BYTES)
        return self._head + nonce + self._first.encrypt(nonce, plaintext, self._head + place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """The plaintext again. Raises Unreadable."""
        start = 2 + sealed[1] if len(sealed) > 1 else 2
        head, nonce, rest = sealed[:start], sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
        cipher = self._ciphers.get(head[2:])
        if cipher is None or head[0] != VERSION or len(nonce) != NONCE_BYTES:
            raise Unreadable("sealed under a key that is not in the ring")
        try:
            return cipher.decrypt(nonce, rest, head + place.encode())
        except (InvalidTag, ValueError):
            raise Unreadable("damaged, or kept in another place than it was sealed for") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether the value is sealed under the first key."""
        return sealed.startswith(self._head)


def place_of(project_id: object, table: str, column: str, row_id: object) -> str:
    """The name of one cell, as a value sealed for it is bound to it."""
    return f"{project_id}|{table}|{column}|{row_id}"


def generate_key() -> str:
    """A fresh key as an entry of the ring."""
    return f"{secrets.token_hex(4)}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


def _alphabet(encoded: str) -> bytes:
    return b"-_" if "-" in encoded or "_" in encoded else b"+/"


def _padded(encoded: str) -> str:
    """With the `=` at the end that many tools leave out (RFC 4648, section 3.2)."""
    return encoded + "=" * (-len(encoded) % 4)


def _make_key_file(path: Path) -> bool:
    """Make the file whole and for its owner alone; False when it was there, or another process was first."""
    if path.exists():
        return False
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(generate_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # atomic, and refused where the file is there by now
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
