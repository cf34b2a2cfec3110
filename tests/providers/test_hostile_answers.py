"""What a stranger's server may do to a guarded client: everything ends in time, in bounded memory, and with an error."""

import asyncio
import contextlib
import ipaddress
import ssl
import zlib

import httpx
import pytest
import trustme
from loopback import Loopback, answering, response, serve_script
from recording_dials import Dials, Names, slots_over

from service.errors import TransientFault
from service.providers.addresses import Policy, parse_networks
from service.providers.exchange import Answer, ask
from service.providers.guarded_http import AddressBlocked, Slots

pytestmark = pytest.mark.anyio

LOOPBACK = Policy(allow_networks=parse_networks(["127.0.0.0/8", "::1/128"]))
OK = b"HTTP/1.1 200 OK\r\n"


def endless(first: bytes, piece: bytes, pause: float | None = None):
    """A script that never comes to an end."""

    async def script(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause or 0)

    return script


async def ask_once(served: Loopback, *, limit: int = 1_000_000, deadline: float = 5.0) -> Answer:
    slots = Slots(1, LOOPBACK)
    try:
        async with slots.borrow() as client:
            return await ask(client, "GET", served.url, limit=limit, deadline=deadline)
    finally:
        await slots.aclose()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(endless(b"", b"", 0.01), id="no-answer"),
        pytest.param(endless(OK + b"a: ", b"x", 0.01), id="slow-header"),
        pytest.param(endless(OK, b"a: b\r\n", 0.01), id="slow-headers"),
        pytest.param(endless(OK + b"content-length: 99999\r\n\r\n", b"x", 0.01), id="slow-body"),
        pytest.param(endless(OK + b"transfer-encoding: chunked\r\n\r\n1;", b"x", 0.01), id="slow-chunk-extension"),
        pytest.param(endless(OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n", 0.01), id="slow-trailers"),
        pytest.param(endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.01), id="slow-1xx"),
    ],
)
async def test_a_slow_server_has_until_the_deadline_for_all_of_its_answer(script):
    async with serve_script(script) as served:
        with pytest.raises(TransientFault, match="timeout"):
            await ask_once(served, deadline=0.2)


async def test_a_server_that_never_shakes_hands_has_until_the_deadline():
    hung_up = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slots = Slots(1, LOOPBACK)
    async with slots.borrow() as client:
        with pytest.raises(TransientFault, match="timeout"):
            await ask(client, "GET", f"https://127.0.0.1:{port}/", deadline=0.2)
    async with asyncio.timeout(30):
        await hung_up.wait()
    await slots.aclose()
    server.close()
    await server.wait_closed()


FLOOD = 60_000


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), id="1xx"),
        pytest.param(endless(b"", b"HTTP/1.1 103 Early Hints\r\nlink: " + b"x" * 4000 + b"\r\n\r\n"), id="large-1xx"),
        pytest.param(endless(OK, b"a: b\r\n" * 1000), id="headers"),
        pytest.param(endless(OK + b"a: ", b"x" * FLOOD), id="one-header"),
        pytest.param(endless(OK, b"a: b\r\n " + b"x" * FLOOD), id="folded-header"),
        pytest.param(endless(b"", b"x" * FLOOD), id="status-line"),
        pytest.param(
            endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"1;" + b"x" * 50_000 + b"\r\ny\r\n"), id="extensions"
        ),
        pytest.param(endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\ny\r\n" * 1000), id="crumbs"),
        pytest.param(endless(OK + b"transfer-encoding: chunked\r\n\r\n1;", b"x" * FLOOD), id="one-extension"),
        pytest.param(endless(OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 1000), id="trailers"),
        pytest.param(endless(OK + b"\r\n", b"x" * FLOOD), id="body-without-end"),
        pytest.param(
            endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"ff\r\n" + b"y" * 255 + b"\r\n"), id="chunks"
        ),
    ],
)
async def test_a_flood_is_cut_off_long_before_the_deadline(script):
    async with serve_script(script) as served:
        with pytest.raises(TransientFault, match=r"network|too large"):
            await ask_once(served, deadline=60)


async def test_honest_small_chunks_are_no_flood():
    lines = b"".join(b"%x\r\n%b\r\n" % (len(line), line) for line in [b"DESCRIPTION:a line of a feed\r\n"] * 30_000)
    chunked = OK + b"transfer-encoding: chunked\r\n\r\n" + lines + b"0\r\n\r\n"
    async with serve_script(answering(chunked)) as served:
        assert len((await ask_once(served)).body) == 900_000


async def test_what_comes_packed_though_it_was_not_asked_for_is_bounded():
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(50)) + packer.flush()
    async with serve_script(answering(response(bomb, content_encoding="gzip"))) as served:
        with pytest.raises(TransientFault, match="too large"):
            await ask_once(served)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"\x00\xff garbage\r\n\r\n", id="garbage"),
        pytest.param(b"HTTP/1.1 999999 X\r\n\r\n", id="unknown-status"),
        pytest.param(b"\x16\x03\x01\x02\x00", id="tls"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http-2"),
        pytest.param(OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!", id="two-lengths"),
        pytest.param(OK + b"content-length: -5\r\n\r\nhello", id="negative-length"),
        pytest.param(OK + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffffffffffff\r\n", id="huge-chunk"),
        pytest.param(OK + b"transfer-encoding: chunked\r\n\r\n-1\r\n", id="negative-chunk"),
        pytest.param(OK + b"transfer-encoding: gzip\r\n\r\n", id="unknown-transfer-encoding"),
        pytest.param(OK + b"a b: c\r\n\r\n", id="bad-header"),
    ],
)
async def test_garbage_is_an_error_and_never_hangs(answer):
    async def script(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with serve_script(script) as served:
        with pytest.raises(TransientFault, match="network"):
            await ask_once(served)


async def test_an_answer_sent_in_advance_is_not_taken_for_that_of_the_next_request():
    forged = response(b"true") + response(b"forged")
    async with serve_script(answering(forged, response(b"true, too"))) as served:
        slots = Slots(1, LOOPBACK)
        async with slots.borrow() as client:
            assert (await client.get(served.url)).text == "true"
            assert (await client.get(served.url)).text == "true, too"
        await slots.aclose()
    assert served.connections == 2


async def test_a_connection_serves_one_host_and_port():
    async with serve_script(answering(response(b"a"))) as one, serve_script(answering(response(b"b"))) as other:
        slots = slots_over(Names(["127.0.0.1"]), LOOPBACK)
        async with slots.borrow() as client:
            for _ in range(2):
                assert (await client.get(f"http://good.example:{one.port}/")).text == "a"
            assert (await client.get(f"http://good.example:{other.port}/")).text == "b"
            assert (await client.get(f"http://else.example:{one.port}/")).text == "a"
            assert (await client.get(f"http://GOOD.example:{one.port}/")).text == "a"
        await slots.aclose()
    assert (one.connections, other.connections) == (3, 1)


async def test_proxies_and_logins_of_the_environment_are_not_used(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password hunter2\n")
    async with serve_script(answering(response(b"proxy"))) as proxy, serve_script(answering(response(b"host"))) as host:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        assert (await ask_once(host)).body == b"host"
    assert proxy.connections == 0
    assert b"authorization" not in host.requests[0].lower()


async def test_an_ipv6_address_in_a_url_is_dialled_and_named():
    seen: list[bytes] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(response(b"six"))
        writer.close()

    try:
        server = await asyncio.start_server(converse, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback")
    port = server.sockets[0].getsockname()[1]
    slots = Slots(1, LOOPBACK)
    async with slots.borrow() as client:
        assert (await client.get(f"http://[::1]:{port}/")).text == "six"
    await slots.aclose()
    server.close()
    await server.wait_closed()
    assert f"host: [::1]:{port}".encode() in seen[0].lower()


async def test_the_judged_address_is_dialled_and_the_name_is_kept():
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("good.example").configure_cert(server_tls)
    names: list[str | None] = []
    server_tls.sni_callback = lambda _object, name, _context: names.append(name)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    async with serve_script(answering(response(b"fine")), server_tls) as served:
        slots = slots_over(Names(["127.0.0.7", "127.0.0.1"]), LOOPBACK, tls=client_tls)
        async with slots.borrow() as client:
            assert (await client.get(f"https://good.example:{served.port}/")).text == "fine"
        await slots.aclose()
    assert names == ["good.example"]
    assert f"host: good.example:{served.port}".encode() in served.requests[0].lower()


@pytest.mark.parametrize(
    ("method", "headers", "is_dialled"),
    [
        pytest.param("GET", {}, True, id="feed"),
        pytest.param("GET", {"authorization": "Basic eDp5"}, False, id="password"),
        pytest.param("PROPFIND", {}, False, id="caldav"),
        pytest.param("POST", {}, False, id="webhook"),
    ],
)
async def test_plain_http_carries_nothing_of_ours_into_the_internet(method, headers, is_dialled):
    """A stored http URL whose name was private when it was judged, and is not any more."""
    dials = Dials()
    slots = slots_over(Names(["8.8.8.8"]), LOOPBACK, network=dials)
    async with slots.borrow() as client:
        with pytest.raises(httpx.ConnectError) as refused:
            await client.request(method, "http://moved.example/", headers=headers)
    await slots.aclose()
    assert dials.made == ([("8.8.8.8", 80)] if is_dialled else [])
    assert isinstance(refused.value, AddressBlocked) is not is_dialled


async def test_a_connection_that_was_judged_for_a_feed_carries_nothing_else():
    class Judgements(Names):
        async def __call__(self, host: str, port: int) -> list:
            self.asked.append(host)
            return [ipaddress.ip_address("127.0.0.1")]

    names = Judgements()
    async with serve_script(answering(response(b"a"))) as served:
        slots = slots_over(names, LOOPBACK)
        async with slots.borrow() as client:
            for method in ("GET", "GET", "PROPFIND", "PROPFIND", "GET"):
                await client.request(method, f"http://good.example:{served.port}/")
        await slots.aclose()
    assert len(names.asked) == served.connections == 2
