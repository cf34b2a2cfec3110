"""A text as units, one for each UID, each read by itself so that none spoils another."""

import hashlib
import re
from datetime import timedelta
from typing import Final

import msgspec

from service.core.sync import Malformed
from service.providers.vevent.moments import read_duration
from service.providers.vevent.reading import Component, bounded_id, fallback_id, keep, read_component
from service.providers.vevent.series import Findings, Reading, list_series
from service.providers.vevent.text import Block, Header, Scan, blocks_by_uid
from service.providers.vevent.zones import Zones

_REPEATS: Final = (b"\nRRULE", b"\nRDATE", b"\nRECURRENCE-ID", b"\nDURATION")
_TIMES: Final = re.compile(rb"\nDT(?:START|END)[;:][^\n]*")
_DIGITS: Final = re.compile(rb":(\d{8})(?:T\d{4,6}Z?)?[ \t]*$")
_RULE_ID: Final = re.compile(rb"^RECURRENCE-ID[^\n]*:([^\n]*)$", re.IGNORECASE | re.MULTILINE)
_MARGIN: Final = timedelta(days=2)
_KEPT_RAW: Final = 64 * 1024

MOST_UNITS: Final = 25_000
"""UIDs of one text that may have something in the window: it is believed that nobody meets more often."""

MOST_VERSIONS: Final = 5_000
"""VEVENTs of one UID, one for each occurrence that was ever changed."""


class Document(msgspec.Struct, frozen=True, array_like=True):
    """What a text says of itself, and how many VEVENTs are in it.

    `is_whole` is false when it does not begin with BEGIN:VCALENDAR or not end with END:VCALENDAR; `refresh_interval`
    is what the publisher asks for (REFRESH-INTERVAL, RFC 7986, section 5.7, or X-PUBLISHED-TTL), as it is.
    """

    name: str | None
    time_zone: str | None
    refresh_interval: timedelta | None
    method: str | None
    event_count: int
    is_whole: bool


class Unit(msgspec.Struct):
    """The VEVENTs of one UID; without a name it is called by its content."""

    name: str
    blocks: list[Block]


class Units:
    """The units of a text that may have something in the window. Raises ValueError beyond MOST_UNITS."""

    def __init__(self, found: Scan, base_id: str | None, reading: Reading) -> None:
        self._scan = found
        self._reading = reading
        self._zones: dict[int, Zones] = {}
        window = reading.window
        self._first = f"{window.start - _MARGIN:%Y%m%d}".encode()
        self._last = f"{window.end + _MARGIN:%Y%m%d}".encode()
        self.all: list[Unit] = []
        for uid, blocks in blocks_by_uid(found):
            name = bounded_id(uid)
            if base_id is not None:
                name = bounded_id(f"{base_id}~{uid}") if self.all else bounded_id(base_id)
            if reading.keep_single or not self._lies_outside(blocks):
                self.all.append(Unit(name, blocks))
            if len(self.all) > MOST_UNITS:
                raise ValueError(f"more than {MOST_UNITS:,} events about the window")

    def document(self) -> Document:
        said: dict[str, str] = {}
        for header in self._scan.headers:
            said = header.properties | said
        try:
            interval = read_duration(said.get("REFRESH-INTERVAL") or said.get("X-PUBLISHED-TTL") or "")
        except ValueError:
            interval = None
        return Document(
            name=said.get("NAME") or said.get("X-WR-CALNAME"),
            time_zone=next((zones.default_name for zones in map(self._zones_of, self._scan.headers)), None),
            refresh_interval=timedelta(days=interval.days) + interval.exact if interval else None,
            method=said.get("METHOD", "").upper() or None,
            event_count=len(self._scan.blocks),
            is_whole=self._scan.is_whole,
        )

    def read(self, unit: Unit) -> Findings:
        """What is listed of a unit. Never raises but MemoryError: what goes wrong is the unit's own misfortune."""
        found = Findings([], [], [])
        components = self._components(unit, found)
        name = unit.name or (fallback_id(components[0]) if components else "")
        if not components:
            return found
        listed = Findings([], [], [])
        try:
            list_series(name, components, self._reading, listed)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (a stranger's text may find a fault of a library's; others go on)
            found.malformed.append(Malformed(name, reason_of(error), components[0].raw))
            return found
        found.sheets, found.removed = listed.sheets, listed.removed
        found.malformed += listed.malformed
        return found

    def component(self, block: Block) -> Component:
        """One VEVENT read. Raises ValueError when it has no start that can be read, or is too long."""
        is_cancelled = block.header.properties.get("METHOD", "").upper() == "CANCEL"
        return read_component(self._scan.block_text(block), self._zones_of(block.header), is_cancelled=is_cancelled)

    def _components(self, unit: Unit, found: Findings) -> list[Component]:
        components: list[Component] = []
        if len(unit.blocks) > MOST_VERSIONS:
            found.malformed.append(
                Malformed(unit.name, f"more than {MOST_VERSIONS:,} versions of one event", keep(b""))
            )
            return components
        for block in unit.blocks:
            raw = self._scan.text[block.start : block.end]
            try:
                components.append(self.component(block))
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001  (as above)
                slot = _RULE_ID.search(raw)
                name = unit.name or f"unreadable-{hashlib.blake2b(raw, digest_size=16).hexdigest()}"
                if slot is not None:
                    name = bounded_id(f"{name}#?{slot[1].decode('ascii', 'replace').strip()}")
                found.malformed.append(Malformed(name, reason_of(error), keep(raw[:_KEPT_RAW])))
        return components

    def _zones_of(self, header: Header) -> Zones:
        zones = self._zones.get(id(header))
        if zones is None:
            wanted = header.properties.get("X-WR-TIMEZONE")
            zones = Zones(header.zones, wanted, self._reading.window.start)
            if zones.default_name is None:
                zones = Zones(header.zones, self._reading.time_zone, self._reading.window.start)
            self._zones[id(header)] = zones
        return zones

    def _lies_outside(self, blocks: list[Block]) -> bool:
        """Whether a lone event can be told from its digits to be out of the window: most of what a feed remembers."""
        if len(blocks) > 1:
            return False
        text = self._scan.text[blocks[0].start : blocks[0].end].upper()
        if any(name in text for name in _REPEATS):
            return False
        times = [_DIGITS.search(line) for line in _TIMES.findall(text)]
        days = [match[1] for match in times if match is not None]
        return 0 < len(days) == len(times) and (max(days) < self._first or min(days) > self._last)


def reason_of(error: Exception) -> str:
    """What is said of a unit that cannot be read."""
    return (str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")[:500] or "unreadable"
