"""What a provider refuses to write, told in the contract's codes."""

from datetime import datetime
from typing import Final, NoReturn

from service.core.blame import BLAMES
from service.errors import (
    CalendarGone,
    CannotBeSilent,
    ClientRejected,
    EventGone,
    FieldProblem,
    GatewayError,
    GrantRejected,
    Outdated,
    PolicyForbids,
    ProviderError,
    ReadOnly,
    ScopeMissing,
    SeriesUnmovable,
    Throttled,
    TransientFault,
)

RETRY_AFTER: Final = 30
FAULTS: Final = (Throttled, TransientFault)
"""After these nobody knows whether it was done."""

_ONLY_READ: Final = (
    "The user has consented to reading alone: let the user connect again with write access (GET /connect/PROVIDER/url with "
    "access=write), or PATCH the calendar with a refresh token that covers writing."
)
_NOT_OURS: Final = (
    "This account may not write that: the calendar is shared for reading, or the event is somebody else's."
)
_SETTING: Final = (
    "The connection's disable_attendee_notification lets guests have no mail, and this provider mails them whatever it is told: "
    "send notify: true (in DELETE: ?notify=true), or PATCH the setting of the connection."
)


UNTOUCHED: Final = "Nothing was written."
TAKEN_BACK: Final = "What it may have made of it is taken back; with an Idempotency-Key it could have gone on."
GONE_ON_WITH: Final = (
    "It is gone on with: send the same request with the same Idempotency-Key again, and get the event that it makes."
)
UNKNOWN_SENTENCE: Final = (
    "It may have been made all the same: look at the events of the calendar in a moment; with an Idempotency-Key it could have "
    "gone on."
)
UNKNOWN: Final = "It may have been done all the same: GET the event, which shows what the provider has, in a moment."


def refuse(provider: str, error: ProviderError, now: datetime, fate: str) -> NoReturn:
    """Raises the GatewayError that a refusal comes to; `fate` says what becomes of the wish."""
    match error:
        case Outdated():
            raise GatewayError(412, "precondition_failed", "The event has changed at the provider.") from error
        case EventGone():
            raise GatewayError(404, "not_found", "The provider does not have this event any more.") from error
        case CalendarGone():
            raise GatewayError(409, "conflict", "The provider does not show this calendar any more.") from error
        case ReadOnly():
            raise GatewayError(403, "forbidden", f"{_NOT_OURS} ({error.reason})") from error
        case ScopeMissing():
            raise GatewayError(422, "insufficient_scope", _ONLY_READ) from error
        case Throttled() | TransientFault():
            raise _silence(error, now, fate) from error
        case GrantRejected():
            code = "credentials_rejected"
        case ClientRejected():
            code = "client_rejected"
        case PolicyForbids():
            code = "insufficient_scope"
        case _:
            raise _refusal(error) from error
    raise GatewayError(422, code, f"{BLAMES[provider].of(code).remedy} ({error.reason})") from error


def refuse_silence(error: CannotBeSilent) -> NoReturn:
    """Raises the GatewayError for what guests would be mailed of, although no request but the connection forbids it."""
    problem = FieldProblem("notify", "is to be true where disable_attendee_notification is set")
    raise GatewayError(422, "validation_failed", _SETTING, errors=[problem]) from error


def _refusal(error: ProviderError) -> GatewayError:
    if isinstance(error, SeriesUnmovable):
        problem = FieldProblem("recurrence", error.reason)
        detail = f"The series cannot be moved, and nothing was written: {error.reason}"
        return GatewayError(422, "validation_failed", detail, errors=[problem])
    return GatewayError(422, "validation_failed", f"The provider refuses this event: {error.reason}")


def _silence(error: Throttled | TransientFault, now: datetime, fate: str) -> GatewayError:
    code = "provider_throttled" if isinstance(error, Throttled) else "provider_unavailable"
    wait = max(1, int((error.retry_at - now).total_seconds())) if error.retry_at else RETRY_AFTER
    detail = f"The provider does not answer now. {fate} ({error.reason})"
    return GatewayError(503, code, detail, headers={"Retry-After": str(wait)})
