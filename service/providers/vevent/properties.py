"""The properties of one VEVENT, from an `icalendar` component, a map of decoded values, or text in whatever state."""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from icalendar import Component
from icalendar.parser import Contentline, unescape_backslash
from icalendar.prop import vUnknown

LONGEST: Final = 4 * 1024 * 1024
"""Octets of text that are read, pictures within included; what comes after them is as if it were not there."""

LONGEST_VALUE: Final = 512 * 1024
LONGEST_HEAD: Final = 8192
"""Characters of name and parameters, which are looked at one by one."""

MOST_LINES: Final = 20_000
MOST_ALIKE: Final = 50
"""Of properties with one name."""

_FOLD: Final = re.compile(rb"\r?\n[ \t]")
_LINE: Final = re.compile(rb"[^\r\n]+")
_NAME: Final = re.compile(r"[ \t\ufeff]*([A-Za-z0-9-]{1,64})[ \t]*[:;]")
_SEVERAL_LINES: Final = frozenset({"DESCRIPTION", "X-ALT-DESC", "LOCATION"})


class Property(NamedTuple):
    """A value without escapes, and the parameters by their names in capitals."""

    value: str
    parameters: Mapping[str, str] = {}


Properties = Mapping[str, list[Property]]
"""By their names in capitals; a property may come several times."""


def from_component(component: Component) -> Properties:
    """Of a component that the library has read, without the components inside it."""
    found: dict[str, list[Property]] = {}
    for name, value in component.property_items(recursive=False):
        if name in {"BEGIN", "END"}:
            continue
        # The library leaves the escapes in properties that it does not know (RFC 7265, section 5.1).
        text = unescape_backslash(value) if isinstance(value, vUnknown) else str(value)
        found.setdefault(name.upper(), []).append(Property(text, _parameters(getattr(value, "params", {}))))
    return {name: alike[:MOST_ALIKE] for name, alike in found.items()}


def from_map(event: Mapping[str, Any]) -> Properties:
    """Of decoded values by name, each a text, `{"value", "params"}`, or a list of these; anything else is left out."""
    found: dict[str, list[Property]] = {}
    for name, given in event.items():
        if not isinstance(name, str):
            continue
        for each in given[:MOST_ALIKE] if isinstance(given, list) else [given]:
            value, parameters = (each.get("value"), each.get("params")) if isinstance(each, Mapping) else (each, None)
            if isinstance(value, str):
                found.setdefault(name.partition(";")[0].strip().upper(), []).append(
                    Property(value, _parameters(parameters))
                )
    return found


def from_text(raw: str | bytes, wanted: Collection[str]) -> Properties:
    """Those `wanted`, in capitals, of the first VEVENT in a text, or of the text itself when it has none. Never raises.

    Each line is read by itself, so that a broken one costs no other. A fold may lie inside an escape or a character
    (section 3.1 counts octets), line ends may be of any kind, and a text that is cut off, was never escaped, or was
    escaped as a whole, its line ends spelt as backslash and n, is read as far as it goes.
    """
    octets = (raw if isinstance(raw, bytes) else raw.encode("utf-8", "replace"))[:LONGEST]
    if b"\n" not in octets and b"\r" not in octets:
        octets = octets.replace(b"\\r\\n", b"\n").replace(b"\\n", b"\n")
    found: dict[str, list[Property]] = {}
    for name, lines in _event_lines(_FOLD.sub(b"", octets), wanted):
        if (read := _read(*lines)) is not None:
            found.setdefault(name, []).append(read)
    return {name: alike[:MOST_ALIKE] for name, alike in found.items()}


def _event_lines(unfolded: bytes, wanted: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """The lines of the first VEVENT itself, without those of alarms and other components inside or beside it."""
    inside = has_no_frame = b"BEGIN:VEVENT" not in unfolded.upper()
    depth = 0
    for name, lines in _named_lines(unfolded, wanted):
        if name not in {"BEGIN", "END"}:
            if inside and depth == 0 and name in wanted:
                yield name, lines
            continue
        kind = lines[0].partition(":")[2].strip().upper()
        if kind == "VEVENT":
            if inside and not has_no_frame:
                return
            inside, depth = True, 0
        elif kind != "VCALENDAR":
            depth = max(0, depth + (1 if name == "BEGIN" else -1))


def _named_lines(unfolded: bytes, wanted: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Each property's name and line; with more lines where a text has line ends that nobody has escaped."""
    name, lines = "", [""]
    for octets in islice(_LINE.finditer(unfolded), MOST_LINES):
        line = octets[0].decode("utf-8", "replace")
        match = _NAME.match(line)
        if match and (match[1].isupper() or match[1].upper() in {*wanted, "BEGIN", "END"}):
            if name:
                yield name, lines
            name, lines = match[1].upper(), [line[match.start(1) :]]
        elif name in _SEVERAL_LINES:
            lines.append(line)
    if name:
        yield name, lines


def _read(line: str, *more: str) -> Property | None:
    head = line[:LONGEST_HEAD]
    parameters: Mapping[str, Any]
    try:
        _, parameters, start = Contentline(head).raw_parts()  # type: ignore[no-untyped-call]
        value = line[len(head) - len(start) :] if start else ""
    except ValueError:
        # Parameters that are not closed, say: the value is behind the first colon.
        parameters, value = {}, line.partition(":")[2]
    text = "\n".join([unescape_backslash(value[:LONGEST_VALUE]), *more])[:LONGEST_VALUE]
    return Property(text, _parameters(parameters)) if text else None


def _parameters(given: Any) -> Mapping[str, str]:
    if not isinstance(given, Mapping):
        return {}
    return {
        str(name).upper(): ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in given.items()
    }
