"""THE state machine of a calendar: what a fact does to how a calendar stands.

    ┌─────────┐ Synced  ┌────────┐  3rd failure, or 15 min of them   ┌───────┐
    │ syncing ├────────►│ active │◄──────────────────────────────────┤ error │
    └────┬────┘         └───┬────┘──────────────────────────────────►└──┬────┘
         │                  │      client, grant or calendar at fault   │ confirmed by a second look
         └──────────────────┴───────────────────────────────────────────┤
    syncing ◄── Reconnected ── (any state)                     ┌────────▼─────┐
                                                               │ disconnected │  no provider call from here
                                                               └──────────────┘

`error` tries again by itself, more and more slowly, and heals by the next success. Only three facts can disconnect, and
none at once: a rejected grant and a vanished calendar are looked at again after a minute, because a token that
another worker has just rotated, or a provider having a bad minute, looks exactly the same; and the address of a feed is
given up after a day of refusals. Throttling, an outage and
an integrator's expired client secret never disconnect anybody.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from service.core.schedule import back_off, retry_soon, throttle_pause

FAILURES_BEFORE_ERROR: Final = 3
PATIENCE: Final = timedelta(minutes=15)
SECOND_LOOK: Final = timedelta(seconds=60)
CLIENT_RECHECK: Final = timedelta(minutes=15)
REFUSED_RECHECK: Final = timedelta(hours=1)
LONGEST_PAUSE: Final = timedelta(hours=24)
ADDRESS_RECHECK: Final = timedelta(hours=1)
ADDRESS_PATIENCE: Final = timedelta(hours=24)
REFUSALS: Final = 3
"""So often, and for so long, a feed's address has to be refused before it is given up."""


class State(StrEnum):
    """Where a calendar stands."""

    SYNCING = "syncing"
    ACTIVE = "active"
    ERROR = "error"
    DISCONNECTED = "disconnected"


class Synced(msgspec.Struct, frozen=True):
    """A whole round was applied."""


class Throttled(msgspec.Struct, frozen=True):
    """The provider, or our own quota, wants a pause; `until` when it said how long."""

    until: datetime | None = None


class TransientFailure(msgspec.Struct, frozen=True):
    """An attempt failed for a reason that says nothing about the calendar."""

    reason: str
    until: datetime | None = None


class ClientRejected(msgspec.Struct, frozen=True):
    """The integrator's OAuth client is at fault, not the user."""

    reason: str


class Refused(msgspec.Struct, frozen=True):
    """The provider refuses this calendar for a reason that new credentials would not change."""

    code: str
    reason: str


class GrantRejected(msgspec.Struct, frozen=True):
    """The user's consent does not carry any more; `code` says which part of it."""

    code: str
    reason: str


class CalendarGone(msgspec.Struct, frozen=True):
    """The provider's list does not have the calendar."""

    reason: str


class AddressRefused(msgspec.Struct, frozen=True):
    """A feed's server refuses its address."""

    reason: str


class Reconnected(msgspec.Struct, frozen=True):
    """Somebody gave new credentials that the provider accepted."""


Fact = (
    Synced
    | Throttled
    | TransientFailure
    | ClientRejected
    | Refused
    | GrantRejected
    | CalendarGone
    | AddressRefused
    | Reconnected
)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a calendar stands: its state, what is wrong, and when to try again.

    `retry_at` is set while something is wrong; otherwise the schedule decides. `suspicion` remembers between two looks
    which fact (`grant`, `gone`, `address`) would disconnect the calendar if it came again.
    """

    status: State = State.SYNCING
    failures: int = 0
    failing_since: datetime | None = None
    throttles: int = 0
    rate_limited_until: datetime | None = None
    suspicion: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    retry_at: datetime | None = None


REMEDIES: Final = {
    "provider_unavailable": "The provider cannot be reached or answers with faults; nothing to do, calgate goes on trying.",
    "client_rejected": "The OAuth client is refused: check client_id and client_secret, which may have expired, tenant_id, "
    "and that the provider's calendar API is enabled for it; then post any of its calendars again with the right secret.",
    "credentials_rejected": "The account does not let us in any more: let the user sign in again, by a connect link with this "
    "connection_id, or at your own page, and then PATCH the calendar with the new refresh_token; at a CalDAV server, let the "
    "user make a new app-specific password and PATCH that.",
    "insufficient_scope": "What was granted does not cover the calendar: let the user sign in again, by a connect link with "
    "this connection_id, or at your own page, and tick every calendar permission, or ask the organisation's administrator to "
    "allow the app; where you hold the token, PATCH the calendar with the new one.",
    "calendar_not_found": "The provider no longer shows this calendar to the account: share it again, or delete it here.",
    "feed_refused": "The feed's server refuses its address: open it in a browser; if the address was changed or made "
    "private, PATCH the calendar with the new url.",
    "credential_unreadable": "The stored credentials cannot be decrypted: put the key that sealed them back into "
    "CALGATE_SECRET_KEYS, or PATCH the calendar with its credentials anew.",
    "calendar_refused": "The provider refuses to list this calendar; the reason it gave stands at the end.",
}
"""What to do about each `error_code`; the provider's own word is appended."""


def after(standing: Standing, fact: Fact, now: datetime, jitter: float) -> Standing:
    """How the calendar stands once `fact` is known; `jitter` is a random number in [0, 1)."""
    if standing.status is State.DISCONNECTED and not isinstance(fact, Reconnected):
        return standing
    decide: Callable[[Standing, Fact, datetime, float], Standing] = _TABLE[type(fact)]
    return decide(standing, fact, now, jitter)


def explain(code: str, reason: str) -> str:
    """The stored `error_message`: the remedy, and the provider's word for it."""
    return f"{REMEDIES[code]} ({reason})" if reason else REMEDIES[code]


def _synced(_standing: Standing, _fact: Synced, _now: datetime, _jitter: float) -> Standing:
    return Standing(status=State.ACTIVE)


def _reconnected(_standing: Standing, _fact: Reconnected, _now: datetime, _jitter: float) -> Standing:
    return Standing(status=State.SYNCING)


def _throttled(standing: Standing, fact: Throttled, now: datetime, jitter: float) -> Standing:
    until = _clamp(fact.until, now) or now + throttle_pause(standing.throttles, jitter)
    return msgspec.structs.replace(standing, throttles=standing.throttles + 1, rate_limited_until=until, retry_at=until)


def _failed(standing: Standing, fact: TransientFailure, now: datetime, jitter: float) -> Standing:
    failures = standing.failures + 1
    since = standing.failing_since or now
    broken = standing.status is State.ERROR or failures >= FAILURES_BEFORE_ERROR or now - since >= PATIENCE
    pause = back_off(failures - FAILURES_BEFORE_ERROR, jitter) if broken else retry_soon(failures, jitter)
    asked = _clamp(fact.until, now)
    retry_at = max(now + pause, asked) if asked else now + pause
    kept = msgspec.structs.replace(
        standing, failures=failures, failing_since=since, suspicion=None, retry_at=retry_at, rate_limited_until=None
    )
    if not broken:
        return kept
    return _in_error(kept, "provider_unavailable", fact.reason)


def _client_rejected(standing: Standing, fact: ClientRejected, now: datetime, jitter: float) -> Standing:
    pause = CLIENT_RECHECK * (1 + 0.1 * jitter)
    return _in_error(_counted(standing, now, now + pause), "client_rejected", fact.reason)


def _refused(standing: Standing, fact: Refused, now: datetime, jitter: float) -> Standing:
    pause = REFUSED_RECHECK * (1 + 0.1 * jitter)
    return _in_error(_counted(standing, now, now + pause), fact.code, fact.reason)


def _grant_rejected(standing: Standing, fact: GrantRejected, now: datetime, jitter: float) -> Standing:
    return _suspected(standing, "grant", fact.code, fact.reason, now, jitter)


def _calendar_gone(standing: Standing, fact: CalendarGone, now: datetime, jitter: float) -> Standing:
    return _suspected(standing, "gone", "calendar_not_found", fact.reason, now, jitter)


def _address_refused(standing: Standing, fact: AddressRefused, now: datetime, jitter: float) -> Standing:
    if standing.suspicion != "address":
        # What went wrong before was something else: refusals are counted from here.
        standing = msgspec.structs.replace(standing, failures=0, failing_since=now)
    refused = _counted(standing, now, now + ADDRESS_RECHECK * (0.9 + 0.2 * jitter))
    since = refused.failing_since or now
    if refused.failures >= REFUSALS and now - since >= ADDRESS_PATIENCE:
        return msgspec.structs.replace(
            refused,
            status=State.DISCONNECTED,
            retry_at=None,
            error_code="feed_refused",
            error_message=explain("feed_refused", fact.reason),
        )
    return msgspec.structs.replace(_in_error(refused, "feed_refused", fact.reason), suspicion="address")


def _suspected(standing: Standing, suspicion: str, code: str, reason: str, now: datetime, jitter: float) -> Standing:
    if standing.suspicion == suspicion:
        gone = _counted(standing, now, None)
        return msgspec.structs.replace(
            gone,
            status=State.DISCONNECTED,
            suspicion=None,
            error_code=code,
            error_message=explain(code, reason),
        )
    looked = _counted(standing, now, now + SECOND_LOOK * (1 + 0.1 * jitter))
    return msgspec.structs.replace(_in_error(looked, code, reason), suspicion=suspicion)


def _counted(standing: Standing, now: datetime, retry_at: datetime | None) -> Standing:
    return msgspec.structs.replace(
        standing,
        failures=standing.failures + 1,
        failing_since=standing.failing_since or now,
        suspicion=None,
        rate_limited_until=None,
        retry_at=retry_at,
    )


def _in_error(standing: Standing, code: str, reason: str) -> Standing:
    return msgspec.structs.replace(standing, status=State.ERROR, error_code=code, error_message=explain(code, reason))


def _clamp(until: datetime | None, now: datetime) -> datetime | None:
    # A server that asks for a year must not park an account for a year.
    return None if until is None or until <= now else min(until, now + LONGEST_PAUSE)


_TABLE: Final[dict[type, Callable[..., Standing]]] = {
    Synced: _synced,
    Throttled: _throttled,
    TransientFailure: _failed,
    ClientRejected: _client_rejected,
    Refused: _refused,
    GrantRejected: _grant_rejected,
    CalendarGone: _calendar_gone,
    AddressRefused: _address_refused,
    Reconnected: _reconnected,
}
