"""Opened signing keys and parsed addresses of endpoints, kept so that a delivery neither decrypts nor parses."""

from collections import OrderedDict
from typing import NamedTuple
from uuid import UUID

import httpx

from webhooks.message import Target
from webhooks.ports import Cipher
from webhooks.signing import Signer, unpacked


def place(project_id: UUID, endpoint_id: UUID) -> str:
    """Where an endpoint's secret lives: what its ciphertext is bound to."""
    return f"{project_id}|webhook_endpoints|secret|{endpoint_id}"


class Opened(NamedTuple):
    """An endpoint ready to be sent to."""

    url: httpx.URL
    host: bytes
    signer: Signer


class Keyring:
    """The most recently used endpoints, opened; a new version of an endpoint is another entry."""

    def __init__(self, cipher: Cipher, *, size: int = 4096) -> None:
        self._cipher = cipher
        self._size = size
        self._opened: OrderedDict[tuple[UUID, int], Opened] = OrderedDict()

    def open(self, target: Target) -> Opened:
        """The target's signer and address; raises what the cipher raises, and httpx.InvalidURL."""
        key = (target.endpoint_id, target.version)
        opened = self._opened.get(key)
        if opened is not None:
            self._opened.move_to_end(key)
            return opened
        url = httpx.URL(target.url)
        plaintext = self._cipher.open(target.sealed_secret, place(target.project_id, target.endpoint_id))
        opened = self._opened[key] = Opened(url, url.netloc, Signer(unpacked(plaintext)))
        if len(self._opened) > self._size:
            self._opened.popitem(last=False)
        return opened
