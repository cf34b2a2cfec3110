"""How each dialect says that a request cannot be served: our codes in its words, its statuses, its shape.

v2 is what the vendor's client reads (`success`, `error`, `code`, `statusCode`, `message`, `details`): a body without
`message` is taken for a stranger's by it. Three of the codes are seen in public, the others are Fastify's own or are named
after them. v1 has no published shape: `error` is the sentence, as it is there, and the rest stands beside it.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

Version = Literal["v1", "v2"]

ALREADY_CONNECTED: Final = "calendar_connection_already_exists"
EVENT_NOT_FOUND: Final = "event_not_found"
SERIES_NOT_FOUND: Final = "series_not_found"
BOT_NOT_FOUND: Final = "bot_not_found"
BOT_LAUNCHED: Final = "bot_status"
NO_MEETING_URL: Final = "no_meeting_url"
EVENT_CANCELLED: Final = "event_cancelled"
EVENT_OVER: Final = "event_over"
PUSH_UNAVAILABLE: Final = "push_unavailable"
RECONNECT_NEEDED: Final = "reconnect_needed"
CALENDAR_UNKNOWN: Final = "calendar_unknown"
"""Codes that only these dialects need."""

_V2: Final[Mapping[str, tuple[int, str]]] = {
    "unauthorized": (403, "FST_ERR_FORBIDDEN"),
    "forbidden": (403, "FST_ERR_FORBIDDEN"),
    "not_found": (404, "FST_ERR_NOT_FOUND"),
    CALENDAR_UNKNOWN: (404, "FST_ERR_CALENDAR_NOT_FOUND"),
    EVENT_NOT_FOUND: (404, "FST_ERR_CALENDAR_EVENT_NOT_FOUND"),
    SERIES_NOT_FOUND: (404, "FST_ERR_CALENDAR_SERIES_NOT_FOUND"),
    BOT_NOT_FOUND: (404, "FST_ERR_BOT_NOT_FOUND"),
    BOT_LAUNCHED: (409, "FST_ERR_BOT_STATUS"),
    NO_MEETING_URL: (400, "FST_ERR_CALENDAR_EVENT_NO_MEETING_URL"),
    EVENT_CANCELLED: (400, "FST_ERR_CALENDAR_EVENT_CANCELLED"),
    EVENT_OVER: (400, "FST_ERR_CALENDAR_EVENT_OVER"),
    ALREADY_CONNECTED: (409, "FST_ERR_CALENDAR_CONNECTION_ALREADY_EXISTS"),
    PUSH_UNAVAILABLE: (409, "FST_ERR_CALENDAR_PUSH_UNAVAILABLE"),
    RECONNECT_NEEDED: (401, "FST_ERR_OAUTH_TOKEN_REFRESH_FAILED"),
    "credentials_rejected": (401, "FST_ERR_OAUTH_TOKEN_REFRESH_FAILED"),
    "client_rejected": (401, "FST_ERR_OAUTH_TOKEN_REFRESH_FAILED"),
    "insufficient_scope": (403, "FST_ERR_CALENDAR_PERMISSION_DENIED"),
    "calendar_not_found": (400, "FST_ERR_RAW_CALENDAR_NOT_FOUND"),
    "quota_exceeded": (429, "FST_ERR_CALENDAR_CONNECTION_LIMIT_EXCEEDED"),
    "rate_limited": (429, "FST_ERR_TOO_MANY_REQUESTS"),
    "validation_failed": (400, "FST_ERR_VALIDATION"),
    "malformed_body": (400, "FST_ERR_CTP_INVALID_JSON_BODY"),
    "body_too_large": (413, "FST_ERR_CTP_BODY_TOO_LARGE"),
    "unsupported_media_type": (415, "FST_ERR_CTP_INVALID_MEDIA_TYPE"),
    "internal": (500, "FST_ERR_INTERNAL_SERVER_ERROR"),
}
_V1: Final[Mapping[str, tuple[int, str]]] = {
    "unauthorized": (401, "InvalidApiKey"),
    CALENDAR_UNKNOWN: (404, "CalendarNotFound"),
    "rate_limited": (429, "TooManyRequests"),
    RECONNECT_NEEDED: (422, "CredentialsRejected"),
    BOT_LAUNCHED: (409, "BotStatus"),
    ALREADY_CONNECTED: (409, "CalendarAlreadyExists"),
    EVENT_NOT_FOUND: (404, "EventNotFound"),
    BOT_NOT_FOUND: (404, "BotNotFound"),
    NO_MEETING_URL: (422, "NoMeetingUrl"),
    EVENT_CANCELLED: (422, "EventCancelled"),
    EVENT_OVER: (422, "EventOver"),
}
_TABLES: Final = {"v1": _V1, "v2": _V2}


class RefusalV2(msgspec.Struct, frozen=True, kw_only=True):
    """An error of v2; `retryAfter` (seconds) only where waiting helps."""

    success: bool = False
    error: str
    code: str
    status_code: int = msgspec.field(name="statusCode")
    message: str
    details: str | None
    retry_after: int | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="retryAfter")


class RefusalV1(msgspec.Struct, frozen=True, kw_only=True):
    """An error of v1."""

    error: str
    code: str
    status_code: int = msgspec.field(name="statusCode")
    message: str
    details: str | None


def translate(version: Version, status: int, code: str) -> tuple[int, str]:
    """The status and the code that a dialect has for ours."""
    known = _TABLES[version].get(code)
    if known is not None:
        return known
    if version == "v2":
        # A validation failure of any kind is 400 there.
        return 400 if status == 422 else status, "FST_ERR_" + code.upper()
    return status, "".join(word.capitalize() for word in code.split("_"))


def refusal(
    version: Version, *, status: int, label: str, code: str, message: str, details: str | None, retry_after: int | None
) -> bytes:
    """The body of an error, `status` and `code` being the dialect's already; `label` is the status' registered phrase."""
    said: dict[str, Any] = {"code": code, "status_code": status, "message": message, "details": details}
    if version == "v1":
        return msgspec.json.encode(RefusalV1(error=message, **said))
    if retry_after is not None and status == 429:
        said["retry_after"] = retry_after
    return msgspec.json.encode(RefusalV2(error=label, **said))
