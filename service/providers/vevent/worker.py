"""The process that reads iCalendar text of strangers: `python -m service.providers.vevent.worker`, spoken to on its pipes.

It holds no secret, has little memory and may be killed at any moment. It ends when its input does.
"""

import contextlib
import math
import signal
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Final

import msgspec

from service.core.sync import Malformed
from service.providers.vevent.orders import LENGTH, Order, Report, framed
from service.providers.vevent.series import Findings
from service.providers.vevent.text import scan
from service.providers.vevent.units import Document, Unit, Units

resource: ModuleType | None = None
with contextlib.suppress(ImportError):  # Windows has none
    import resource

TURN: Final = 1.0
"""Seconds of reading after which it asks whether somebody else should have a turn."""

GO_ON: Final = b"\1"

_order: Final = msgspec.msgpack.Decoder(Order)


class Worker:
    """Carries out orders, one after the other."""

    def __init__(self, given: BinaryIO, told: BinaryIO, patience: float) -> None:
        self._given = given
        self._told = told
        self._patience = patience
        self._began = 0.0

    def run(self) -> None:
        """Until the input ends."""
        while len(head := self._given.read(LENGTH)) == LENGTH:
            order = _order.decode(self._given.read(int.from_bytes(head)))
            self._began = time.monotonic()
            for index in range(len(order.texts)):
                if not self._read_text(order, index):
                    break

    def _read_text(self, order: Order, index: int) -> bool:
        """False when somebody else has the turn."""
        base_id, text = order.texts[index]
        self._set_alarm(5)
        try:
            units = Units(scan(text), base_id, order.reading)
            document = units.document()
        except (ValueError, MemoryError) as error:
            self._tell(Report(index, spoilt=str(error) or "needs too much memory"))
            return True
        first = order.unit if index == 0 else 0
        self._tell(self._coming(index, units, first, document=document))
        for number in range(first, len(units.all)):
            self._set_alarm(1)
            findings = self._read(units, units.all[number])
            is_last = number + 1 == len(units.all) and index + 1 == len(order.texts)
            is_pause = not is_last and time.monotonic() - self._began > TURN
            self._tell(self._coming(index, units, number + 1, findings=findings, is_pause=is_pause))
            if is_pause:
                if self._given.read(1) != GO_ON:
                    return False
                self._began = time.monotonic()
        self._set_alarm(0)
        return True

    def _read(self, units: Units, unit: Unit) -> Findings:
        try:
            return units.read(unit)
        except MemoryError:
            return Findings(malformed=[Malformed(unit.name, "needs too much memory", b"null")])

    def _coming(
        self,
        index: int,
        units: Units,
        number: int,
        *,
        findings: Findings | None = None,
        is_pause: bool = False,
        document: Document | None = None,
    ) -> Report:
        is_last = number >= len(units.all)
        return Report(
            text=index,
            next_unit=None if is_last else number,
            next_name="" if is_last else units.all[number].name,
            findings=findings,
            document=document,
            is_pause=is_pause,
        )

    def _tell(self, report: Report) -> None:
        self._told.writelines(framed(report))
        self._told.flush()

    def _set_alarm(self, times: int) -> None:
        # Should the gateway have died meanwhile, nobody else would end this.
        if hasattr(signal, "alarm"):
            signal.alarm(math.ceil(times * self._patience * 2))


def limit_memory(extra: int) -> None:
    """Let this process have no more than `extra` octets beyond what it has now, where the platform can do that."""
    status = Path("/proc/self/statm")
    if resource is None or not status.exists():
        return
    limit = int(status.read_text(encoding="ascii").split()[0]) * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Arguments: the octets of memory and the seconds for one unit."""
    # Ctrl-C goes to the whole group; the gateway ends us when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory(int(sys.argv[1]))
    with contextlib.suppress(BrokenPipeError):
        Worker(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[2])).run()


if __name__ == "__main__":
    main()
