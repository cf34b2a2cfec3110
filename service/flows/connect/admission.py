"""Whether a provider lets these credentials in, and to which calendars; what it refuses, told in the contract's codes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn

import msgspec

from service.core.blame import BLAMES
from service.core.credentials import Credentials
from service.errors import (
    AccessRejected,
    AddressRefused,
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
from service.providers.guarded_http import AddressBlocked, HostUnknown
from service.providers.protocol import Access, Account, RawCalendar, TokenGrant

RETRY_AFTER: Final = 30
"""Seconds that a client is asked to wait when a provider is unavailable or busy."""


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
        raise_refusal(provider.name, error, now)
    except GatewayError as error:
        # The judge of an address knows what is wrong with it, and not where it came from.
        raise _in_field(error, BLAMES[provider.name].address) from error
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


def raise_refusal(provider: str, error: ProviderError, now: datetime) -> NoReturn:
    """Tell a client why its credentials cannot be used, in the contract's codes."""
    match error:
        case GrantRejected() | AddressRefused():
            code = "credentials_rejected"
        case ClientRejected():
            code = "client_rejected"
        case ScopeMissing() | PolicyForbids():
            code = "insufficient_scope"
        case Throttled() | TransientFault() | AccessRejected():
            raise _judge_silence(provider, error, now) from error
        case _:
            code = "validation_failed"
    blame = BLAMES[provider].of(code)
    detail = f"{blame.remedy} ({error.reason})" if error.reason else blame.remedy
    errors = [FieldProblem(blame.field, error.reason)] if blame.field else []
    raise GatewayError(422, code, detail, errors=errors) from error


def provider_of(credentials: Credentials) -> str:
    """The provider that credentials are tagged with."""
    tag: Mapping[str, Any] | str | int | None = credentials.__struct_config__.tag
    return str(tag)


def _judge_silence(provider: str, error: ProviderError, now: datetime) -> GatewayError:
    """No usable answer: an outage, or a host that somebody has mistyped, which no waiting would mend."""
    address = BLAMES[provider].address
    if address is not None and isinstance(error.__cause__, HostUnknown):
        return _in_field(GatewayError(422, "blocked_url", "The URL names a host that does not resolve."), address)
    if address is not None and isinstance(error.__cause__, AddressBlocked):
        detail = "The URL leads to an address that is not public."
        return _in_field(GatewayError(422, "blocked_url", detail), address)
    # A token that was given out a moment ago and is not taken says nothing about the grant behind it.
    code = "provider_throttled" if isinstance(error, Throttled) else "provider_unavailable"
    retry_at = error.retry_at if isinstance(error, Throttled | TransientFault) else None
    wait = max(1, int((retry_at - now).total_seconds())) if retry_at else RETRY_AFTER
    detail = f"The provider cannot answer now; nothing was stored, try again later. ({error.reason})"
    return GatewayError(503, code, detail, headers={"Retry-After": str(wait)})


def _in_field(error: GatewayError, field: str | None) -> GatewayError:
    if error.errors or field is None:
        return error
    said = error.detail.removeprefix("The URL ").rstrip(".")
    return GatewayError(
        error.status, error.code, error.detail, errors=[FieldProblem(field, said)], headers=error.headers
    )
