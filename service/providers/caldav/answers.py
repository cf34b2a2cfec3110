"""What an answer of a CalDAV server that is no result means: the precondition in it decides first, then the status."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from service.errors import (
    CalendarGone,
    CursorExpired,
    GrantRejected,
    Outdated,
    ProviderError,
    ReadOnly,
    RequestRefused,
    Throttled,
    TransientFault,
)
from service.providers.caldav.wire import read_conditions
from service.providers.exchange import retry_after

ICLOUD: Final = ".icloud.com"

_STALE: Final = "valid-sync-token"
_UNSUPPORTED: Final = frozenset(
    {"supported-report", "supported-filter", "supported-collation", "supported-calendar-data"}
)
_SAME_UID: Final = frozenset({"no-uid-conflict", "unique-scheduling-object-resource"})
_FORBIDDING: Final = frozenset(
    {
        "need-privileges",
        "allowed-organizer-scheduling-object-change",
        "allowed-attendee-scheduling-object-change",
        "same-organizer-in-all-components",
    }
)
"""What somebody may not do who may read."""

_MATCHES: Final = "number-of-matches-within-limits"
_TOKEN_STATUSES: Final = frozenset({400, 409, 410, 412})
"""What servers without the precondition say to a token that they do not know."""


class Unsupported(RequestRefused):
    """The server does not have this kind of question; there may be another way to the same."""


class TooMuch(TransientFault):
    """The answer would be, or was, larger than one of the two sides allows: to be asked for in parts."""


class NotDav(TransientFault):
    """The answer is none of a WebDAV server: a login page, a proxy's, or broken off."""


def judge(
    status: int, headers: Mapping[str, str], body: bytes, now: datetime, *, host: str = "", has_token: bool = False
) -> ProviderError:
    """The error that an answer stands for; `has_token` says that the question had a sync token in it.

    iCloud refuses with 503 or 429, and is left alone for twice as long as it asks for. A 401 is one to credentials:
    what a server says before it has seen any is not judged here.
    """
    conditions = read_conditions(body) if 400 <= status < 600 else frozenset[str]()
    named = next(iter(sorted(conditions - {"error"})), f"http_{status}")
    asked = retry_after(headers, now)
    if host.endswith(ICLOUD):
        asked = now + 2 * (asked - now) if asked is not None else None
    if _STALE in conditions or (has_token and not conditions and status in _TOKEN_STATUSES):
        return CursorExpired(named)
    if _MATCHES in conditions or status in {413, 507}:
        return TooMuch(named, asked)
    if status == 429 or (status == 503 and host.endswith(ICLOUD)):
        return Throttled(named, asked)
    if status == 503 and headers.get("x-nextcloud-maintenance-mode") == "1":
        return TransientFault("maintenance", asked)
    if not conditions.isdisjoint(_UNSUPPORTED):
        return Unsupported(named)
    return _by_status(status, headers, named, asked)


def judge_write(
    status: int, headers: Mapping[str, str], body: bytes, now: datetime, *, host: str = ""
) -> ProviderError:
    """The error that an answer to PUT or DELETE stands for (RFC 4791, 5.3.2.1; RFC 6638, 3.2.4; RFC 4918, 9.7)."""
    conditions = read_conditions(body) if 400 <= status < 600 else frozenset[str]()
    named = next(iter(sorted(conditions - {"error"})), f"http_{status}")
    if not conditions.isdisjoint(_FORBIDDING) or (status == 403 and conditions <= {"error"}) or status == 405:
        return ReadOnly(named)
    if status == 412 and conditions.isdisjoint(_SAME_UID):
        return Outdated(named)
    if conditions.isdisjoint(_UNSUPPORTED) and status in {403, 409, 412, 413, 415, 422, 507}:
        return RequestRefused(named)
    return judge(status, headers, body, now, host=host)


def says_same_uid(body: bytes) -> bool:
    """Whether what was refused is there already, under another name."""
    return not read_conditions(body).isdisjoint(_SAME_UID)


def _by_status(status: int, headers: Mapping[str, str], named: str, asked: datetime | None) -> ProviderError:
    if kind := _KINDS.get(status):
        return kind(named)
    if status >= 500 or status in {408, 423, 425}:
        return TransientFault(named, asked)
    if status < 400:
        content = headers.get("content-type", "").partition(";")[0].strip().lower()
        page = " with a web page" if content in {"text/html", "application/xhtml+xml"} else ""
        return NotDav(f"http_{status}{page} where a CalDAV server answers 207")
    return RequestRefused(named)


_KINDS: Final[Mapping[int, type[ProviderError]]] = {
    401: GrantRejected,
    404: CalendarGone,
    410: CalendarGone,
    405: Unsupported,
    501: Unsupported,
}
