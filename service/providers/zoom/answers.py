"""What Zoom's answers that are no results mean: of its token endpoint, and of its API (developers.zoom.us, errors, rate limits)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from service.errors import (
    AccessRejected,
    ClientRejected,
    EventGone,
    GrantRejected,
    ProviderError,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.exchange import LONGEST_PAUSE, Answer, retry_after
from service.providers.grants import LARGEST_ANSWER, judge_refresh
from service.providers.protocol import TokenGrant

QPS_PAUSE: Final = timedelta(seconds=2)
"""How long to wait where only this second's share was used up; Zoom says nothing of it."""

_DEAD_GRANTS: Final = frozenset({4735, 4737, 4738, 4741})
_BAD_CLIENTS: Final = frozenset({4702, 4704, 4717})
_KINDS: Final[Mapping[int, type[ProviderError]]] = {
    124: AccessRejected,
    1001: GrantRejected,  # no such user
    3001: EventGone,  # no such meeting
    4700: ScopeMissing,
    4711: ScopeMissing,
}
_STATUSES: Final[Mapping[int, type[ProviderError]]] = {401: AccessRejected, 404: EventGone}
_LONGEST_WORD: Final = 200


class _Refusal(msgspec.Struct, gc=False):
    code: int | str | None = None
    error_code: int | str | None = msgspec.field(name="errorCode", default=None)
    message: str | None = None


_refusal: Final = msgspec.json.Decoder(_Refusal)


def judge_token(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> TokenGrant:
    """The grant in an answer of the token endpoint. Raises as `grants.judge_refresh`, knowing Zoom's own codes, too."""
    if 400 <= status < 500 and len(body) <= LARGEST_ANSWER:
        code = _read(body)[0]
        if code in _DEAD_GRANTS:
            raise GrantRejected(f"zoom {code}")
        if code in _BAD_CLIENTS:
            raise ClientRejected(f"zoom {code}")
    if status == 429:
        raise Throttled("http_429", asked_pause(headers, now), scope="client")
    return judge_refresh(status, headers, body, now)


def judge(answer: Answer, now: datetime) -> ProviderError:
    """The error that an answer of the API stands for."""
    code, message = _read(answer.body)
    named = f"zoom {code}" if code is not None else f"http_{answer.status}"
    if answer.status == 429:
        return _judge_flood(answer, message, now)
    if answer.status >= 500 or answer.status < 400:
        return TransientFault(named, asked_pause(answer.headers, now))
    if kind := _KINDS.get(code or 0) or _STATUSES.get(answer.status):
        return kind(named)
    return RequestRefused(f"{named}: {message}" if message else named)


def is_momentary(answer: Answer) -> bool:
    """Whether too much was asked in one second, and the next will do."""
    return answer.status == 429 and answer.headers.get("x-ratelimit-type", "").strip().lower() == "qps"


def asked_pause(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Until when Zoom wants to be left alone: seconds or a date as HTTP has them, or a moment as ISO 8601 writes it."""
    if (known := retry_after(headers, now)) is not None:
        return known
    try:
        moment = datetime.fromisoformat(headers.get("retry-after", "").strip())
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return min(moment, now + LONGEST_PAUSE) if moment > now else None


def _judge_flood(answer: Answer, message: str, now: datetime) -> ProviderError:
    if is_momentary(answer):
        return Throttled("zoom: too many requests in a second", now + QPS_PAUSE)
    # A user may have a hundred meetings made or changed a day, until midnight UTC.
    return Throttled(f"zoom: {message}" if message else "http_429", asked_pause(answer.headers, now))


def _read(body: bytes) -> tuple[int | None, str]:
    try:
        refusal = _refusal.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, ""
    for given in (refusal.code, refusal.error_code):
        text = str(given or "")
        if text.isascii() and text.isdecimal() and 0 < len(text) < 10:
            return int(text), (refusal.message or "")[:_LONGEST_WORD]
    return None, (refusal.message or "")[:_LONGEST_WORD]
