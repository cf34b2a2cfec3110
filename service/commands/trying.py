"""Commands for those who want to see it first: the demo, and the simulated provider alone."""

import argparse

from service.commands.listening import on_loopback, until_signal
from service.commands.session import DONE, run, say
from service.demo.story import tell
from simulator.app import create_app
from simulator.microsoft.seed import seeded_microsoft
from simulator.seed import seeded_world
from simulator.server import introduce
from simulator.zoom.world import seeded_zoom


def demo(options: argparse.Namespace) -> int:
    """Tell the whole story on this machine; fails when a webhook that had to come did not."""
    return run(tell(options.provider, keep=options.keep))


def simulator(options: argparse.Namespace) -> int:
    """Serve a simulated Google, a simulated Microsoft and a simulated Zoom until SIGTERM or SIGINT."""
    return run(_simulate(options.port, options.seed))


async def _simulate(port: int, seed: int) -> int:
    world, microsoft, zoom = seeded_world(seed), seeded_microsoft(seed), seeded_zoom(seed)
    async with on_loopback(create_app(world, microsoft, zoom), lifespan=True, port=port) as url:
        say(introduce(world, url, microsoft, zoom))
        await until_signal()
    return DONE
