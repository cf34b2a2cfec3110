"""A request to the fake and its answer, free of any web framework."""

from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Answer:
    """What goes back. `delay`, `hang` and `cut` tell the transport how to misbehave."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False
    cut: bool = False
    fault: str | None = None


def as_json(status: int, value: Any) -> Answer:
    return Answer(status, msgspec.json.encode(value))
