"""iCalendar bytes (RFC 5545, section 3.4) in whatever state, taken apart into VEVENTs without reading them."""

import codecs
import re
from collections.abc import Iterator
from typing import Final

import msgspec

LONGEST_LINE: Final = 64 * 1024
LONGEST_EVENT: Final = 256 * 1024
"""Octets of one VEVENT without its alarms and pictures; a longer one is set aside."""

MOST_LINES: Final = 10_000
MOST_EVENTS: Final = 100_000
"""VEVENTs in one text; what has more is no calendar."""

MOST_CALENDARS: Final = 10_000
"""VCALENDARs in one text."""

_FRAME: Final = re.compile(rb"^(BEGIN|END)[ \t]*:[ \t]*([A-Z0-9-]+)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_DATES: Final = re.compile(rb"(?:EX|R)DATE[;:]", re.IGNORECASE)
"""Cut off anywhere they would say something else, where a text only says less."""

_PICTURE: Final = re.compile(
    rb"^(?:ATTACH|IMAGE|X-APPLE-STRUCTURED-LOCATION)[;:][^\n]{2048,}\n?", re.IGNORECASE | re.MULTILINE
)
_HEAD: Final = re.compile(
    rb"^(METHOD|X-WR-TIMEZONE|X-WR-CALNAME|NAME|REFRESH-INTERVAL|X-PUBLISHED-TTL)(?:;[^:\n]*)?:([^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_TZID: Final = re.compile(rb"^TZID(?:;[^:\n]*)?:([^\n]*)$", re.IGNORECASE | re.MULTILINE)
_LOCATION: Final = re.compile(rb"^X-LIC-LOCATION(?:;[^:\n]*)?:([^\n]*)$", re.IGNORECASE | re.MULTILINE)
_UID: Final = re.compile(rb"\n[Uu][Ii][Dd](?:;[^:\n]*)?:([^\n]*)")


class ZoneText(msgspec.Struct):
    """A VTIMEZONE: the lines of each STANDARD and DAYLIGHT, and the name that libical adds."""

    location: str | None
    observances: list[tuple[str, bytes]]


class Header(msgspec.Struct):
    """What a VCALENDAR says of all in it, by the names of the properties, and its zones by TZID."""

    properties: dict[str, str]
    zones: dict[str, ZoneText]


class Block(msgspec.Struct):
    """One VEVENT: where it lies in the text, and the components in it that are to be left out."""

    header: Header
    start: int
    end: int
    uid: str
    inner: list[tuple[int, int]]


class Scan(msgspec.Struct):
    """A text taken apart; `is_whole` says that it begins and ends as a calendar does."""

    text: bytes
    headers: list[Header]
    blocks: list[Block]
    is_whole: bool

    def block_text(self, block: Block) -> bytes:
        """The VEVENT unfolded, without what is in it but its own properties; ValueError when it is too long."""
        pieces, at = [], block.start
        for start, end in block.inner:
            pieces.append(self.text[at:start])
            at = end
        pieces.append(self.text[at : block.end])
        lines = _PICTURE.sub(b"", b"".join(pieces)).strip(b"\n").split(b"\n")
        if len(lines) > MOST_LINES:
            raise ValueError(f"more than {MOST_LINES} lines")
        body = b"\r\n".join(_decodable(line if _DATES.match(line) else line[:LONGEST_LINE]) for line in lines)
        if len(body) > LONGEST_EVENT:
            raise ValueError(f"longer than {LONGEST_EVENT // 1024} KiB")
        return b"BEGIN:VEVENT\r\n%b\r\nEND:VEVENT\r\n" % body


def scan(raw: bytes) -> Scan:
    """Every VEVENT of every VCALENDAR in the text, and what is around them. Takes time as the length.

    A VEVENT that lacks its end is cut off at what follows; one without a calendar around it counts too. Raises ValueError beyond
    MOST_EVENTS and MOST_CALENDARS.
    """
    text = _unfold(raw)
    found = Scan(text, [], [], is_whole=False)
    _Scanner(found).run()
    begins = text[:200].lstrip().upper().startswith(b"BEGIN:VCALENDAR")
    found.is_whole = begins and text.rstrip()[-20:].upper().endswith(b"END:VCALENDAR")
    return found


def decode(octets: bytes) -> str:
    """UTF-8, or else Latin-1, in which everything is some character."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


class _Scanner:
    """Walks over the BEGINs and ENDs; depth is counted and not nested, so a million BEGINs are no recursion."""

    def __init__(self, found: Scan) -> None:
        self.found = found
        self.header = Header({}, {})
        self.block: Block | None = None
        self.zone: tuple[int, list[tuple[str, bytes]]] | None = None
        self.part: tuple[str, int] | None = None
        self.depth = 0
        self.inner_start = 0

    def run(self) -> None:
        text = self.found.text
        outside = 0
        for match in _FRAME.finditer(text):
            kind, name = match[1].upper(), match[2].upper()
            if name in {b"VCALENDAR", b"VEVENT", b"VTIMEZONE"}:
                self._close(match.start(), match.end() if kind == b"END" else match.start())
                if outside < match.start():
                    self._take_head(text[outside : match.start()])
                outside = match.end() if name == b"VCALENDAR" or kind == b"END" else len(text)
                if kind == b"BEGIN":
                    self._open(name, match.start(), match.end())
            elif self.block is not None:
                self._inside(self.block, kind, match.start(), match.end())
            elif self.zone is not None:
                self._observance(self.zone[1], kind, name, match.start(), match.end())
            elif kind == b"BEGIN":
                # A VTODO or a VJOURNAL, whose properties are not the calendar's.
                if outside < match.start():
                    self._take_head(text[outside : match.start()])
                outside = len(text)
            else:
                outside = match.end()
        self._close(len(text), len(text))

    def _open(self, name: bytes, start: int, end: int) -> None:
        if name == b"VCALENDAR":
            self.header = Header({}, {})
            self.found.headers.append(self.header)
            if len(self.found.headers) > MOST_CALENDARS:
                raise ValueError(f"more than {MOST_CALENDARS:,} calendars")
        elif name == b"VEVENT":
            self.block = Block(self.header, end, end, "", [])
            self.depth = 0
        else:
            self.zone = (start, [])

    def _close(self, at: int, end: int) -> None:
        block, zone = self.block, self.zone
        self.block = self.zone = self.part = None
        if block is not None:
            if self.depth:
                block.inner.append((self.inner_start, at))
            block.end = at
            block.uid = self._uid(block)
            self.found.blocks.append(block)
            if len(self.found.blocks) > MOST_EVENTS:
                raise ValueError(f"more than {MOST_EVENTS:,} events")
        if zone is not None:
            text = self.found.text[zone[0] : end]
            name, location = _TZID.search(text), _LOCATION.search(text)
            if name is not None and len(zone[1]) <= 200:
                place = decode(location[1]).strip() if location else None
                self.header.zones.setdefault(decode(name[1]).strip().strip('"'), ZoneText(place, zone[1]))

    def _uid(self, block: Block) -> str:
        # An alarm may have one too (RFC 9074).
        at = block.start
        for start, end in [*block.inner, (block.end, block.end)]:
            if match := _UID.search(self.found.text, at, start):
                return decode(match[1]).strip()
            at = end
        return ""

    def _inside(self, block: Block, kind: bytes, start: int, end: int) -> None:
        if kind == b"BEGIN":
            if self.depth == 0:
                self.inner_start = start
            self.depth += 1
        elif self.depth:
            self.depth -= 1
            if self.depth == 0:
                block.inner.append((self.inner_start, end))

    def _observance(self, found: list[tuple[str, bytes]], kind: bytes, name: bytes, start: int, end: int) -> None:
        if kind == b"BEGIN":
            self.part = (name.decode(), end)
        elif self.part is not None and name.decode() == self.part[0]:
            found.append((self.part[0], self.found.text[self.part[1] : start]))
            self.part = None

    def _take_head(self, text: bytes) -> None:
        for match in _HEAD.finditer(text):
            self.header.properties.setdefault(match[1].upper().decode(), decode(match[2]).strip())


def _unfold(raw: bytes) -> bytes:
    """Line ends of any kind as LF, folds undone in octets (section 3.1: one may lie inside a character), no NUL."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raw = raw.decode("utf-16", "replace").encode()
    text = raw.removeprefix(codecs.BOM_UTF8)
    if b"\0" in text:
        text = text.replace(b"\0", b"")
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    while b"\n\n" in text:
        text = text.replace(b"\n\n", b"\n")
    # Many times as fast as a regular expression.
    return text.replace(b"\n ", b"").replace(b"\n\t", b"")


def _decodable(line: bytes) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        # Cut off inside a character, or not UTF-8 at all.
        return line[: error.start] if error.end == len(line) == LONGEST_LINE else line.decode("latin-1").encode()
    return line


def blocks_by_uid(found: Scan) -> Iterator[tuple[str, list[Block]]]:
    """The VEVENTs that belong together, in the order in which they begin; each without a UID by itself."""
    groups: dict[str, list[Block]] = {}
    alone = 0
    for block in found.blocks:
        key = block.uid
        if not key:
            key, alone = f"\n{alone}", alone + 1
        groups.setdefault(key, []).append(block)
    return ((key if key[0] != "\n" else "", blocks) for key, blocks in groups.items())
