"""Every promise that can be measured, in one table: the figure, its target, whether it is met, and the command that shows it.

    uv run python benchmarks/promises.py [--quick] [--only WORD]

Runs the scripts beside it one after the other, and the tests that judge what is no figure. `--quick` takes some eight
minutes and says little about speed; the whole takes about an hour. Ends with 1 when a promise is not met.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final, NamedTuple

import msgspec
from measure import ROWS_FILE, Row

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
PATIENCE: Final = 1800.0
TO_END: Final = 30.0


class Script(NamedTuple):
    """A script beside this one, and what it shows; `quick` is how it is run in a hurry."""

    promise: str
    name: str
    full: Sequence[str] = ()
    quick: Sequence[str] = ("--quick",)

    def command(self, *, quick: bool) -> list[str]:
        return [f"benchmarks/{self.name}", *(self.quick if quick else self.full)]


class Tests(NamedTuple):
    """Tests that pass or do not."""

    promise: str
    paths: Sequence[str]


class Line(NamedTuple):
    """One line of the table."""

    promise: str
    what: str
    figure: str
    target: str
    verdict: str
    command: str


SCRIPTS: Final = [
    Script("nothing is lost", "kills.py"),
    Script("either replica may end", "replicas.py"),
    Script("a clean end", "stopping.py"),
    Script("a bad receiver hurts nobody", "neighbours.py"),
    Script("a first sync does not flood", "flood.py"),
    Script("an event is written once", "writes.py"),
    Script("pushes", "pushes.py", quick=("--quick", "--database", "sqlite")),
    Script("delivered soon", "latency.py"),
    Script("delivered cheaply", "delivery.py"),
    Script("meetings are announced in time", "starting.py"),
    Script("many calendars", "scale.py"),
    Script("ready soon", "startup.py"),
    Script("a rate limit costs nothing", "rate_limit.py"),
]
TESTS: Final = [
    Tests(
        "hostile inputs, and never a 5xx",
        ["tests/hostile", "tests/api/test_hostile_rest.py", "tests/api/test_api_fuzz.py"],
    ),
    Tests("secrets stay secret", ["tests/journeys/test_canaries.py"]),
    Tests("hours in seconds: retries, giving up, leases, clocks, channels", ["tests/simulation"]),
]


def measured(script: Script, *, quick: bool) -> Iterator[Line]:
    """Run a script and take over its rows that have a target."""
    command = script.command(quick=quick)
    with TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        failure = run([sys.executable, *command], {ROWS_FILE: str(rows)})
        found = msgspec.json.decode(rows.read_bytes(), type=list[Row]) if rows.exists() else []
    shown = f"python {' '.join(command)}"
    for row in found:
        if row.target is not None:
            target = f"{'<=' if row.at_most else '>='} {row.target:g}"
            figure = f"{row.measured} (floor {row.floor}, ratio {row.ratio:.2f})" if row.floor else row.measured
            yield Line(script.promise, f"{row.database}: {row.what}", figure, target, row.verdict, shown)
    if failure:
        yield Line(script.promise, "the script itself", failure, "ends with 0", "MISSED", shown)


def tested(tests: Tests, *, quick: bool) -> Iterator[Line]:
    """Run tests, or in a hurry only name them."""
    missing = [path for path in tests.paths if not (ROOT / path).exists()]
    shown = f"pytest {' '.join(tests.paths)}"
    if missing:
        yield Line(tests.promise, "tests", f"there is no {', '.join(missing)}", "pass", "MISSED", shown)
    elif quick:
        yield Line(tests.promise, "tests", "not run in a hurry", "pass", "", shown)
    else:
        failure = run([sys.executable, "-m", "pytest", *tests.paths], {})
        yield Line(tests.promise, "tests", failure or "pass", "pass", "MISSED" if failure else "met", shown)


def run(command: Sequence[str], environment: dict[str, str]) -> str:
    """Run a command to its end, bounded in time; its last line when it failed."""
    print(f"… {' '.join(command[1:])}", file=sys.stderr, flush=True)
    began = monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.terminate()  # it takes with it what it started
        try:
            said, _ = process.communicate(timeout=TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
    print(f"  {monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    lines = said.strip().splitlines() or [""]
    return "" if process.returncode == 0 else f"{process.returncode}: {lines[-1][:100]}"


def print_table(lines: Sequence[Line]) -> None:
    """As Markdown, to be put into a document."""
    print("| promise | what | figure | target | | command |")
    print("| --- | --- | --- | --- | --- | --- |")
    for line in lines:
        print(f"| {' | '.join(line[:5])} | `{line.command}` |")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test of some minutes")
    parser.add_argument("--only", help="only the scripts and tests with this in their names")
    given = parser.parse_args()
    wanted = given.only or ""
    lines: list[Line] = []
    for script in SCRIPTS:
        if wanted in script.name:
            lines += measured(script, quick=given.quick)
    for tests in TESTS:
        if any(wanted in path for path in tests.paths):
            lines += tested(tests, quick=given.quick)
    print_table(lines)
    return 1 if any(line.verdict == "MISSED" for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
