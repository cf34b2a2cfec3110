"""What a token endpoint's answer to a refresh means: a grant, or whose fault it is that there is none."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from service.errors import (
    ClientRejected,
    GrantRejected,
    PolicyForbids,
    ProviderError,
    RequestRefused,
    Throttled,
    TransientFault,
)
from service.providers.exchange import retry_after
from service.providers.protocol import TokenGrant

LARGEST_ANSWER: Final = 256 * 1024
ASSUMED_LIFE: Final = timedelta(minutes=10)
LONGEST_LIFE: Final = timedelta(hours=24)

TRANSIENT: Final = frozenset({"internal_failure", "server_error", "temporarily_unavailable"})
GRANT: Final = frozenset({"invalid_grant", "redirect_uri_mismatch"})
"""The second is said of codes only, which are good for one redirect_uri."""

CLIENT: Final = frozenset(
    {"invalid_client", "deleted_client", "disabled_client", "unauthorized_client", "unsupported_grant_type"}
)
POLICY: Final = frozenset({"invalid_scope", "admin_policy_enforced", "org_internal"})


class _Granted(msgspec.Struct, gc=False):
    access_token: str | None = None
    expires_in: float | str | bool | None = None
    refresh_token: str | None = None
    scope: str | None = None


class _Denied(msgspec.Struct, gc=False):
    error: str | None = None
    error_subtype: str | None = None
    error_description: str | None = None


_granted: Final = msgspec.json.Decoder(_Granted)
_denied: Final = msgspec.json.Decoder(_Denied)


def judge_refresh(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> TokenGrant:
    """The grant in a refresh's answer (RFC 6749, 5.1 and 5.2, with Google's additions).

    Raises GrantRejected, ClientRejected, PolicyForbids, Throttled, RequestRefused or TransientFault. Only a clear
    word of the provider's blames anybody: whatever cannot be read is an outage.
    """
    if len(body) > LARGEST_ANSWER:
        raise TransientFault("token endpoint: answer too large")
    if 200 <= status < 300:
        return read_grant(body, now)
    raise _judge_denial(status, headers, body, now)


def read_grant(body: bytes, now: datetime) -> TokenGrant:
    """The grant in a good answer. Raises TransientFault when there is no token in it."""
    try:
        granted = _granted.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TransientFault("token endpoint: not a token") from None
    if not granted.access_token or not _is_header_safe(granted.access_token):
        raise TransientFault("token endpoint: no access token")
    rotated = granted.refresh_token if granted.refresh_token and "\0" not in granted.refresh_token else None
    return TokenGrant(
        access_token=granted.access_token,
        expires_at=now + _life(granted.expires_in),
        refresh_token=rotated,
        scopes=frozenset((granted.scope or "").split()),
    )


def _life(expires_in: float | str | bool | None) -> timedelta:
    # A lifetime that makes no sense says nothing about the token: use it, and not for long.
    if expires_in is None or isinstance(expires_in, bool):
        return ASSUMED_LIFE
    try:
        seconds = float(expires_in)
    except ValueError:
        return ASSUMED_LIFE
    if not math.isfinite(seconds) or seconds <= 0:
        return ASSUMED_LIFE
    return timedelta(seconds=min(seconds, LONGEST_LIFE.total_seconds()))


def _judge_denial(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderError:
    try:
        denied = _denied.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        denied = _Denied()
    error = denied.error or ""
    if status == 429:
        return Throttled(error or "http_429", retry_after(headers, now))
    if status >= 500 or status < 400 or error in TRANSIENT or denied.error_description in TRANSIENT:
        return TransientFault(f"token endpoint: {error or f'http_{status}'}", retry_after(headers, now))
    return _judge_word(error, denied) or TransientFault(f"token endpoint: http_{status}", retry_after(headers, now))


def _judge_word(error: str, denied: _Denied) -> ProviderError | None:
    if error in GRANT:
        return GrantRejected(f"{error}: {denied.error_subtype}" if denied.error_subtype else error)
    if error in CLIENT:
        return ClientRejected(error)
    if error in POLICY:
        return PolicyForbids(error)
    return RequestRefused(error) if error == "invalid_request" else None


def _is_header_safe(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token
