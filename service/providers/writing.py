"""What a provider that can be written to does for us: the port beside `Provider`, and what its answers come to.

A row that a write answers is read by the same code as the rows of a sync. So what is stored of it has the fingerprint that
the next sync will find, and nothing that we wrote comes back as news.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

import msgspec

from service.core.drafts import Draft, Patch
from service.core.meeting_links.evidence import DEFAULT_RULES, LinkRules
from service.core.schedule import Window
from service.core.sync import Item
from service.providers.protocol import Access


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar that is written to, and how its rows are read: as in `Provider.pages`."""

    raw_calendar_id: str
    time_zone: str | None = None
    rules: LinkRules = DEFAULT_RULES


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The event that is meant: its id at the provider, and the row that was last read of it.

    With `is_series` the whole series is meant, `provider_event_id` is then its id (`Event.series_id`), and `raw` may be a
    row of any occurrence, or None.
    """

    provider_event_id: str
    raw: bytes | None = None
    is_series: bool = False


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider holds now. `item` is its row as read, None for a series, whose occurrences `Provider.series` has.

    `series_id` is set where what was written recurs. `conference` is `pending` or `failed` where one was asked for that
    the event does not have (yet); the event itself is written. Of a series `first_starts_at` is when it begins (UTC), or
    `first_start_date` where it is of whole days.
    """

    provider_event_id: str
    item: Item | None = None
    series_id: str | None = None
    conference: str | None = None
    first_starts_at: datetime | None = None
    first_start_date: date | None = None


class Busy(msgspec.Struct, frozen=True):
    """A stretch of time in which somebody is busy, UTC."""

    starts_at: datetime
    ends_at: datetime


def merge_busy(stretches: Sequence[Busy]) -> list[Busy]:
    """The same busy time in stretches that neither overlap nor touch, by start; empty ones are left out."""
    merged: list[Busy] = []
    for each in sorted(stretches, key=lambda stretch: stretch.starts_at):
        if each.ends_at <= each.starts_at:
            continue
        if merged and each.starts_at <= merged[-1].ends_at:
            merged[-1] = Busy(merged[-1].starts_at, max(merged[-1].ends_at, each.ends_at))
        else:
            merged.append(each)
    return merged


class Writer(Protocol):
    """One kind of calendar server, as a place to write to.

    Every call raises the errors of `Provider`, and: EventGone where the event is not there (any more), Outdated where it is
    another than the caller has seen, ReadOnly where this account may not write it, ScopeMissing where the user has consented
    to reading alone, RequestRefused for what the server will not take. After TransientFault nobody knows whether it was
    done: the same call again, with the same key, finds that out.
    """

    async def create(self, access: Access, place: Place, draft: Draft, *, key: str) -> Written:
        """Make an event, once for each `key` (a UUID in hex), however often it is asked for."""
        ...

    async def withdraw(self, access: Access, place: Place, draft: Draft, *, key: str) -> None:
        """See to it that what `create` may have made with this key is gone; nobody is told of it."""
        ...

    async def change(self, access: Access, place: Place, target: Target, patch: Patch, *, strict: bool) -> Written:
        """Set some fields. With `strict` only if it is still what `target.raw` shows (else Outdated)."""
        ...

    async def remove(self, access: Access, place: Place, target: Target, *, notify: bool, strict: bool) -> None:
        """Delete an event; one that is gone already is a success."""
        ...

    async def read(self, access: Access, place: Place, target: Target) -> Written:
        """What the provider holds now. Raises EventGone."""
        ...


class QuickAdder(Protocol):
    """A provider that reads a sentence by itself."""

    async def quick_add(self, access: Access, place: Place, text: str, *, notify: bool, now: datetime) -> Written:
        """Make an event of a sentence. After a time-out it looks for what the first call may have made."""
        ...


class BusyReader(Protocol):
    """A provider that says when somebody is busy, also where we may not read events."""

    async def busy(
        self, access: Access, raw_calendar_ids: Sequence[str], window: Window
    ) -> Mapping[str, list[Busy] | None]:
        """By calendar, the stretches in `window`; None where the provider cannot say. A missing id is None too."""
        ...
