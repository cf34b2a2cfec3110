"""The two trees of errors that the gateway expects; anything else is a bug and is not caught.

GatewayError                    the client's to act on: becomes a problem document (RFC 9457)
ProviderError                   the provider's answer, ended by a flow, where it becomes a Fact or a GatewayError
├── AccessRejected              the access token is not taken: refresh it once and ask again
├── GrantRejected               the user's consent is gone: a new refresh token is needed
├── ScopeMissing                the user withheld what we need to read
├── PolicyForbids               the organisation forbids it: its administrator must act, not the user
├── ClientRejected              the integrator's client id, secret or API project is at fault
├── CursorExpired               the sync token is worthless: list everything again
├── CalendarGone                the calendar was deleted or is no longer shared
├── AddressRefused              the address of a feed leads nowhere, for now or for good
├── Throttled                   slow down; `retry_at` says until when, where the provider said so
├── TransientFault              an outage, a broken answer, a timeout: try again later
└── RequestRefused              the provider will not do this one thing, ever
    ├── PushUnsupported         this calendar cannot be watched: poll it
    ├── ReadOnly                this account may not write this event, or to this calendar
    ├── SeriesUnmovable         a series that would not be the same series after its move: nothing was sent
    ├── CannotBeSilent          guests would be mailed of what they are not to be mailed of
    ├── EventGone               the event that is to be written is not there (any more)
    └── Outdated                the event has changed at the provider since it was read
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec


class FieldProblem(msgspec.Struct, frozen=True):
    """One invalid field of a request: its path in the body (`refresh_token`) and what is wrong with it."""

    field: str
    message: str


class GatewayError(Exception):
    """A request that cannot be served, told to the client with a status and one of the contract's codes."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class ProviderError(Exception):
    """An answer of a provider that is not a result; `reason` is the provider's own word, free of secrets."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AccessRejected(ProviderError):
    """The access token was refused, which says nothing yet about the grant behind it.

    `needs_sign_in`: should a new one be refused like this too, it is the user who has to act.
    """

    def __init__(self, reason: str, *, needs_sign_in: bool = False) -> None:
        super().__init__(reason)
        self.needs_sign_in = needs_sign_in


class GrantRejected(ProviderError):
    """The refresh token is revoked, expired or was never good."""


class ScopeMissing(ProviderError):
    """The grant lacks a scope."""


class PolicyForbids(ProviderError):
    """An administrator of the user's organisation has shut the app, or the calendar, out."""


class ClientRejected(ProviderError):
    """The client id or secret is wrong, expired or disabled, or its project has the API switched off."""


class CursorExpired(ProviderError):
    """The provider no longer knows the sync token."""


class CalendarGone(ProviderError):
    """The provider no longer shows the calendar to this account."""


class AddressRefused(ProviderError):
    """A feed's server refuses its address (401, 403, 404, 410): a bad day of the server, or an address that was changed."""


class Throttled(ProviderError):
    """Too many requests; `retry_at` is when the provider, or our own quota, allows the next one.

    `scope` says whose quota ran out at the provider: `user` (this account), `client` (everybody under this OAuth
    client), or that it is our `own` share of either, of which the provider knows nothing.
    """

    def __init__(self, reason: str, retry_at: datetime | None = None, *, scope: str = "user") -> None:
        super().__init__(reason)
        self.retry_at = retry_at
        self.scope = scope


class TransientFault(ProviderError):
    """A failure that says nothing about the calendar; `retry_at` where the provider asked for a pause."""

    def __init__(self, reason: str, retry_at: datetime | None = None) -> None:
        super().__init__(reason)
        self.retry_at = retry_at


class RequestRefused(ProviderError):
    """The provider refuses this request for good, for a reason that is not the credentials."""


class ReadOnly(RequestRefused):
    """The account may read, and not write: a calendar that is shared so, or an event of somebody else."""


class SeriesUnmovable(RequestRefused):
    """A whole series cannot be moved so that each of its occurrences moves by as much; no provider was asked."""


class CannotBeSilent(RequestRefused):
    """The provider mails guests of this, whatever it is told, and it was to be done without mail."""


class EventGone(RequestRefused):
    """The provider knows no such event, or knows that it was deleted."""


class Outdated(RequestRefused):
    """A condition on the event's version does not hold: somebody else has written it meanwhile."""


class PushUnsupported(RequestRefused):
    """The provider cannot send notifications for this calendar, or not to our address."""
