"""Whether a provider lets these credentials in, and to which calendars; what it refuses, told in the contract's codes."""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn

import httpx
import msgspec

from service.core.authorization import lacking
from service.core.blame import BLAMES, Blames
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
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.flows.gateway import Gateway
from service.providers.guarded_http import AddressBlocked, HostUnknown
from service.providers.login import AccountLogin, Login
from service.providers.protocol import Access, Account, OAuthClient, Provider, RawCalendar, TokenGrant

RETRY_AFTER: Final = 30
"""Seconds that a client is asked to wait when a provider is unavailable or busy."""

PATIENCE: Final = 30.0
"""For so many seconds somebody who connects is kept waiting: proxies hang up not much later, and a server that a user names
may be as slow as it likes."""

BLOCKED: Final = "blocked_url: "
UNKNOWN_HOST: Final = f"network: {HostUnknown.__name__}"
"""What reasons of providers say of an address that leads where we do not go, or nowhere."""


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said to credentials: the tokens, the calendars behind them, and whose account it is.

    `secret` is what the account is to be asked with from now on.
    """

    grant: TokenGrant
    secret: str
    calendars: list[RawCalendar]
    account: Account

    def __repr__(self) -> str:
        return f"Admission(account={self.account.id!r})"


class AskedCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code from a consent page, and what the page was asked with; of `scopes` those that are needed must be granted."""

    code: str
    redirect_uri: str
    verifier: str | None
    scopes: list[str]

    def __repr__(self) -> str:
        return "AskedCode(***)"


async def look(gateway: Gateway, credentials: Credentials) -> list[RawCalendar]:
    """The provider's calendars behind these credentials; stores nothing. Raises GatewayError."""
    return (await admit(gateway, credentials, gateway.clock())).calendars


async def admit(gateway: Gateway, credentials: Credentials, now: datetime) -> Admission:
    """Ask the provider for a token and for the calendars behind it. Raises GatewayError."""
    provider = gateway.providers[provider_of(credentials)]
    client = credentials.client
    try:
        async with asyncio.timeout(PATIENCE), gateway.admitting, gateway.slots_for(provider.name).borrow() as http:
            grant = await _refresh(gateway, provider, http, credentials, now)
            access = Access(http=http, token=grant.access_token, client_key=client.client_id, user_key="")
            found = await provider.calendars(access)
            account = await provider.account(access, found) if found else None
    except TimeoutError:
        raise_refusal(provider.name, TransientFault("timeout"), now)
    except ProviderError as error:
        raise_refusal(provider.name, error, now)
    except GatewayError as error:
        # The judge of an address knows what is wrong with it, and not where it came from.
        raise _in_field(error, BLAMES[provider.name].address) from error
    if account is None:
        raise GatewayError(422, "calendar_not_found", "The account has no calendars.")
    return Admission(grant=grant, secret=grant.refresh_token or credentials.secret, calendars=found, account=account)


async def admit_code(
    gateway: Gateway, login: Login, client: OAuthClient, asked: AskedCode, now: datetime
) -> tuple[Admission, frozenset[str]]:
    """Exchange a code, and ask whose account it is and which calendars it has; and the scopes that were granted.

    `secret` of the admission is empty when the provider gave no refresh token. Raises ProviderError.
    """
    try:
        async with asyncio.timeout(PATIENCE), gateway.admitting, gateway.slots.borrow() as http:
            grant = await login.exchange(
                http, client, asked.code, redirect_uri=asked.redirect_uri, verifier=asked.verifier, now=now
            )
            if missing := lacking(login.name, asked.scopes, grant.scopes):
                raise ScopeMissing(f"not granted: {', '.join(missing)}")
            found: list[RawCalendar] = []
            if isinstance(login, AccountLogin):
                account = await login.account(http, grant.access_token, now)
            else:
                provider = gateway.providers[login.name]
                access = Access(http=http, token=grant.access_token, client_key=client.client_id, user_key="")
                found = await provider.calendars(access)
                if not found:
                    raise RequestRefused("the account has no calendars")
                account = await provider.account(access, found)
    except TimeoutError:
        raise TransientFault("timeout") from None
    return Admission(grant=grant, secret=grant.refresh_token or "", calendars=found, account=account), grant.scopes


async def _refresh(
    gateway: Gateway, provider: Provider, http: httpx.AsyncClient, credentials: Credentials, now: datetime
) -> TokenGrant:
    """A grant for the credentials; a token that a look has replaced is asked for in the name of the one given."""
    client, given = credentials.client, credentials.secret
    newest = gateway.rotations.newest(client, given, now)
    try:
        grant = await provider.refresh(http, client, newest, now)
    except GrantRejected:
        if newest == given:
            raise
        grant = await provider.refresh(http, client, given, now)
    if grant.refresh_token is not None:
        gateway.rotations.replaced(client, given, grant.refresh_token, now)
    return msgspec.structs.replace(grant, refresh_token=grant.refresh_token or newest)


def choose(found: list[RawCalendar], wanted: str | None) -> RawCalendar:
    """The calendar with that raw id, or the primary one. Raises GatewayError 422 `calendar_not_found`."""
    if wanted is None or wanted == "primary":
        return next((calendar for calendar in found if calendar.is_primary), found[0])
    for calendar in found:
        if calendar.id == wanted:
            return calendar
    detail = "The account has no calendar with this raw_calendar_id; POST /calendars/raw lists those it has."
    raise GatewayError(422, "calendar_not_found", detail, errors=[FieldProblem("raw_calendar_id", "not found")])


def raise_refusal(provider: str, error: ProviderError, now: datetime, blames: Blames | None = None) -> NoReturn:
    """Tell a client why its credentials cannot be used, in the contract's codes; `blames` says which field, and why."""
    blames = blames or BLAMES[provider]
    if (blocked := _judge_address(blames, error)) is not None:
        raise blocked from error
    match error:
        case GrantRejected() | AddressRefused() | AccessRejected(needs_sign_in=True):
            code = "credentials_rejected"
        case ClientRejected():
            code = "client_rejected"
        case ScopeMissing() | PolicyForbids():
            code = "insufficient_scope"
        case Throttled() | TransientFault() | AccessRejected():
            raise _judge_silence(error, now) from error
        case _:
            code = "validation_failed"
    blame = blames.of(code)
    detail = f"{blame.remedy} ({error.reason})" if error.reason else blame.remedy
    errors = [FieldProblem(blame.field, error.reason)] if blame.field else []
    raise GatewayError(422, code, detail, errors=errors) from error


def provider_of(credentials: Credentials) -> str:
    """The provider that credentials are tagged with."""
    tag: Mapping[str, Any] | str | int | None = credentials.__struct_config__.tag
    return str(tag)


def _judge_address(blames: Blames, error: ProviderError) -> GatewayError | None:
    """What is wrong with an address that a user gave, where that is why nobody answered; no waiting would mend it."""
    field = blames.address
    _, _, why = error.reason.partition(BLOCKED)
    if isinstance(error.__cause__, AddressBlocked):
        why = "The URL leads to an address that is not public."
    if isinstance(error.__cause__, HostUnknown) or error.reason == UNKNOWN_HOST:
        why = "The URL names a host that does not resolve."
    return _in_field(GatewayError(422, "blocked_url", why), field) if field and why else None


def _judge_silence(error: Throttled | TransientFault | AccessRejected, now: datetime) -> GatewayError:
    # A token that was given out a moment ago and is not taken says nothing about the grant behind it.
    code = "provider_throttled" if isinstance(error, Throttled) else "provider_unavailable"
    retry_at = None if isinstance(error, AccessRejected) else error.retry_at
    wait = max(1, int((retry_at - now).total_seconds())) if retry_at else RETRY_AFTER
    detail = f"The provider cannot answer now; nothing was stored, try again later. ({error.reason})"
    return GatewayError(503, code, detail, headers={"Retry-After": str(wait)})


def _in_field(error: GatewayError, field: str | None) -> GatewayError:
    if error.code != "blocked_url" or field is None:
        return error
    said = re.sub(r"^the url ", "", error.detail, flags=re.IGNORECASE).rstrip(".")
    detail = f"The URL {said}."
    return GatewayError(error.status, error.code, detail, errors=[FieldProblem(field, said)], headers=error.headers)
