"""A bound on what an answer costs beyond its body: floods of 1xx answers, of headers, of crumbs and of chunk extensions."""

import ssl
from collections.abc import AsyncIterator
from typing import Any, Final

import httpcore
import httpx

MOST_FRAMING: Final = 256 * 1024
"""Octets of an answer that are not its body, and half of the body again: chunks of twelve octets pass, those of one do not."""

READ_AT_ONCE: Final = 16 * 1024
"""Octets: other work has a turn between two reads, whatever they cost to take apart."""


class Meter:
    """What an answer has cost on the wire beyond its body: 1xx answers, headers, and the framing of chunks."""

    def __init__(self) -> None:
        self.received = 0
        self.of_body = 0

    def restart(self) -> None:
        self.received = self.of_body = 0

    def check(self) -> None:
        """Raise httpcore.ProtocolError when it is more than an honest server has use for."""
        if self.received - self.of_body > MOST_FRAMING + self.of_body // 2:
            raise httpcore.ProtocolError("the answer is more framing than content")


class MeteredStream(httpcore.AsyncNetworkStream):
    """A connection whose octets are counted, as they are under TLS."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  (httpcore's signature)
        self._meter.check()
        octets = await self._stream.read(min(max_bytes, READ_AT_ONCE), timeout)
        self._meter.received += len(octets)
        return octets

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  (as above)
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  (as above)
    ) -> httpcore.AsyncNetworkStream:
        try:
            secure = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            # httpcore closes after errors only: cut off by a deadline, the connection would stay open.
            await self._stream.aclose()
            raise
        return MeteredStream(secure, self._meter)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class MeteredBody(httpx.AsyncByteStream):
    """The body of an answer, told to the meter."""

    def __init__(self, stream: httpx.AsyncByteStream, meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._meter.of_body += len(chunk)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
