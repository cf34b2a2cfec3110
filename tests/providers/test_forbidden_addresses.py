"""Nothing reaches a forbidden address: each row of the table, and a hundred thousand random addresses."""

import ipaddress
import json
import os
import random
from pathlib import Path

import httpcore
import httpx
import pytest
from recording_dials import Dials, Names, slots_over

from service.errors import GatewayError
from service.providers.addresses import Policy, judge_url
from service.providers.guarded_http import (
    AddressBlocked,
    Guard,
    Transport,
    resolve_and_judge,
    shared_tls,
)

pytestmark = pytest.mark.anyio

ROWS = json.loads((Path(__file__).parents[1] / "testdata" / "addresses.json").read_text())
FORBIDDEN = [row["address"] for row in ROWS["forbidden"]]
PURPOSES = ["webhook", "caldav", "ics"]
TRANSPORTED = int(os.environ.get("CALGATE_TEST_ADDRESSES", "5000"))
"""How many random addresses go through the whole transport; 100,000 take ten seconds."""

PUBLIC = Policy()
OPEN = Policy(allow_networks=(ipaddress.ip_network("10.99.0.0/16"),))

SPECIAL_4 = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24
192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255/32
""".split()  # noqa: SIM905  IANA's IPv4 special-purpose registry, what is not reachable globally or deprecated
SPECIAL_6 = """
::1/128 ::/128 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 2002::/16
3fff::/20 5f00::/16 fc00::/7 fe80::/10
""".split()  # noqa: SIM905  IANA's IPv6 special-purpose registry, likewise; of 2001::/23 nothing is excepted
REACHABLE = """
192.31.196.0/24 192.52.193.0/24 192.175.48.0/24 2620:4f:8000::/48
""".split()  # noqa: SIM905  the rest of the two registries: AS112 and AMT, in the global routing table
BORDERS = [ipaddress.ip_network(block) for block in [*SPECIAL_4, *SPECIAL_6, *REACHABLE, "224.0.0.0/4", "2000::/3"]]
SPECIAL = [ipaddress.ip_network(block) for block in [*SPECIAL_4, *SPECIAL_6]]


def host_of(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def is_refused_by_text(url: str, purpose: str, policy: Policy = PUBLIC) -> bool:
    try:
        judge_url(url, policy, purpose)
    except GatewayError as refused:
        return refused.code == "blocked_url"
    return False


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_forbidden_address_in_a_url_is_refused(address, purpose):
    assert is_refused_by_text(f"https://{host_of(address)}/", purpose)
    assert is_refused_by_text(f"http://{host_of(address)}/", purpose)
    assert is_refused_by_text(f"http://{host_of(address)}:9000/", purpose, OPEN)


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("address", ROWS["allowed"])
def test_an_ordinary_address_in_a_url_passes(address, purpose):
    assert not is_refused_by_text(f"https://{host_of(address)}/", purpose)


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("url", ROWS["refused_urls"], ids=ascii)
async def test_the_urls_of_the_table_are_refused(url, purpose):
    secure = url.replace("http://", "https://", 1)
    assert is_refused_by_text(url, purpose)
    assert is_refused_by_text(secure, purpose)
    for spelling in (url, secure):
        # Where a network is open, an odd port waits for the address.
        with pytest.raises(GatewayError):
            await resolve_and_judge(spelling, OPEN, purpose, resolve=Names(["8.8.8.8"]))


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://１２７.０.０.１/", id="full-width-digits"),  # noqa: RUF001
        pytest.param("https://١٢٧.٠.٠.١/", id="arabic-digits"),  # noqa: RUF001
        pytest.param("https://1.2.3.٤/", id="one-arabic-digit"),
        pytest.param("https://example.com:4４3/", id="full-width-digit-in-the-port"),  # noqa: RUF001
        pytest.param("https://example.com:+443/", id="sign-in-the-port"),
        pytest.param("https://example.com:4_4_3/", id="underscores-in-the-port"),
        pytest.param("https://127%2e0%2e0%2e1/", id="escaped-dots"),
        pytest.param("https://%31%32%37.0.0.1/", id="escaped-digits"),
        pytest.param("https://localhost%00.example.com/", id="escaped-nul"),
        pytest.param("https://0177.0.0.1/", id="octal"),
        pytest.param("https://08.08.08.08/", id="leading-zeros"),
        pytest.param("https://0x7f.0.0.0x1/", id="hexadecimal"),
        pytest.param("https://9999999999.1/", id="too-large"),
        pytest.param("https://1.2.3.4.5/", id="five-parts"),
        pytest.param("https://127.0.0.1./", id="rooted-address"),
        pytest.param("https://127.0.0.1。/", id="ideographic-dot-at-the-end"),
        pytest.param("https://localhost./", id="rooted-localhost"),
        pytest.param("https://LocalHost/", id="localhost-in-capitals"),
        pytest.param("https://local\u00adhost/", id="soft-hyphen"),
        pytest.param("https://metadata.google.internal。/", id="ideographic-dot-after-internal"),
        pytest.param("https://printer。local/", id="ideographic-dot"),
        pytest.param("https://[::1%25lo]/", id="zone"),
        pytest.param("https://[2606:4700:4700::1111%25eth0]/", id="zone-of-a-public-address"),
        pytest.param("https://[::ffff:7f00:1]/", id="mapped-in-hexadecimal"),
        pytest.param("https://[0:0:0:0:0:0:0:1]/", id="long-spelling"),
        pytest.param("https://[v1.x]/", id="future-address"),
        pytest.param("https://168.63.129.16/", id="azure-host"),
        pytest.param("https://100.100.100.200/", id="alibaba-metadata"),
        pytest.param("https://" + "a" * 64 + ".example/", id="long-label"),
        pytest.param("https://" + "a." * 130 + "example/", id="long-name"),
    ],
)
def test_other_spellings_are_refused(url, purpose):
    assert is_refused_by_text(url, purpose)


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "printer.local", "metadata.google.internal", "intranet"])
async def test_private_names_are_refused_before_any_look_up(name):
    names = Names(["8.8.8.8"])
    for purpose in PURPOSES:
        for host in (name, f"{name}.", name.upper()):
            with pytest.raises(GatewayError):
                await resolve_and_judge(f"https://{host}/", PUBLIC, purpose, resolve=names)
    assert names.asked == []


def resolvable() -> list[str]:
    return [*FORBIDDEN, "fe80::1%1", "2606:4700:4700::1111%1", "168.63.129.16", "::ffff:0:0"]


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("address", resolvable())
async def test_a_name_that_leads_to_a_forbidden_address_is_refused_and_never_dialled(address, purpose):
    dials = Dials()
    seventh = ["8.8.8.8", "1.1.1.1", "9.9.9.9", "2606:4700:4700::1111", "8.8.4.4", "1.0.0.1", address]
    for answer in ([address], ["8.8.8.8", address], [address, "8.8.8.8"], seventh):
        with pytest.raises(GatewayError):
            await resolve_and_judge("https://good.example/", PUBLIC, purpose, resolve=Names(answer))
        slots = slots_over(Names(answer), PUBLIC, network=dials)
        async with slots.borrow() as client:
            for url in ("https://good.example/", "http://good.example/", "https://good.example:8443/"):
                with pytest.raises(AddressBlocked):
                    await client.request("GET" if purpose == "ics" else "POST", url)
        await slots.aclose()
    assert dials.made == []


@pytest.mark.parametrize("address", ROWS["allowed"])
async def test_a_name_that_leads_to_an_ordinary_address_is_dialled_there(address):
    dials = Dials()
    slots = slots_over(Names([address]), PUBLIC, network=dials)
    async with slots.borrow() as client:
        with pytest.raises(httpx.ConnectError, match="nothing is dialled"):
            await client.post("https://good.example/")
    await slots.aclose()
    assert dials.made == [(str(ipaddress.ip_address(address)), 443)]


async def test_each_answer_of_a_resolver_is_dialled_as_it_was_judged():
    dials = Dials()
    slots = slots_over(Names(["8.8.8.8", "2606:4700:4700::1111"], ["127.0.0.1"], ["9.9.9.9"]), PUBLIC, network=dials)
    outcomes = []
    async with slots.borrow() as client:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError) as refused:
                await client.get("https://rebinding.example/")
            outcomes.append(type(refused.value))
    await slots.aclose()
    assert outcomes == [httpx.ConnectError, AddressBlocked, httpx.ConnectError]
    assert dials.made == [("8.8.8.8", 443), ("2606:4700:4700::1111", 443), ("9.9.9.9", 443)]


def is_ordinary_address(address) -> bool:
    """Public by IANA's registries alone, restated here: nothing of the product is asked."""
    if address.version == 6 and address not in ipaddress.ip_network("2000::/3"):
        return False
    if address == ipaddress.ip_address("168.63.129.16"):
        return False
    return not address.is_multicast and not any(address in block for block in SPECIAL)


def draw_addresses(seed: int, count: int):
    """Addresses of every kind: anywhere, within and beside the special blocks, and IPv4 ones in every IPv6 dress."""
    draw = random.Random(seed)
    for _ in range(count):
        kind = draw.randrange(6)
        if kind == 0:
            yield ipaddress.IPv4Address(draw.getrandbits(32))
        elif kind == 1:
            yield ipaddress.IPv6Address(draw.getrandbits(128))
        elif kind == 2:
            yield ipaddress.IPv6Address((0b001 << 125) | draw.getrandbits(125))
        elif kind == 3:
            block = draw.choice(BORDERS)
            edge = draw.choice([int(block.network_address), int(block.broadcast_address)])
            number = (edge + draw.choice([-1, 1]) * (1 << draw.randrange(12)) + draw.randrange(-2, 3)) % (
                1 << block.max_prefixlen
            )
            yield type(block.network_address)(number)
        elif kind == 4:
            block = draw.choice(BORDERS)
            yield block[draw.randrange(block.num_addresses)]
        else:
            inner = draw.choice([block for block in BORDERS if block.version == 4])
            carried = draw.choice([int(inner[draw.randrange(inner.num_addresses)]), draw.getrandbits(32)])
            dress, shift = draw.choice([
                ("::", 0), ("::ffff:0:0", 0), ("::ffff:0:0:0", 0), ("64:ff9b::", 0), ("64:ff9b:1::", 0),
                ("2002::", 80), ("2001::", 0), ("fe80::5efe:0:0", 0),
            ])  # fmt: skip
            yield ipaddress.IPv6Address(int(ipaddress.IPv6Address(dress)) | carried << shift)


class Scripted:
    """A resolver that answers what the test has put in."""

    def __init__(self) -> None:
        self.answer: list = []

    async def __call__(self, host: str, port: int) -> list:
        return self.answer


async def count_judgements(seed: int, count: int, connect, names: Scripted, dials: Dials) -> dict[str, int]:
    """What comes of random addresses, against the independent judge."""
    counts = {"dialled": 0, "refused": 0, "forbidden dials": 0, "false refusals": 0, "other dials": 0}
    for address in draw_addresses(seed, count):
        names.answer = [address]
        dials.made.clear()
        try:
            await connect()
        except AddressBlocked:
            counts["refused"] += 1
            counts["false refusals"] += is_ordinary_address(address)
        except (httpx.ConnectError, httpcore.ConnectError):
            counts["dialled"] += 1
        counts["forbidden dials"] += bool(dials.made) and not is_ordinary_address(address)
        counts["other dials"] += dials.made not in ([], [(str(address), 443)])
    return counts


async def test_random_addresses_are_dialled_exactly_when_they_are_public():
    names, dials = Scripted(), Dials()
    guard = Guard(PUBLIC, names, dials)
    counts = await count_judgements(4, 100_000, lambda: guard.connect_tcp("name.example", 443), names, dials)
    assert counts["forbidden dials"] == counts["false refusals"] == counts["other dials"] == 0
    assert min(counts["dialled"], counts["refused"]) > 20_000


async def test_random_addresses_through_the_whole_transport():
    names, dials = Scripted(), Dials()
    transport = Transport(shared_tls(), Guard(PUBLIC, names, dials))
    request = httpx.Request("GET", "https://name.example/")
    counts = await count_judgements(6, TRANSPORTED, lambda: transport.handle_async_request(request), names, dials)
    await transport.aclose()
    assert counts["forbidden dials"] == counts["false refusals"] == counts["other dials"] == 0
    assert min(counts["dialled"], counts["refused"]) > TRANSPORTED // 5


def test_where_the_judgement_and_python_differ():
    """`is_global` is no judge; each difference has its reason."""
    stricter, laxer = set(), set()
    for address in draw_addresses(seed=5, count=20_000):
        if address.is_global and not PUBLIC.permits(address, 443):
            stricter.add(address)
        if PUBLIC.permits(address, 443) and not address.is_global:
            laxer.add(address)
    reasons = """
    ::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 2001::/23 2002::/16 3fff::/20 5f00::/16 192.0.0.0/24
    192.88.99.0/24 224.0.0.0/4 ff00::/8 fec0::/10 ::/3 4000::/2 8000::/1 168.63.129.16/32
    """.split()  # noqa: SIM905  embedded IPv4, newer blocks than Python's, relays, multicast, what IANA has not given out
    networks = [ipaddress.ip_network(block) for block in reasons]
    assert [str(each) for each in stricter if not any(each in network for network in networks)] == []
    assert [str(each) for each in laxer] == []
