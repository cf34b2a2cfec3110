import ipaddress

import pytest

from service.errors import GatewayError
from service.providers.addresses import Policy, judge_url, parse_networks
from service.settings import Settings, SettingsError

STRICT = Policy()

FORBIDDEN = """
127.0.0.1 127.255.255.254 127.0.0.0 127.255.255.255 0.0.0.0 0.1.2.3 0.255.255.255 10.0.0.0 10.0.0.1 10.255.255.255
172.16.0.0 172.16.0.1 172.31.255.255 192.168.0.0 192.168.0.1 192.168.255.255 169.254.169.254 169.254.0.1
169.254.255.255 100.64.0.0 100.64.0.1 100.127.255.255 192.0.0.0 192.0.0.192 192.0.0.255 192.0.2.0 192.0.2.1
192.0.2.255 198.18.0.0 198.18.0.1 198.19.255.255 198.51.100.0 198.51.100.1 198.51.100.255 203.0.113.0 203.0.113.1
203.0.113.255 192.88.99.0 192.88.99.1 192.88.99.255 224.0.0.0 224.0.0.1 239.255.255.255 240.0.0.0 240.0.0.1
255.255.255.255
:: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:8.8.8.8 ::ffff:0:7f00:1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::1 2002:7f00:1::1 2002:a9fe:a9fe::1
2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:: 2001::1 2001:10::1 2001:20::1 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff
2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 3fff::1 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff 5f00::1 4000::
1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 100::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fe80::5efe:7f00:1 fec0::1
ff02::1 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2606:4700:4700::1111%1
""".split()  # noqa: SIM905 (a table is read as a table)

PERMITTED = """
8.8.8.8 1.1.1.1 1.0.0.0 9.255.255.255 11.0.0.0 126.255.255.255 128.0.0.0 172.15.255.255 172.32.0.0 100.63.255.255
100.128.0.0 198.17.255.255 198.20.0.0 192.167.255.255 192.169.0.0 169.253.255.255 169.255.0.0 192.0.1.0 192.0.1.255
192.0.3.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 192.88.98.255 192.88.100.0 223.255.255.255
2000:: 2606:4700:4700::1111 2001:4860:4860::8888 2001:200::1 2003::1 2001:ffff::1 2a00:1450:4001::1
2001:db7:ffff::1 2001:db9::1 3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000::
""".split()  # noqa: SIM905 (a table is read as a table)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_is_not_the_public_internet_is_not_dialled(address):
    assert not STRICT.permits(ipaddress.ip_address(address), 443)


@pytest.mark.parametrize("address", PERMITTED)
def test_the_neighbours_of_forbidden_blocks_are_dialled(address):
    assert STRICT.permits(ipaddress.ip_address(address), 443)


@pytest.mark.parametrize(
    ("networks", "address", "port", "permitted"),
    [
        pytest.param("127.0.0.0/8", "127.0.0.1", 9000, True, id="excepted-on-any-port"),
        pytest.param("127.0.0.0/8", "::1", 443, False, id="only-what-is-named"),
        pytest.param("127.0.0.0/8", "::ffff:127.0.0.1", 443, False, id="mapped-stays-refused"),
        pytest.param("::ffff:0:0/96", "::ffff:10.0.0.1", 443, False, id="mapped-is-never-excepted"),
        pytest.param("64:ff9b::/96", "64:ff9b::808:808", 443, True, id="nat64-carries-a-public-address"),
        pytest.param("64:ff9b::/96", "64:ff9b::a9fe:a9fe", 443, False, id="nat64-carries-a-private-address"),
        pytest.param("10.1.0.0/16", "10.2.0.1", 443, False, id="outside-the-network"),
        pytest.param("10.1.0.0/16", "8.8.8.8", 443, True, id="the-internet-stays-open"),
        pytest.param("10.1.0.0/16", "8.8.8.8", 25, False, id="public-mail-port"),
        pytest.param("10.1.0.0/16", "8.8.8.8", 6379, False, id="public-database-port"),
    ],
)
def test_networks_that_the_operator_opened(networks, address, port, permitted):
    policy = Policy(allow_networks=parse_networks([networks]))
    assert policy.permits(ipaddress.ip_address(address), port) is permitted


def test_our_own_port_is_refused_even_in_an_open_network():
    policy = Policy(allow_networks=parse_networks(["127.0.0.0/8"]), own=frozenset({("127.0.0.1", 8420)}))
    assert not policy.permits(ipaddress.ip_address("127.0.0.1"), 8420)
    assert policy.permits(ipaddress.ip_address("127.0.0.1"), 8421)


REFUSED_URLS = [
    "http://0x7f.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://127.1/",
    "http://0/",
    "http://127。0。0。1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[::ffff:0:7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::1]/",
    "http://[fe80::1%25eth0]/",
    "http://localhost/",
    "http://metadata.google.internal/",
    "http://good.example/",
    "http://xn--/",
    "https://127.0.0.1/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://a.localhost/",
    "https://printer.local/",
    "https://metadata.google.internal./",
    "https://intranet/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://127.1/",
    "https://1.2.3.0x7f/",
    "https://[::1]/",
    "https://[fe80::1%25eth0]/",
    "https://good.example\\@127.0.0.1/",
    "https://a@b@127.0.0.1/",
    "https://user:pass@example.com/",
    "https://@example.com/",
    "https://example.com/#fragment",
    "https://example.com/#",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://example.com:22/",
    "https://example.com:25/",
    "https://example.com:6379/",
    "https://example.com:80/",
    "https://example.com/a b",
    "https://example.com/\x00",
    "https://example.com/\u2028",
    "https://exa\r\nmple.com/",
    "https://example.com/\thook",
    " https://example.com/",
    "https://exa..mple.com/",
    "https://.example.com/",
    "https:///nohost",
    "//example.com/",
    "example.com",
    "",
    "https://",
    "https://[::1",
    "https://xn--/",
    "https://example.com/" + "a" * 5000,
    "file:///etc/passwd",
    "gopher://example.com/",
    "ftp://example.com/",
    "unix:/var/run/x.sock",
    "javascript:alert(1)",
    "webcal://example.com/a.ics",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_urls_that_no_honest_receiver_has(url):
    with pytest.raises(GatewayError) as refused:
        judge_url(url, STRICT, "webhook")
    assert (refused.value.status, refused.value.code) == (422, "blocked_url")


@pytest.mark.parametrize(
    ("url", "purpose"),
    [
        pytest.param("https://hooks.example.com/calgate?team=1", "webhook", id="plain"),
        pytest.param("https://hooks.example.com:8443/", "webhook", id="8443"),
        pytest.param("https://hooks.example.com:443/", "webhook", id="443"),
        pytest.param("https://8.8.8.8/hook", "webhook", id="public-address"),
        pytest.param("https://[2606:4700:4700::1111]/", "webhook", id="public-v6"),
        pytest.param("https://bücher.example/", "webhook", id="idna"),
        pytest.param("https://example.com./", "webhook", id="rooted-name"),
        pytest.param("http://feeds.example.com/a.ics", "ics", id="feeds-may-be-http"),
        pytest.param("https://dav.example.com/user%40x/", "caldav", id="caldav"),
    ],
)
def test_urls_that_pass(url, purpose):
    judge_url(url, STRICT, purpose)


def test_http_and_odd_ports_wait_for_the_address_where_a_network_is_open():
    policy = Policy(allow_networks=parse_networks(["127.0.0.0/8", "10.0.0.0/8"]))
    judge_url("http://127.0.0.1:9000/hook", policy, "webhook")
    judge_url("http://hooks.corp.example:9000/hook", policy, "webhook")
    with pytest.raises(GatewayError):
        judge_url("http://192.168.0.1:9000/hook", policy, "webhook")
    with pytest.raises(GatewayError):
        judge_url("http://localhost:9000/hook", policy, "webhook")


def test_our_own_name_is_refused():
    policy = Policy(own=frozenset({("calgate.example.com", 443)}))
    with pytest.raises(GatewayError):
        judge_url("https://CALGATE.example.com/push", policy, "webhook")


def test_a_refusal_does_not_repeat_the_url():
    with pytest.raises(GatewayError) as refused:
        judge_url("https://user:hunter2@example.com/?token=s3cret", STRICT, "webhook")
    assert "user name or password" in refused.value.detail
    assert "hunter2" not in refused.value.detail
    assert "s3cret" not in refused.value.detail


@pytest.mark.parametrize(
    ("own", "address", "port", "permitted"),
    [
        pytest.param("0.0.0.0", "127.0.0.1", 8420, False, id="listening-everywhere"),  # noqa: S104
        pytest.param("0.0.0.0", "127.9.9.9", 8420, False, id="all-of-loopback-is-here"),  # noqa: S104
        pytest.param("0.0.0.0", "0.0.0.0", 8420, False, id="unspecified"),  # noqa: S104
        pytest.param("0.0.0.0", "127.0.0.1", 8421, True, id="another-port"),  # noqa: S104
        pytest.param("0.0.0.0", "203.0.113.9", 8420, True, id="another-machine"),  # noqa: S104
        pytest.param("::", "127.0.0.1", 8420, False, id="listening-everywhere-by-ipv6"),
        pytest.param("::", "::1", 8420, False, id="ipv6-loopback"),
        pytest.param("[::1]", "::1", 8420, False, id="in-brackets"),
        pytest.param("0:0:0:0:0:0:0:1", "::1", 8420, False, id="another-spelling"),
        pytest.param("localhost", "127.0.0.1", 8420, False, id="localhost"),
        pytest.param("LocalHost.", "::1", 8420, False, id="localhost-in-another-spelling"),
        pytest.param("10.0.0.1", "64:ff9b::a00:1", 8420, False, id="through-nat64"),
        pytest.param("10.0.0.1", "10.0.0.2", 8420, True, id="the-neighbour"),
    ],
)
def test_ourselves_are_never_dialled_whatever_is_open(own, address, port, permitted):
    policy = Policy(allow_networks=parse_networks(["0.0.0.0/0", "::/0"]), own=frozenset({(own, 8420)}))
    assert policy.permits(ipaddress.ip_address(address), port) is permitted


@pytest.mark.parametrize("own", ["calgate.example.com", "CALGATE.Example.com.", "bücher.example", "[2606:4700::1]"])
def test_our_own_name_is_known_in_every_spelling(own):
    policy = Policy(own=frozenset({(own, 443)}))
    for spelling in (own, own.lower(), own.upper()):
        with pytest.raises(GatewayError, match=r"this gateway|not public|be read"):
            judge_url(f"https://{spelling}/", policy, "webhook")
    assert policy.is_own_name(own.upper(), 443)
    assert not policy.is_own_name(own, 8443)


@pytest.mark.parametrize(
    ("networks", "address", "excepted", "permitted"),
    [
        pytest.param(["64:ff9b::/96"], "64:ff9b::808:808", False, True, id="public-inside-is-no-exception"),
        pytest.param(["64:ff9b::/96"], "64:ff9b::a00:1", False, False, id="private-inside"),
        pytest.param(["64:ff9b::/96", "10.0.0.0/8"], "64:ff9b::a00:1", True, True, id="open-inside"),
        pytest.param(["10.0.0.0/8"], "64:ff9b::a00:1", False, False, id="prefix-closed"),
        pytest.param(["64:ff9b:1::/96"], "64:ff9b:1::808:808", False, True, id="local-96"),
        pytest.param(["64:ff9b:1::/96"], "64:ff9b:1::7f00:1", False, False, id="local-96-loopback"),
        pytest.param(["64:ff9b:1::/96"], "64:ff9b:1:1::808:808", False, False, id="another-prefix"),
        pytest.param(["64:ff9b:1::/48"], "64:ff9b:1:808:8:800::", False, True, id="local-48"),
        pytest.param(["64:ff9b:1::/48"], "64:ff9b:1:7f00:0:100::", False, False, id="local-48-loopback"),
        pytest.param(["64:ff9b:1:5::/64"], "64:ff9b:1:5:8:808:800:0", False, True, id="local-64"),
        pytest.param(["64:ff9b:1:5::/64"], "64:ff9b:1:5:a9:fea9:fe00:0", False, False, id="local-64-metadata"),
        pytest.param(["64:ff9b:1:500::/56"], "64:ff9b:1:508:8:808::", False, True, id="local-56"),
        pytest.param(["::/0"], "64:ff9b:1::808:808", False, False, id="no-prefix-of-a-gateway"),
        pytest.param(["::/0"], "64:ff9b::7f00:1", False, False, id="everything-open"),
        pytest.param(["::/0"], "ff02::1", False, False, id="multicast"),
        pytest.param(["::/0"], "::", False, False, id="unspecified"),
    ],
)
def test_what_nat64_carries_counts(networks, address, excepted, permitted):
    policy = Policy(allow_networks=parse_networks(networks))
    assert policy.is_excepted(ipaddress.ip_address(address)) is excepted
    assert policy.permits(ipaddress.ip_address(address), 443) is permitted


@pytest.mark.parametrize(
    "text", ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8;::1/128", "localhost", "fe80::/10%eth0", "10"]
)
def test_networks_that_cannot_be_read_stop_the_start_by_the_name_of_their_variable(text):
    with pytest.raises(SettingsError, match="CALGATE_ALLOW_NETWORKS"):
        Settings.from_environment({"CALGATE_ALLOW_NETWORKS": text})
