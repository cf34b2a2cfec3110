"""The same seed is the same history to the last byte: in one process, in another, whatever its hashes begin with."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from simulation.week import tell_week

HOURS = 6
TESTS = Path(__file__).parents[1]


def test_a_seed_has_one_history_and_another_seed_another(told: Any) -> None:
    histories = [told(partial(tell_week, days=HOURS / 24, to_the_end=False), seed=seed)[1] for seed in (7, 7, 8)]

    once, again, other = (history.lines for history in histories)
    assert len(once) > 60
    assert once == again
    assert histories[0].digest() == histories[1].digest() != histories[2].digest()
    assert once != other


def test_another_process_has_the_same_history(told: Any) -> None:
    _, chronicle = told(partial(tell_week, days=HOURS / 24, to_the_end=False), seed=7)

    command = [
        sys.executable,
        "-m",
        "tests.simulation",
        "--first",
        "7",
        "--seeds",
        "1",
        "--days",
        f"{HOURS / 24}",
        "--digest",
        "--unfinished",
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Kolkata"}
    elsewhere = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=True)

    assert elsewhere.stdout.split() == ["7", chronicle.digest()]
