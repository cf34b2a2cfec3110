"""The rows of a page, each read by itself and told apart: events, series, sparse occurrences, and news that something is gone."""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from service.core.sync import Malformed, Removed
from service.providers.lenient import UNREADABLE, repair
from service.providers.microsoft.wire import WireEvent, WireTombstone

LONGEST_ID: Final = 1024
"""In bytes, of which an index of PostgreSQL takes about 2,700."""

MASTER: Final = "seriesMaster"
OCCURRENCE: Final = "occurrence"
EXCEPTION: Final = "exception"

_event: Final = msgspec.json.Decoder(WireEvent)
_tombstone: Final = msgspec.json.Decoder(WireTombstone)


class Row(msgspec.Struct, frozen=True):
    """A row as received, as far as it is read: the event, or the news or fault that stands in its place."""

    raw: bytes
    wire: WireEvent | None
    item: Removed | Malformed | None = None

    @property
    def event_id(self) -> str:
        """The id that it names, or the name of what cannot be read."""
        return (self.wire.id or "") if self.wire is not None else self.item.provider_event_id if self.item else ""

    @property
    def is_tombstone(self) -> bool:
        """Whether it says that something is gone: an event, or a whole series."""
        return isinstance(self.item, Removed)

    @property
    def is_master(self) -> bool:
        """Whether it is a series, and no event."""
        return self.wire is not None and self.wire.type == MASTER

    @property
    def series_id(self) -> str | None:
        """The series that it belongs to, or is."""
        if self.wire is None:
            return self.item.series_id if isinstance(self.item, Removed) else None
        return self.wire.id if self.is_master else self.wire.series_master_id

    @property
    def is_sparse(self) -> bool:
        """Whether it lacks what only its master says."""
        return self.wire is not None and self.wire.type == OCCURRENCE and self.wire.is_organizer is None


def read_rows(rows: Iterable[msgspec.Raw]) -> list[Row]:
    """Each row by itself, so that a bad one spoils no other."""
    return [read_row(bytes(row)) for row in rows]


def read_row(raw: bytes) -> Row:
    """A row, sorted: an event with an id and a start, the news that something is gone, or something to set aside."""
    try:
        # PostgreSQL's text cannot hold NUL, which JSON can only spell like this.
        wire = _event.decode(repair(raw) if b"\\u0000" in raw else raw)
    except UNREADABLE:
        try:
            wire = _event.decode(repair(raw))
        except (*UNREADABLE, ValueError) as error:
            return Row(raw, None, _salvage(raw, str(error)))
    if not wire.id or _is_too_long(wire.id) or _is_too_long(wire.series_master_id or ""):
        return Row(raw, None, Malformed(name_of(raw), "id missing or too long", raw))
    if wire.removed is not None:
        return Row(raw, None, Removed(wire.id))
    if wire.is_cancelled and wire.type != MASTER:
        # Called off by its organiser: it stays in the mailbox until somebody tidies up, and nobody meets.
        return Row(raw, None, Removed(wire.id, wire.series_master_id))
    return Row(raw, wire)


def _salvage(raw: bytes, reason: str) -> Removed | Malformed:
    try:
        tombstone = _tombstone.decode(repair(raw))
    except (*UNREADABLE, ValueError):
        return Malformed(name_of(raw), reason, raw)
    if not tombstone.id or _is_too_long(tombstone.id):
        return Malformed(name_of(raw), reason, raw)
    if tombstone.removed is not None:
        return Removed(tombstone.id, tombstone.series_master_id)
    return Malformed(tombstone.id, reason, raw)


def _is_too_long(provider_id: str) -> bool:
    return len(provider_id.encode()) > LONGEST_ID


def name_of(raw: bytes) -> str:
    """What a row without an id goes by."""
    return f"unreadable-{hashlib.blake2b(raw, digest_size=16).hexdigest()}"
