import asyncio
import gzip
import resource
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from loopback import answering, response, serve_script

from service.errors import TransientFault
from service.providers.exchange import ask, retry_after
from service.providers.guarded_http import Slots

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def ask_once(script, **options):
    async with serve_script(script) as served:
        slots = Slots(1)
        try:
            async with slots.borrow() as http:
                return await ask(http, options.pop("method", "GET"), served.url, **options), served
        finally:
            await slots.aclose()


PACKED = gzip.compress(b"hello")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(response(b"hello"), id="plain"),
        pytest.param(response(PACKED, content_encoding="gzip"), id="gzip"),
        pytest.param(response(PACKED, content_encoding="X-GZIP"), id="x-gzip"),
        pytest.param(response(zlib.compress(b"hello"), content_encoding="deflate"), id="deflate"),
        pytest.param(response(gzip.compress(b"he") + gzip.compress(b"llo"), content_encoding="gzip"), id="two-members"),
    ],
)
async def test_a_body_is_unpacked(answer):
    got, _served = await ask_once(answering(answer), limit=1000)
    assert (got.status, got.body) == (200, b"hello")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(response(b"x" * 1001), "too large", id="wire"),
        pytest.param(response(gzip.compress(b"x" * 1001), content_encoding="gzip"), "too large", id="unpacked"),
        pytest.param(response(PACKED[:-4], content_encoding="gzip"), "broken off", id="gzip-cut"),
        pytest.param(response(b"no gzip", content_encoding="gzip"), "badly packed", id="not-gzip"),
        pytest.param(response(b"x", content_encoding="br"), "unknown encoding", id="brotli-unasked"),
        pytest.param(b"HTTP/1.1 200 X\r\ncontent-length: 9\r\nconnection: close\r\n\r\nhalf", "timeout", id="hangs"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", "network", id="not-http"),
        pytest.param(b"HTTP/1.1 200 X\r\n" + b"a: b\r\n" * 50_000 + b"\r\n", "network", id="header-flood"),
    ],
)
async def test_an_answer_that_is_not_whole_is_an_outage(answer, reason):
    with pytest.raises(TransientFault, match=reason):
        await ask_once(answering(answer), limit=1000, deadline=0.3 if reason == "timeout" else 10)


@pytest.mark.anyio
async def test_a_bomb_is_defused_in_little_memory():
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TransientFault, match="too large"):
        await ask_once(answering(response(bomb, content_encoding="gzip")), limit=1 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024


@pytest.mark.anyio
async def test_a_dripping_server_is_cut_off_at_the_deadline():
    async def drip(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    with pytest.raises(TransientFault, match="timeout"):
        await ask_once(drip, deadline=0.2)


@pytest.mark.anyio
async def test_nobody_there_is_an_outage():
    async with serve_script(answering(response())) as served:
        url = served.url
    slots = Slots(1)
    async with slots.borrow() as http:
        with pytest.raises(TransientFault, match="network: ConnectError"):
            await ask(http, "GET", url + "/?token=s3cret")
    await slots.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "asked"), [("GET", 2), ("POST", 1)])
async def test_only_a_question_is_put_again_when_the_connection_dies(method, asked):
    async def hang_up(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serve_script(hang_up) as served:
        slots = Slots(1)
        async with slots.borrow() as http:
            with pytest.raises(TransientFault, match="network"):
                await ask(http, method, served.url)
        await slots.aclose()
    assert len(served.requests) == asked


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("7", 7, id="seconds"),
        pytest.param(" 7.5 ", 7.5, id="fraction"),
        pytest.param("0", 0, id="zero"),
        pytest.param("999999999", 86_400, id="a-century"),
        pytest.param("1e300", 86_400, id="absurd"),
        pytest.param("-1", None, id="negative"),
        pytest.param("NaN", None, id="nan"),
        pytest.param("inf", None, id="infinite"),
        pytest.param("", None, id="empty"),
        pytest.param("soon", None, id="words"),
        pytest.param("Mon, 02 Mar 2026 09:01:00 GMT", 60, id="date"),
        pytest.param("Mon, 02 Mar 2026 10:01:00 +0100", 60, id="date-with-offset"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", None, id="past"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2300", None, id="beyond-all-dates"),
        pytest.param("Tue, 02 Mar 2027 09:00:00 GMT", 86_400, id="a-year"),
        pytest.param("Mon, 99 Mar 2026 09:00:00 GMT", None, id="no-such-day"),
    ],
)
def test_retry_after(value, seconds):
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert retry_after({"retry-after": value}, NOW) == expected


def test_no_retry_after():
    assert retry_after({}, NOW) is None
