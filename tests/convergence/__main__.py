"""Plays many seeds and says which of them do not converge: `uv run python -m tests.convergence --seeds 200 --database both`."""

# ruff: noqa: T201 - a script prints

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[1]))  # where pytest finds these modules, too

from convergence.play import play
from own_postgresql import TEMPLATE, PostgreSQL

from service.store.migrations import upgrade


class Databases:
    """Makes an empty, migrated database for each seed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: PostgreSQL | None = None

    @asynccontextmanager
    async def fresh(self, kind: str) -> AsyncIterator[str]:
        name = f"seed_{uuid4().hex}"
        if kind == "sqlite":
            template = self.folder / "template.db"
            if not template.exists():
                await upgrade(f"sqlite:///{template}")
            path = self.folder / f"{name}.db"
            shutil.copy(template, path)
            yield f"sqlite:///{path}"
            for left in self.folder.glob(f"{name}.db*"):
                left.unlink()
            return
        if self.server is None:
            self.server = PostgreSQL(self.folder / "server")
            await self.server.prepare()
        await self.server.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        yield self.server.url_of(name)
        await self.server.run(f"DROP DATABASE {name} WITH (FORCE)")


async def run(
    first: int, count: int, kinds: list[str], steps: int, provider: str, *, verbose: bool, logs: Path | None
) -> int:
    """How many histories failed; those of them are written to `logs`."""
    failed = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        # PostgreSQL, run by root, works as another user.
        Path(folder).chmod(0o711)  # noqa: ASYNC240
        databases = Databases(Path(folder))
        for seed in range(first, first + count):
            for kind in kinds:
                async with databases.fresh(kind) as url:
                    wrong, log = await attempt(seed, url, steps, provider)
                if verbose:
                    print(*log, sep="\n")
                if wrong and logs is not None:
                    (logs / f"{seed}-{kind}.log").write_text("\n".join([*log, "", *wrong]))
                if wrong:
                    failed += 1
                    print(f"\nseed {seed} on {kind}: {len(wrong)} differences", *wrong[:6], sep="\n    ")
                    replay = f"uv run python -m tests.convergence --first {seed} --seeds 1 --database {kind}"
                    print(f"    {replay} --provider {provider} --verbose")
    played = count * len(kinds)
    print(f"{played - failed} of {played} histories converge ({', '.join(kinds)}; {time.monotonic() - began:.0f} s)")
    return failed


async def attempt(seed: int, url: str, steps: int, provider: str) -> tuple[list[str], list[str]]:
    try:
        return await play(seed, url, steps=steps, provider=provider)
    except Exception:  # noqa: BLE001 (the next seed is to be played all the same)
        return [traceback.format_exc()], []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--provider", choices=["google", "microsoft"], default="google")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--logs", type=Path, help="a folder for the histories that fail")
    given = parser.parse_args()
    kinds = ["sqlite", "postgresql"] if given.database == "both" else [given.database]
    failed = asyncio.run(
        run(given.first, given.seeds, kinds, given.steps, given.provider, verbose=given.verbose, logs=given.logs)
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
