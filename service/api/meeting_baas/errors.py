"""Errors under `/meeting-baas`, whoever raises them: a route, a flow, or the framework for a path that is not there."""

from collections.abc import Callable
from typing import Final

from service.core.meeting_baas.refusals import Version, refusal, translate
from service.errors import GatewayError

PREFIX: Final = "/meeting-baas"
PREFIX_V2: Final = f"{PREFIX}/v2"
KEY_HEADERS: Final = (b"x-meeting-baas-api-key", b"x-spoke-api-key")
"""How this vendor's clients send the API key; the second until 2025."""

_NO_KEY: Final = "An API key is needed: x-meeting-baas-api-key: KEY."
_INVALID: Final = "Some of what was sent cannot be accepted"


class DialectError(GatewayError):
    """An error whose `details` say more than its message."""

    def __init__(self, status: int, code: str, detail: str, *, details: str | None = None) -> None:
        super().__init__(status, code, detail)
        self.details = details


def dialect_of(path: str) -> Version | None:
    """The dialect that a path is answered in; None for our own routes."""
    if not path.startswith(PREFIX):
        return None
    if path == PREFIX_V2 or path.startswith(f"{PREFIX_V2}/"):
        return "v2"
    return "v1" if path == PREFIX or path.startswith(f"{PREFIX}/") else None


def dialect_body(version: Version, error: GatewayError, title_of: Callable[[int], str]) -> tuple[int, bytes]:
    """The status and the body that an error has in a dialect; `title_of` knows the phrase of a status."""
    status, code = translate(version, error.status, error.code)
    faults = "; ".join(f"{one.field}: {one.message}" if one.field else one.message for one in error.errors) or None
    message = error.detail
    if error.code == "unauthorized":
        message = _NO_KEY
    elif error.code == "validation_failed" and faults:
        message = f"{_INVALID}: {faults}"
    body = refusal(
        version,
        status=status,
        label=title_of(status),
        code=code,
        message=message,
        details=error.details if isinstance(error, DialectError) else faults,
        retry_after=_seconds(error),
    )
    return status, body


def _seconds(error: GatewayError) -> int | None:
    found = next((value for name, value in error.headers.items() if name.lower() == "retry-after"), "")
    return int(found) if found.isdecimal() else None
