"""Posts prepared requests over some connections as fast as they are answered, and writes down how long each took."""

import asyncio
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Final, NamedTuple
from urllib.parse import urlsplit

CONNECTIONS: Final = 8
_length: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Answered(NamedTuple):
    """Seconds that each answer took, how often each status came, and seconds for all of them together."""

    took: list[float]
    statuses: Counter[int]
    seconds: float


def request(address: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A POST as the bytes that go out."""
    parts = urlsplit(address)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def post(port: int, requests: Iterable[bytes]) -> Answered:
    """Send all of them, one at a time on each connection."""
    left = iter(requests)
    took: list[float] = []
    statuses: Counter[int] = Counter()

    async def serve() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for each in left:
            began = perf_counter()
            writer.write(each)
            head = await reader.readuntil(b"\r\n\r\n")
            if found := _length.search(head):
                await reader.readexactly(int(found[1]))
            took.append(perf_counter() - began)
            statuses[int(head[9:12])] += 1
        writer.close()
        await writer.wait_closed()

    began = perf_counter()
    await asyncio.gather(*(serve() for _ in range(CONNECTIONS)))
    return Answered(took, statuses, perf_counter() - began)


@contextmanager
def floor() -> Iterator[int]:
    """The bare application in a process of its own; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("push_floor.py")), str(port)])
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)
