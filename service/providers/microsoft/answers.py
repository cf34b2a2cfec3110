"""What a refusal of Microsoft Graph's means: status and `error.code` as one of the port's errors.

The codes are those of learn.microsoft.com/graph/errors, of Exchange (`Error…`) and of delta queries; their case varies.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from service.errors import (
    AccessRejected,
    CalendarGone,
    CursorExpired,
    EventGone,
    ProviderError,
    PushUnsupported,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.exchange import retry_after

MALFORMED_ID: Final = "errorinvalididmalformed"
"""An id of another mailbox, or of another form (graph/outlook-immutable-id): whatever we know has to be read anew."""

LONGEST_WORD: Final = 300
"""Of what Graph says of a body that it refuses."""

_CURSOR: Final = frozenset(
    {"syncstatenotfound", "syncstateinvalid", "resyncrequired", "fullsyncrequired", "resyncchangesapplydifferences",
     "resyncchangesuploaddifferences", MALFORMED_ID}
)  # fmt: skip
_SCOPE: Final = frozenset(
    {"erroraccessdenied", "authorization_requestdenied", "accessdenied", "forbidden", "authorization_identitynotfound"}
)
_MAILBOX: Final = frozenset(
    {"mailboxnotenabledforrestapi", "mailboxnothostedinexchangeonline", "errornonexistentmailbox", "resourcenotfound",
     "errorinvaliduser", "errorusernotfound"}
)  # fmt: skip
_BUSY: Final = frozenset(
    {"toomanyrequests", "applicationthrottled", "activitylimitreached", "errorexceededmessagelimit",
     "errorexceededconnectioncount"}
)  # fmt: skip
_OUTAGE: Final = frozenset(
    {"errormailboxmoveinprogress", "errorserverbusy", "errorinternalservererror", "errorinternalservertransienterror",
     "errortimeoutexpired", "serviceunavailable", "servicenotavailable", "unknownerror", "generalexception",
     "errormailboxstoreunavailable", "mailboxinfostale"}
)  # fmt: skip
_GONE: Final = frozenset({"erroritemnotfound", "errorfoldernotfound", "itemnotfound", "errorcalendarfoldernotfound"})


class WireError(msgspec.Struct, gc=False):
    code: str | None = None
    message: str | None = None


class _Refusal(msgspec.Struct, gc=False):
    error: WireError | None = None


_refusal: Final = msgspec.json.Decoder(_Refusal)


def judge(  # noqa: PLR0911 - a table, one row each
    status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> ProviderError:
    """The error that an answer without a result stands for; never a result, whatever the status.

    Its `reason` is Graph's own code, or `http_404` and the like.
    """
    error = _read(body)
    asked = retry_after(headers, now)
    code = (error.code or "")[:100]
    reason = code or f"http_{status}"
    if status == 401:
        return _judge_401(headers, reason)
    if (known := _by_code(code.lower(), error, reason, asked, headers)) is not None:
        return known
    if status == 429:
        return Throttled(reason, asked, scope=_scope(headers))
    if status == 410:
        return CursorExpired(reason)
    if not code and status != 404 and not 500 <= status < 600:
        # A proxy's page, most likely: nobody's calendar is given up for it.
        return TransientFault(f"http_{status}, not an answer of Graph's", asked)
    if status == 404:
        return CalendarGone(reason) if code else TransientFault("http_404, not an answer of Graph's", asked)
    if status == 403:
        return ScopeMissing(reason)
    if status < 400 or status >= 500 or status in {408, 409, 412, 423}:
        return TransientFault(reason, asked)
    return RequestRefused(reason)


def judge_write(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderError:
    """The same of a write to an event, whose id may mean nothing, or of a body that Graph explains its refusal of."""
    error = judge(status, headers, body, now)
    if isinstance(error, CursorExpired):
        return EventGone(error.reason)
    if status == 400 and isinstance(error, RequestRefused) and (said := _read(body).message):
        # Whoever asked for the event has to be told what is wrong with it.
        return RequestRefused(f"{error.reason}: {said[:LONGEST_WORD]}")
    return error


def judge_subscription(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderError:
    """The same of `/subscriptions`, where a refusal most often means that we cannot be reached, or not watch this."""
    error = _read(body)
    message = (error.message or "").lower()
    if status == 400 and ("validation" in message or (error.code or "").lower() == "validationerror"):
        # Graph asked our address for an answer, and got none: an outage of ours, or no way to us.
        return TransientFault("subscription validation failed: Graph does not reach CALGATE_PUBLIC_URL")
    if status in {400, 403, 405} or (error.code or "").lower() == "extensionerror":
        found = judge(status, headers, body, now)
        return found if isinstance(found, Throttled | TransientFault) else PushUnsupported(found.reason)
    return judge(status, headers, body, now)


def _judge_401(headers: Mapping[str, str], reason: str) -> ProviderError:
    challenge = headers.get("www-authenticate", "")
    if "insufficient_claims" in challenge or "claims=" in challenge:
        # Continuous access evaluation: should a new token be refused like this too, the user has to sign in again.
        return AccessRejected(f"{reason} (insufficient_claims)", needs_sign_in=True)
    return AccessRejected(reason)


def _by_code(  # noqa: PLR0911 - a table, one row each
    code: str, error: WireError, reason: str, asked: datetime | None, headers: Mapping[str, str]
) -> ProviderError | None:
    if code in _CURSOR:
        return CursorExpired(reason)
    if code in _BUSY or "mailboxconcurrency" in (error.message or "").lower():
        return Throttled(reason, asked, scope=_scope(headers))
    if code in _OUTAGE:
        return TransientFault(reason, asked)
    if code in _MAILBOX:
        return RequestRefused(reason)
    if code in _SCOPE:
        return ScopeMissing(reason)
    if code in _GONE:
        return CalendarGone(reason)
    return None


def _scope(headers: Mapping[str, str]) -> str:
    """Whose limit it was (graph/throttling): the app's everywhere, or as a rule this mailbox's under the app."""
    return "client" if headers.get("x-ms-throttle-scope", "").startswith("Application") else "user"


def _read(body: bytes) -> WireError:
    try:
        return _refusal.decode(body).error or WireError()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return WireError()
