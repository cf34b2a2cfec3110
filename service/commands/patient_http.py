"""uvicorn's HTTP with an end to patience: a head that does not end, in time or in size, is not waited for."""

import asyncio
from typing import Any, Final
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.api.problems import MEDIA_TYPE, body_of
from service.errors import GatewayError

HEAD_SECONDS: Final = 10.0
"""How long the head of a request may take, from the connection or from its first byte."""

HEAD_BYTES: Final = 128 * 1024
"""How many octets may come without anything that could be passed on: of a head, of a chunk's own head, of trailers."""

LINGER: Final = 1.0
"""Seconds in which the rest of a head that is refused is thrown away, so that its sender gets to read why."""


class PatientProtocol(HttpToolsProtocol):
    """One connection. uvicorn bounds the time between requests, and of a request's head neither the time nor the size."""

    head_seconds = HEAD_SECONDS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head: asyncio.TimerHandle | None = None  # while a head is awaited
        self._held = 0  # octets that the parser keeps to itself
        self._went_on = False
        self._is_refused = False
        self._is_fed = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._went_on = False
        self._is_fed = True
        super().data_received(data)
        self._is_fed = False
        self._held = 0 if self._went_on else self._held + len(data)
        if self._held > HEAD_BYTES:
            self._refuse()

    def _unset_keepalive_if_required(self) -> None:
        # uvicorn would wait anew for each octet, and for ever after the last: of an answered request's body, of empty
        # lines. Only the next request makes a connection busy again.
        if not self._is_fed:
            super()._unset_keepalive_if_required()

    def on_message_begin(self) -> None:
        self._went_on = True
        super()._unset_keepalive_if_required()
        self._await_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # RFC 9110, 6.5.1: a trailer is no header, and would come too late to be judged as one.
        if self._head is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._went_on = True
        # Begun again by the answer to the request before, if this one's head was still on its way then.
        super()._unset_keepalive_if_required()
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._went_on = True
        super().on_body(body)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._head = self.loop.call_later(self.head_seconds, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _hang_up(self) -> None:
        self._head = None
        # A pipelined request's head may be late while the answer to the one before is still on its way.
        if self._is_quiet:
            self.transport.close()

    @property
    def _is_quiet(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self) -> None:
        """Say 431 where a head is too long and nothing else is being said; hang up in any case."""
        is_head = self._head is not None
        self._is_refused = True
        self._stop_waiting()
        if not (is_head and self._is_quiet):
            self.transport.close()
            return
        self.transport.write(_too_large())
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)


def _too_large() -> bytes:
    identity = uuid4().hex
    body = body_of(GatewayError(431, "headers_too_large", "The request's headers are too large."), identity)
    headers = {
        "content-type": MEDIA_TYPE,
        "content-length": len(body),
        "x-request-id": identity,
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return b"".join([STATUS_LINE[431], head.encode(), b"\r\n", body])
