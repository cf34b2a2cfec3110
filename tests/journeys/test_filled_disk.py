"""A gateway whose disk really is full, again and again: what it acknowledged is stored, it says so, and it heals."""

import asyncio
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
import pytest

POSTS = 150
SIZE = 96 * 2**20
"""More than what readiness wants to be free, which is 64 MiB."""

IN_A_DISK_OF_ITS_OWN = f'mount -t tmpfs -o size={SIZE} none "$0" && cd "$0" && exec "$@"'


def may_mount(folder: Path) -> bool:
    """Whether a namespace can be had in which one may mount."""
    command = ["unshare", "-Urm", "sh", "-c", IN_A_DISK_OF_ITS_OWN, folder, "true"]
    return shutil.which("unshare") is not None and subprocess.run(command, check=False).returncode == 0


class Disk:
    """The small disk of a running gateway, seen from outside of its namespace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filler = folder / "filler"

    def fill(self, left: int) -> None:
        """Leave so many bytes."""
        room = os.statvfs(self.folder)
        with self.filler.open("ab") as file:
            size = os.fstat(file.fileno()).st_size
            if (more := room.f_bavail * room.f_frsize - left) > 0:
                os.posix_fallocate(file.fileno(), size, more)
            else:
                file.truncate(size + more)

    def free(self) -> None:
        self.filler.unlink(missing_ok=True)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Disk, httpx.AsyncClient]]:
    """A gateway on a disk of its own, and an admin's client; it ends well, and without having met a fault of its own."""
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("unshare", "-Urm", "sh", "-c", IN_A_DISK_OF_ITS_OWN, str(folder)),
            *(sys.executable, "-m", "service", "serve", "--port", "0"),
            env={name: value for name, value in os.environ.items() if not name.startswith("CALGATE_")}
            | {"CALGATE_ALLOW_NETWORKS": "127.0.0.0/8"},
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        said = ""
        async with asyncio.timeout(120):
            while "listens on" not in said:
                line = await process.stdout.readline()
                assert line, (folder / "log").read_text()
                said += line.decode()
        url, key = re.search(r"http://\S+", said)[0], re.search(r"cgk_\S+", said)[0]
        async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=20) as call:
            yield Disk(Path(f"/proc/{process.pid}/root{folder}")), call
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert "Traceback" not in (folder / "log").read_text()


async def readiness(call: httpx.AsyncClient, status: int) -> list[str]:
    """The reasons, as soon as it is this; a look is good for a second."""
    async with asyncio.timeout(120):
        while (answer := await call.get("/health/ready")).status_code != status:
            await asyncio.sleep(0.05)
    reasons: list[str] = answer.json()["reasons"]
    return reasons


async def stored(call: httpx.AsyncClient) -> dict[str, str]:
    found: dict[str, str] = {}
    query: dict[str, str] = {"limit": "250"}
    while True:
        answer = await call.get("/webhooks/endpoints", params=query)
        assert answer.status_code == 200, answer.text
        found |= {each["id"]: each["url"] for each in answer.json()["data"]}
        if (cursor := answer.json()["next_cursor"]) is None:
            return found
        query["cursor"] = cursor


@pytest.mark.anyio
async def test_a_gateway_on_a_full_disk_says_so_loses_nothing_and_heals(tmp_path: Path) -> None:
    if not may_mount(tmp_path):
        pytest.skip("a small disk to be filled needs Linux and the right to namespaces")
    chance = random.Random(70)
    acknowledged: dict[str, str] = {}
    refused = 0
    async with serving(tmp_path) as (disk, call):
        assert await readiness(call, 200) == []
        for number in range(POSTS):
            if chance.random() < 0.25:
                disk.fill(chance.choice([0, 0, 4096, 20_000, 2**20, 2**20]))
            body = {"url": f"http://127.0.0.1:8999/{number}", "description": "x" * chance.randrange(500)}
            answer = await call.post("/webhooks/endpoints", json=body)
            if answer.status_code == 201:
                acknowledged[answer.json()["id"]] = body["url"]
            else:
                assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
                refused += 1
        disk.fill(0)
        [reason] = await readiness(call, 503)
        assert reason.startswith("disk: ")
        assert await stored(call) == acknowledged, "reading goes on"
        disk.free()
        assert await readiness(call, 200) == []
        assert await stored(call) == acknowledged
        assert len(acknowledged) > POSTS // 4
        assert refused > POSTS // 50, "the disk was never full"
        with closing(sqlite3.connect(disk.folder / "calgate.db")) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
