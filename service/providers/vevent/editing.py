"""One calendar object (the VEVENTs of one UID) as somebody else has written it, changed in place.

Every property and component that is not meant stays as it is. What a whole series is told of text, its occurrences
that were changed take over where they said the same as the series before. Where the series moves, they and the
cancelled ones (EXDATE) move along and stay with their occurrences, and one that had been moved by itself stays where
it is; where it gets another rule they are dropped, as nobody knows any more which ones they were.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from icalendar import Calendar, Event

from service.core.event import Event as ListedEvent
from service.core.schedule import Window
from service.core.series_moves import REMEDY, Immovable, Move, moved_rule
from service.errors import RequestRefused, SeriesUnmovable
from service.providers.vevent.composing import (
    OWN,
    RECURRENCE,
    Form,
    Span,
    Style,
    address_of,
    all_of,
    checked,
    octets_of,
    read_recurrence,
    state_of,
    write_fields,
    write_recurrence,
    write_span,
    zone_of,
)
from service.providers.vevent.moments import read_moments
from service.providers.vevent.reading import Component
from service.providers.vevent.series import Reading, repeats, slot_name
from service.providers.vevent.spans import form_of_component, move_between, moved_span, span_of
from service.providers.vevent.text import scan
from service.providers.vevent.units import Units, reason_of

LARGEST: Final = 1024 * 1024
"""Octets of a calendar object that is edited; a larger one is refused."""

_TIMES: Final = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", *RECURRENCE)


class Part(NamedTuple):
    """One VEVENT: as the library has it, and as we read it."""

    event: Event
    read: Component


class CalendarObject:
    """The events of one UID. Made of octets; raises RequestRefused for what cannot be put back together whole."""

    def __init__(self, octets: bytes, style: Style) -> None:
        if len(octets) > LARGEST:
            raise RequestRefused("the event is too large to be written")
        self._style = style
        try:
            rest, self._zones = _without_zones(octets)
            self._calendar = Calendar.from_ical(rest)
            parts = _parts(self._calendar, octets, style)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (a stranger's text may find a fault of the library's)
            raise RequestRefused(f"the event cannot be read: {reason_of(error)}"[:300]) from None
        masters = [each for each in parts if "RECURRENCE-ID" not in each.read.properties]
        if len(masters) > 1:
            raise RequestRefused("several events with one UID")
        self._master = masters[0] if masters else None
        master = self._master.read if self._master else None
        self._changed: dict[str, Part] = {}
        for each in parts:
            if each is not self._master:
                self._changed[slot_name(master, each.read)] = each

    @property
    def uid(self) -> str:
        """The UID of its events; empty when there are none."""
        part = self._master or next(iter(self._changed.values()), None)
        return part.read.first("UID") if part else ""

    @property
    def is_series(self) -> bool:
        """Whether it has occurrences rather than one event."""
        return self._master is None or bool(self._changed) or repeats(self._master.read)

    @property
    def begins(self) -> tuple[datetime | None, date | None]:
        """When it begins: a moment (UTC), or a day; neither where there are changed occurrences alone."""
        if self._master is None:
            return None, None
        day = self._master.read.days[0]
        return (None, day) if day is not None else (self._master.read.starts_at, None)

    @property
    def raws(self) -> set[bytes]:
        """What the rows of its events are kept as."""
        return {each.read.raw for each in (self._master, *self._changed.values()) if each is not None}

    @property
    def has_told_guests(self) -> bool:
        """Whether it has guests whom a server that sends invitations tells of changes (SCHEDULE-AGENT, RFC 6638, 7.1)."""
        parts = [each for each in (self._master, *self._changed.values()) if each is not None]
        return any(
            each.parameters.get("SCHEDULE-AGENT", "SERVER").upper() == "SERVER"
            and address_of(each.value) != address_of(part.read.first("ORGANIZER"))
            for part in parts
            for each in part.read.properties.get("ATTENDEE", [])
        )

    def moments(self, slot: str) -> tuple[datetime, ...]:
        """About which moments the occurrence of a slot is to be looked for."""
        changed = self._changed.get(slot)
        value = _value_of(slot)
        at = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, 12, tzinfo=UTC)
        return (at, *((changed.read.starts_at,) if changed else ()))

    def octets(self) -> bytes:
        """As it is to be sent."""
        return octets_of(self._calendar, b"".join(self._zones.values()))

    def change(self, fields: Mapping[str, Any], *, notify: bool) -> bool:
        """Change the event, or the whole of a series; False when it says all that already."""
        if self._master is None:
            raise RequestRefused("a series of which only single occurrences are here")
        event = self._master.event
        before = {slot: _Snapshot.of(each.event) for slot, each in self._changed.items()}
        whole = _Snapshot.of(event)
        told = {name: state_of(event, name) for name in OWN if name in fields}
        write_fields(event, fields, self._style, notify=notify)
        for each in self._changed.values():
            alike = {name: fields[name] for name in told if state_of(each.event, name) == told[name]}
            write_fields(each.event, alike, self._style, notify=notify)
        self._move_series(self._master, fields)
        changed = [self._touch(each.event, before[slot]) for slot, each in self._changed.items()]
        return self._touch(event, whole) or any(changed) or len(changed) < len(before)

    def change_occurrence(
        self, slot: str, listed: ListedEvent, raw: bytes, fields: Mapping[str, Any], *, notify: bool
    ) -> bool:
        """Change one occurrence, which is listed so, its row kept as `raw`; False when it says all that already."""
        if fields.get("recurrence"):
            raise RequestRefused("one occurrence has no rule of its own")
        part = self._changed.get(slot)
        if part is None:
            event, span = self._split_off(slot, listed, raw)
        elif str(part.event["RECURRENCE-ID"].params.get("RANGE", "")).upper() == "THISANDFUTURE":
            raise RequestRefused("this occurrence stands for all later ones, too")
        else:
            event, span = part.event, span_of(part.read)
        before = _Snapshot.of(event)
        write_fields(event, fields, self._style, notify=notify)
        self._move(event, span, fields)
        if not self._touch(event, before):
            return False
        if part is None:
            self._calendar.add_component(event)
        return True

    def remove_occurrence(self, slot: str) -> bool:
        """Take one occurrence out; False when nothing is left."""
        changed = self._changed.pop(slot, None)
        if changed is not None:
            self._calendar.subcomponents.remove(changed.event)
        if self._master is None:
            return bool(self._changed)
        event, read = self._master
        before = _Snapshot.of(event)
        event.add("EXDATE", form_of_component(read).write(_value_of(slot)), encode=False)
        self._touch(event, before)
        return True

    def _split_off(self, slot: str, listed: ListedEvent, raw: bytes) -> tuple[Event, Span]:
        """The occurrence as a component of its own, which says what it has said so far."""
        if self._master is None:
            raise RequestRefused("the occurrence's series is not here")
        # What stands for all later ones, too, may be its source.
        parts = (self._master, *self._changed.values())
        source = next((each for each in parts if each.read.raw == raw), self._master)
        event = Event.from_ical(source.event.to_ical())
        assert isinstance(event, Event)  # noqa: S101  (it begins so)
        for name in (*RECURRENCE, "RECURRENCE-ID"):
            event.pop(name, None)
        event.add("RECURRENCE-ID", form_of_component(self._master.read).write(_value_of(slot)), encode=False)
        form = form_of_component(source.read)
        if form.is_day and listed.start_date is not None and listed.end_date is not None:
            span = Span(form, listed.start_date, listed.end_date)
        else:
            span = Span(form, listed.starts_at, listed.ends_at)
        write_span(event, span)
        return event, span

    def _move(self, event: Event, span: Span, fields: Mapping[str, Any]) -> Span:
        moved = moved_span(span, fields, self._style)
        if moved != span:
            write_span(event, moved)
            self._zones.setdefault(moved.form.tzid or "", zone_of(moved.form, moved.start))
        return moved

    def _move_series(self, master: Part, fields: Mapping[str, Any]) -> None:
        event, read = master
        old = span_of(read)
        new = self._move(event, old, fields)
        told = self._write_rule(event, fields["recurrence"], new.form) if "recurrence" in fields else frozenset()
        if (new.form, new.start) != (old.form, old.start):
            self._take_along(master, old, new, told)

    def _write_rule(self, event: Event, lines: Sequence[str], form: Form) -> frozenset[str]:
        """The lines of another rule instead of all that is there; of the same rule, what else they say. Names these."""
        written = read_recurrence(lines, form)
        names = frozenset(name for name, _ in written)
        rules = sorted(each.to_ical() for each in all_of(event, "RRULE"))
        if sorted(value.to_ical() for name, value in written if name == "RRULE") != rules:
            for each in self._changed.values():
                self._calendar.subcomponents.remove(each.event)
            self._changed.clear()
            write_recurrence(event, lines, form)
            return frozenset(RECURRENCE)
        for name in names - {"RRULE"}:
            event.pop(name, None)
            for value in (value for each, value in written if each == name):
                event.add(name, value, encode=False)
        return names

    def _take_along(self, master: Part, old: Span, new: Span, told: frozenset[str]) -> None:
        """The rules, and what was said of single occurrences, but for what was `told` anew, move along with the series.

        Raises SeriesUnmovable for what has no exact counterpart.
        """
        event, read = master
        if not self._changed and not any(read.properties.get(name) for name in {*RECURRENCE} - told):
            return  # it happens once
        move = move_between(old, new)
        for name in {"RRULE", "EXRULE"} - told:
            self._move_rules(event, name, read, move, new.form)
        for name in {"EXDATE", "RDATE"} - told:
            given = read.properties.get(name, [])
            event.pop(name, None)
            for moment, period in (each for one in given for each in read_moments(one, read.zones, read.start)):
                if period is not None:
                    raise SeriesUnmovable(f"some of its dates have lengths of their own: {REMEDY}")
                at = moment.wall.date() if moment.is_day else moment.instant
                event.add(name, new.form.write(move.slot(at)), encode=False)
        for slot, part in self._changed.items():
            slot_at, own = _value_of(slot), span_of(part.read)
            ranged = part.event["RECURRENCE-ID"].params.get("RANGE")
            part.event.pop("RECURRENCE-ID")
            part.event.add("RECURRENCE-ID", new.form.write(move.slot(slot_at)), encode=False)
            if ranged:
                part.event["RECURRENCE-ID"].params["RANGE"] = ranged
            if own.start == slot_at:
                start = move.slot(slot_at)
                length = new.end - new.start if own.end - own.start == old.end - old.start else own.end - own.start
                write_span(part.event, checked(Span(new.form, start, start + length)))

    def _move_rules(self, event: Event, name: str, read: Component, move: Move, form: Form) -> None:
        texts = [each.value for each in read.properties.get(name, [])]
        try:
            moved = [moved_rule(text, move) for text in texts]
        except Immovable as error:
            raise SeriesUnmovable(str(error)) from None
        if moved != texts:
            event.pop(name)
            for _, value in read_recurrence([f"{name}:{text}" for text in moved], form):
                event.add(name, value, encode=False)

    def _touch(self, event: Event, before: "_Snapshot") -> bool:
        """Note that an event is another now, if it is."""
        now = _Snapshot.of(event)
        if now == before:
            return False
        at = self._style.now.astimezone(UTC).replace(microsecond=0)
        for name in ("DTSTAMP", "LAST-MODIFIED"):
            event.pop(name, None)
            event.add(name, at)
        if now.times != before.times:
            number = str(event.pop("SEQUENCE", 0))
            event.add("SEQUENCE", (int(number) if number.isdecimal() and len(number) < 9 else 0) + 1)
        return True


class _Snapshot(NamedTuple):
    """An event as it was, and what it said of its time."""

    octets: bytes
    times: list[tuple[str, bytes, list[tuple[str, str]]]]

    @classmethod
    def of(cls, event: Event) -> "_Snapshot":
        values = [(name, value) for name in _TIMES for value in all_of(event, name)]
        return cls(event.to_ical(), [(name, value.to_ical(), sorted(value.params.items())) for name, value in values])


def _without_zones(octets: bytes) -> tuple[bytes, dict[str, bytes]]:
    """A text without its VTIMEZONEs, and these by their TZIDs, as they are."""
    rest: list[bytes] = []
    zones: dict[str, bytes] = {}
    zone: list[bytes] | None = None
    for line in octets.splitlines(keepends=True):
        word = line.strip().upper()
        if word == b"BEGIN:VTIMEZONE":
            zone = []
        if zone is None:
            rest.append(line)
            continue
        zone.append(line)
        if word == b"END:VTIMEZONE":
            named = next((each for each in zone if each[:4].upper() == b"TZID"), b"")
            name = named.partition(b":")[2].decode("utf-8", "replace").strip()
            zones.setdefault(name, b"".join(zone).rstrip() + b"\r\n")
            zone = None
    return b"".join(rest), zones


def _parts(calendar: Calendar, octets: bytes, style: Style) -> list[Part]:
    """The events of the one UID. Raises ValueError where the library and we do not find the same in the text."""
    found = scan(octets)
    window = Window(style.now - timedelta(days=1), style.now + timedelta(days=1))
    units = Units(found, "", Reading(window=window, time_zone=style.time_zone, keep_single=True))
    events = [each for each in calendar.walk("VEVENT") if isinstance(each, Event)]
    if not events or len(events) != len(found.blocks):
        raise ValueError("no event, or one within another")
    if len(units.all) != 1:
        raise ValueError("events with several UIDs")
    parts = [Part(event, units.component(block)) for event, block in zip(events, found.blocks, strict=True)]
    if any(str(event.get("UID", "")) != str(events[0].get("UID", "")) for event in events):
        raise ValueError("events with several UIDs")
    return parts


def _value_of(slot: str) -> datetime | date:
    """The end of an occurrence's id as a moment or a day."""
    year, month, day = int(slot[:4]), int(slot[4:6]), int(slot[6:8])
    if len(slot) == 8:
        return date(year, month, day)
    return datetime(year, month, day, int(slot[9:11]), int(slot[11:13]), int(slot[13:15]), tzinfo=UTC)
