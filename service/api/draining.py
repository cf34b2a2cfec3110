"""That this process is about to end: what waits for something answers at once, and no new work should be sent here."""

import asyncio


class Draining:
    """Begun once, at the signal to stop, and never taken back."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def is_begun(self) -> bool:
        return self._begun.is_set()

    def begin(self) -> None:
        """Turn readiness off and end the long polls."""
        self._begun.set()

    async def wait(self) -> None:
        """Until it begins."""
        await self._begun.wait()
