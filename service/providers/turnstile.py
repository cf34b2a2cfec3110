"""So many calls at once for each account, however many want to make one: providers refuse more, and one shall not take all."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Turnstile:
    """Lets `most` in at once for each key, in the order of their coming."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._gates: dict[Hashable, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def entered(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for one's turn, and have it for as long as the context lasts."""
        gate, users = self._gates.get(key, (asyncio.Semaphore(self._most), 0))
        self._gates[key] = gate, users + 1
        try:
            async with gate:
                yield
        finally:
            gate, users = self._gates[key]
            if users == 1:
                del self._gates[key]
            else:
                self._gates[key] = gate, users - 1
