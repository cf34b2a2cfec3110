"""The three parties of the demo on free loopback ports: a gateway as its own process, a provider, a receiver."""

import asyncio
import re
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.commands.listening import LOOPBACK
from service.commands.session import CommandFailed
from service.demo.cast import Cast
from service.demo.processes import START_SECONDS, free_port, inherited, last_words, running
from service.demo.receiver import Receiver, receiving
from service.demo.served import caldav, ics
from service.demo.simulated import google, microsoft

CASTS: Final[Mapping[str, Callable[[Path], AbstractAsyncContextManager[Cast]]]] = {
    "google": google,
    "microsoft": microsoft,
    "caldav": caldav,
    "ics": ics,
}


@dataclass(frozen=True)
class Stage:
    """Where everybody is, and the API key that the gateway printed at its first start."""

    gateway_url: str
    api_key: str
    cast: Cast
    receiver: Receiver


@asynccontextmanager
async def staged(provider: str) -> AsyncIterator[Stage]:
    """Start everybody, and stop them in the end. Raises CommandFailed when somebody does not start or end well."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calgate-demo-")))
        receiver = await stack.enter_async_context(receiving())
        cast = await stack.enter_async_context(CASTS[provider](folder))
        url, key = await stack.enter_async_context(_gateway(folder, cast.settings))
        yield Stage(gateway_url=url, api_key=key, cast=cast, receiver=receiver)


@asynccontextmanager
async def _gateway(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[tuple[str, str]]:
    """`calgate serve` as anybody would start it; yields its URL and key."""
    port, log = free_port(), folder / "gateway.log"
    url = f"http://{LOOPBACK}:{port}"
    environment = inherited() | {
        "CALGATE_DATABASE_URL": f"sqlite:///{folder / 'calgate.db'}",
        "CALGATE_HOST": LOOPBACK,
        "CALGATE_PORT": str(port),
        "CALGATE_PUBLIC_URL": url,
        "CALGATE_ALLOW_NETWORKS": f"{LOOPBACK}/32",
        "CALGATE_LOG_FORMAT": "text",
        **settings,
    }
    async with running("-m", "service", "serve", environment=environment, log=log) as process:
        yield url, await _first_words(process, log)
    if process.returncode != 0:
        raise CommandFailed(f"the gateway ended with exit code {process.returncode}: {last_words(log)}")


async def _first_words(process: Process, log: Path) -> str:
    """The API key, once the gateway says that it listens."""
    key = ""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.stdout is not None and (line := (await process.stdout.readline()).decode()):
                if found := re.search(r"cgk_\S+", line):
                    key = found[0]
                if " listens on " in line and key:
                    return key
    raise CommandFailed(f"the gateway did not start: {last_words(log)}")
