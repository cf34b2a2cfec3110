"""`kill -9` again and again, during syncs and deliveries: what was lost, and what came twice.

The real process is killed at random moments while people edit 30 calendars at the simulated Google, which pushes. Nothing
is asked for by hand afterwards: what the provider has, what the store has and what the receiver's copy has are compared
event by event, and the numbers of the changes one by one. What may come twice is what a dead process had sent and not yet
written down; that is looked for in its database at each kill.
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
from killing import Mortal, Verdict, kill_again_and_again
from measure import Options, Row
from office import Office
from recording_receiver import Receiver, listening

from service.store.cipher import generate_key
from simulator.google.world import World
from simulator.server import serve

KILLS: Final = 200
CALENDARS: Final = 30


async def run(kind: databases.Server, kills: int, seed: int) -> Verdict:
    world, receiver = World(seed=seed), Receiver()
    world.set_push(retry_delays=[0.2] * 500)  # as stubborn as a provider whose retries take hours
    office = Office(world, [f"user{number}@example.com" for number in range(CALENDARS)], Random(seed))
    with TemporaryDirectory(prefix="calgate-kills-") as folder:
        async with databases.fresh(kind) as url, serve(world) as google, listening(receiver) as hook:
            gateway = GatewayProcess.beside(google, Path(folder), url, SECRET_KEYS=generate_key())
            try:
                await gateway.start()
                mortal = Mortal(gateway, url, office, receiver)
                return await kill_again_and_again(mortal, f"{hook}/hook", kills, Random(seed), patience=90)
            finally:
                await gateway.kill()


def rows_of(name: str, found: Verdict) -> list[Row]:
    def row(what: str, measured: str, figure: float | None = None, target: float | None = None) -> Row:
        return Row(name, what, measured, "", figure, target, at_most=True)

    lost = f"{found.differences.untold} untold, {found.differences.store} in the store, {found.differences.copy} in the copy"
    return [
        row("kills; hit a sync, hit a delivery", f"{found.kills}; {found.during_sync}, {found.during_delivery}"),
        row("edits; changes, delivered", f"{found.edits:,}; {found.changes:,}, {found.delivered:,}"),
        row("lost", lost, found.lost, 0),
        row(
            "came twice, of those in flight at a kill",
            f"{found.duplicates:,} of {found.held:,}",
            found.duplicates / max(found.held, 1),
            1,
        ),
        row("came twice without having been in flight", f"{found.inexplicable}", found.inexplicable, 0),
        row("came twice with other bytes", f"{found.altered}", found.altered, 0),
        row("seconds", f"{found.seconds:.0f}"),
    ]


async def main(given: Options) -> AsyncIterator[Row]:
    for name in given.databases:
        async with databases.server(name) as kind:
            for row in rows_of(name, await run(kind, given.count, seed=11)):
                yield row


if __name__ == "__main__":
    measure.run(main, __doc__, count=measure.Count("kills", KILLS, quick=10))
