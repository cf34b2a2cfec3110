"""The programs that the demo starts beside itself: each on a free port, asked to end as an operator would, and never left behind."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from service.commands.listening import LOOPBACK, bound

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with bound(LOOPBACK, 0) as probe:
        port: int = probe.getsockname()[1]
    return port


@asynccontextmanager
async def running(*arguments: str, environment: Mapping[str, str], log: Path) -> AsyncIterator[Process]:
    """A program of Python's, in the folder of its log, which is of its errors; its output is a pipe."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=log.parent,  # away from anybody's .env
            env=environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=errors,
        )
    try:
        yield process
    finally:
        await _stop(process)


def inherited() -> dict[str, str]:
    """The environment without any setting of a gateway, in which the package is found from every folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALGATE_")}
    # Also when it runs from a checkout that is not installed.
    paths = [str(Path(__file__).parents[2]), kept.get("PYTHONPATH", "")]
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def last_words(log: Path) -> str:
    """The last line of a log."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


async def _stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
