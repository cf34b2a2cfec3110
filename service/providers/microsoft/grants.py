"""What Microsoft's token endpoint says to a refresh: a grant, or by its AADSTS code whose fault it is that there is none.

Microsoft asks to branch on `error`, because codes come and go (entra/identity-platform/reference-error-codes); so a code
that is known refines the verdict, and for one that is not the word in `error` decides.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from service.errors import (
    ClientRejected,
    GrantRejected,
    ProviderError,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.exchange import retry_after
from service.providers.grants import LARGEST_ANSWER, read_grant
from service.providers.protocol import TokenGrant

LOOP_PAUSE: Final = timedelta(minutes=5)
"""After 50196 (client loop detected) every further refresh only prolongs it."""

_GONE: Final = frozenset({70000, 70008, 700082, 50173, 50132, 50133, 70043, 700084, 50089, 54005, 9002341})
_CODE: Final = frozenset({500112, 501481, 50148})
"""Of a code from the consent page: it was asked for with another redirect_uri, or another PKCE verifier."""

_ACCOUNT: Final = frozenset({50057, 50034, 51004, 50055, 50144, 50053, 50020})
_SIGN_IN: Final = frozenset(
    {50076, 50079, 50078, 50072, 50074, 50158, 53000, 53001, 53002, 53003, 53004, 530032, 530033, 530034, 16000, 50058}
)
_CONSENT: Final = frozenset({65001, 65004, 90094, 90095, 90008})
_ADMIN: Final = frozenset({50105, 7000112, 70001, 500011})
_SECRET: Final = frozenset({7000215, 7000222, 7000216, 7000218, 700027, 70002, 50013})
_SETUP: Final = frozenset({50194, 900144, 70011, 650057, 28002, 90002}) | frozenset(range(9002331, 9002347)) - _GONE
_NOT_IN_TENANT: Final = frozenset({700016, 700025})
"""Of an app that a user's own directory does not have: another user's directory may have it."""

_OUTAGE: Final = frozenset({90033, 90006, 90024, 90090, 90091, 50000, 50033, 50087, 70012, 90012, 90055, 80002, 50166})
_LOOP: Final = 50196

_VERDICTS: Final[tuple[tuple[frozenset[int], type[ProviderError]], ...]] = (
    # 9002313 (malformed) is left to the word: with invalid_grant it is the refresh token that is none.
    (_OUTAGE, TransientFault),
    (_SECRET | _SETUP, ClientRejected),
    (_CONSENT | _ADMIN, ScopeMissing),
    (_GONE | _CODE | _ACCOUNT | _SIGN_IN, GrantRejected),
)
_WORDS: Final[Mapping[str, type[ProviderError]]] = {
    "temporarily_unavailable": TransientFault,
    "server_error": TransientFault,
    "invalid_client": ClientRejected,
    "unauthorized_client": ClientRejected,
    "unsupported_grant_type": ClientRejected,
    "invalid_scope": ClientRejected,
    "consent_required": ScopeMissing,
    "invalid_grant": GrantRejected,
    "interaction_required": GrantRejected,
    "login_required": GrantRejected,
}


class _Denied(msgspec.Struct, gc=False):
    error: str | None = None
    error_codes: list[int] | None = None
    suberror: str | None = None


_denied: Final = msgspec.json.Decoder(_Denied)


def judge_refresh(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> TokenGrant:
    """The grant in a refresh's answer; its new refresh token replaces the old one, every time.

    Raises GrantRejected (the user has to sign in), ScopeMissing (somebody has to consent), ClientRejected, Throttled,
    RequestRefused or TransientFault; their reason is Microsoft's `error` with the code, and nothing else of the answer.
    """
    if len(body) > LARGEST_ANSWER:
        raise TransientFault("token endpoint: answer too large")
    if 200 <= status < 300:
        return read_grant(body, now)
    raise _judge(status, headers, body, now)


def _judge(  # noqa: PLR0911 - a table, one row each
    status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> ProviderError:
    denied, asked = _read(body), retry_after(headers, now)
    codes = denied.error_codes or []
    word = (denied.error or "")[:64]
    named = f"{word} AADSTS{codes[0]}" if word and codes else word
    if denied.suberror in {"bad_token", "token_expired", "consent_required", "client_mismatch"}:
        named = f"{named} ({denied.suberror})"
    if _LOOP in codes:
        return TransientFault(named or "AADSTS50196", max(asked or now, now + LOOP_PAUSE))
    if status == 429:
        return Throttled(named or "http_429", asked)
    if status >= 500 or status < 400:
        return TransientFault(f"token endpoint: {named or f'http_{status}'}", asked)
    if not word:
        return TransientFault(f"token endpoint: http_{status}", asked)
    if not _NOT_IN_TENANT.isdisjoint(codes):
        return ClientRejected("unauthorized_client")
    for known, kind in _VERDICTS:
        if not known.isdisjoint(codes):
            return kind(named)
    return _WORDS.get(word, RequestRefused)(named)


def _read(body: bytes) -> _Denied:
    try:
        return _denied.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Denied()
