"""What users say of endpoints: a new one, a change, a rotation, what to send again; and what of it is checked."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.core.catalogue import EVENT_TYPES
from service.core.meeting_baas.notices import EVENTS
from webhooks.filters import covers

LONGEST_GRACE: Final = 604_800
DAY: Final = 86_400

Url = Annotated[str, Meta(min_length=1, max_length=4096)]
TypePattern = Annotated[str, Meta(min_length=1, max_length=64)]
TypePatterns = Annotated[list[TypePattern], Meta(min_length=1, max_length=50)]
Description = Annotated[str, Meta(max_length=500)]
RateLimit = Annotated[int, Meta(ge=1, le=10_000)]
CalendarIds = Annotated[list[UUID], Meta(min_length=1, max_length=100)]
Ordering = Literal["best_effort", "fifo"]
Moment = Annotated[datetime, Meta(tz=True)]


STANDARD: Final = "standard"
TYPES: Final[Mapping[str, Collection[str]]] = {STANDARD: EVENT_TYPES, **EVENTS}
"""What there is to subscribe to, by format."""


def check_types(patterns: Iterable[str] | UnsetType | None, formats: Iterable[str] = TYPES) -> None:
    """Raises ValueError for a pattern that is neither a name nor a family, or covers nothing there is in these formats."""
    known = [name for each in formats for name in TYPES[each]]
    for pattern in patterns or ():
        if pattern.endswith("*") and pattern != "*" and not pattern.endswith(".*"):
            raise ValueError("`event_types` takes names, and families such as `event.*`")
        if not any(covers(pattern, name) for name in known):
            raise ValueError("`event_types` names a type that does not exist")


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receiver to be. `event_types` are exact or end in `.*`; without any, all but the `event.*` and `integration.*` families are sent.

    `format` is whose words the webhooks are in: ours, or those that Meeting BaaS's v1 or v2 sends of calendars.
    """

    url: Url
    event_types: TypePatterns | None = None
    description: Description | None = None
    rate_limit: RateLimit | None = None
    calendar_ids: CalendarIds | None = None
    ordering: Ordering = "best_effort"
    format: Literal["standard", "meeting_baas_v1", "meeting_baas_v2"] = "standard"

    def __post_init__(self) -> None:
        check_types(self.event_types, [self.format])


class EndpointChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of an endpoint to change; what is not there stays, and `null` brings a field back to its default.

    A disabled endpoint is enabled by any change, also by an empty one, unless it says `"state": "disabled"`.
    `event_types` are those of the endpoint's `format`, which stays.
    """

    url: Url | UnsetType = UNSET
    event_types: TypePatterns | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    rate_limit: RateLimit | UnsetType | None = UNSET
    calendar_ids: CalendarIds | UnsetType | None = UNSET
    ordering: Ordering | UnsetType | None = UNSET
    state: Literal["enabled", "disabled"] | UnsetType = UNSET


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many seconds the old secrets go on signing beside the new one."""

    grace_seconds: Annotated[int, Meta(ge=0, le=LONGEST_GRACE)] = DAY


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to say."""


class Recovery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which failed messages are sent again: those made from `since` on and before `until`, of these types."""

    since: Moment
    until: Moment | None = None
    event_types: TypePatterns | None = None

    def __post_init__(self) -> None:
        check_types(self.event_types)
        if not 1970 <= self.since.year < 9000 or (self.until and not 1970 <= self.until.year < 9000):
            raise ValueError("`since` or `until` is out of the calendar")
        if self.until is not None and self.until <= self.since:
            raise ValueError("`until` has to be later than `since`")


class Resending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To whom a message is sent again; without an endpoint, to all that it was for."""

    endpoint_id: UUID | None = None
