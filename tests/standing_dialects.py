"""The SQL that all databases of one worker share, since compiling it is a good part of what most tests cost.

Each engine keeps its pool and its connections. Who connects without this compiles for itself, as `calgate serve` does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.store import database

_MOST_STATEMENTS = 5_000
_known: dict[str, tuple[Dialect, Any]] = {}


@contextmanager
def standing_dialects() -> Iterator[None]:
    """Engines that are made within share what was compiled for others of their kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_async_engine", _like_the_first)
        yield


def _like_the_first(url: Any, **more: Any) -> AsyncEngine:
    engine = create_async_engine(url, **more)
    of_this = engine.sync_engine
    if engine.name in _known:
        of_this.dialect, of_this._compiled_cache = _known[engine.name]
        of_this.pool._dialect = of_this.dialect
        return engine

    @event.listens_for(of_this, "connect")
    def keep(*_: object) -> None:  # only now has it asked the server what it can do
        if engine.name not in _known:
            of_this._compiled_cache.capacity = _MOST_STATEMENTS
            _known[engine.name] = of_this.dialect, of_this._compiled_cache

    return engine
