"""The three parties of the demo on free loopback ports: a gateway as its own process, the simulated Google, a receiver."""

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.commands.listening import LOOPBACK, bound, on_loopback
from service.commands.session import CommandFailed
from service.demo.receiver import Receiver, receiving
from simulator.app import create_app
from simulator.google.world import World
from simulator.seed import seeded_world

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Stage:
    """Where everybody is, and the API key that the gateway printed at its first start."""

    gateway_url: str
    api_key: str
    simulator_url: str
    world: World
    receiver: Receiver


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Start everybody, and stop them in the end. Raises CommandFailed when the gateway does not start or end well."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calgate-demo-")))
        world = seeded_world()
        receiver = await stack.enter_async_context(receiving())
        simulator_url = await stack.enter_async_context(on_loopback(create_app(world), lifespan=True))
        url, key = await stack.enter_async_context(_gateway(folder, simulator_url))
        yield Stage(gateway_url=url, api_key=key, simulator_url=simulator_url, world=world, receiver=receiver)


@asynccontextmanager
async def _gateway(folder: Path, simulator_url: str) -> AsyncIterator[tuple[str, str]]:
    """`calgate serve` as anybody would start it; yields its URL and key."""
    with bound(LOOPBACK, 0) as probe:
        port: int = probe.getsockname()[1]
    url = f"http://{LOOPBACK}:{port}"
    log = folder / "gateway.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service",
            "serve",
            cwd=folder,  # away from anybody's .env
            env=_environment(folder, url, port, simulator_url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield url, await _first_words(process, log)
    except BaseException:
        await _stop(process)
        raise
    code = await _stop(process)
    if code != 0:
        raise CommandFailed(f"the gateway ended with exit code {code}: {_last_words(log)}")


def _environment(folder: Path, url: str, port: int, simulator_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALGATE_")}
    # The package is found from any directory, also when it runs from a checkout that is not installed.
    paths = [str(Path(__file__).parents[2]), kept.get("PYTHONPATH", "")]
    return kept | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "CALGATE_DATABASE_URL": f"sqlite:///{folder / 'calgate.db'}",
        "CALGATE_HOST": LOOPBACK,
        "CALGATE_PORT": str(port),
        "CALGATE_PUBLIC_URL": url,
        "CALGATE_ALLOW_NETWORKS": f"{LOOPBACK}/32",
        "CALGATE_GOOGLE_API_URL": f"{simulator_url}/calendar/v3",
        "CALGATE_GOOGLE_TOKEN_URL": f"{simulator_url}/token",
        "CALGATE_LOG_FORMAT": "text",
    }


async def _first_words(process: asyncio.subprocess.Process, log: Path) -> str:
    """The API key, once the gateway says that it listens."""
    key = ""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.stdout is not None and (line := (await process.stdout.readline()).decode()):
                if found := re.search(r"cgk_\S+", line):
                    key = found[0]
                if " listens on " in line and key:
                    return key
    raise CommandFailed(f"the gateway did not start: {_last_words(log)}")


async def _stop(process: asyncio.subprocess.Process) -> int:
    """Ask it to end, as an operator would; its exit code."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            return await process.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
