"""What an error answer of the Calendar API means: the reason decides first, the HTTP status only without one."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from service.errors import (
    AccessRejected,
    CalendarGone,
    ClientRejected,
    CursorExpired,
    EventGone,
    PolicyForbids,
    ProviderError,
    PushUnsupported,
    ReadOnly,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.exchange import retry_after
from service.providers.google.wire import WireCause, WireError, WireRefusal

PACIFIC: Final = ZoneInfo("America/Los_Angeles")
LONGEST_WORD: Final = 300
"""Of what Google says of a body that it refuses."""

USAGE_PAUSE: Final = timedelta(hours=3)
"""Google says of usage limits that they are lifted after some hours."""

_THROTTLED: Final = frozenset({"userRateLimitExceeded", "rateLimitExceeded", "RATE_LIMIT_EXCEEDED", "tooManyRequests"})
_USAGE: Final = frozenset({"quotaExceeded", "calendarUsageLimitsExceeded", "variableTermLimitExceeded"})
_DAILY: Final = frozenset({"dailyLimitExceeded", "dailyLimitExceededUnreg"})
_TRANSIENT: Final = frozenset(
    {"backendError", "internalError", "internal_failure", "transientError", "channelIdNotUnique", "conditionNotMet"}
)
_SCOPE: Final = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
_CLIENT: Final = frozenset({"accessNotConfigured", "SERVICE_DISABLED", "CONSUMER_INVALID", "BILLING_DISABLED"})
_POLICY: Final = frozenset({"domainPolicy", "notACalendarUser"})
_CURSOR: Final = frozenset({"fullSyncRequired", "updatedMinTooLongAgo"})
_PUSH: Final = frozenset({"pushNotSupportedForRequestedResource"})
_REFUSED: Final = frozenset({"requiredAccessLevel", "forbiddenForNonOrganizer", "forbiddenForServiceAccounts"})
_READ_ONLY: Final = frozenset(
    {"requiredAccessLevel", "forbiddenForNonOrganizer", "forbidden", "cannotChangeOrganizer", "eventTypeRestriction"}
)
_QUOTA_WORDS: Final = ("quota exceeded", "rate limit exceeded", "limits exceeded", "limit exceeded")
_CURSOR_WORDS: Final = ("sync token", "synctoken", "page token", "pagetoken")

_decoder: Final = msgspec.json.Decoder(WireRefusal)


def judge(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderError:
    """The error that an answer without a result stands for; never a result, whatever the status.

    Its `reason` is Google's own word, or `http_404` and the like. An answer that is not Google's (a proxy's page) is
    a TransientFault, so that nobody's calendar is given up for it.
    """
    error = _read(body)
    asked = retry_after(headers, now)
    if error is None:
        if status == 429:
            return Throttled("http_429", asked)
        return TransientFault(f"http_{status}, not an answer of Google's", asked)
    cause = error.errors[0] if error.errors else WireCause()
    detail = next((each.reason for each in error.details or () if each.reason), None)
    reason = cause.reason or detail or error.status or ""
    for word in (reason, detail or ""):
        if known := _by_reason(word, error, asked, now):
            return known
    if status == 429 or (status == 403 and reason not in _REFUSED and _sounds_like_quota(error, cause)):
        return _throttled(reason or f"http_{status}", error, asked, now)
    return _by_status(status, reason, cause, error, asked)


def judge_write(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderError:
    """The same of a write: an event that is gone, and what this account may not write.

    A 412 is a fault like any other: who has named a version knows what it means, and others get it now and then.
    """
    error = judge(status, headers, body, now)
    if status == 409 and error.reason != "duplicate":
        return TransientFault(error.reason)
    if not isinstance(error, RequestRefused):
        return error
    if status in {403, 410}:
        is_of_role = error.reason in _READ_ONLY or error.reason == "http_403"
        return EventGone(error.reason) if status == 410 else ReadOnly(error.reason) if is_of_role else error
    if status == 400 and (said := _read(body)) is not None and said.message:
        # Whoever asked for the event has to be told what is wrong with it.
        return RequestRefused(f"{error.reason}: {said.message[:LONGEST_WORD]}")
    return error


def _by_reason(reason: str, error: WireError, asked: datetime | None, now: datetime) -> ProviderError | None:
    if reason in _THROTTLED | _USAGE | _DAILY:
        return _throttled(reason, error, asked, now)
    if reason in _TRANSIENT:
        return TransientFault(reason, asked)
    if reason.startswith("push.webhookUrl") or reason in _PUSH:
        return PushUnsupported(reason)
    for words, kind in _KINDS:
        if reason in words:
            return kind(reason)
    return None


_KINDS: Final[tuple[tuple[frozenset[str], type[ProviderError]], ...]] = (
    (_SCOPE, ScopeMissing),
    (_CLIENT, ClientRejected),
    (_POLICY, PolicyForbids),
    (_CURSOR, CursorExpired),
)


def _by_status(status: int, reason: str, cause: WireCause, error: WireError, asked: datetime | None) -> ProviderError:
    named = reason or f"http_{status}"
    if status == 400 and _is_about_cursor(cause, error):
        return CursorExpired(named)
    if status == 401:
        return AccessRejected(named)
    if status == 404:
        return CalendarGone(named)
    if status == 410 and reason != "deleted":
        return CursorExpired(named)
    if status < 400 or status >= 500 or status == 408:
        return TransientFault(named, asked)
    return RequestRefused(named)


def _throttled(reason: str, error: WireError, asked: datetime | None, now: datetime) -> Throttled:
    if reason in _DAILY:
        return Throttled(reason, _next_pacific_midnight(now), scope="client")
    if reason in _USAGE:
        return Throttled(reason, asked or now + USAGE_PAUSE)
    return Throttled(reason, asked, scope="client" if _is_of_project(reason, error) else "user")


def _is_of_project(reason: str, error: WireError) -> bool:
    """Whether the project's minute is used up, and not only this user's: only the detail or the message tells."""
    if reason == "userRateLimitExceeded":
        return False
    limits = " ".join(str((each.metadata or {}).get("quota_limit", "")) for each in error.details or ())
    told = f"{limits} {error.message or ''}".lower().replace(" ", "")
    return "peruser" not in told and ("perproject" in told or "perminute" in told)


def _sounds_like_quota(error: WireError, cause: WireCause) -> bool:
    if cause.domain == "usageLimits" or error.status == "RESOURCE_EXHAUSTED":
        return True
    message = f"{error.message or ''} {cause.message or ''}".lower()
    return any(words in message for words in _QUOTA_WORDS)


def _is_about_cursor(cause: WireCause, error: WireError) -> bool:
    if cause.location in {"syncToken", "pageToken"}:
        return True
    message = f"{error.message or ''} {cause.message or ''}".lower()
    return cause.reason in {None, "invalid", "badRequest"} and any(words in message for words in _CURSOR_WORDS)


def _next_pacific_midnight(now: datetime) -> datetime:
    tomorrow = now.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), PACIFIC).astimezone(UTC)


def _read(body: bytes) -> WireError | None:
    """The error in the body; an empty one where it names none, None for what Google's API would not say."""
    if not body.strip():
        return WireError()
    try:
        refusal = _decoder.decode(body)
    except msgspec.ValidationError:
        return WireError()  # JSON of another shape: the status has to do
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return refusal.error or WireError()
