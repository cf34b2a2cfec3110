"""The clocks and dice of a simulation, put where programs find those of the computer."""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import time_machine
import uuid_utils.compat
from simulation.machines import Machine, make_id, this_machine, true_time
from simulation.virtual_loop import VirtualLoop

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OURS = ("service", "webhooks", "simulator", "simulation")


@contextmanager
def standing_in(loop: VirtualLoop, seed: str) -> Iterator[None]:
    """Until the exit all clocks show the loop's time, plus what the machine that asks is ahead; all chance is the seed's.

    The wall clock is `datetime.now`'s and `time.time`'s. The functions of `time`, and `uuid7`, are replaced in every
    module of ours that has taken them by name, too. What was made of `os.urandom` is repeatable: ids, secrets, nonces.
    """
    dice, nobody = Random(f"{seed}:dice"), Machine("nobody", loop)

    def uuid7() -> UUID:
        machine = this_machine() or nobody
        made = make_id(machine.now(), machine.last_id, dice.getrandbits(62))
        machine.last_id = made.int >> 80 << 12 | made.int >> 64 & 0xFFF
        return made

    def wall_clock() -> int:
        return ((this_machine() or nobody).now() - EPOCH) // timedelta(microseconds=1) * 1000

    names: dict[Any, Any] = {
        time.monotonic: loop.time,
        time.perf_counter: loop.time,
        uuid_utils.compat.uuid7: uuid7,
    }
    with ExitStack() as stack:
        traveller = stack.enter_context(time_machine.travel(true_time(loop), tick=False))
        traveller.time_ns = wall_clock  # type: ignore[method-assign]
        for module, name, stand_in in [
            (time, "monotonic", loop.time),
            (time, "perf_counter", loop.time),
            (os, "urandom", dice.randbytes),
            (random, "_urandom", dice.randbytes),  # where `secrets` gets its bytes
            *_taken(names),
        ]:
            stack.enter_context(_replaced(module, name, stand_in))
        yield


def _taken(names: dict[Any, Any]) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").partition(".")[0] in OURS:
            for name, value in list(vars(module).items()):
                if isinstance(value, type(time.monotonic) | type(make_id)) and value in names:
                    yield module, name, names[value]


@contextmanager
def _replaced(module: Any, name: str, stand_in: Any) -> Iterator[None]:
    real = getattr(module, name)
    setattr(module, name, stand_in)
    try:
        yield
    finally:
        setattr(module, name, real)
