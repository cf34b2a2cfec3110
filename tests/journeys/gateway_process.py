"""`calgate serve` as a process that can be killed, stopped and started again on the same port and database."""

import asyncio
import os
import random
import re
import signal
import socket
import sys
from pathlib import Path
from time import monotonic
from typing import Self

PATIENCE = 60.0
PORTS = range(20_000, 32_000)
"""Below those that this machine gives to outgoing connections, so that nobody takes the port while we are away."""


def free_port() -> int:
    """A port that nobody listens on, and that no outgoing connection will be given."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class GatewayProcess:
    """One gateway. `settings` are `CALGATE_*` variables without their prefix; what it logs goes to a file in `folder`."""

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.log = folder / f"gateway-{self.port}.log"
        self.key: str | None = None
        self.starts = 0
        ours = {"DATABASE_URL": database_url, "ALLOW_NETWORKS": "127.0.0.0/8", "LOG_LEVEL": "error", **settings}
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CALGATE_")},
            **{f"CALGATE_{name}": value for name, value in ours.items()},
        }
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    def beside(cls, google: str, folder: Path, database_url: str, **settings: str) -> Self:
        """One that reads a simulated Google, which can push to it."""
        ours = {"GOOGLE_API_URL": f"{google}/calendar/v3", "GOOGLE_TOKEN_URL": f"{google}/token"}
        made = cls(folder, database_url, **ours, **settings)
        made._environment.setdefault("CALGATE_PUBLIC_URL", made.url)
        return made

    @property
    def pid(self) -> int | None:
        """The process while it lives."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process is not None else None

    async def start(self) -> None:
        """Run it until it says where it listens; the first start on an empty database gives `key`."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "service", "serve", "--port", str(self.port)),
                cwd=self.folder,
                env=self._environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        said = ""
        async with asyncio.timeout(PATIENCE):
            while "listens on" not in said:
                line = await self._process.stdout.readline()
                assert line, f"it ended: {said}{self.log.read_text()[-2000:]}"
                said += line.decode()
        found = re.search(r"cgk_\S+", said)
        self.key = found[0] if found else self.key
        self.starts += 1
        self._reader = asyncio.create_task(self._read_on(self._process.stdout))

    async def kill(self) -> None:
        """`kill -9`; no more than nothing when it is dead."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> tuple[int, float]:
        """SIGTERM: the exit code, and after how many seconds it had ended."""
        began = monotonic()
        async with asyncio.timeout(PATIENCE):
            code = await self._end(signal.SIGTERM)
        return code, monotonic() - began

    async def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(number)
        code = await self._process.wait()
        if self._reader is not None:
            await self._reader
        return code

    @staticmethod
    async def _read_on(stdout: asyncio.StreamReader) -> None:
        """So that it never waits for somebody to read."""
        while await stdout.readline():
            pass
