"""Which addresses and URLs a stranger may send us to: the pure policy behind `guarded_http`.

The text of a URL is only half of the judgement, because a name may lead anywhere and `127.1` is an address too: what
counts is the address that is dialled, and `Policy.permits` is asked about that one.
"""

import contextlib
import functools
import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final

import httpx
import idna
import msgspec

from service.errors import GatewayError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DENIED_4: Final = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
"""Of IANA's IPv4 special-purpose registry (RFC 6890), multicast, and the public address at which Azure's host machines
answer their guests only."""

_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")
_DENIED_6: Final = tuple(
    ipaddress.IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
"""Holes in the only IPv6 space that is in use: protocol assignments and Teredo, documentation, 6to4."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")

_PORTS: Final[dict[str, set[int]]] = {"webhook": {443, 8443}, "caldav": {443, 8443}, "ics": {80, 443, 8443}}
_PUBLIC_PORTS: Final = set[int]().union(*_PORTS.values())
_PRIVATE_SUFFIXES: Final = ("localhost", "local", "internal")
_LONGEST_URL: Final = 4096
_LONGEST_NAME: Final = 253
_USERINFO: Final = re.compile(r"[^/?#]*//[^/?#]*@")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
_ODD_PORT: Final = re.compile(r"[^/?#]*//[^/?#]*:(?![0-9]*(?:[/?#]|$))[^\]/?#]*(?:[/?#]|$)")
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", "localhost"})  # noqa: S104  (what we may be listening on)
_NAME: Final = re.compile(r"(?:[a-z0-9_-]{1,63}\.)+[a-z0-9-]{1,63}")
_ODD_END: Final = re.compile(r"[0-9]+|0x.*")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What may be dialled: the public internet and `allow_networks`, but never `own`, our own (host, port) pairs.

    A host in `own` is a name or an address as text; 0.0.0.0, :: and localhost stand for every address of this machine.
    """

    allow_networks: tuple[Network, ...] = ()
    own: frozenset[tuple[str, int]] = frozenset()

    def is_excepted(self, address: Address) -> bool:
        """Whether the operator has opened the network of this address, with http and every port.

        For NAT64 (RFC 6052, 8215) both the prefix and the network of the IPv4 address in it have to be open.
        """
        if not self._is_open(address):
            return False
        carried = self._carried(address)
        return carried is None or self._is_open(carried)

    def permits(self, address: Address, port: int) -> bool:
        """Whether a connection to this address may be made.

        NAT64 is permitted where the operator has opened its prefix, as far as the IPv4 address that it carries is;
        IPv4-mapped, scoped, unspecified and multicast addresses never are.
        """
        if not _is_plain(address) or self._is_own(address, port):
            return False
        if self._is_open(address):
            carried = self._carried(address)
            return carried is None or self.permits(carried, port)
        if port not in _PUBLIC_PORTS:
            return False
        if isinstance(address, ipaddress.IPv4Address):
            return not any(address in block for block in _DENIED_4)
        return address in _GLOBAL_6 and not any(address in block for block in _DENIED_6)

    def is_own_name(self, host: str, port: int) -> bool:
        """Whether a URL's host and port are ours by their text."""
        name = _canonical(host)
        return any(port == own_port and name == _canonical(own) for own, own_port in self.own)

    def _is_open(self, address: Address) -> bool:
        return _is_plain(address) and any(address in network for network in self.allow_networks)

    def _carried(self, address: Address) -> ipaddress.IPv4Address | None:
        """The IPv4 address that a NAT64 gateway reads in an open address (RFC 6052, 2.2); None for any other."""
        if address in _NAT64:
            length = 96
        elif address in _LOCAL_NAT64:
            # Where in it the address lies depends on the gateway's prefix, which is what the operator has opened.
            length = max(network.prefixlen for network in self.allow_networks if address in network)
        else:
            return None
        octets = address.packed
        places = {48: octets[6:8] + octets[9:11], 56: octets[7:8] + octets[9:12], 64: octets[9:13], 96: octets[12:]}
        return ipaddress.IPv4Address(places.get(length, bytes(4)))

    def _is_own(self, address: Address, port: int) -> bool:
        names = [_canonical(own) for own, own_port in self.own if port == own_port]
        return str(address) in names or (not _EVERYWHERE.isdisjoint(names) and is_here(address))


def is_here(address: Address) -> bool:
    """Whether an address is one of this machine's: only such a one can be bound to."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def parse_networks(networks: Iterable[str]) -> tuple[Network, ...]:
    """CIDRs as networks; raises ValueError for what is none."""
    return tuple(ipaddress.ip_network(text.strip()) for text in networks)


def judge_url(url: str, policy: Policy, purpose: str) -> httpx.URL:
    """The URL, when its text alone does not forbid it; `purpose` is `webhook`, `caldav` or `ics`.

    Raises GatewayError 422 `blocked_url`. Whether http and an unusual port are right for a name is known only with
    its addresses, so a URL that has them passes here as long as some network is excepted, and is judged by
    `guarded_http.resolve_and_judge`.
    """
    if len(url) > _LONGEST_URL:
        raise _blocked("is longer than 4096 characters")
    if _UNPRINTABLE.search(url):
        raise _blocked("has a space, a control character or a backslash")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
        port = parsed.port
    except (httpx.InvalidURL, idna.IDNAError, UnicodeError, ValueError):
        raise _blocked("cannot be read") from None
    if parsed.userinfo or _USERINFO.match(url):
        raise _blocked("must not carry a user name or password")
    if _ODD_PORT.match(url):
        # Unicode's digits and signs are numbers to Python, and to nobody else.
        raise _blocked("has a port that is no number")
    if parsed.scheme not in {"http", "https"}:
        raise _blocked("must begin with https://")
    if "#" in url:
        raise _blocked("must not have a fragment")
    if port is not None and not 0 < port < 65536:
        raise _blocked("has an impossible port")
    _judge_host(host, policy, port_of(parsed))
    if not is_ordinary(parsed, purpose) and not policy.allow_networks:
        raise _blocked(ordinary_rule(purpose))
    return parsed


def is_ordinary(url: httpx.URL, purpose: str) -> bool:
    """Whether scheme and port are those that the public internet may be reached by."""
    if url.scheme == "http" and purpose != "ics":
        return False
    return port_of(url) in _PORTS[purpose]


def ordinary_rule(purpose: str) -> str:
    """What `is_ordinary` asks for, in words."""
    ports = ", ".join(str(port) for port in sorted(_PORTS[purpose]))
    return f"must use {'http or https' if purpose == 'ics' else 'https'} and port {ports}"


def port_of(url: httpx.URL) -> int:
    """The port that a URL leads to, named or not."""
    return url.port or (443 if url.scheme == "https" else 80)


def literal_address(host: str) -> Address | None:
    """The address that a host is written as, if it is one."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _judge_host(host: str, policy: Policy, port: int) -> None:
    name = host.lower().rstrip(".")
    address = literal_address(name)
    if policy.is_own_name(name, port):
        raise _blocked("leads back to this gateway")
    if address is not None:
        if not policy.permits(address, port):
            raise _blocked("leads to an address that is not public")
        return
    labels = name.split(".")
    if len(labels) < 2 or labels[-1] in _PRIVATE_SUFFIXES or not all(labels):
        raise _blocked("must name a host on the public internet")
    if _ODD_END.fullmatch(labels[-1]):
        # A resolver reads 127.1 and 0x7f.1 as addresses; nobody writes them in good faith.
        raise _blocked("writes its address in an unusual way")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise _blocked("names a host as no host is named")


def _is_plain(address: Address) -> bool:
    if address.is_unspecified or address.is_multicast:
        return False
    return isinstance(address, ipaddress.IPv4Address) or (address.ipv4_mapped is None and address.scope_id is None)


@functools.lru_cache(maxsize=64)
def _canonical(host: str) -> str:
    """A host as it is compared: an address in its one spelling, a name in lower case, of ASCII, without the last dot."""
    name = host.strip("[]").rstrip(".").lower()
    if address := literal_address(name):
        return str(address)
    with contextlib.suppress(httpx.InvalidURL, idna.IDNAError, UnicodeError):
        return httpx.URL(scheme="https", host=name).raw_host.decode("ascii")
    return name


def _blocked(why: str) -> GatewayError:
    return GatewayError(422, "blocked_url", f"The URL {why}.")
