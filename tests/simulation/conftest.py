"""What tests of the simulation may ask for."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from simulation.city import simulate
from standing_routes import standing_routes


@pytest.fixture
def told(sqlite_template: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Tells a story in a city of its own: `told(story, seed=0, **settings)` answers its result and its chronicle."""
    with standing_routes():
        yield partial(simulate, template=sqlite_template, folder=tmp_path)
