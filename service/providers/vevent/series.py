"""The VEVENTs of one UID → what is listed of them in a window: events, what is gone, and what cannot be read."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Literal

import msgspec

from service.core.event import Event
from service.core.meeting_links.evidence import DEFAULT_RULES, LinkRules
from service.core.recurrence import Length, Occurrence, Override, Series, Slot, occurrences
from service.core.schedule import Window
from service.core.sync import Item, Listed, Malformed, Removed
from service.providers.vevent.moments import Moment, read_moment, read_moments
from service.providers.vevent.reading import Component, bounded_id, describe, fallback_id

Identity = Literal["uid", "content"]
"""By what an event is known: its UID, or, in feeds that change their UIDs at each fetch, start, end and title."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a text is to be read.

    `time_zone` is the calendar's where the text does not say (days and floating times lie in it), `addresses` are the
    owner's, and `keep_single` lists an event that does not repeat even when it lies outside the window: a delta
    says that it has moved there.
    """

    window: Window
    time_zone: str | None = None
    addresses: frozenset[str] = frozenset()
    rules: LinkRules = DEFAULT_RULES
    identity: Identity = "uid"
    keep_single: bool = False


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where one event of a sheet lies, and what it is called."""

    provider_event_id: str
    series_id: str | None
    original_starts_at: datetime | None
    original_start_date: date | None
    is_exception: bool
    starts_at: datetime
    ends_at: datetime
    start_date: date | None
    end_date: date | None


class Sheet(msgspec.Struct, frozen=True, array_like=True):
    """One component and all places that it describes: a thousand occurrences share one text."""

    event: Event
    raw: bytes
    places: list[Place]


class Findings(msgspec.Struct, array_like=True):
    """What is listed of one UID."""

    sheets: list[Sheet] = []
    removed: list[Removed] = []
    malformed: list[Malformed] = []

    def items(self) -> Iterator[Item]:
        for sheet in self.sheets:
            for place in sheet.places:
                fields = {name: getattr(place, name) for name in Place.__struct_fields__}
                yield Listed(msgspec.structs.replace(sheet.event, **fields), sheet.raw)
        yield from self.removed
        yield from self.malformed


def list_series(series_id: str, components: Sequence[Component], reading: Reading, found: Findings) -> None:
    """Add what the components of one UID have in the window. Raises ValueError when a series has no sense.

    Several masters of one UID are the versions of one, of which the last counts (SEQUENCE, section 3.8.7.4), or where
    they have the same SEQUENCE and different times, different events that somebody gave one UID.
    """
    masters = _masters([each for each in components if "RECURRENCE-ID" not in each.properties])
    changed = [each for each in components if "RECURRENCE-ID" in each.properties]
    if len(masters) == 1 and reading.identity == "uid":
        _Lister(series_id, reading, found).add_all(masters[0], changed)
        return
    repeating = [each for each in masters if repeats(each)]
    for master in masters:
        own = bounded_id(f"{series_id}~{fallback_id(master)}") if reading.identity == "uid" else fallback_id(master)
        _Lister(own, reading, found).add_all(master, changed if repeating[:1] == [master] else [])
    if not repeating:
        _Lister(series_id, reading, found).add_all(None, changed)


def repeats(component: Component) -> bool:
    """Whether it is a series by itself."""
    return bool(_texts(component, "RRULE") or _texts(component, "RDATE"))


def slot_name(master: Component | None, changed: Component) -> str:
    """What the id of an occurrence that was changed ends in. Raises ValueError when its slot cannot be read."""
    return _spelt(_override(_series(master) if master else None, master, changed).slot)


def _masters(given: Iterable[Component]) -> list[Component]:
    last: dict[tuple[datetime, datetime, str], Component] = {}
    for each in given:
        key = (each.starts_at, each.ends_at, each.first("SUMMARY"))
        if key not in last or last[key].rank < each.rank:
            last[key] = each
    newest = max((each.sequence for each in last.values()), default=0)
    return sorted((each for each in last.values() if each.sequence == newest), key=lambda each: each.starts_at)


class _Lister:
    """Lists one series, or one event alone, under an id."""

    def __init__(self, series_id: str, reading: Reading, found: Findings) -> None:
        self.series_id = series_id
        self.reading = reading
        self.found = found

    def add_all(self, master: Component | None, changed: Sequence[Component]) -> None:
        if master is not None and not changed and not repeats(master):
            if self.reading.keep_single or self.reading.window.overlaps(master.starts_at, master.ends_at):
                self._add_single(master)
            return
        if master is None:
            self._add_orphans(changed)
            return
        series = _series(master)
        overrides = self._overrides(series, master, changed)
        by_source: dict[int | None, list[tuple[Occurrence, bool]]] = {}
        given = [override for _, override in overrides]
        for each in occurrences(series, given, self.reading.window):
            is_own = each.source is not None and each.slot == given[each.source].slot
            by_source.setdefault(each.source, []).append((each, is_own))
        for source, group in by_source.items():
            self._add(master if source is None else overrides[source][0], group, is_cancelled=master.is_cancelled)

    def _add_orphans(self, changed: Sequence[Component]) -> None:
        """Somebody sees these who was asked to one occurrence only."""
        for component, override in self._overrides(None, None, changed):
            if self.reading.window.overlaps(override.starts_at, override.ends_at):
                lone = Occurrence(slot=override.slot, starts_at=override.starts_at, ends_at=override.ends_at)
                self._add(component, [(lone, True)])

    def _overrides(
        self, series: Series | None, master: Component | None, changed: Sequence[Component]
    ) -> list[tuple[Component, Override]]:
        last: dict[Slot, tuple[Component, Override]] = {}
        for each in changed:
            try:
                override = _override(series, master, each)
            except ValueError as error:
                name = bounded_id(f"{self.series_id}#?{each.first('RECURRENCE-ID')}")
                self.found.malformed.append(Malformed(name, str(error), each.raw))
                continue
            other = last.get(override.slot)
            if other is None or other[0].rank < each.rank:
                last[override.slot] = (each, override)
        # Slots are all instants or all days beside a master, and may be of both kinds without.
        return sorted(last.values(), key=lambda pair: _spelt(pair[1].slot))

    def _add_single(self, component: Component) -> None:
        if component.is_cancelled:
            self.found.removed.append(Removed(self.series_id))
            return
        event = self._describe(component)
        place = Place(
            provider_event_id=self.series_id,
            series_id=None,
            original_starts_at=None,
            original_start_date=None,
            is_exception=False,
            starts_at=event.starts_at,
            ends_at=event.ends_at,
            start_date=event.start_date,
            end_date=event.end_date,
        )
        self.found.sheets.append(Sheet(event, component.raw, [place]))

    def _add(self, component: Component, group: list[tuple[Occurrence, bool]], *, is_cancelled: bool = False) -> None:
        if is_cancelled or component.is_cancelled:
            for occurrence, _ in group:
                self.found.removed.append(Removed(f"{self.series_id}#{_spelt(occurrence.slot)}", self.series_id))
            return
        event = self._describe(component)
        places = [self._place(component, occurrence, is_own=is_own) for occurrence, is_own in group]
        self.found.sheets.append(Sheet(event, component.raw, places))

    def _describe(self, component: Component) -> Event:
        event = describe(component, addresses=self.reading.addresses, rules=self.reading.rules)
        # A UID that changes names nothing.
        return msgspec.structs.replace(event, ical_uid=None) if self.reading.identity == "content" else event

    def _place(self, component: Component, occurrence: Occurrence, *, is_own: bool) -> Place:
        days = component.days if is_own else (occurrence.start_date, occurrence.end_date)
        slot = occurrence.slot
        original, original_date = (slot, None) if isinstance(slot, datetime) else (_midnight(slot, component), slot)
        start = occurrence.starts_at if original_date is None else days[0]
        return Place(
            provider_event_id=f"{self.series_id}#{_spelt(slot)}",
            series_id=self.series_id,
            original_starts_at=original,
            original_start_date=original_date,
            is_exception=is_own or start != slot,
            starts_at=occurrence.starts_at,
            ends_at=occurrence.ends_at,
            start_date=days[0],
            end_date=days[1],
        )


def _series(master: Component) -> Series:
    start = master.start
    series = Series(
        start=start.wall, zone=start.zone, length=master.length, is_all_day=start.is_day, rules=_texts(master, "RRULE")
    )
    added: dict[Slot, Length | None] = {}
    for given in master.properties.get("RDATE", []):
        for moment, length in read_moments(given, master.zones, start):
            slot = _slot(series, moment)
            if length is not None or slot not in added:
                added[slot] = None if start.is_day else length
    removed = {
        moment.wall.date() if moment.is_day else _slot(series, moment)
        for given in master.properties.get("EXDATE", [])
        for moment, _ in read_moments(given, master.zones, start)
    }
    return msgspec.structs.replace(
        series, added=added, removed=frozenset(removed), excluded_rules=_texts(master, "EXRULE")
    )


def _texts(component: Component, name: str) -> list[str]:
    return [each.value for each in component.properties.get(name, []) if each.value.strip()]


def _override(series: Series | None, master: Component | None, component: Component) -> Override:
    given = component.properties["RECURRENCE-ID"][0]
    moment = read_moment(given, component.zones, home=(master or component).start)
    slot = _slot(series, moment)
    shift = None
    # What becomes a day, or is one no more, has no later places to move to.
    alike = series is not None and component.start.is_day == series.is_all_day
    if series is not None and alike and given.parameters.get("RANGE", "").upper() == "THISANDFUTURE":
        begins = component.start.wall if series.is_all_day else series.wall(component.starts_at)
        shift = begins - series.wall(slot)
    return Override(
        slot=slot,
        starts_at=component.starts_at,
        ends_at=component.ends_at,
        shift=shift,
        length=component.length,
    )


def _slot(series: Series | None, moment: Moment) -> Slot:
    """A moment as a slot of the series, even when it is of the other kind: a day is that day's occurrence."""
    if series is None:
        return moment.wall.date() if moment.is_day else moment.instant
    if series.is_all_day:
        # 23:00 in UTC is the next day's midnight east of Greenwich.
        return (series.wall(moment.instant) if moment.is_utc else moment.wall).date()
    if moment.is_day:
        return series.slot(datetime.combine(moment.wall.date(), series.start.time()))
    return moment.instant


def _midnight(day: date, component: Component) -> datetime:
    return Moment(datetime(day.year, day.month, day.day), component.zones.default, None, is_day=True).instant  # noqa: DTZ001


def _spelt(slot: Slot) -> str:
    if isinstance(slot, datetime):
        return f"{slot.year:04}{slot.astimezone(UTC):%m%dT%H%M%SZ}"
    return f"{slot.year:04}{slot:%m%d}"
