"""Ids as Exchange makes them: item ids in two forms, the GlobalObjectId behind `iCalUId`, change keys and etags.

The GlobalObjectId is laid out as in MS-OXOCAL 2.2.1.27; a foreign UID is wrapped as in MS-OXCICAL 2.1.3.1.1.20.26.
"""

import base64
import re
from datetime import date, datetime

EPOCH_OF_FILETIME = 11_644_473_600
CLASS_ID = bytes.fromhex("040000008200E00074C5B7101A82E008")
FOREIGN = b"vCal-Uid\x01\x00\x00\x00"
MEETING_ID = re.compile(rf"{CLASS_ID.hex()}[0-9A-F]+", re.IGNORECASE)
# Chosen so that each is told from the other at a glance, as the real ones are.
IMMUTABLE, REGULAR = "AAkALgAAAAAA", "AAMkADRhYmM0"


def show_id(key: str, *, immutable: bool) -> str:
    """An item's id; which form it has depends on what the request prefers."""
    return f"{IMMUTABLE}{key}" if immutable else f"{REGULAR}{key}BGAAAAAA"


def read_id(item_id: str) -> str | None:
    """The key behind an id of either form, compared as it is written; None when it has no such form."""
    if item_id.startswith(IMMUTABLE):
        return item_id.removeprefix(IMMUTABLE)
    if item_id.startswith(REGULAR) and item_id.endswith("BGAAAAAA"):
        return item_id.removeprefix(REGULAR).removesuffix("BGAAAAAA")
    return None


def make_global_id(data: bytes, created: datetime) -> bytes:
    """The id of a meeting made by Exchange, shared by all its copies. `data` are 16 bytes of chance."""
    filetime = int((created.timestamp() + EPOCH_OF_FILETIME) * 10_000_000)
    return CLASS_ID + bytes(4) + filetime.to_bytes(8, "little") + bytes(8) + len(data).to_bytes(4, "little") + data


def wrap_uid(uid: str) -> bytes:
    """The id of a meeting that arrived by iMIP: the UID itself when Exchange made it, else wrapped."""
    if MEETING_ID.fullmatch(uid) and len(uid) % 2 == 0:
        return bytes.fromhex(uid)
    data = FOREIGN + uid.encode() + b"\x00"
    return CLASS_ID + bytes(4) + bytes(16) + len(data).to_bytes(4, "little") + data


def show_uid(global_id: bytes, day: date | None = None) -> str:
    """Hexadecimal, with the original day of an instance in its bytes 16 to 19."""
    if day is not None:
        stamp = day.year.to_bytes(2, "big") + bytes((day.month, day.day))
        global_id = global_id[:16] + stamp + global_id[20:]
    return global_id.hex().upper()


def change_key(mailbox: str, revision: int) -> str:
    return base64.b64encode(f"{mailbox[:8]:<8}".encode() + revision.to_bytes(8, "big")).decode()


def show_etag(key: str) -> str:
    return f'W/"{key}"'
