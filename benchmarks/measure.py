"""How the benchmarks measure: product and floor in turn, medians of five, and one table at the end."""

import argparse
import asyncio
import gc
import os
import signal
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final, NamedTuple

import msgspec
import uvloop
from sqlalchemy import event
from sqlalchemy.engine import Engine

ROUNDS: Final = 5
ROWS_FILE: Final = "CALGATE_BENCHMARK_ROWS"
"""The variable that names a file for the rows of a script that another one runs."""


class Options(NamedTuple):
    """What the command line asks for; `quick` is a smoke test of a few seconds, whose figures say little.

    `count` is how often, or how many, where a script can be asked for that.
    """

    quick: bool
    databases: Sequence[str]
    providers: Sequence[str] = ()
    count: int = 0


class Count(NamedTuple):
    """A number that the command line may give: its name, what it is otherwise, and what it is in a smoke test."""

    name: str
    full: int
    quick: int


class Spent(NamedTuple):
    """What a piece of work took of this process, in seconds."""

    wall: float
    cpu: float


class Row(msgspec.Struct):
    """One line of the table; a target of None is a figure to look at."""

    database: str
    what: str
    measured: str
    floor: str
    ratio: float | None = None
    target: float | None = None
    at_most: bool = False

    @property
    def verdict(self) -> str:
        if self.target is None or self.ratio is None:
            return ""
        return "met" if (self.ratio <= self.target if self.at_most else self.ratio >= self.target) else "MISSED"


def options(script: str | None, providers: Sequence[str], count: Count | None = None) -> Options:
    """The command line, the same for every script; `providers` and `count` are what it can be asked for."""
    parser = argparse.ArgumentParser(description=(script or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of some seconds")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    if providers:
        parser.add_argument("--provider", choices=providers, help="only this one")
    if count is not None:
        parser.add_argument(f"--{count.name}", type=int, dest="count", help=f"how many ({count.full})")
    given = parser.parse_args()
    chosen = getattr(given, "provider", None)
    number = getattr(given, "count", None)
    if number is None and count is not None:
        number = count.quick if given.quick else count.full
    return Options(
        given.quick,
        [given.database] if given.database else ["sqlite", "postgresql"],
        [chosen] if chosen else providers,
        number or 0,
    )


def _nothing() -> float:
    return 0.0


async def spend(work: Callable[[], Awaitable[object]], beside: Callable[[], float] = _nothing) -> Spent:
    """Run a piece of work and say what it took; garbage from before is not its fault.

    `beside` answers how many seconds of CPU its other processes have used so far.
    """
    gc.collect()
    began, cpu = perf_counter(), process_time() + beside()
    await work()
    return Spent(perf_counter() - began, process_time() + beside() - cpu)


def cpu_of(pids: Iterable[int]) -> float:
    """Seconds of processor time that processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def interleave(
    rounds: int, first: Callable[[], Awaitable[Spent]], second: Callable[[], Awaitable[Spent]]
) -> tuple[Spent, Spent]:
    """The medians of two, measured in turn so that a disturbance hits both; which goes first alternates."""
    found: tuple[list[Spent], list[Spent]] = ([], [])
    for number in range(rounds):
        turns = ((0, first), (1, second)) if number % 2 == 0 else ((1, second), (0, first))
        for place, run in turns:
            found[place].append(await run())
    return middle(found[0]), middle(found[1])


def middle(spent: Sequence[Spent]) -> Spent:
    """The median of each figure."""
    return Spent(statistics.median(each.wall for each in spent), statistics.median(each.cpu for each in spent))


class Statements:
    """How many SQL statements went to a database; an executemany is one."""

    def __init__(self) -> None:
        self.count = 0
        self.texts: list[tuple[str, Any]] = []

    def note(self, _conn: Any, _cursor: Any, text: str, given: Any, _context: Any, _many: bool) -> None:
        self.count += 1
        self.texts.append((text, given))


@contextmanager
def counted() -> Iterator[Statements]:
    """Count what SQLAlchemy executes meanwhile, on any engine."""
    statements = Statements()
    event.listen(Engine, "before_cursor_execute", statements.note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", statements.note)


def print_table(rows: Sequence[Row]) -> None:
    """The figures as plain text."""
    head = ("database", "what", "measured", "floor", "ratio", "target", "")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cells(row: Row) -> tuple[str, ...]:
    target = "" if row.target is None else f"{'<=' if row.at_most else '>='} {row.target:g}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return (row.database, row.what, row.measured, row.floor, ratio, target, row.verdict)


def run(
    main: Callable[[Options], AsyncIterator[Row]],
    script: str | None,
    *,
    providers: Sequence[str] = (),
    count: Count | None = None,
) -> None:
    """Run a benchmark to its table; the loop is the one that `calgate serve` runs on.

    With `CALGATE_BENCHMARK_ROWS` the rows are written as JSON to that file, too, for `promises.py`.
    """

    async def collect(given: Options) -> list[Row]:
        mine = asyncio.current_task()
        assert mine is not None
        # Asked to end, it takes its databases and its other processes with it.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, mine.cancel)
        return [row async for row in main(given)]

    given = options(script, providers, count)
    rows = asyncio.Runner(loop_factory=uvloop.new_event_loop).run(collect(given))
    if wanted := os.environ.get(ROWS_FILE):
        Path(wanted).write_bytes(msgspec.json.encode(rows))
    print_table(rows)
