"""Two replicas on one PostgreSQL, of which either is killed, then stopped, again and again in the middle of everything.

Edits, pushes through a balancer, syncs, webhooks and meetings that start go on all the time. What a killed replica held is
taken up by the other when its leases have run out by themselves, after half a minute; a stopped one (SIGTERM, as when a new
version is rolled out) has to leave nothing behind.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

import databases
import journeys  # noqa: F401  (before what it leads to)
import measure
from measure import Options, Row
from survival import Verdict, end_in_turn, two_replicas

ENDS: Final = 20
CALENDARS: Final = 12
LONGEST_END: Final = 16.0


async def run(kind: databases.Server, ends: int, *, kill: bool) -> Verdict:
    with TemporaryDirectory(prefix="calgate-replicas-") as folder:
        async with databases.fresh(kind) as url, two_replicas(Path(folder), url, CALENDARS, seed=ends) as pair:
            return await end_in_turn(pair, url, ends, Random(ends), kill=kill, patient=True)


def rows_of(name: str, how: str, found: Verdict) -> list[Row]:
    def row(what: str, measured: str, figure: float | None = None, target: float | None = None) -> Row:
        return Row(name, f"{how}: {what}", measured, "", figure, target, at_most=True)

    missing = found.differences
    lost = f"{missing.untold} untold, {missing.store} in the store, {missing.copy} in the copy"
    return [
        row(
            "how often; edits, changes; seconds",
            f"{found.ends}; {found.edits:,}, {found.changes:,}; {found.seconds:.0f}",
        ),
        row("lost", lost, missing.lost, 0),
        row("starts not announced", f"{found.unannounced} of {found.starts}", found.unannounced, 0),
        row("starts announced again", f"{found.announced_again}", found.announced_again, 0),
        row("came twice with other bytes", f"{found.altered}", found.altered, 0),
    ]


async def main(given: Options) -> AsyncIterator[Row]:
    if "postgresql" not in given.databases:
        return
    async with databases.server("postgresql") as kind:
        killed = await run(kind, given.count, kill=True)
        for row in rows_of(kind.name, "killed", killed):
            yield row
        text = f"{killed.inexplicable} of {killed.duplicates}"
        yield Row(kind.name, "killed: came twice, not in flight", text, "", killed.inexplicable, 0, at_most=True)
        stopped = await run(kind, given.count, kill=False)
        for row in rows_of(kind.name, "stopped", stopped):
            yield row
        failed = sum(code != 0 for code in stopped.codes)
        yield Row(kind.name, "stopped: exit codes other than 0", f"{failed}", "", failed, 0, at_most=True)
        yield Row(kind.name, "stopped: came twice", f"{stopped.duplicates}", "", stopped.duplicates, 0, at_most=True)
        slowest = stopped.slowest_end
        yield Row(kind.name, "stopped: longest end, s", f"{slowest:.1f}", "", slowest, LONGEST_END, at_most=True)


if __name__ == "__main__":
    measure.run(main, __doc__, count=measure.Count("ends", ENDS, quick=4))
