"""The routing table that all applications of one worker share, since making it is most of what making one costs.

Each application keeps middleware, dependencies, state and edge of its own. Who calls `create_api` without this makes
the whole, as `calgate serve` does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from typing import Any

import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.events import SimpleEventEmitter
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from service.api import routes

_tables: dict[tuple[Any, ...], Litestar] = {}


@dataclass(frozen=True)
class Parts:
    """What one application has of its own."""

    dependencies: dict[str, Provide]
    middleware: Sequence[ASGIMiddleware]


_parts: ContextVar[Parts] = ContextVar("parts")
"""Those of the application that is answering."""


class Forwarding(ASGIMiddleware):
    """The middleware at a place, of the application that is answering."""

    def __init__(self, place: int, like: ASGIMiddleware) -> None:
        self.place = place
        self.scopes = like.scopes
        self.exclude_opt_key = like.exclude_opt_key
        self.exclude_path_pattern = like.exclude_path_pattern
        self.should_bypass_for_scope = like.should_bypass_for_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        await _parts.get().middleware[self.place].handle(scope, receive, send, next_app)


class Answering:
    """The table, for one application."""

    def __init__(self, table: ASGIApp, parts: Parts) -> None:
        self.table = table
        self.parts = parts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        token = _parts.set(self.parts)
        try:
            await self.table(scope, receive, send)
        finally:
            _parts.reset(token)


@contextmanager
def standing_routes() -> Iterator[None]:
    """Applications that are made within share the table of those with the same routes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "Litestar", _over_a_table)
        yield


def _over_a_table(
    handlers: Sequence[Any], *, dependencies: dict[str, Provide], middleware: Sequence[ASGIMiddleware] = (), **more: Any
) -> Litestar:
    own = {name: provide for name, provide in dependencies.items() if _is_a_part(provide)}
    key = (
        *map(id, handlers),
        *((name, None if name in own else provide.dependency) for name, provide in dependencies.items()),
        *map(type, middleware),
        *((name, repr(value)) for name, value in more.items()),
    )
    if key not in _tables:
        _tables[key] = Litestar(
            handlers,
            dependencies=dependencies | {name: Provide(_forwarded(name), sync_to_thread=False) for name in own},
            middleware=[Forwarding(place, one) for place, one in enumerate(middleware)],
            **more,
        )
    app = copy(_tables[key])
    app.state = State()
    app.event_emitter = SimpleEventEmitter(listeners=())
    app.asgi_handler = Answering(app.asgi_handler, Parts(own, middleware))
    return app


def _is_a_part(provide: Provide) -> bool:
    """Whether it hands out something that was made for this application, and not what it reads off a request."""
    return provide.dependency.__closure__ is not None


def _forwarded(name: str) -> Callable[[], Any]:
    def forward() -> Any:
        return _parts.get().dependencies[name].dependency()

    return forward
