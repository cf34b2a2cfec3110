"""Lives through random weeks and says after which of them something is wrong: `uv run python -m tests.simulation --seeds 20`."""

# ruff: noqa: T201 - a script prints

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # where pytest finds these modules, too

from simulation.chronicle import Chronicle
from simulation.city import simulate
from simulation.week import tell_week

from service.store.migrations import upgrade


def live(
    seed: int, days: float, template: Path, folder: Path, *, to_the_end: bool
) -> tuple[list[str], Chronicle | None]:
    try:
        return simulate(partial(tell_week, days=days, to_the_end=to_the_end), template, folder, seed=seed)
    except Exception:  # noqa: BLE001 (the next seed is to be lived through all the same)
        return [traceback.format_exc()], None


def run(first: int, count: int, days: float, *, to_the_end: bool, verbose: bool, digest: bool) -> int:
    """How many weeks ended badly."""
    failed, hours, began = 0, 0.0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        asyncio.run(upgrade(f"sqlite:///{template}"))
        for seed in range(first, first + count):
            wrong, chronicle = live(seed, days, template, Path(folder), to_the_end=to_the_end)
            hours += 24 * days if chronicle is None else chronicle.seconds() / 3600
            if verbose and chronicle is not None:
                print(*chronicle.lines, sep="\n")
            if digest and chronicle is not None:
                print(seed, chronicle.digest())
            if wrong:
                failed += 1
                print(f"\nseed {seed}: {len(wrong)} things are wrong", *wrong[:6], sep="\n    ")
                print(f"    uv run python -m tests.simulation --first {seed} --seeds 1 --days {days:g} --verbose")
    spent = time.perf_counter() - began
    if not digest:
        print(f"{count - failed} of {count} end well: {hours:.0f} hours in {spent:.0f} s, {hours / spent:.1f} a second")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--days", type=float, default=7, help="how long each goes on, before it comes to rest")
    parser.add_argument("--verbose", action="store_true", help="print every history")
    parser.add_argument("--digest", action="store_true", help="print each seed and its history's hash alone")
    parser.add_argument("--unfinished", action="store_true", help="break off, instead of coming to rest and comparing")
    given = parser.parse_args()
    failed = run(
        given.first,
        given.seeds,
        given.days,
        to_the_end=not given.unfinished,
        verbose=given.verbose,
        digest=given.digest,
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
