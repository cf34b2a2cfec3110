"""JSON that strangers wrote, read into typed structs: what has a wrong type is left out, and the rest is read."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

MOST_PRECISE: Final = 20
"""So many wrong values are left out one by one; beyond that each takes the whole field that it is in along."""

_surrogates: Final = re.compile("[\ud800-\udfff]")
_place: Final = re.compile(r"`\$(\S+)`$")
_step: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def repair(body: bytes) -> bytes:
    """The same JSON without NUL characters, lone surrogates and bytes that are not UTF-8; ValueError when it is none."""
    return msgspec.json.encode(_scrub(json.loads(body.decode("utf-8", "replace"))))


def read_leniently(tree: Mapping[str, Any], shape: type[T]) -> T:
    """A struct whose fields are all optional, from decoded JSON; a value of a wrong type counts as absent. Never raises."""
    found: Any = tree
    for attempt in range(MOST_PRECISE + len(msgspec.structs.fields(shape)) + 1):
        try:
            return msgspec.convert(found, shape)
        except msgspec.ValidationError as error:
            steps = _steps(str(error))
            if not steps:
                break
            found = _without(found, steps if attempt < MOST_PRECISE else steps[:1])
    return shape()


def _steps(message: str) -> list[str | int]:
    """Where the wrong value is: `$.a.b[0]` at the end of msgspec's message."""
    place = _place.search(message)
    return [name or int(index) for name, index in _step.findall(place[1])] if place else []


def _without(tree: Any, steps: list[str | int]) -> Any:
    """The tree with that place empty; what is shared with the original stays as it was."""
    step, rest = steps[0], steps[1:]
    if isinstance(tree, Mapping):
        return {**tree, step: _without(tree[step], rest)} if rest else {k: v for k, v in tree.items() if k != step}
    if isinstance(tree, list) and isinstance(step, int):
        return [*tree[:step], *([_without(tree[step], rest)] if rest else []), *tree[step + 1 :]]
    return tree


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return _surrogates.sub("\ufffd", value.replace("\0", ""))
    if isinstance(value, list):
        return [_scrub(each) for each in value]
    if isinstance(value, dict):
        return {_scrub(key): _scrub(each) for key, each in value.items()}
    return value
