import asyncio
import ipaddress
import ssl

import httpx
import pytest
import trustme
from loopback import Loopback, answering, response, serve_script
from recording_dials import Names, slots_over

from service.errors import GatewayError
from service.providers.addresses import Policy, parse_networks
from service.providers.guarded_http import (
    AddressBlocked,
    HostUnknown,
    Slots,
    resolve_and_judge,
)
from service.providers.look_ups import look_up

pytestmark = pytest.mark.anyio

LOOPBACK = Policy(allow_networks=parse_networks(["127.0.0.0/8"]))


@pytest.fixture
async def canary(anyio_backend):
    async with serve_script(answering(response(b"inside"))) as served:
        yield served


@pytest.mark.parametrize(
    ("addresses", "policy", "kind"),
    [
        pytest.param(["127.0.0.1"], Policy(), AddressBlocked, id="loopback"),
        pytest.param(["127.0.0.1", "8.8.8.8"], Policy(), AddressBlocked, id="mixed-private-first"),
        pytest.param(["8.8.8.8", "127.0.0.1"], Policy(), AddressBlocked, id="mixed-public-first"),
        pytest.param(["127.0.0.1", "10.0.0.1"], LOOPBACK, AddressBlocked, id="mixed-excepted-and-not"),
        pytest.param(["::ffff:127.0.0.1"], LOOPBACK, AddressBlocked, id="mapped"),
        pytest.param([], LOOPBACK, HostUnknown, id="no-address"),
    ],
)
async def test_a_refused_address_is_never_dialled(canary: Loopback, addresses, policy, kind):
    slots = slots_over(Names(addresses), policy)
    async with slots.borrow() as client:
        with pytest.raises(httpx.ConnectError) as refused:
            await client.get(f"http://good.example:{canary.port}/")
    await slots.aclose()
    assert type(refused.value) is kind
    assert refused.value.kind == {AddressBlocked: "blocked_address", HostUnknown: "dns"}[kind]
    assert "127.0.0.1" not in str(refused.value)
    assert canary.connections == 0


async def test_a_name_that_changes_its_address_is_judged_at_each_connection(canary: Loopback):
    slots = slots_over(Names(["127.0.0.1"], ["169.254.169.254"]), LOOPBACK)
    async with slots.borrow() as client:
        assert (await client.get(f"http://good.example:{canary.port}/", headers={"connection": "close"})).text
        with pytest.raises(AddressBlocked):
            await client.get(f"http://good.example:{canary.port}/")
    await slots.aclose()
    assert canary.connections == 1


async def test_the_next_address_is_tried_when_one_does_not_answer(canary: Loopback):
    slots = slots_over(Names(["127.0.0.9", "127.0.0.1"]), LOOPBACK)
    async with slots.borrow() as client:
        assert (await client.get(f"http://good.example:{canary.port}/")).text == "inside"
    await slots.aclose()


async def test_a_redirect_into_the_house_is_not_followed(canary: Loopback):
    away = response(b"", 302, location=f"http://127.0.0.1:{canary.port}/")
    async with serve_script(answering(away)) as outside:
        slots = Slots(1, LOOPBACK)
        async with slots.borrow() as client:
            assert (await client.get(outside.url)).status_code == 302
        await slots.aclose()
    assert canary.connections == 0


async def test_tls_is_checked_against_the_name_and_not_the_address():
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("good.example").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    async with serve_script(answering(response(b"private")), server_tls) as served:
        slots = slots_over(Names(["127.0.0.1"]), LOOPBACK, tls=client_tls)
        async with slots.borrow() as client:
            assert (await client.get(f"https://good.example:{served.port}/")).text == "private"
        async with slots.borrow() as client:
            with pytest.raises(httpx.ConnectError) as refused:
                await client.get(f"https://evil.example:{served.port}/")
        await slots.aclose()
    assert "certificate" in str(refused.value).lower()


@pytest.mark.parametrize(
    ("url", "addresses", "policy", "words"),
    [
        pytest.param("https://good.example/", ["8.8.8.8"], Policy(), None, id="public"),
        pytest.param("https://good.example/", ["8.8.8.8", "10.0.0.1"], Policy(), "not public", id="mixed"),
        pytest.param("https://good.example/", [], Policy(), "does not resolve", id="unknown"),
        pytest.param("http://good.example/", ["8.8.8.8"], LOOPBACK, "https", id="http-to-the-internet"),
        pytest.param("http://good.example:99/", ["127.0.0.5"], LOOPBACK, None, id="http-into-an-open-network"),
        pytest.param("https://good.example:99/", ["127.0.0.5", "8.8.8.8"], LOOPBACK, "port", id="half-open"),
        pytest.param("https://localhost/", ["8.8.8.8"], Policy(), "public internet", id="never-looked-up"),
    ],
)
async def test_a_url_is_judged_when_it_is_given(url, addresses, policy, words):
    if words is None:
        await resolve_and_judge(url, policy, "webhook", resolve=Names(addresses))
        return
    with pytest.raises(GatewayError, match=words) as refused:
        await resolve_and_judge(url, policy, "webhook", resolve=Names(addresses))
    assert (refused.value.status, refused.value.code) == (422, "blocked_url")


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f.1", "017700000001"])
async def test_the_resolver_sees_through_odd_spellings(spelling):
    # Whatever the text is, the judged address is loopback, if the resolver makes one of it at all.
    assert set(await look_up(spelling, 443)) <= {ipaddress.ip_address("127.0.0.1")}


async def test_a_name_that_cannot_exist_has_no_address():
    assert await look_up("a" * 64 + ".example", 443) == []


async def test_the_client_returned_last_is_lent_first_with_its_connection():
    async with serve_script(answering(response())) as served:
        slots = Slots(3)
        async with slots.borrow() as first, slots.borrow() as second:
            assert first is not second
        async with slots.borrow() as again:
            assert again is first
            await again.get(served.url)
        async with slots.borrow() as again:
            await again.get(served.url)
        await slots.aclose()
    assert served.connections == 1


async def test_no_more_clients_than_slots():
    slots = Slots(1)
    async with slots.borrow():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), slots.borrow():
                pass
    async with slots.borrow():
        pass
    await slots.aclose()


async def test_an_answer_left_half_read_does_not_block_the_next_borrower():
    async with serve_script(answering(response(b"x" * 1_000_000), response(b"fine"))) as served:
        slots = Slots(1)
        async with slots.borrow() as client:
            await client.send(client.build_request("GET", served.url), stream=True)
        async with slots.borrow() as client:
            assert (await client.get(served.url)).text == "fine"
        await slots.aclose()


async def test_a_cancelled_borrower_gives_its_slot_back():
    async def silence(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0)

    async with serve_script(silence) as mute, serve_script(answering(response(b"fine"))) as served:
        slots = Slots(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), slots.borrow() as client:
                await client.get(mute.url)
        async with slots.borrow() as client:
            assert (await client.get(served.url)).text == "fine"
        await slots.aclose()


async def test_cookies_are_not_kept_and_the_agent_asks_for_gzip():
    async with serve_script(answering(response(set_cookie="a=b; Path=/"))) as served:
        slots = Slots(1)
        async with slots.borrow() as client:
            await client.get(served.url)
            await client.get(served.url)
        await slots.aclose()
    second = served.requests[1].lower()
    assert b"cookie" not in second
    assert b"accept-encoding: gzip\r\n" in second
    assert b"gzip)" in second


async def test_a_guarded_client_asks_for_nothing_packed():
    async with serve_script(answering(response())) as served:
        slots = Slots(1, LOOPBACK)
        async with slots.borrow() as client:
            await client.get(served.url)
        await slots.aclose()
    assert b"accept-encoding: identity\r\n" in served.requests[0].lower()
