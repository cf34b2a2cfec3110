"""One question to a provider and its whole answer, bounded in size and time whatever the server does."""

import asyncio
import functools
import math
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from service.errors import TransientFault

LARGEST_PAGE: Final = 20 * 1024 * 1024
DEADLINE: Final = 30.0
TOO_LARGE: Final = "answer too large"
LONGEST_PAUSE: Final = timedelta(hours=24)
"""No server can park an account for longer, whatever its Retry-After says."""

_QUESTIONS: Final = frozenset({"GET", "PROPFIND", "REPORT"})


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer, read and unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


async def ask(
    http: httpx.AsyncClient,
    method: str,
    url: str | httpx.URL,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    form: Mapping[str, str] | None = None,
    content: bytes | None = None,
    limit: int = LARGEST_PAGE,
    deadline: float = DEADLINE,
    patience: float | None = None,
) -> Answer:
    """Send one request and read the answer, of any status, within `deadline` seconds and `limit` bytes.

    The server may be silent for `patience` seconds, or for as long as the client says. Raises TransientFault when there is no whole answer: its reason never holds the URL or anything of the body.
    """
    kind = {}
    if json is not None:
        content, kind = msgspec.json.encode(json), {"content-type": "application/json"}
    if params:
        # One look of httpx's at the URL instead of three, and no escapes in it that need not be: half of what a request costs.
        url = f"{url}?{'&'.join(f'{name}={_quoted(value)}' for name, value in params.items())}"
    given = {**kind, **(headers or {})}
    request = http.build_request(
        method, url, headers=given, content=content, data=form, timeout=_timeout(http, patience)
    )
    try:
        async with asyncio.timeout(deadline):
            response = await _send(http, request)
            try:
                return Answer(response.status_code, response.headers, await read_bounded(response, limit))
            finally:
                await response.aclose()
    except (TimeoutError, httpx.TimeoutException):
        raise TransientFault("timeout") from None
    except httpx.HTTPError as error:
        raise TransientFault(f"network: {type(error).__name__}") from error


async def read_bounded(response: httpx.Response, limit: int = LARGEST_PAGE) -> bytes:
    """The body of a streamed response, unpacked, of at most `limit` bytes on the wire and after unpacking.

    Raises TransientFault when it is larger, broken off, or packed in a way that we did not ask for; and whatever
    httpx raises while reading.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip", "deflate"}:
        raise TransientFault("answer in an unknown encoding")
    inflater = None if encoding in {"identity", ""} else _Inflater(limit)
    received = 0
    chunks: list[bytes] = []
    async for chunk in response.aiter_raw():
        received += len(chunk)
        if received > limit:
            raise TransientFault(TOO_LARGE)
        chunks.extend(inflater.unpack(chunk) if inflater else (chunk,))
    if inflater and received and not inflater.is_complete:
        raise TransientFault("answer broken off")
    return b"".join(chunks)


def retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When the server asks us to come back (RFC 9110, 10.2.3): seconds or a date, at most a day; None for nonsense."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return _date_after(text, now)
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return now + min(timedelta(seconds=min(seconds, 1e6)), LONGEST_PAUSE)


def _date_after(text: str, now: datetime) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(moment, now + LONGEST_PAUSE) if moment > now else None


@functools.lru_cache(maxsize=256)
def _quoted(value: str) -> str:
    # RFC 3986, 3.4: a query may hold these as they are.
    return quote(value, safe="(),/:@")


def _timeout(http: httpx.AsyncClient, patience: float | None) -> httpx.Timeout:
    own = http.timeout
    return own if patience is None else httpx.Timeout(patience, connect=own.connect, write=own.write, pool=own.pool)


async def _send(http: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    try:
        return await http.send(request, stream=True)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        # A kept connection that the server has just closed; only a question may be put twice.
        if request.method not in _QUESTIONS:
            raise
        return await http.send(request, stream=True)


class _Inflater:
    """Unpacks gzip and zlib without ever holding more than the limit (a gzip bomb packs a thousandfold)."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._zlib = zlib.decompressobj(wbits=47)

    @property
    def is_complete(self) -> bool:
        return self._zlib.eof

    def unpack(self, chunk: bytes) -> list[bytes]:
        unpacked = []
        while chunk:
            if self._zlib.eof:
                self._zlib = zlib.decompressobj(wbits=47)
            try:
                piece = self._zlib.decompress(chunk, self._left + 1)
            except zlib.error:
                raise TransientFault("answer badly packed") from None
            self._left -= len(piece)
            if self._left < 0:
                raise TransientFault(TOO_LARGE)
            unpacked.append(piece)
            chunk = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
        return unpacked
