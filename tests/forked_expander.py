"""An expander whose processes are forked from one that has everything loaded: as good as new, in a hundredth of the time."""

import asyncio
import atexit
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from service.providers.vevent.expansion import Expander
from service.providers.vevent.worker import Worker, limit_memory


class ForkedExpander(Expander):
    """The gateway's, except for how its processes come to life. Where the platform has no pidfd, it is the gateway's."""

    async def _start(self) -> Any:
        if not hasattr(os, "pidfd_open"):
            return await super()._start()
        mine, its = socket.socketpair()
        with its:
            pidfd = _nursery().fork(its, self._memory, self._unit_seconds)
        reader, writer = await asyncio.open_connection(sock=mine, limit=1024 * 1024)
        return _Child(pidfd, reader, writer)


class _Child:
    """What the expander uses of `asyncio.subprocess.Process`."""

    def __init__(self, pidfd: int, stdout: asyncio.StreamReader, stdin: asyncio.StreamWriter) -> None:
        self._pidfd, self.stdout, self.stdin = pidfd, stdout, stdin
        self.returncode: int | None = None

    def kill(self) -> None:
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)  # type: ignore[attr-defined]

    async def communicate(self) -> None:
        await self.stdout.read()

    async def wait(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._pidfd, ended.set)
        await ended.wait()
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.returncode = -signal.SIGKILL
        self.stdin.close()


class _Nursery:
    """The process that forks the others, and ends with us."""

    def __init__(self) -> None:
        self._ours, its = socket.socketpair()
        with its:
            path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent)])
            self._process = subprocess.Popen(
                [sys.executable, __file__], stdin=its, env={**os.environ, "PYTHONPATH": path}
            )
        atexit.register(self.close)

    def fork(self, its: socket.socket, memory: int, unit_seconds: float) -> int:
        """A reader that is spoken to on `its` other end; its pidfd."""
        socket.send_fds(self._ours, [f"{memory} {unit_seconds}".encode()], [its.fileno()])
        _, [pidfd], *_ = socket.recv_fds(self._ours, 1, 1)
        return pidfd

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


_nurseries: list[_Nursery] = []


def _nursery() -> _Nursery:
    if not _nurseries:
        _nurseries.append(_Nursery())
    return _nurseries[0]


def _fork_on_demand() -> None:
    """Until nobody is left who could ask."""
    asked = socket.socket(fileno=0)
    while True:
        message, fds, *_ = socket.recv_fds(asked, 100, 1)
        if not message:
            return
        while _reap():
            pass
        pid = os.fork()
        if pid == 0:
            asked.close()
            memory, unit_seconds = message.split()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            limit_memory(int(memory))
            with os.fdopen(fds[0], "rb") as given, os.fdopen(os.dup(fds[0]), "wb") as told:
                Worker(given, told, float(unit_seconds)).run()
            os._exit(0)
        os.close(fds[0])
        pidfd = os.pidfd_open(pid)  # type: ignore[attr-defined]
        socket.send_fds(asked, [b"."], [pidfd])
        os.close(pidfd)


def _reap() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


if __name__ == "__main__":
    _fork_on_demand()
