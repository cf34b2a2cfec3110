"""A listener on loopback that spellings, answers of a resolver and redirects try to lead to: nobody connects to it."""

import asyncio
import contextlib
import ipaddress
import socket
from contextlib import asynccontextmanager

import httpx
import pytest
from loopback import answering, response, serve_script
from recording_dials import Names, slots_over

from service.errors import GatewayError
from service.providers.addresses import Policy
from service.providers.guarded_http import AddressBlocked, Slots, resolve_and_judge
from service.providers.look_ups import look_up

pytestmark = pytest.mark.anyio

PURPOSES = ["webhook", "caldav", "ics"]


@asynccontextmanager
async def canaries():
    """Listeners on both loopbacks, on one port, and what they were connected by."""
    reached: list[str] = []

    async def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(str(writer.get_extra_info("peername")))
        writer.close()

    first = await asyncio.start_server(note, "127.0.0.1", 0)
    port = first.sockets[0].getsockname()[1]
    servers = [first]
    if socket.has_ipv6:
        with contextlib.suppress(OSError):  # a machine without an IPv6 loopback
            servers.append(await asyncio.start_server(note, "::1", port))
    try:
        yield port, reached
    finally:
        for server in servers:
            server.close()
            await server.wait_closed()


SPELLINGS = """
127.0.0.1 127.1 2130706433 0x7f.1 0x7f000001 017700000001 0177.0.0.1 0 0.0.0.0 127.0.0.1. localhost localhost. vm
127。0。0。1 [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [::1%25lo]
[64:ff9b::7f00:1] [2002:7f00:1::1] ip6-localhost
""".split()  # noqa: SIM905


@pytest.mark.parametrize(
    "opened",
    [
        pytest.param((), id="nothing-open"),
        pytest.param(("10.99.0.0/16", "64:ff9b::/96", "::ffff:0:0/96"), id="other-networks-open"),
    ],
)
async def test_no_spelling_reaches_a_listener_on_loopback(opened):
    policy = Policy(allow_networks=tuple(map(ipaddress.ip_network, opened)))
    async with canaries() as (port, reached):
        slots = Slots(1, policy)
        for spelling in SPELLINGS:
            for scheme in ("http", "https"):
                url = f"{scheme}://{spelling}:{port}/"
                for purpose in PURPOSES:
                    with pytest.raises(GatewayError):
                        await resolve_and_judge(url, policy, purpose)
                # The guard alone, as if the text had passed, and with the system's resolver.
                async with slots.borrow() as client:
                    with pytest.raises((httpx.ConnectError, httpx.InvalidURL)):
                        await client.get(url)
        await slots.aclose()
        assert reached == []


async def test_no_answer_of_a_resolver_and_no_redirect_reaches_a_listener_on_loopback():
    outside = Policy(allow_networks=(ipaddress.ip_network("127.0.0.2/32"),))
    async with canaries() as (port, reached):
        for answer in (
            ["127.0.0.1"],
            ["::1"],
            ["::ffff:127.0.0.1"],
            ["127.0.0.2", "127.0.0.1"],
            [str(ipaddress.IPv4Address(0))],
            ["::"],
        ):
            slots = slots_over(Names(answer), outside)
            async with slots.borrow() as client:
                for scheme in ("http", "https"):
                    with pytest.raises(AddressBlocked):
                        await client.get(f"{scheme}://rebound.example:{port}/")
            await slots.aclose()
        for status in (301, 302, 303, 307, 308):
            for target in (
                f"http://127.0.0.1:{port}/",
                f"//[::1]:{port}/",
                f"http://localhost:{port}/",
            ):
                await follow_nothing(response(b"", status, location=target), status)
        assert reached == []


async def follow_nothing(away: bytes, status: int) -> None:
    async with serve_script(answering(away)) as served:
        slots = Slots(1, Policy(allow_networks=(ipaddress.ip_network("127.0.0.1/32"),)))
        async with slots.borrow() as client:
            assert (await client.get(served.url)).status_code == status
        await slots.aclose()


@pytest.mark.parametrize("target", ["http://xn--/", "https://[::1", "http://a:b/"])
async def test_a_redirect_to_what_is_no_url_is_an_error_of_http(target):
    async with serve_script(answering(response(b"", 302, location=target))) as served:
        slots = Slots(1, Policy(allow_networks=(ipaddress.ip_network("127.0.0.1/32"),)))
        async with slots.borrow() as client:
            with pytest.raises(httpx.ProtocolError):
                await client.get(served.url)
        await slots.aclose()


async def test_the_resolver_does_make_loopback_of_odd_spellings():
    """What keeps the tests above from passing for want of a danger."""
    assert await look_up("127.1", 80) == [ipaddress.ip_address("127.0.0.1")]
