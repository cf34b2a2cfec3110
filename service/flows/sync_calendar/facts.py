"""What a provider's refusal means for a calendar: each error of the port as a fact of the state machine."""

from service.core import lifecycle
from service.core.lifecycle import Fact
from service.errors import (
    AddressRefused,
    CalendarGone,
    ClientRejected,
    GrantRejected,
    PolicyForbids,
    ProviderError,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)


def fact_of(error: ProviderError) -> Fact:  # noqa: PLR0911 - a table, one row each
    """The fact behind an error; one that nobody expects on this path counts as a passing failure."""
    match error:
        case Throttled():
            return lifecycle.Throttled(error.retry_at)
        case ClientRejected():
            return lifecycle.ClientRejected(error.reason)
        case GrantRejected():
            return lifecycle.GrantRejected("credentials_rejected", error.reason)
        case ScopeMissing():
            return lifecycle.GrantRejected("insufficient_scope", error.reason)
        case PolicyForbids():
            return lifecycle.Refused("insufficient_scope", error.reason)
        case CalendarGone():
            return lifecycle.CalendarGone(error.reason)
        case AddressRefused():
            return lifecycle.AddressRefused(error.reason)
        case RequestRefused():
            return lifecycle.Refused("calendar_refused", error.reason)
        case TransientFault():
            return lifecycle.TransientFailure(error.reason, error.retry_at)
    return lifecycle.TransientFailure(error.reason)
