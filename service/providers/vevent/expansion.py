"""Strangers' calendars are read in processes of their own, which may be killed; here is who starts, feeds and ends them."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple, Self

import msgspec

from service.core.sync import Item, Malformed
from service.providers.vevent.orders import LENGTH, LONGEST_FRAME, Order, Report, framed
from service.providers.vevent.reading import bounded_id, keep
from service.providers.vevent.series import Reading
from service.providers.vevent.units import Document

UNIT_SECONDS: Final = 1.0
"""For one UID."""

MOST_KILLED: Final = 3
"""Of one text's UIDs, so many may end a process before it is given up: it was written to cost time."""

TEXT_SECONDS: Final = 10.0
"""For taking a whole text apart, before its first UID: 20 MB take half a second."""

JOB_SECONDS: Final = 60.0
"""For everything that one call of `expand` asks, waiting for a turn not counted."""

MEMORY: Final = 200 * 1024 * 1024
MOST_OCTETS: Final = 64 * 1024 * 1024
"""Of everything that one call may bring, each occurrence counted with all its text."""

MOST_UNREADABLE: Final = 1_000
"""Events of one call that are set aside one by one; beyond that it is not a calendar with faults but a fault."""

GRACE: Final = 0.25
"""When this process itself has been busy, an answer may lie ready that came in time."""

_report: Final = msgspec.msgpack.Decoder(Report)
_GO_ON, _STOP = b"\1", b"\0"
_PASSED_ON: Final = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "TZDIR", "PYTHONTZPATH", "TMPDIR", "LD_LIBRARY_PATH")


class Text(NamedTuple):
    """A text to be read: of a CalDAV resource with the id that its event is called by (its href), of a feed without."""

    octets: bytes
    base_id: str | None = None


class Expansion(msgspec.Struct):
    """What one text has in the window. With a `spoilt` (the reason) it was not read to its end, and proves nothing gone."""

    items: list[Item]
    document: Document | None = None
    spoilt: str | None = None


class Expander:
    """A few warm processes, started when first needed, that all calendars share in turns of about a second.

    One of several calendars that takes long, or kills its process time and again, waits after each turn behind those
    that came meanwhile. Closed, it has no process left.
    """

    def __init__(
        self,
        *,
        size: int = 2,
        unit_seconds: float = UNIT_SECONDS,
        text_seconds: float = TEXT_SECONDS,
        job_seconds: float = JOB_SECONDS,
        memory: int = MEMORY,
    ) -> None:
        self._size = size
        self._turns = asyncio.Semaphore(size)
        self._unit_seconds = unit_seconds
        self._text_seconds = text_seconds
        self._job_seconds = job_seconds
        self._memory = memory
        self._idle: list[asyncio.subprocess.Process] = []
        self._busy: list[asyncio.subprocess.Process] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def expand(self, texts: Sequence[Text], reading: Reading) -> list[Expansion]:
        """What each text has in the window, in their order. What cannot be read is in the items as Malformed.

        Raises RuntimeError when this expander is closed, and OSError when no process can be started.
        """
        job = _Job(texts)
        while job.text < len(texts):
            if job.spent >= self._job_seconds:
                job.spoil(f"takes longer than {self._job_seconds:g} s")
                continue
            async with self._worker() as worker:
                began = time.monotonic()
                try:
                    await self._carry_out(worker, job, job.order(reading), began)
                finally:
                    job.spent += time.monotonic() - began
        return job.found

    async def aclose(self) -> None:
        """End the processes; a call that still runs raises RuntimeError at its next turn."""
        self._is_closed = True
        for worker in self._idle:
            self._end(worker)
        self._idle.clear()
        for worker in self._busy:
            _kill(worker)
        for _ in range(self._size):
            await self._turns.acquire()  # so that nobody is at work
        while self._ending:
            await asyncio.wait(self._ending)
        for _ in range(self._size):
            self._turns.release()

    @contextlib.asynccontextmanager
    async def _worker(self) -> AsyncIterator["_Worker"]:
        """A process for one turn; whoever leaves it with an error, cancelled or not, leaves it to be killed."""
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            if self._is_closed:
                raise RuntimeError("the expander is closed")
            is_new = not self._idle
            worker = await self._start() if is_new else self._idle.pop()
            self._busy.append(worker)
            is_sound = False
            try:
                yield _Worker(worker, is_new)
                is_sound = True
            except _Died:
                if self._is_closed:
                    raise RuntimeError("the expander is closed") from None
            finally:
                self._busy.remove(worker)
                if is_sound and not self._is_closed and worker.returncode is None:
                    self._idle.append(worker)
                else:
                    self._end(worker)
        finally:
            self._turns.release()

    async def _start(self) -> asyncio.subprocess.Process:
        # Nothing of our own surroundings: it reads what strangers wrote, and must not know a key.
        surroundings = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-X", "utf8", "-m", "service.providers.vevent.worker", str(self._memory), str(self._unit_seconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1024 * 1024,
            env=surroundings | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def _end(self, worker: asyncio.subprocess.Process) -> None:
        _kill(worker)
        task = asyncio.create_task(_bury(worker))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _carry_out(self, worker: "_Worker", job: "_Job", order: Order, began: float) -> None:
        """Until the job is done, its turn is over, or the process has died. Raises _Died, having said of what."""
        try:
            # It reads all before it answers, so this cannot wait for that.
            async with asyncio.timeout(self._text_seconds):
                await worker.tell(*framed(order))
            while job.text < len(job.found):
                report = await self._answer(worker, job, began)
                job.take(report)
                if report.is_pause:
                    goes_on = not self._waiting and time.monotonic() - began + job.spent < self._job_seconds
                    await worker.tell(_GO_ON if goes_on else _STOP)
                    if not goes_on:
                        job.is_open = False
                        return
        except TimeoutError:
            if job.spent + time.monotonic() - began < self._job_seconds:
                seconds = self._unit_seconds if job.is_open else self._text_seconds
                job.give_up(f"takes longer than {seconds:g} s")
        except (ConnectionError, asyncio.IncompleteReadError, msgspec.DecodeError, ValueError) as error:
            # One that had died before it was asked says nothing about the text.
            if worker.is_new or job.is_open:
                job.give_up(f"ended the process that read it ({type(error).__name__})")
        else:
            return
        raise _Died

    async def _answer(self, worker: "_Worker", job: "_Job", began: float) -> Report:
        seconds = self._unit_seconds if job.is_open else self._text_seconds
        left = max(self._job_seconds - job.spent - (time.monotonic() - began), 0)
        try:
            async with asyncio.timeout(min(seconds, left)):
                head = await worker.hear(LENGTH)
        except TimeoutError:
            async with asyncio.timeout(GRACE):
                head = await worker.hear(LENGTH)
        length = int.from_bytes(head)
        if length > LONGEST_FRAME:
            raise ValueError("a frame that is too long")
        async with asyncio.timeout(self._text_seconds):
            return _report.decode(await worker.hear(length))


class _Worker:
    """A process at work, and whether it has been started for this."""

    def __init__(self, process: asyncio.subprocess.Process, is_new: bool) -> None:
        self._process = process
        self.is_new = is_new

    async def tell(self, *octets: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101  (it was asked for)
        self._process.stdin.writelines(octets)
        await self._process.stdin.drain()

    async def hear(self, count: int) -> bytes:
        assert self._process.stdout is not None  # noqa: S101  (it was asked for)
        return await self._process.stdout.readexactly(count)


class _Died(Exception):
    """The process is of no more use; its job has been told."""


class _Job:
    """How far a call has come: the text, the unit of it, and whether the text has been taken apart by the process at work."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self._texts = texts
        self.found = [Expansion([]) for _ in texts]
        self.text = 0
        self.unit = 0
        self.name = ""
        self.is_open = False
        self.spent = 0.0
        self._killed = 0
        self._passed = 0
        self._octets = 0
        self._unreadable = 0

    def order(self, reading: Reading) -> Order:
        """What is still to be done."""
        self._passed = self.text
        return Order([(text.base_id, text.octets) for text in self._texts[self.text :]], reading, self.unit)

    def take(self, report: Report) -> None:
        """Raises _Died when the text brings too much to let the process go on with it."""
        found = self.found[self.text]
        if report.text + self._passed != self.text:
            raise ValueError("an answer to another question")
        if report.findings is not None:
            self._octets += sum((2_000 + len(each.raw)) * len(each.places) for each in report.findings.sheets)
            self._unreadable += len(report.findings.malformed)
            if self._octets > MOST_OCTETS:
                self.spoil("has more in the window than can be kept")
                raise _Died
            if self._unreadable > MOST_UNREADABLE:
                self.spoil(f"has more than {MOST_UNREADABLE:,} events that cannot be read")
                raise _Died
            found.items.extend(report.findings.items())
        if report.document is not None:
            found.document = report.document
        if report.spoilt is not None:
            self.spoil(report.spoilt)
        elif report.next_unit is None:
            self._go_on()
        else:
            self.unit, self.name, self.is_open = report.next_unit, report.next_name, True

    def give_up(self, reason: str) -> None:
        """The unit at hand, or the text when it was not yet taken apart."""
        if not self.is_open:
            self.spoil(reason)
            return
        name = self.name or f"unreadable-{self.unit}"
        self.found[self.text].items.append(Malformed(name, reason, keep(b"")))
        self._killed += 1
        if self._killed >= MOST_KILLED:
            self.spoil(f"{MOST_KILLED} of its events could not be read: the last {reason}")
            return
        self.unit += 1
        self.is_open = False

    def spoil(self, reason: str) -> None:
        found, base_id = self.found[self.text], self._texts[self.text].base_id
        found.spoilt = reason
        if base_id is not None:
            found.items.append(Malformed(bounded_id(base_id), reason, keep(b"")))
        self._go_on()

    def _go_on(self) -> None:
        self.text += 1
        self.unit = self._killed = 0
        self.is_open = False


def _kill(worker: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        worker.kill()


async def _bury(worker: asyncio.subprocess.Process) -> None:
    """Wait until it is gone, so that none is left as a zombie."""
    with contextlib.suppress(ConnectionError, OSError):
        await worker.communicate()
    await worker.wait()
