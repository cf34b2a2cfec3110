"""Refresh tokens that were replaced while nobody kept them: who looked at an account first can still connect it.

Microsoft gives a new refresh token with every refresh, and may refuse the old one from then on. Looking at an account
stores nothing, and connecting one may fail after the refresh: what came in exchange for the token that the user of the
API still holds is kept here, in this process's memory, for an hour.
"""

import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

import msgspec

from service.core.credentials import OAuthClient

MOST: Final = 10_000
KEPT: Final = timedelta(hours=1)


class _Replaced(msgspec.Struct, frozen=True):
    token: str
    until: datetime


class Rotations:
    """The newest token behind each that was given, under the client it was given with."""

    def __init__(self) -> None:
        self._newest: OrderedDict[bytes, _Replaced] = OrderedDict()

    def newest(self, client: OAuthClient, given: str, now: datetime) -> str:
        """What to ask with instead of `given`; itself, where nothing newer is known."""
        found = self._newest.get(_key(client, given))
        return found.token if found is not None and now < found.until else given

    def replaced(self, client: OAuthClient, given: str, token: str, now: datetime) -> None:
        """The provider answered `given`, or what stands for it, with a new `token`."""
        key = _key(client, given)
        self._newest[key] = _Replaced(token, now + KEPT)
        self._newest.move_to_end(key)
        if len(self._newest) > MOST:
            self._newest.popitem(last=False)


def _key(client: OAuthClient, given: str) -> bytes:
    # Whoever has another secret of the client must not come by the token of one who has the right one.
    parts = (client.client_id, client.client_secret, client.tenant or "", given)
    return hashlib.sha256("\0".join(parts).encode()).digest()
