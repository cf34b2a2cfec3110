"""SIGTERM under load: nobody can tell that it did."""

from pathlib import Path
from random import Random

import pytest
from gateway_process import GatewayProcess
from judgement import Differences
from office import Office
from recording_receiver import Receiver, listening
from stopping_under_load import stop_again_and_again

from service.store.cipher import generate_key
from simulator.google.world import World
from simulator.server import serve

pytestmark = pytest.mark.anyio
CALENDARS = 10
STOPS = 3


async def test_a_gateway_that_is_stopped_under_load_breaks_nothing_off(database_url: str, tmp_path: Path) -> None:
    world, receiver = World(seed=9), Receiver()
    world.set_push(retry_delays=[0.2] * 200)
    office = Office(world, [f"user{number}@example.com" for number in range(CALENDARS)], Random(9))
    async with serve(world) as google, listening(receiver) as hook:
        gateway = GatewayProcess.beside(google, tmp_path, database_url, SECRET_KEYS=generate_key())
        try:
            await gateway.start()
            verdict = await stop_again_and_again(
                gateway, database_url, office, receiver, f"{hook}/hook", STOPS, Random(9)
            )
        finally:
            await gateway.kill()
    assert verdict.codes == [0] * STOPS
    assert verdict.failed_attempts == 0
    assert verdict.duplicates == 0
    assert verdict.left == 0, "leases that nobody gave back"
    assert verdict.broken_requests == 0, verdict.requests
    assert verdict.differences == Differences(0, 0, 0), verdict
    assert verdict.changes > CALENDARS, "nothing went on meanwhile"
