"""`GET /meetings`, a page of 100 out of a million events, from a running gateway over HTTP.

Floor: a bare ASGI application that asks the raw driver the same question and encodes the answer.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final
from uuid import UUID

import databases
import measure
import read_floor
from measure import Options, Row
from million import fill

from service.store.api_keys import create_key
from service.store.cipher import generate_key
from service.store.database import Database
from service.store.projects import create_project

TARGET: Final = 0.3
LINES: Final = 8
"""Requests in flight: enough to keep one process busy."""

KEYS: Final = generate_key()


class Server:
    """A process that serves HTTP on a loopback port."""

    def __init__(self, command: list[str], port: int, environment: dict[str, str], folder: str) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **environment},
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )

    async def ready(self) -> None:
        async with asyncio.timeout(60):
            while True:
                if self.process.poll() is not None:
                    raise RuntimeError("a server ended before it was ready")
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                return

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def cpu(self) -> float:
        """Seconds of processor time that the process has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def ask(port: int, request: bytes, seconds: float) -> tuple[int, int]:
    """Send one request after the other over some connections; how many were answered, and with how many bytes."""
    end = perf_counter() + seconds
    counts = await asyncio.gather(*(_ask_on_one_line(port, request, end) for _ in range(LINES)))
    return sum(count for count, _ in counts), max(size for _, size in counts)


async def _ask_on_one_line(port: int, request: bytes, end: float) -> tuple[int, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    count = size = 0
    while perf_counter() < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(size)
        count += 1
    writer.close()
    return count, size


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    """Wait for a server, and end it afterwards."""
    try:
        await server.ready()
        yield server
    finally:
        await asyncio.to_thread(server.stop)


async def prepare(url: str, events: int, now: datetime) -> tuple[UUID, str]:
    """A project with so many events and a key for it."""
    async with Database.connect(url, foreign_keys=False) as database:
        async with database.write() as conn:
            project = await create_project(conn, "benchmark", now)
            key = await create_key(conn, project, "read", now)
        await fill(database, project, events, now)
    return project, key


async def measure_database(kind: databases.Server, events: int, rounds: int, seconds: float) -> AsyncIterator[Row]:
    """Product and floor in turn, on one database."""
    now = datetime.now(UTC)
    start, end = now + timedelta(days=3), now + timedelta(days=4)
    async with databases.fresh(kind) as url:
        project, key = await prepare(url, events, now)
        with tempfile.TemporaryDirectory() as folder:
            port, floor_port = free_port(), free_port()
            given = {"CALGATE_DATABASE_URL": url, "CALGATE_SECRET_KEYS": KEYS, "CALGATE_LOG_LEVEL": "error"}
            given |= {"CALGATE_RATE_LIMIT": "100000/100000", "CALGATE_POLL_SECONDS": "86400"}
            gateway = Server(["-m", "service", "serve", "--role", "api", "--port", str(port)], port, given, folder)
            bare = Server(
                [read_floor.__file__, url, str(floor_port), project.hex, start.isoformat(), end.isoformat()],
                floor_port,
                {},
                folder,
            )
            query = f"/meetings?limit=100&from={start:%Y-%m-%dT%H:%M:%SZ}&until={end:%Y-%m-%dT%H:%M:%SZ}"
            asked = f"GET {query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
            async with serving(bare), serving(gateway):
                figures = await in_turn(gateway, bare, asked, rounds, seconds)
    (rate, cost), (bare_rate, bare_cost) = figures
    yield Row(kind.name, f"{events:,} events, requests/s", f"{rate:.0f}", f"{bare_rate:.0f}", rate / bare_rate, TARGET)
    yield Row(
        kind.name, "the same, CPU a request", f"{cost * 1e3:.2f} ms", f"{bare_cost * 1e3:.2f} ms", bare_cost / cost
    )


async def in_turn(
    gateway: Server, bare: Server, asked: bytes, rounds: int, seconds: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Medians of (requests per second, CPU seconds a request) of both."""
    found: dict[Server, list[measure.Spent]] = {gateway: [], bare: []}
    sizes: dict[Server, int] = {}
    for number in range(rounds + 1):
        for server in (gateway, bare):
            used = server.cpu
            count, sizes[server] = await ask(server.port, asked, seconds)
            if number:  # the first turn warms caches
                found[server].append(measure.Spent(count / seconds, (server.cpu - used) / count))
    if sizes[bare] < sizes[gateway] / 2:
        raise RuntimeError("the floor answers less than half of what it is compared with")
    one, two = (measure.middle(found[server]) for server in (gateway, bare))
    return (one.wall, one.cpu), (two.wall, two.cpu)


async def main(given: Options) -> AsyncIterator[Row]:
    events, rounds, seconds = (20_000, 1, 0.5) if given.quick else (1_000_000, measure.ROUNDS, 2.0)
    for name in given.databases:
        async with databases.server(name) as kind:
            async for row in measure_database(kind, events, rounds, seconds):
                yield row


if __name__ == "__main__":
    measure.run(main, __doc__)
