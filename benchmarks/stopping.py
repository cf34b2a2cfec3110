"""SIGTERM under load, again and again: how long the end takes, and what it breaks off, repeats or leaves behind.

Twenty calendars are edited and read, webhooks are on their way to a receiver that takes up to 0.2 s, four users ask for
meetings over ever new connections, and one waits for changes in a long poll of 30 s.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

import databases
import journeys  # noqa: F401  (before what it leads to)
import measure
from gateway_process import GatewayProcess
from measure import Options, Row
from office import Office
from recording_receiver import Receiver, listening
from stopping_under_load import Verdict, stop_again_and_again

from service.store.cipher import generate_key
from simulator.google.world import World
from simulator.server import serve

STOPS: Final = 20
CALENDARS: Final = 20
LONGEST: Final = 16.0


async def run(kind: databases.Server, stops: int) -> Verdict:
    world, receiver = World(seed=stops), Receiver()
    world.set_push(retry_delays=[0.2] * 200)
    office = Office(world, [f"user{number}@example.com" for number in range(CALENDARS)], Random(stops))
    with TemporaryDirectory(prefix="calgate-stopping-") as folder:
        async with databases.fresh(kind) as url, serve(world) as google, listening(receiver) as hook:
            gateway = GatewayProcess.beside(google, Path(folder), url, SECRET_KEYS=generate_key())
            try:
                await gateway.start()
                return await stop_again_and_again(gateway, url, office, receiver, f"{hook}/hook", stops, Random(stops))
            finally:
                await gateway.kill()


def rows_of(name: str, found: Verdict) -> list[Row]:
    def row(what: str, measured: str, figure: float | None = None, target: float | None = None) -> Row:
        return Row(name, what, measured, "", figure, target, at_most=True)

    codes = sum(code != 0 for code in found.codes)
    answered = found.requests["answered"]
    return [
        row("stops; changes meanwhile", f"{found.stops}; {found.changes:,}"),
        row("longest end, s", f"{found.slowest:.1f}", found.slowest, LONGEST),
        row("exit codes other than 0", f"{codes}", codes, 0),
        row("attempts to deliver that failed", f"{found.failed_attempts}", found.failed_attempts, 0),
        row("requests broken off", f"{found.broken_requests} of {answered:,}", found.broken_requests, 0),
        row("webhooks that came twice", f"{found.duplicates}", found.duplicates, 0),
        row("leases left behind", f"{found.left}", found.left, 0),
        row("lost", f"{found.differences.lost}", found.differences.lost, 0),
    ]


async def main(given: Options) -> AsyncIterator[Row]:
    for name in given.databases:
        async with databases.server(name) as kind:
            for row in rows_of(name, await run(kind, given.count)):
                yield row


if __name__ == "__main__":
    measure.run(main, __doc__, count=measure.Count("stops", STOPS, quick=4))
