"""Listening for HTTP, as every command that serves something does it: uvicorn without its hold on signals."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, cast

import uvicorn

from service.commands.session import CommandFailed

LOOPBACK: Final = "127.0.0.1"
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
LAST_WORDS: Final = 0.5
"""Seconds in which those who are connected at the end may still say what they want; the answer then ends the connection."""

GLANCE: Final = 0.02


class Server(uvicorn.Server):
    """A server that says when it listens, and leaves signals alone: uvicorn would end before the work has ended."""

    def __init__(self, config: uvicorn.Config, greet: Callable[[], None]) -> None:
        super().__init__(config)
        self._greet = greet

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._greet()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, then answer those who are in: uvicorn alone hangs up on whose request is not read yet."""
        # Those who are connected and were not let in yet would be hung up on with the listener. Nothing may come between.
        waiting = [each for listener in sockets or [] for each in _waiting_at(listener)]
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for each in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, each)
        end = asyncio.get_running_loop().time() + LAST_WORDS
        # uvicorn tells nobody when the last connection has ended.
        while self.server_state.connections and not self.force_exit and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
            await asyncio.sleep(GLANCE)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        """As uvicorn makes it for each connection."""
        made = cast("type[Any]", self.config.http_protocol_class)
        protocol: asyncio.Protocol = made(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _waiting_at(listener: socket.socket) -> list[socket.socket]:
    found = []
    listener.setblocking(False)
    with contextlib.suppress(OSError):  # nobody is left, or it is closed
        while True:
            found.append(listener.accept()[0])
    return found


@contextlib.contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket to listen on, a free port for 0. Raises CommandFailed when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host.strip("[]"), port))
        except OSError as error:
            raise CommandFailed(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        yield listener


def url_of(listener: socket.socket) -> str:
    """The address of a bound socket, without a slash at the end."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def on_loopback(app: Any, *, lifespan: bool = False, port: int = 0) -> AsyncIterator[str]:
    """Serve an ASGI application beside other work, at the URL that this yields."""
    with bound(LOOPBACK, port) as listener:
        listening = asyncio.Event()
        config = uvicorn.Config(
            app,
            loop="none",
            lifespan="on" if lifespan else "off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = Server(config, listening.set)
        serving = asyncio.create_task(server.serve(sockets=[listener]), name=f"serve {url_of(listener)}")
        try:
            await listening.wait()
            yield url_of(listener)
        finally:
            server.should_exit = True
            await serving


@contextlib.contextmanager
def on_signal(act: Callable[[], object]) -> Iterator[None]:
    """Call `act` for SIGTERM and SIGINT instead of what Python does."""
    loop = asyncio.get_running_loop()
    for each in SIGNALS:
        loop.add_signal_handler(each, act)
    try:
        yield
    finally:
        for each in SIGNALS:
            loop.remove_signal_handler(each)


async def until_signal() -> None:
    """Wait to be asked to stop."""
    asked = asyncio.Event()
    with on_signal(asked.set):
        await asked.wait()
