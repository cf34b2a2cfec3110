"""The properties of a VEVENT that are not about links, from text that has been put in order: one line each, all of them."""

import re
from collections.abc import Collection
from typing import Final

from icalendar.parser import Contentline, unescape_backslash

from service.providers.vevent.properties import Property

_PLAIN: Final = re.compile(r"([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=[^\";:,\\^=\x00-\x1f\x7f]*)*):")
"""What nearly every line begins like; read ten times as fast as by the library, which reads the others."""

_STRANGE: Final = re.compile(r"[ \t]*([A-Za-z0-9-]+)[ \t]*[:;]")
_TEXTS: Final = frozenset({"SUMMARY", "DESCRIPTION", "LOCATION"})


def read_lines(text: str, wanted: Collection[str]) -> dict[str, list[Property]]:
    """Those `wanted`, in capitals, by their names; a line that is none is the rest of the one before it."""
    found: dict[str, list[Property]] = {}
    open_text: list[Property] = []
    for line in text.split("\r\n"):
        plain = _PLAIN.match(line)
        match = plain or _STRANGE.match(line)
        name = match[1].upper() if match else ""
        if match is None or not (match[1].isupper() or name in wanted):
            # A line end that nobody has escaped; `https:` is no property.
            if open_text and line:
                open_text[-1] = open_text[-1]._replace(value=f"{open_text[-1].value}\n{line}")
            continue
        if name not in wanted:
            open_text = []
            continue
        properties = found.setdefault(name, [])
        if plain is not None:
            pairs = (each.partition("=") for each in plain[2].split(";")[1:])
            parameters = {key.upper(): given.strip(" \t") for key, _, given in pairs}
            properties.append(Property(unescape_backslash(line[plain.end() :]), parameters))
        else:
            properties.append(_read_strange(line))
        open_text = properties if name in _TEXTS else []
    return found


def _read_strange(line: str) -> Property:
    """A line with quotes, lists or escapes in its parameters; when they make no sense, the value is behind the first colon."""
    try:
        _, parameters, value = Contentline(line).parts()  # type: ignore[no-untyped-call]
    except ValueError:
        return Property(unescape_backslash(line.partition(":")[2]))
    texts = {
        str(name).upper(): ",".join(map(str, given)) if isinstance(given, list) else str(given)
        for name, given in parameters.items()
    }
    return Property(value, texts)
