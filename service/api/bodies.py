"""JSON bodies, read strictly: what is not plainly the documented shape is refused, and the answer names the field."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from service.api.problems import field_problem, invalid, invalid_fields
from service.errors import FieldProblem, GatewayError

T = TypeVar("T")

MOST_BYTES: Final = 1024 * 1024
DEEPEST: Final = 64
_LARGEST_INTEGER: Final = 2**63 - 1


class Body(Generic[T]):
    """The body of a route: its `shape`, a type that msgspec can convert to, and for the documentation one `example` or named ones.

    `when_empty` is what no body at all means; without it a body is required. A `shape` that says
    `forbid_unknown_fields` refuses mass assignment; one that is a union is told apart by `provider`, of which
    `spellings` has further names.
    """

    def __init__(
        self,
        shape: Any,
        *,
        example: Mapping[str, Any] | None = None,
        examples: Mapping[str, Mapping[str, Any]] | None = None,
        when_empty: T | None = None,
        spellings: Mapping[str, str] | None = None,
    ) -> None:
        self.shape = shape
        self.examples = dict(examples or {}) if example is None else {"": example}
        self.when_empty = when_empty
        self.spellings = spellings or {}

    async def read(self, request: Request[Any, Any, Any]) -> T:
        """The decoded body.

        Raises GatewayError: 400 `malformed_body`, 408, 413, 415, or 422 with the field that is wrong.
        """
        raw = await read_bytes(request)
        if not raw and self.when_empty is not None:
            return self.when_empty
        _check_headers(request)
        return self.decode(raw)

    def decode(self, raw: bytes) -> T:
        """The value behind the bytes. Raises GatewayError 400 or 422."""
        tree = parse(raw)
        if self.spellings and isinstance(tree, dict) and isinstance(named := tree.get("provider"), str):
            tree["provider"] = self.spellings.get(named, named)
        try:
            return cast("T", msgspec.convert(tree, self.shape))
        except msgspec.ValidationError as error:
            raise invalid_fields(self._problems(tree, str(error))) from None

    def _problems(self, tree: Any, message: str) -> list[FieldProblem]:
        problem = field_problem(message)
        structs = _structs(self.shape)
        tags = sorted(str(one.tag) for one in structs if one.tag is not None)
        if tags and problem.field == "provider":
            return [FieldProblem("provider", f"accepts {', '.join(tags)}")]
        named = tree.get("provider") if isinstance(tree, dict) else None
        meant = [one for one in structs if one.tag in {None, named}]
        if problem.message == "is required" and len(meant) == 1:
            # msgspec stops at the first; whoever has forgotten one has often forgotten several.
            names = [field.encode_name for field in meant[0].fields if field.required]
            return [FieldProblem(name, "is required") for name in names if name not in tree] or [problem]
        return [problem]


async def read_bytes(request: Request[Any, Any, Any]) -> bytes:
    """The whole body as sent. Raises GatewayError 408, and the framework's 413 as soon as the limit is passed."""
    try:
        return await request.body()
    except InternalServerException:
        # The framework's word for a client that hung up; there is nobody left to read the answer.
        raise GatewayError(400, "bad_request", "The connection was closed before the body was complete.") from None


def parse(raw: bytes) -> Any:
    """JSON (RFC 8259) as builtins, without the leniency of the standard library.

    Refused: bytes that are not UTF-8, duplicate names, NaN and infinities, lone surrogates, nesting deeper than 64
    (400 `malformed_body`); integers beyond 64 bits and NUL characters, which a database cannot hold (422).
    """
    try:
        text = raw.decode("utf-8")
        tree = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded_integer,
            parse_float=_finite_float,
        )
    except UnicodeDecodeError:
        raise _malformed("The body is not UTF-8.") from None
    except RecursionError:
        raise _malformed("The body is nested too deeply.") from None
    except ValueError:
        raise _malformed("The body is not JSON.") from None
    for place, value in _walk(tree):
        _check_text(place, value)
    return tree


def _check_headers(request: Request[Any, Any, Any]) -> None:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    charset = parameters.strip().lower().replace('"', "")
    if charset.startswith("charset=") and charset not in {"charset=utf-8", "charset=utf8", "charset=us-ascii"}:
        is_json = False
    if not is_json or request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise GatewayError(
            415, "unsupported_media_type", "The body has to be JSON: Content-Type: application/json, not compressed."
        )


def _malformed(detail: str) -> GatewayError:
    return GatewayError(400, "malformed_body", detail)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Whoever checks the first and whoever uses the last would see two different requests.
        raise _malformed("The body has an object with the same name twice.")
    return found


def _refuse_constant(_name: str) -> Any:
    raise _malformed("The body has a number that JSON does not have (NaN or Infinity).")


def _bounded_integer(digits: str) -> int:
    if len(digits) > 20 or not -_LARGEST_INTEGER <= int(digits) <= _LARGEST_INTEGER:
        raise invalid("", "an integer is out of range (64 bits)")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise invalid("", "a number is out of range (64-bit floating point)")
    return number


def _walk(tree: Any) -> Iterator[tuple[str, str]]:
    """Every string of a tree, names included, with the path of its object; iteratively, so that depth is only counted."""
    waiting: list[tuple[str, int, Any]] = [("", 0, tree)]
    while waiting:
        place, depth, value = waiting.pop()
        if depth > DEEPEST:
            raise _malformed("The body is nested too deeply.")
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, dict):
            for name, inner in value.items():
                yield place, name
                waiting.append((f"{place}.{name}" if place else name, depth + 1, inner))
        elif isinstance(value, list):
            waiting.extend((place, depth + 1, inner) for inner in value if isinstance(inner, (str, dict, list)))


def _check_text(place: str, text: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise invalid(place.replace("\0", ""), "has a NUL character")
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _malformed("The body has half of a surrogate pair.") from None
    if "\0" in text:
        raise invalid(place.replace("\0", ""), "has a NUL character")


def _structs(shape: Any) -> list[msgspec.inspect.StructType]:
    found = msgspec.inspect.type_info(shape)
    members = found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
    return [member for member in members if isinstance(member, msgspec.inspect.StructType)]
