"""Random days end with everybody having the same; `python -m tests.simulation` lives through as many weeks as you like."""

from functools import partial
from typing import Any

import pytest
from simulation.week import tell_week

DAYS = 0.5


@pytest.mark.parametrize("seed", range(2))
def test_in_the_end_everybody_has_the_same(told: Any, seed: int) -> None:
    wrong, _ = told(partial(tell_week, days=DAYS), seed=seed)

    assert not wrong, "\n".join(
        [*wrong[:10], f"python -m tests.simulation --first {seed} --seeds 1 --days {DAYS} --verbose"]
    )
