"""What a request that cannot be served is told: RFC 9457 problem documents, which hold no value of the request."""

import logging
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap, HTTPScope

from service.api.meeting_baas.errors import dialect_body, dialect_of
from service.errors import FieldProblem, GatewayError
from service.store.database import DatabaseUnavailable

logger: Final = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
NAMESPACE: Final = "urn:calgate:problem:"

_CODES: Final = {
    400: ("bad_request", "The request cannot be understood."),
    401: ("unauthorized", "An API key is needed: Authorization: Bearer KEY, or x-api-key: KEY."),
    403: ("forbidden", "The API key does not allow this."),
    404: ("not_found", "There is nothing here, or it belongs to another project."),
    405: ("method_not_allowed", "This path does not answer to this method."),
    413: ("body_too_large", "The body is larger than this path accepts."),
    415: ("unsupported_media_type", "The body has to be JSON: Content-Type: application/json, not compressed."),
    422: ("validation_failed", "Some of what was sent cannot be accepted; `errors` says what."),
    429: ("rate_limited", "Too many requests."),
    500: ("internal", "Something is wrong on our side; the log has it under this request id."),
    503: ("unavailable", "The service cannot answer for the moment; try again."),
}
"""The code and the sentence for an error that came as a mere HTTP status."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document (RFC 9457, section 3); `type` is stable and ends in `code`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[FieldProblem, ...] = ()


def not_found() -> GatewayError:
    """The one answer to an unknown id and to another project's."""
    return GatewayError(404, *_CODES[404])


def invalid(field: str, message: str) -> GatewayError:
    """A 422 about one field or query parameter."""
    return invalid_fields((FieldProblem(field, message),))


def invalid_fields(errors: Iterable[FieldProblem]) -> GatewayError:
    """A 422 about several fields."""
    return GatewayError(422, *_CODES[422], errors=tuple(errors))


def by_status(status: int, headers: Mapping[str, str] | None = None) -> GatewayError:
    """The error behind a bare status, as the framework raises it; its own words are dropped, for they quote the request."""
    known = status if status in _CODES else 500 if status >= 500 else 400
    code, detail = _CODES[known]
    return GatewayError(status, code, detail, headers=headers)


def request_id(scope: HTTPScope) -> str:
    """The id that `Edge` gave to the request."""
    return str(scope["state"].get("request_id", ""))


def body_of(error: GatewayError, identity: str) -> bytes:
    """The problem document as JSON."""
    return msgspec.json.encode(
        Problem(
            type=NAMESPACE + error.code,
            title=title_of(error.status),
            status=error.status,
            detail=error.detail,
            code=error.code,
            request_id=identity,
            errors=error.errors,
        )
    )


def spoken(error: GatewayError, scope: HTTPScope) -> tuple[int, str, bytes]:
    """Status, media type and body of an error in the words that the request's path is answered in."""
    version = dialect_of(scope["path"])
    if version is None:
        return error.status, MEDIA_TYPE, body_of(error, request_id(scope))
    status, body = dialect_body(version, error, title_of)
    return status, MediaType.JSON.value, body


def title_of(status: int) -> str:
    """The registered phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def answer(error: GatewayError, scope: HTTPScope) -> Response[bytes]:
    """The error as a response."""
    status, kind, body = spoken(error, scope)
    headers = dict(error.headers)
    if status == 401:
        headers.setdefault("www-authenticate", 'Bearer realm="calgate"')
    if status in {408, 413}:
        # The rest of the body is not worth waiting for.
        headers["connection"] = "close"
    return Response(body, status_code=status, headers=headers, media_type=kind)


def field_problem(message: str, path: str = "") -> FieldProblem:
    """A validation message of msgspec's as a field and a sentence without the offending value.

    The message may carry its own path (`... - at `$.a.b``) and may name the field that is missing or unknown.
    """
    text, _, tail = message.partition(" - at `")
    inner = tail.rstrip("`").removeprefix("key in ").removeprefix("$").removeprefix(".")
    names = [part for part in (path, inner) if part]
    if match := re.match(r"Object missing required field `(.+)`$", text, re.DOTALL):
        return FieldProblem(".".join([*names, match[1]]), "is required")
    if match := re.match(r"Object contains unknown field `(.+)`$", text, re.DOTALL):
        return FieldProblem(".".join([*names, match[1][:100]]), "is not a field of this request")
    if match := re.match(r"`([\w.\[\]]+)` (.+)$", text, re.DOTALL):
        return FieldProblem(".".join([*names, match[1]]), match[2])
    if text.startswith(("Invalid value", "Invalid enum value")):
        text = "Not one of the accepted values"
    return FieldProblem(".".join(names), text)


def _from_gateway(request: Request[Any, Any, State], error: GatewayError) -> Response[bytes]:
    return answer(error, request.scope)


def _from_framework(request: Request[Any, Any, State], error: HTTPException) -> Response[bytes]:
    if error.status_code >= 500:
        return _from_bug(request, error)
    if isinstance(error, ValidationException):
        # `from` is a word of Python's: its parameter is called `from_`.
        said = [
            field_problem(str(one.get("message", "")), str(one.get("key", "")).rstrip("_"))
            for one in error.extra or ()
            if isinstance(one, Mapping)
        ]
        return answer(invalid_fields(said), request.scope)
    return answer(by_status(error.status_code, error.headers), request.scope)


def _from_database(request: Request[Any, Any, State], error: DatabaseUnavailable) -> Response[bytes]:
    logger.warning("request not served: %s", error, extra={"request_id": request_id(request.scope)})
    return answer(by_status(503, {"retry-after": "2"}), request.scope)


def _from_bug(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    logger.error("unhandled exception", exc_info=error, extra={"request_id": request_id(request.scope)})
    return answer(by_status(500), request.scope)


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    GatewayError: _from_gateway,
    HTTPException: _from_framework,
    DatabaseUnavailable: _from_database,
    Exception: _from_bug,
}

JSON: Final = MediaType.JSON
