"""One attempt: a signed POST under a deadline, and whatever the receiver does, an outcome."""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from socket import gaierror
from time import perf_counter
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary

import httpx

from webhooks.keyring import Keyring, Opened
from webhooks.message import Dispatch, Outcome
from webhooks.ports import Clock, Vouch
from webhooks.signing import Signature

READ_AT_MOST = 64 * 1024
KEEP_AT_MOST = 4 * 1024

SIGNED = ((b"webhook-id", b"webhook-timestamp", b"webhook-signature"),)
"""The signature's headers (Standard Webhooks 1.0)."""

DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)

log = logging.getLogger("webhooks")


async def vouch_for_all(headers: Mapping[str, str]) -> Mapping[str, str]:
    """For headers that are good as long as their endpoint has them."""
    return headers


class Exchange:
    """What was seen of an answer so far; a deadline may cut it short at any point."""

    def __init__(self) -> None:
        self.response: httpx.Response | None = None
        self.content = bytearray()

    async def run(self, client: httpx.AsyncClient, request: httpx.Request) -> None:
        """Send, and read the answer as it is on the wire: never decompressed, never past 64 KiB."""
        self.response = await client.send(request, stream=True, follow_redirects=False)
        try:
            raw = cast("AsyncGenerator[bytes, None]", self.response.aiter_raw())
            async with aclosing(raw) as chunks:
                async for chunk in chunks:
                    self.content += chunk
                    if len(self.content) >= READ_AT_MOST:
                        break
        finally:
            await self.response.aclose()


class Failure(NamedTuple):
    """Why an attempt is none: a kind from a short list, and a sentence for people."""

    kind: str
    detail: str


class Sender:
    """Makes attempts. Its user agent and its deadline, in seconds, hold for all of them."""

    def __init__(
        self,
        keyring: Keyring,
        clock: Clock,
        *,
        user_agent: str,
        deadline: float,
        prefixes: Mapping[str, tuple[str, ...]] | None = None,
        vouch: Vouch = vouch_for_all,
    ) -> None:
        self._keyring = keyring
        self._vouch = vouch
        self._reached: WeakKeyDictionary[httpx.AsyncClient, bytes] = WeakKeyDictionary()
        self._clock = clock
        self._deadline = deadline
        self._names = {
            name: tuple(
                tuple(f"{prefix}{part}".encode() for part in ("id", "timestamp", "signature")) for prefix in each
            )
            for name, each in (prefixes or {}).items()
        }
        # The deadline rules; a shorter time to connect leaves some for a host's other addresses.
        self._timeout = {"connect": deadline / 2, "read": None, "write": None, "pool": None}
        self._headers = [
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", b"identity"),
            (b"Content-Type", b"application/json"),
            (b"User-Agent", user_agent.encode()),
        ]

    async def send(self, client: httpx.AsyncClient, dispatch: Dispatch) -> Outcome:
        """Attempt a dispatch. Nothing that a receiver, a network or a bug does comes out as an exception."""
        at, started = self._clock(), perf_counter()
        exchange = Exchange()
        failure: Failure | None = None
        opened = signature = None
        try:
            opened = self._keyring.open(dispatch.target)
            signature = opened.signer.sign(str(dispatch.message_id), at, dispatch.body.decode())
            async with asyncio.timeout(self._deadline):
                own = await self._vouch(opened.signer.headers) if opened.signer.headers else {}
                await self._exchange(exchange, client, opened, self._request(dispatch, opened, signature, own))
        except (TimeoutError, httpx.TimeoutException):
            failure = Failure("timeout", f"no complete answer within {self._deadline:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            failure = Failure(kind_of(error), fit(str(error)) or type(error).__name__)
        except Exception as error:  # a bug here must be counted and retried like any failure, not leak the delivery
            log.exception("webhook attempt broke off", extra={"delivery_id": str(dispatch.delivery_id)})
            failure = Failure("internal", type(error).__name__)
        answer = text_of(exchange.content, opened, signature)
        return outcome_of(exchange.response, failure, answer, at, perf_counter() - started)

    async def _exchange(
        self, exchange: Exchange, client: httpx.AsyncClient, opened: Opened, request: httpx.Request
    ) -> None:
        """Send, once more at once when a connection from before was dead: many servers hang up idle ones after 5 s."""
        try:
            await exchange.run(client, request)
        except BaseException as error:
            reused = self._reached.pop(client, None) == opened.host
            if not reused or exchange.response is not None or not isinstance(error, DROPPED):
                raise
            await exchange.run(client, request)
        self._reached[client] = opened.host

    def _request(
        self, dispatch: Dispatch, opened: Opened, signature: Signature, own: Mapping[str, str]
    ) -> httpx.Request:
        headers = [
            (b"Host", opened.host),
            *self._headers,
            (b"Content-Length", str(len(dispatch.body)).encode()),
            *((name.encode(), value.encode()) for name, value in own.items()),
        ]
        signed = (str(dispatch.message_id).encode(), signature.timestamp.encode(), signature.value.encode())
        for names in self._names.get(dispatch.target.format, SIGNED):
            headers += zip(names, signed, strict=True)
        return httpx.Request(
            "POST",
            opened.url,
            headers=headers,
            stream=httpx.ByteStream(dispatch.body),
            # For whom a name is looked up: clients share such places out between projects.
            extensions={"timeout": self._timeout, "project": dispatch.target.project_id},
        )


def outcome_of(
    response: httpx.Response | None, failure: Failure | None, answer: str, at: datetime, duration: float
) -> Outcome:
    """The outcome of an exchange that ended with `failure`, or with an answer to be judged by its status."""
    if response is None:
        kind, detail = failure or Failure("protocol", "no answer")
        return Outcome(at, duration, error_kind=kind, error_detail=detail)
    if failure is None and not response.is_success:
        failure = Failure("status", f"the receiver answered {response.status_code}")
    return Outcome(
        at,
        duration,
        status=response.status_code,
        error_kind=failure.kind if failure else None,
        error_detail=failure.detail if failure else None,
        answer=answer,
        retry_after=response.headers.get("retry-after"),
        control=response.headers.get("webhook-delivery"),
    )


def text_of(content: bytearray, opened: Opened | None, signature: Signature | None) -> str:
    """An answer as text, without our secrets and signatures."""
    if not content or opened is None or signature is None:
        return ""
    return fit(opened.signer.redact(content.decode(errors="replace"), signature))


def fit(text: str) -> str:
    """Text of at most 4 KiB in UTF-8, without NUL (PostgreSQL refuses it) and lone surrogates."""
    encoded = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    return encoded[:KEEP_AT_MOST].decode(errors="ignore")


def kind_of(error: BaseException) -> str:
    """The kind of a failure: the guard's own word if it has one, else found along the chain of causes."""
    link: BaseException | None = error
    while link is not None:
        kind = getattr(link, "kind", None)
        if isinstance(kind, str):
            return kind
        if isinstance(link, ssl.SSLError):
            return "tls"
        if isinstance(link, gaierror):
            return "dns"
        link = link.__cause__ or link.__context__
    return "connect" if isinstance(error, httpx.NetworkError | OSError) else "protocol"
