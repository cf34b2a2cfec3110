"""The sync as a comparison: what a provider listed, held against what we knew, gives what differs.

    pages ──absorb──► Round ──unsettled_series──► (the caller lists those series as sets) ──absorb_series──► Round
                                                                                                              │
    known rows ───────────────────────────────────────────────────────────────────────────────compare──► Comparison
                                                                                                              │
    stored events of what differs ────────────────────────────────────────────────────decision.decide──► Decision

A round is either a full listing of the window, ended by a sweep (a row in the window that was not listed is gone), or
a delta since a cursor, clamped to the window: Google does not window its deltas, so one edit of an endless series
brings occurrences of the next fifteen years. Neither Google nor Graph sends a tombstone for each occurrence that a
series edit removes; so a series that a delta touches in any way but one plain edit is listed again and compared as a set.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from service.core.event import Event, encode_event, fingerprint
from service.core.schedule import Window

SYNC_VERSION: Final = 1
"""Raise it when what we keep of an event changes its meaning: every calendar is then listed again."""


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """Where the next round goes on: the provider's token and the window that has been listed."""

    token: str
    window_start: datetime
    window_end: datetime
    version: int = SYNC_VERSION


def stored_cursor(text: str | None) -> Cursor | None:
    """The cursor that the last round left; None when there is none, or when it is of another version of the sync."""
    if text is None:
        return None
    try:
        cursor = msgspec.json.decode(text, type=Cursor)
    except msgspec.MsgspecError:
        return None
    return cursor if cursor.version == SYNC_VERSION else None


class Listed(msgspec.Struct, frozen=True):
    """A row that reads as an event; `raw` is the row as received."""

    event: Event
    raw: bytes


class Removed(msgspec.Struct, frozen=True):
    """A row that says no more than that something is gone; often an id and nothing else."""

    provider_event_id: str
    series_id: str | None = None


class Malformed(msgspec.Struct, frozen=True):
    """A row that cannot be read: it is set aside with the reason, and the rest of the page goes on."""

    provider_event_id: str
    reason: str
    raw: bytes


Item = Listed | Removed | Malformed


class Page(msgspec.Struct, frozen=True):
    """One page of a round; `token` is on the last page only, `time_zone` where the provider says the calendar's.

    `unsettled` are series that changed in a way that the rows do not tell, and are to be listed as sets; of the series
    in `whole` the page has every occurrence in the window. `is_listing` says that the round, although it went on from
    a token, lists the whole window. `rest` is for how long the provider does not want to be asked again. `is_unsure` says
    that what was read is not believed yet: the window does not roll before the next round.
    """

    items: Sequence[Item]
    token: str | None = None
    time_zone: str | None = None
    unsettled: Sequence[str] = ()
    whole: Sequence[str] = ()
    is_listing: bool = False
    rest: timedelta | None = None
    is_unsure: bool = False


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows of an event before the round: enough to see whether it changed."""

    id: UUID
    provider_event_id: str
    series_id: str | None
    starts_at: datetime
    ends_at: datetime
    fingerprint: bytes
    previous_fingerprint: bytes | None
    flaps: int
    version: int
    created_at: datetime
    is_cancelled: bool


class Round(msgspec.Struct, kw_only=True):
    """What one round has brought so far; a later row of an id replaces an earlier one.

    `reexamined` are stored events, by provider id, whose link is another by the rules of today. They stand beside the
    rows: nobody listed them, so they neither prove nor disprove that anything is still there.
    """

    window: Window
    full: bool
    rows: dict[str, Item] = {}
    reexamined: dict[str, Event] = {}
    stretch: Window | None = None
    stretch_ids: set[str] = set()
    entered: set[str] = set()
    touched: set[str] = set()
    unsettled: set[str] = set()
    series: dict[str, set[str]] = {}
    rest: timedelta | None = None
    is_unsure: bool = False

    def covers(self, event: Event) -> bool:
        """Whether an event that we do not know lies where the store keeps events."""
        if self.window.overlaps(event.starts_at, event.ends_at):
            return True
        return self.stretch is not None and self.stretch.overlaps(event.starts_at, event.ends_at)


class Fresh(msgspec.Struct, frozen=True):
    """An event that is new or differs, with its stored form, and what was known of it before (None: it is new).

    `raw` is the provider's row; None where none came because the event was only examined again.
    """

    event: Event
    raw: bytes | None
    body: bytes
    fingerprint: bytes
    known: Known | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a round says that the store does not: events that are new or differ, events that are gone, bad rows."""

    fresh: list[Fresh]
    gone: list[Known]
    quarantined: list[Malformed]
    cured: list[str]

    @property
    def needs(self) -> list[UUID]:
        """The events whose stored version `decide` will ask for."""
        return [row.known.id for row in self.fresh if row.known is not None] + [row.id for row in self.gone]


def row_id(item: Item) -> str:
    """The provider's id of a row."""
    return item.event.provider_event_id if isinstance(item, Listed) else item.provider_event_id


def absorb(progress: Round, page: Page) -> None:
    """Take a page into the round; a series of a delta is unsettled unless one plain occurrence is all that came."""
    if page.is_listing:
        progress.full = True
    progress.rest = page.rest or progress.rest
    progress.is_unsure |= page.is_unsure
    progress.unsettled.update(page.unsettled)
    for whole in page.whole:
        progress.series.setdefault(whole, set())
    for item in page.items:
        progress.rows[row_id(item)] = item
        if progress.full or isinstance(item, Malformed):
            continue
        series_id = item.event.series_id if isinstance(item, Listed) else item.series_id
        if series_id is None:
            continue
        if series_id in page.whole:
            progress.series[series_id].add(row_id(item))
            continue
        if series_id in progress.touched or isinstance(item, Removed):
            progress.unsettled.add(series_id)
        progress.touched.add(series_id)


def absorb_stretch(progress: Round, stretch: Window, items: Iterable[Item]) -> None:
    """Take in the full listing of a stretch that has newly come into the window; what the delta says of a row stands."""
    progress.stretch = stretch
    for item in items:
        provider_id = row_id(item)
        progress.stretch_ids.add(provider_id)
        if provider_id not in progress.rows:
            progress.rows[provider_id] = item
            progress.entered.add(provider_id)


def absorb_series(progress: Round, series_id: str, items: Iterable[Item]) -> None:
    """Take in the live occurrences of a series inside the window: those we know beside them are gone."""
    listed = {row_id(item): item for item in items if not isinstance(item, Removed)}
    progress.rows.update(listed)
    progress.series[series_id] = set(listed)


def contradicts(progress: Round, series_id: str, items: Sequence[Item]) -> bool:
    """Whether a series is said to have no occurrence in the window although this very round has brought one.

    Either it was deleted between two requests, which the next round will say, or the provider had a bad moment; taking
    its word would announce every meeting of a living series as cancelled.
    """
    return not items and any(
        isinstance(item, Listed)
        and item.event.series_id == series_id
        and progress.window.overlaps(item.event.starts_at, item.event.ends_at)
        for item in progress.rows.values()
    )


def unsettled_series(progress: Round, known_series: Iterable[str]) -> list[str]:
    """The series to list as sets before the round can be compared, in a stable order.

    `known_series` are series that the store has and that a row names by the id of the master or of a lost occurrence
    (Google's tombstone of an occurrence often has its own id alone), and those that it still has as a single event. A
    master that is listed itself is a single event by now: its series has no occurrences, and nobody need ask.
    """
    unsettled = progress.unsettled.union(known_series).difference(progress.series)
    for series_id in [each for each in unsettled if isinstance(progress.rows.get(each), Listed)]:
        absorb_series(progress, series_id, [])
        unsettled.discard(series_id)
    return sorted(unsettled)


def removed_ids(progress: Round) -> list[str]:
    """The ids of the rows that say that something is gone."""
    return [provider_id for provider_id, item in progress.rows.items() if isinstance(item, Removed)]


def compare(progress: Round, known: Mapping[str, Known], set_aside: AbstractSet[str] = frozenset()) -> Comparison:
    """Hold the round against what the store knows of its rows (`known`, by provider id).

    `set_aside` are the ids in quarantine: one that reads well now, or that a full listing lacks, leaves it.
    """
    found = Comparison(fresh=[], gone=[], quarantined=[], cured=[])
    for provider_id, item in progress.rows.items():
        row = known.get(provider_id)
        if isinstance(item, Malformed):
            found.quarantined.append(item)
        elif isinstance(item, Removed):
            if row is not None and not row.is_cancelled:
                found.gone.append(row)
        elif row is not None or progress.covers(item.event):
            body = encode_event(item.event)
            print_ = fingerprint(body)
            if row is None or row.fingerprint != print_:
                found.fresh.append(Fresh(item.event, item.raw, body, print_, row))
    found.fresh.extend(_relinked(progress, known))
    found.gone.extend(row for provider_id, row in known.items() if _is_swept(progress, provider_id, row))
    found.cured.extend(row for row in set_aside if _is_cured(progress, row))
    return found


def _relinked(progress: Round, known: Mapping[str, Known]) -> Iterator[Fresh]:
    """The events whose link alone is another: whatever the provider itself says of one has the last word."""
    for provider_id, event in progress.reexamined.items():
        row = known.get(provider_id)
        if row is None or row.is_cancelled or _is_swept(progress, provider_id, row):
            continue
        if isinstance(progress.rows.get(provider_id), (Listed, Removed)):
            continue
        body = encode_event(event)
        print_ = fingerprint(body)
        if row.fingerprint != print_:
            yield Fresh(event, None, body, print_, row)


def _is_swept(progress: Round, provider_id: str, row: Known) -> bool:
    # Gone by proof: a complete listing of a stretch (or of a series) that should have it lacks it.
    if row.is_cancelled or provider_id in progress.rows:
        return False
    if row.series_id is not None and isinstance(progress.rows.get(row.series_id), Malformed):
        # A series that cannot be read proves nothing of its occurrences.
        return False
    if row.series_id is None and provider_id in progress.series:
        # What was a single event is a series now, and shows as its occurrences, if any are left.
        return True
    stretch = progress.stretch
    if stretch is not None and row.starts_at >= stretch.start and stretch.overlaps(row.starts_at, row.ends_at):
        return provider_id not in progress.stretch_ids
    if not progress.window.overlaps(row.starts_at, row.ends_at):
        return False
    return progress.full or row.series_id in progress.series


def _is_cured(progress: Round, provider_id: str) -> bool:
    item = progress.rows.get(provider_id)
    return progress.full or provider_id in progress.series if item is None else not isinstance(item, Malformed)
