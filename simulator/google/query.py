"""Query parameters of the Calendar API, read as strictly as Google reads them."""

from collections.abc import Mapping, Sequence

from simulator.google.errors import invalid_parameter
from simulator.google.moments import parse_bound

Query = Mapping[str, Sequence[str]]


def text(query: Query, name: str) -> str | None:
    values = query.get(name)
    return values[-1] if values else None


def flag(query: Query, name: str, default: bool | None = None) -> bool | None:
    value = text(query, name)
    if value is None:
        return default
    if value.lower() not in {"true", "false"}:
        raise invalid_parameter(f"Invalid boolean value: '{value}'.", name)
    return value.lower() == "true"


def number(query: Query, name: str, default: int | None = None, smallest: int = 1) -> int | None:
    value = text(query, name)
    if value is None:
        return default
    if not value.lstrip("-").isdigit() or int(value) < smallest:
        raise invalid_parameter(f"Invalid integer value: '{value}'.", name)
    return int(value)


def bound(query: Query, name: str) -> float | None:
    value = text(query, name)
    return None if value is None else parse_bound(value, name)


def choice(query: Query, name: str, allowed: set[str]) -> str | None:
    value = text(query, name)
    if value is not None and value not in allowed:
        raise invalid_parameter(f"Invalid string value: '{value}'. Allowed values: {sorted(allowed)}", name)
    return value
