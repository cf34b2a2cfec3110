"""How long `calgate serve` takes until it is ready on a migrated database, and what it holds idle, beside bare imports."""

import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter, sleep
from typing import Final, NamedTuple

import databases
import measure
from measure import Options, Row, Spent

from service.store.cipher import generate_key

TARGET: Final = 5.0
MOST_SECONDS: Final = 1.5
MOST_MEBIBYTES: Final = 120.0
IDLE_SECONDS: Final = 3.0
FRAMEWORKS: Final = "import litestar, sqlalchemy.ext.asyncio"
PATIENCE: Final = 60.0
LOOK_EVERY: Final = 0.002


def import_litestar() -> Spent:
    """A Python that imports the framework and ends."""
    began = perf_counter()
    process = subprocess.Popen([sys.executable, "-c", "import litestar"])
    _, _, used = os.wait4(process.pid, 0)
    return Spent(perf_counter() - began, used.ru_utime + used.ru_stime)


class Started(NamedTuple):
    """A start, and what the gateway held after it; MiB, 0 where it was not waited for."""

    spent: Spent
    idle: float


def start_gateway(url: str, folder: str, *, idles: float = 0.0) -> Started:
    """`calgate serve` until it says that it is ready, and so many seconds longer to see what it holds.

    Its CPU is all that it used, the end included.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = {"CALGATE_DATABASE_URL": url, "CALGATE_SECRET_KEYS": KEYS, "CALGATE_LOG_LEVEL": "warning"}
    began = perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", str(port)],
        env=KEPT | given,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        while not is_ready(port):
            if perf_counter() - began > PATIENCE or process.poll() is not None:
                raise RuntimeError("calgate serve did not become ready")
            sleep(LOOK_EVERY)
        wall = perf_counter() - began
        sleep(idles)
        held = resident(Path(f"/proc/{process.pid}/status").read_text()) if idles else 0.0
    finally:
        process.send_signal(signal.SIGTERM)
        _, _, used = os.wait4(process.pid, 0)
    return Started(Spent(wall, used.ru_utime + used.ru_stime), held)


def hold_frameworks() -> float:
    """What a Python holds that has imported the frameworks and does nothing; MiB."""
    show = f"{FRAMEWORKS}; print(open('/proc/self/status').read())"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    return resident(done.stdout)


def resident(status: str) -> float:
    """The resident memory that a `/proc/PID/status` tells of (Linux); MiB."""
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def is_ready(port: int) -> bool:
    """Whether the gateway answers 200 to a question for its readiness."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as line:
            line.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return line.recv(64).startswith(b"HTTP/1.1 200")
    except ConnectionRefusedError:
        return False


KEYS: Final = generate_key()
# Who measures may have told Python to compile everything anew at each start; who runs a gateway has not.
KEPT: Final = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


async def main(given: Options) -> AsyncIterator[Row]:
    """Both in turn; the first start of each is thrown away, because it reads the files from disk."""
    rounds = 2 if given.quick else measure.ROUNDS
    for name in given.databases:
        async with databases.server(name) as kind, databases.fresh(kind) as url:
            with tempfile.TemporaryDirectory() as folder:
                spent = await asyncio.to_thread(in_turn, rounds + 1, url, folder)
                held = (await asyncio.to_thread(start_gateway, url, folder, idles=IDLE_SECONDS)).idle
                floor = await asyncio.to_thread(hold_frameworks)
        bare, whole = measure.middle(spent[0][1:]), measure.middle(spent[1][1:])
        spread = statistics.pstdev(each.wall for each in spent[1][1:]) / whole.wall
        yield Row(
            name,
            "serve to ready, wall",
            f"{whole.wall:.2f} s",
            f"{bare.wall:.2f} s",
            whole.wall / bare.wall,
            TARGET,
            True,
        )
        yield Row(name, "the same, seconds", f"{whole.wall:.2f}", "", whole.wall, MOST_SECONDS, True)
        yield Row(
            name,
            f"the same, CPU (spread of wall {spread:.0%})",
            f"{whole.cpu:.2f} s",
            f"{bare.cpu:.2f} s",
            whole.cpu / bare.cpu,
        )
        yield Row(name, "idle, MiB in memory", f"{held:.0f}", f"{floor:.0f}", held, MOST_MEBIBYTES, True)


def in_turn(rounds: int, url: str, folder: str) -> tuple[list[Spent], list[Spent]]:
    """The floor and the product, one after the other, some rounds long."""
    found: tuple[list[Spent], list[Spent]] = ([], [])
    for _ in range(rounds):
        found[0].append(import_litestar())
        found[1].append(start_gateway(url, folder).spent)
    return found


if __name__ == "__main__":
    measure.run(main, __doc__)
