"""A program for a network of its own: a name server that changes its mind at each question, and what is dialled then.

Prints JSON: how often the server was asked, how many requests were blocked, and each address that was dialled, with the times.
"""

import asyncio
import fcntl
import json
import socket
import struct
import sys
import threading
from collections import Counter

import httpx
from recording_dials import Dials, slots_over

from service.errors import GatewayError
from service.providers.addresses import Policy
from service.providers.guarded_http import AddressBlocked, look_up, resolve_and_judge

URL = "https://rebinding.example.net/"
PUBLIC = "8.8.8.8"
INSIDE = ("127.0.0.1", "10.0.0.1", "169.254.169.254")
A = 1


def raise_loopback() -> None:
    """What `ip link set lo up` does."""
    get, put, up = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP of linux/sockios.h and linux/if.h
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, get, struct.pack("16sh22x", b"lo", 0))
        fcntl.ioctl(any_socket, put, struct.pack("16sh22x", b"lo", struct.unpack_from("16sh", request)[1] | up))


class NameServer(threading.Thread):
    """Says of every name by turns that it is public and that it is inside; it has no IPv6 (RFC 1035, section 4)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))

    def run(self) -> None:
        while True:
            query, asker = self.socket.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            (kind,) = struct.unpack_from("!H", query, end - 4)
            answer = self.next_address() if kind == A else b""
            head = query[:2] + struct.pack("!5H", 0x8580, 1, bool(answer), 0, 0)
            self.socket.sendto(head + query[12:end] + answer, asker)

    def next_address(self) -> bytes:
        turn, self.asked = self.asked, self.asked + 1
        address = INSIDE[turn // 2 % len(INSIDE)] if turn % 2 else PUBLIC
        return struct.pack("!3HIH", 0xC00C, A, 1, 0, 4) + socket.inet_aton(address)


async def main(count: int) -> None:
    raise_loopback()
    server, dials, blocked = NameServer(), Dials(), 0
    server.start()
    slots = slots_over(look_up, Policy(), network=dials)
    async with slots.borrow() as client:
        for number in range(count):
            try:
                if (
                    number % 3 == 0
                ):  # as when an address is given: judged by a look-up that is not the one of the request
                    await resolve_and_judge(URL, Policy(), "webhook")
                await client.post(URL)
            except (AddressBlocked, GatewayError):
                blocked += 1
            except httpx.ConnectError:
                pass  # by `Dials`, which has noted it
    await slots.aclose()
    dialled = Counter(address for address, _port in dials.made)
    sys.stdout.write(json.dumps({"asked": server.asked, "blocked": blocked, "dialled": dialled}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
