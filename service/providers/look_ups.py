"""Look-ups of names that users give us, on threads of their own: a name server that never answers holds up nobody else.

The loop's own look-ups share a handful of threads with each other, a time-out frees none of them, and the providers that
the operator chose are looked up there. So two silent names would be enough to cut everybody off.
"""

import asyncio
import contextlib
import logging
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Executor, Future
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakKeyDictionary

from service.providers.addresses import Address, literal_address

LOOK_UP_SECONDS: Final = 5.0
REFUSED_SECONDS: Final = 30.0
"""For how long a name that did not answer in time is not asked for again; its thread may hang about as long."""

MOST_THREADS: Final = 64
MOST_OF_ONE: Final = 8
"""How many of the threads one domain has, and one project."""

FindTexts = Callable[[str], list[str]]
"""The addresses of a host, as texts. May block for as long as it likes, and raise OSError and UnicodeError."""

log: Final = logging.getLogger(__name__)

_asker: ContextVar[Hashable] = ContextVar("asker", default=None)


@contextlib.contextmanager
def on_behalf_of(asker: Hashable) -> Iterator[None]:
    """Whoever looks up a name inside does it for this project, and so takes no more than a project's share of the threads."""
    token = _asker.set(asker)
    try:
        yield
    finally:
        _asker.reset(token)


def ask_system(host: str) -> list[str]:
    """The addresses of a host by the system's resolver. Raises OSError and UnicodeError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _family, _type, _protocol, _name, sockaddr in found]


class OwnThreads(Executor):
    """Runs each call on a thread made for it, which the end of the process does not wait for.

    A pool of the standard library is joined at exit: one silent name server would hold up a stop. Who submits sees to it
    that they are not too many. A call raises nothing but Exception.
    """

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Begin a call. Raises RuntimeError when the system gives us no thread."""
        future: Future[Any] = Future()

        def work() -> None:
            try:
                result = call(*arguments, **named)
            except Exception as error:  # noqa: BLE001 (for whoever awaits it)
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="look-up", daemon=True).start()
        return future


class LookUps:
    """Looks up names, each once at a time: who asks for one that is being looked up gets the same answer.

    To be used from one event loop, whose time counts. `most` threads are used at once; `most_of_one` of them for one
    domain (the last two labels of a name) and for one project.
    """

    def __init__(
        self,
        find: FindTexts,
        *,
        seconds: float = LOOK_UP_SECONDS,
        refused_seconds: float = REFUSED_SECONDS,
        most: int = MOST_THREADS,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        self._find = find
        self._seconds = seconds
        self._refused_seconds = refused_seconds
        self._most = most
        self._most_of_one = most_of_one
        self._threads = OwnThreads()
        self._asked: dict[str, asyncio.Future[list[Address]]] = {}
        self._waiting: dict[str, tuple[Hashable, ...]] = {}  # names that have no thread yet, in order
        self._running: dict[str, tuple[Hashable, ...]] = {}  # names that have one, and whose share it is of
        self._begun: dict[str, float] = {}
        self._refused: OrderedDict[str, float] = OrderedDict()  # until when, in that order

    async def addresses(self, host: str) -> list[Address]:
        """The addresses of a host; none when it has none, or did not answer in time, now or a moment ago."""
        literal = literal_address(host)
        if literal is not None:
            return [literal]
        name = host.lower()
        answer = self._asked.get(name)
        if answer is None:
            if self._is_refused(name):
                return []
            answer = self._ask(name)
        return await asyncio.shield(answer)

    def _is_refused(self, name: str) -> bool:
        now = asyncio.get_running_loop().time()
        while self._refused and next(iter(self._refused.values())) <= now:
            self._refused.popitem(last=False)
        return name in self._refused or name in self._running

    def _ask(self, name: str) -> asyncio.Future[list[Address]]:
        loop = asyncio.get_running_loop()
        answer = self._asked[name] = loop.create_future()
        timer = loop.call_later(self._seconds, self._give_up, name)
        answer.add_done_callback(lambda _: timer.cancel())
        domain = ".".join(name.rstrip(".").rsplit(".", 2)[-2:])
        asker = _asker.get()
        self._waiting[name] = (("domain", domain),) if asker is None else (("domain", domain), ("project", asker))
        self._begin()
        return answer

    def _begin(self) -> None:
        """Give threads to those who wait, as far as there are any for them."""
        for name, shares in list(self._waiting.items()):
            if len(self._running) >= self._most:
                return
            if all(self._count(share) < self._most_of_one for share in shares):
                self._start(name, self._waiting.pop(name))

    def _count(self, share: Hashable) -> int:
        return sum(share in shares for shares in self._running.values())

    def _start(self, name: str, shares: tuple[Hashable, ...]) -> None:
        loop = asyncio.get_running_loop()
        try:
            thread = loop.run_in_executor(self._threads, self._find, name)
        except RuntimeError:  # no thread is to be had
            self._tell(name, [])
            return
        self._running[name] = shares
        self._begun[name] = loop.time()
        thread.add_done_callback(lambda done: self._end(name, done))

    def _end(self, name: str, thread: asyncio.Future[list[str]]) -> None:
        del self._running[name], self._begun[name]
        texts: list[str] = []
        try:
            texts = thread.result()
        except (OSError, UnicodeError, asyncio.CancelledError):
            pass  # there is no such name
        except Exception:
            log.exception("a look-up broke off")
        found = (literal_address(text) for text in dict.fromkeys(texts))
        self._tell(name, [address for address in found if address is not None])
        self._begin()

    def _give_up(self, name: str) -> None:
        """Its time is over. Who waited for a thread for most of it is not to blame, and may ask again."""
        now = asyncio.get_running_loop().time()
        if self._begun.get(name, now) <= now - self._seconds / 2:
            self._refused[name] = now + self._refused_seconds
        self._waiting.pop(name, None)
        self._tell(name, [])

    def _tell(self, name: str, addresses: list[Address]) -> None:
        answer = self._asked.pop(name, None)
        if answer is not None and not answer.done():
            answer.set_result(addresses)


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, LookUps] = WeakKeyDictionary()


async def look_up(host: str, port: int) -> list[Address]:  # noqa: ARG001 (the port may matter to other resolvers)
    """The addresses of a host by the system's resolver; an empty list when it has none or takes over five seconds."""
    loop = asyncio.get_running_loop()
    look_ups = _of_loops.get(loop)
    if look_ups is None:
        look_ups = _of_loops[loop] = LookUps(ask_system)
    return await look_ups.addresses(host)
