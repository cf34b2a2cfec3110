"""What happened, in order: who did what at which moment, and one number for all of it."""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from simulation.machines import this_machine

STORY = "the story"


class Chronicle:
    """Lines such as `03-02 09:00:05.000123 receiver: 200 to 0199...`; `faults` are those that no history may have."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.lines: list[str] = []
        self.faults: list[str] = []
        self._clock = clock
        self._since = clock()
        self._until = self._since

    def tell(self, actor: str, action: str) -> None:
        self._until = self._clock()
        self.lines.append(f"{self._until:%m-%d %H:%M:%S.%f} {actor}: {action}")

    def blame(self, fault: str) -> None:
        """Something that must never happen has happened."""
        self.tell(STORY, f"FAULT {fault.splitlines()[0]}")
        self.faults.append(fault)

    def seconds(self) -> float:
        """How long the history is, on its own clock."""
        return (self._until - self._since).total_seconds()

    def digest(self) -> str:
        """The same for the same history."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Take down what programs log from warnings on; an error of theirs is a fault."""
        listener = _Listener(self)
        root = logging.getLogger()
        root.addHandler(listener)
        try:
            yield
        finally:
            root.removeHandler(listener)


class _Listener(logging.Handler):
    def __init__(self, chronicle: Chronicle) -> None:
        super().__init__(logging.WARNING)
        self._chronicle = chronicle

    def emit(self, record: logging.LogRecord) -> None:
        machine = this_machine()
        if machine is not None and not machine.is_alive:
            return  # its last words, which nobody hears
        # What an object is called differs from run to run.
        said = re.sub(r" at 0x[0-9a-f]+", "", record.getMessage())
        self._chronicle.tell(str(machine or STORY), f"{record.levelname.lower()} {said}")
        if record.levelno >= logging.ERROR:
            self._chronicle.blame(self.format(record))
