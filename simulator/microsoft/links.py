"""Skip and delta tokens: opaque to readers, frozen in what they stand for, and refused when they were tampered with."""

import base64
import binascii
import zlib
from typing import Any

import msgspec

from simulator.microsoft.errors import GraphError


class Round(msgspec.Struct, frozen=True):
    """Where a round of paging stands. `since` is None for a full listing, `upto` what the next delta starts from."""

    kind: str
    calendar: str
    epoch: int
    low: int
    high: int
    since: int | None = None
    upto: int = 0
    after: list[Any] | None = None
    empties: int = 0
    nonce: int = 0


def seal(value: Any) -> str:
    text = msgspec.json.encode(value)
    raw = zlib.crc32(text).to_bytes(4, "big") + text
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unseal(token: str) -> Round:
    """What we sealed; anything else is a 400."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if zlib.crc32(raw[4:]).to_bytes(4, "big") == raw[:4]:
            return msgspec.json.decode(raw[4:], type=Round)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        pass
    raise GraphError(400, "SyncStateInvalid", "Badly formed token.")
