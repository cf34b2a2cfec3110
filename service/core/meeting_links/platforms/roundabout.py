"""Teams' addresses that lead to a meeting in a roundabout way: the web app's, the launcher's and the guest client's."""

import base64
import binascii
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from service.core.meeting_links.addresses import Address, parameters

_COLON: Final = r"(?::|%(?:25)?3a)"
TEAMS_THREAD: Final = (
    rf"19{_COLON}(?:[a-z0-9]{{2,8}}{_COLON})?[\w=+.-]{{4,200}}(?:@|%(?:25)?40)thread\.(?:v2|skype|tacv2)"
)
"""A conversation's id, decoded or not: `19:meeting_<base64>@thread.v2`; a channel's has no `meeting_`.

Clouds of their own name themselves in it (`19:gcch:meeting_...`, `19:dod:...`).
"""


def teams_fragment(address: Address) -> tuple[str, str] | None:
    """What follows `#` in the web app's address, `/v2/?meetingjoin=true#/meet/...` and `/_#/l/meetup-join/...`."""
    return _split(address.fragment)


def teams_launcher(address: Address) -> tuple[str, str] | None:
    """What the launcher's page has in `url=`: `/_#/meet/...`."""
    target = parameters(address.query).get("url", "")
    return _split(target.removeprefix("/_#"))


def teams_coordinates(address: Address) -> tuple[str, str] | None:
    """What the guest client has in `coords=`: base64 of JSON with a `conversationId`, or a `meetingCode` and `passcode`."""
    given = parameters(address.query).get("coords", "").translate(_URL_SAFE).rstrip("=")
    try:
        decoded = msgspec.json.decode(base64.b64decode(given + "=" * (-len(given) % 4)))
    except (binascii.Error, ValueError, RecursionError, msgspec.DecodeError):
        return None
    if not isinstance(decoded, dict):
        return None
    thread, code, passcode = (_text(decoded, name) for name in ("conversationId", "meetingCode", "passcode"))
    if thread:
        return f"/l/meetup-join/{thread}/0", ""
    return (f"/meet/{code}", f"p={quote(passcode)}" if passcode else "") if code else None


_URL_SAFE: Final = str.maketrans("-_ ", "+/+")


def _text(decoded: dict[str, Any], name: str) -> str:
    value = decoded.get(name)
    return value if isinstance(value, str) else ""


def _split(target: str) -> tuple[str, str] | None:
    if not target.startswith("/"):
        return None
    if "?" not in target and "%3f" in target[:LONGEST_TARGET].lower():
        target = unquote(target)
    path, _, query = target.partition("?")
    return path, query


LONGEST_TARGET: Final = 2048
