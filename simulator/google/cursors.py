"""Page and sync tokens: opaque to readers, and refused when they were tampered with."""

import base64
import binascii
import json
import zlib
from typing import Any

from simulator.google.errors import invalid


def seal(parts: list[Any]) -> str:
    text = json.dumps(parts, separators=(",", ":")).encode()
    return base64.b64encode(zlib.crc32(text).to_bytes(4, "big") + text).decode()


def unseal(token: str, kind: str, location: str) -> list[Any]:
    """The parts behind the kind; anything that we did not seal is a 400."""
    message = "Invalid sync token value." if location == "syncToken" else "Invalid page token value."
    try:
        raw = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(message, location) from error
    if zlib.crc32(raw[4:]).to_bytes(4, "big") != raw[:4]:
        raise invalid(message, location)
    parts: list[Any] = json.loads(raw[4:])
    if parts[0] != kind:
        raise invalid(message, location)
    return parts[1:]


def digest(values: Any) -> int:
    """A short number that differs when the parameters do."""
    return zlib.crc32(json.dumps(values, sort_keys=True, default=str).encode())
