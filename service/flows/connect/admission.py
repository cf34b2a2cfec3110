"""Whether a provider lets these credentials in, and to which calendars; what it refuses, told in the contract's codes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn

import msgspec

from service.core.credentials import Credentials
from service.errors import (
    AccessRejected,
    ClientRejected,
    FieldProblem,
    GatewayError,
    GrantRejected,
    PolicyForbids,
    ProviderError,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.flows.gateway import Gateway
from service.providers.protocol import Access, Account, RawCalendar, TokenGrant

RETRY_AFTER: Final = 30
"""Seconds that a client is asked to wait when a provider is unavailable or busy."""

REMEDIES: Final = {
    "credentials_rejected": "The provider does not accept this refresh_token: let the user sign in again, and send the "
    "new one with the client_id that it was given to.",
    "client_rejected": "The provider does not accept this OAuth client: check client_id, client_secret and that the "
    "calendar API is enabled in its project.",
    "insufficient_scope": "The grant does not cover the account's calendars: let the user sign in again and tick every "
    "calendar permission, or ask the organisation's administrator to allow the app; then send the new refresh_token.",
}
"""What to do about each code, for somebody who is sending credentials at this moment."""


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said to credentials: the tokens, the calendars behind them, and whose account it is."""

    grant: TokenGrant
    calendars: list[RawCalendar]
    account: Account


async def look(gateway: Gateway, credentials: Credentials) -> list[RawCalendar]:
    """The provider's calendars behind these credentials; stores nothing. Raises GatewayError."""
    return (await admit(gateway, credentials, gateway.clock())).calendars


async def admit(gateway: Gateway, credentials: Credentials, now: datetime) -> Admission:
    """Ask the provider for a token and for the calendars behind it. Raises GatewayError."""
    provider = gateway.providers[provider_of(credentials)]
    client = credentials.client
    try:
        async with gateway.slots_for(provider.name).borrow() as http:
            grant = await provider.refresh(http, client, credentials.secret, now)
            access = Access(http=http, token=grant.access_token, client_key=client.client_id, user_key="")
            found = await provider.calendars(access)
            account = await provider.account(access, found) if found else None
    except ProviderError as error:
        raise_refusal(error, now)
    if account is None:
        raise GatewayError(422, "calendar_not_found", "The account has no calendars.")
    return Admission(grant=grant, calendars=found, account=account)


def choose(found: list[RawCalendar], wanted: str | None) -> RawCalendar:
    """The calendar with that raw id, or the primary one. Raises GatewayError 422 `calendar_not_found`."""
    if wanted is None or wanted == "primary":
        return next((calendar for calendar in found if calendar.is_primary), found[0])
    for calendar in found:
        if calendar.id == wanted:
            return calendar
    detail = "The account has no calendar with this raw_calendar_id; POST /calendars/raw lists those it has."
    raise GatewayError(422, "calendar_not_found", detail, errors=[FieldProblem("raw_calendar_id", "not found")])


def raise_refusal(error: ProviderError, now: datetime) -> NoReturn:
    """Tell a client why its credentials cannot be used, in the contract's codes."""
    match error:
        case GrantRejected():
            code, field = "credentials_rejected", "refresh_token"
        case ClientRejected():
            code, field = "client_rejected", "client_secret"
        case ScopeMissing() | PolicyForbids():
            code, field = "insufficient_scope", "refresh_token"
        case Throttled() | TransientFault() | AccessRejected():
            # A token that was given out a moment ago and is not taken says nothing about the grant behind it.
            code = "provider_throttled" if isinstance(error, Throttled) else "provider_unavailable"
            retry_at = None if isinstance(error, AccessRejected) else error.retry_at
            wait = max(1, int((retry_at - now).total_seconds())) if retry_at else RETRY_AFTER
            detail = f"The provider cannot answer now; nothing was stored, try again later. ({error.reason})"
            raise GatewayError(503, code, detail, headers={"Retry-After": str(wait)}) from error
        case _:
            detail = f"The provider refuses to list the account's calendars. ({error.reason})"
            raise GatewayError(422, "validation_failed", detail) from error
    detail = f"{REMEDIES[code]} ({error.reason})" if error.reason else REMEDIES[code]
    raise GatewayError(422, code, detail, errors=[FieldProblem(field, error.reason)]) from error


def provider_of(credentials: Credentials) -> str:
    """The provider that credentials are tagged with."""
    tag: Mapping[str, Any] | str | int | None = credentials.__struct_config__.tag
    return str(tag)
