"""What is remembered of logins between calls: how a server wants the password proved, and that it has just refused it."""

import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final, TypeVar

import httpx
import msgspec

from service.core.credentials import CaldavCredentials, read_login
from service.errors import GrantRejected

T = TypeVar("T")

MOST_KNOWN: Final = 1_000
REFUSED_FOR: Final = timedelta(seconds=50)
"""Less than a calendar waits for its second look; the other calendars of the account need not ask as well, as each
refusal counts towards a lock."""


class Logins:
    """By origin, user name and password, of the last thousand."""

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, httpx.DigestAuth] = OrderedDict()
        self._refused: OrderedDict[bytes, datetime] = OrderedDict()

    def digest(self, key: bytes) -> httpx.DigestAuth | None:
        """The last challenge (RFC 7616), answered at once from the second question on."""
        return self._digests.get(key)

    def keep_digest(self, key: bytes, auth: httpx.DigestAuth) -> None:
        _keep(self._digests, key, auth)

    def forget_digest(self, key: bytes) -> None:
        self._digests.pop(key, None)

    def is_refused(self, key: bytes, now: datetime) -> bool:
        """Whether a 401 to this password is too fresh for another try."""
        at = self._refused.get(key)
        return at is not None and timedelta(0) <= now - at < REFUSED_FOR

    def refuse(self, key: bytes, now: datetime) -> None:
        _keep(self._refused, key, now)


def login_of(secret: str) -> CaldavCredentials:
    """The login that an account is asked with. Raises GrantRejected when it cannot be read."""
    try:
        return read_login(secret)
    except msgspec.DecodeError:
        raise GrantRejected("the stored login cannot be read") from None


def key_of(origin: object, username: str, password: str) -> bytes:
    """What a login is remembered by."""
    return hashlib.blake2b(repr((origin, username, password)).encode()).digest()


def _keep(known: OrderedDict[bytes, T], key: bytes, value: T) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > MOST_KNOWN:
        known.popitem(last=False)
