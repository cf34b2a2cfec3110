"""Lists in pages: `limit`, `cursor` and `{"data": [...], "next_cursor": ...}`, and what else query strings have in common."""

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from litestar import MediaType, Response
from litestar.params import QueryParameter

from service.api.problems import invalid
from service.store.cipher import Cipher, Unreadable

T = TypeVar("T")

Limit = Annotated[int, QueryParameter(ge=1, le=250, description="How many rows a page has at most.")]
Cursor = Annotated[
    str | None, QueryParameter(description="`next_cursor` of the page before; nothing else is accepted.")
]
Moment = Annotated[
    str | None, QueryParameter(description="RFC 3339 with an offset: 2026-01-31T09:00:00Z.", max_length=64)
]


class Position(NamedTuple):
    """Where a list by start time goes on: behind this start and id."""

    starts_at: datetime
    id: UUID


DEFAULT_LIMIT: Final = 50
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST: Final = timedelta(days=366)
_LONGEST_CURSOR: Final = 2048


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page; `next_cursor` is null on the last."""

    data: list[T]
    next_cursor: str | None


class Cursors:
    """Cursors of one list of one project: where the next page begins, sealed so that nobody else can make one.

    Sealing under the key ring makes them survive a rotation of the keys, and good on every replica.
    """

    def __init__(self, cipher: Cipher, project_id: UUID, name: str) -> None:
        self._cipher = cipher
        self._place = f"{project_id}|cursor|{name}"

    def write(self, position: Any) -> str:
        """The cursor behind `position`, any value that msgspec can encode."""
        sealed = self._cipher.seal(msgspec.msgpack.encode(position), self._place)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def read(self, cursor: str | None, shape: type[T]) -> T | None:
        """The position again; None without a cursor. Raises GatewayError 422 for one that is not from here."""
        if cursor is None:
            return None
        if len(cursor) > _LONGEST_CURSOR:
            raise invalid("cursor", "is not a cursor of this list")
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
            return msgspec.msgpack.decode(self._cipher.open(sealed, self._place), type=shape)
        except (ValueError, binascii.Error, Unreadable, msgspec.MsgspecError):
            raise invalid("cursor", "is not a cursor of this list") from None


def json_page(rows: Iterable[bytes | msgspec.Raw], next_cursor: str | None) -> Response[bytes]:
    """A page of rows that are JSON already: they are joined, never decoded."""
    tail = b"null" if next_cursor is None else b'"%s"' % next_cursor.encode()
    joined = b",".join(bytes(row) for row in rows)
    return json_bytes(b'{"data":[' + joined + b'],"next_cursor":' + tail + b"}")


def json_bytes(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A response of ready JSON."""
    return Response(body, status_code=status, headers=headers, media_type=MediaType.JSON)


def moment(text: str | None, field: str) -> datetime | None:
    """A time from a query string. Raises GatewayError 422 when it is none, has no offset or is out of the calendar.

    A `+` that nobody escaped arrives as a space (`2026-01-31T09:00:00 01:00`) and is understood.
    """
    if text is None:
        return None
    try:
        found = msgspec.convert(text.strip().replace(" ", "+"), datetime)
    except msgspec.ValidationError:
        found = None
    if found is None or found.tzinfo is None or not 1970 <= found.year < 9000:
        raise invalid(field, "is not a time with an offset, such as 2026-01-31T09:00:00Z")
    return found


def length_of_time(text: str, field: str) -> timedelta:
    """A length of time from a query string, as `90s`, `15m`, `8h` or `2d`. Raises GatewayError 422."""
    match = _DURATION.fullmatch(text)
    length = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if length is None or length > _LONGEST:
        raise invalid(field, "is a length of time such as 90s, 15m, 8h or 2d, up to a year")
    return length


def entity_tag(version: int) -> dict[str, str]:
    """The ETag header of an object's version."""
    return {"etag": f'"{version}"'}
