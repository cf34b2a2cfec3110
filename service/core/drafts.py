"""An event as its author wants it: what a caller may say of one, whole or in part, whichever provider it is for."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

CONFERENCES: Final = ("google_meet", "microsoft_teams", "zoom", "none")
VISIBILITIES: Final = ("default", "public", "private", "confidential")


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is invited."""

    email: str
    name: str | None = None
    optional: bool = False


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A whole event. It is timed (`starts_at`, `ends_at`, UTC) or lasts whole days (`start_date`, `end_date`, exclusive).

    `time_zone` is an IANA name: the zone that the event is shown and repeated in. `recurrence` are lines of RFC 5545
    (`RRULE:FREQ=WEEKLY;COUNT=4`). `reminders` are minutes before the start, None what the calendar does by itself.
    `conference` is one of CONFERENCES, or None; of `zoom` no provider of calendars knows anything: its link stands in the
    text before a draft reaches one. `notify` False asks that guests get no mail.
    """

    title: str | None = None
    description: str | None = None
    location: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    start_date: date | None = None
    end_date: date | None = None
    time_zone: str | None = None
    recurrence: list[str] = []
    attendees: list[Guest] = []
    conference: str | None = None
    visibility: str | None = None
    is_busy: bool = True
    reminders: list[int] | None = None
    notify: bool = True

    @property
    def is_all_day(self) -> bool:
        """Whether it lasts whole days."""
        return self.start_date is not None


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """Some fields of an event, as in Draft; what is UNSET stays, and lists replace the whole list."""

    title: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    location: str | UnsetType | None = UNSET
    starts_at: datetime | UnsetType | None = UNSET
    ends_at: datetime | UnsetType | None = UNSET
    start_date: date | UnsetType | None = UNSET
    end_date: date | UnsetType | None = UNSET
    time_zone: str | UnsetType | None = UNSET
    recurrence: list[str] | UnsetType = UNSET
    attendees: list[Guest] | UnsetType = UNSET
    conference: str | UnsetType | None = UNSET
    visibility: str | UnsetType | None = UNSET
    is_busy: bool | UnsetType = UNSET
    reminders: list[int] | UnsetType | None = UNSET
    notify: bool = True

    @property
    def moves(self) -> bool:
        """Whether it says anything of the time."""
        return any(getattr(self, name) is not UNSET for name in TIMES)


TIMES: Final[Sequence[str]] = ("starts_at", "ends_at", "start_date", "end_date", "time_zone", "recurrence")


def for_series(patch: Patch, slot: datetime | date, begins: datetime | date | None, zone: tzinfo) -> Patch | None:
    """A patch that moves the occurrence of a slot, as one that moves the whole series by as much on the wall clock.

    `slot` and `begins` (of the series) are moments, or days where it is of whole days. None where the patch would make
    the one of the other.
    """
    if isinstance(patch.starts_at, datetime) and isinstance(patch.ends_at, datetime):
        if not isinstance(slot, datetime) or not isinstance(begins, datetime):
            return None
        by = _wall(patch.starts_at, zone) - _wall(slot, zone)
        start = (_wall(begins, zone) + by).replace(tzinfo=zone).astimezone(UTC)
        return msgspec.structs.replace(patch, starts_at=start, ends_at=start + (patch.ends_at - patch.starts_at))
    if isinstance(patch.start_date, date) and isinstance(patch.end_date, date):
        if isinstance(slot, datetime) or isinstance(begins, datetime) or begins is None:
            return None
        first = begins + (patch.start_date - slot)
        return msgspec.structs.replace(patch, start_date=first, end_date=first + (patch.end_date - patch.start_date))
    return patch


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def given(patch: Patch) -> dict[str, Any]:
    """The fields that a patch sets, by name; `notify` is not one of them."""
    names = (name for name in Patch.__struct_fields__ if name != "notify")
    return {name: value for name in names if (value := getattr(patch, name)) is not UNSET}


D = TypeVar("D", bound=Draft)


def patched(draft: D, patch: Patch) -> D:
    """The draft with a patch applied. Timed fields that are set clear those of whole days, and the other way round."""
    fields = given(patch)
    if fields.get("starts_at") is not None:
        fields |= {"start_date": None, "end_date": None}
    if fields.get("start_date") is not None:
        fields |= {"starts_at": None, "ends_at": None}
    return msgspec.structs.replace(draft, **fields, notify=patch.notify)
