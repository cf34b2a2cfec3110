"""An event of Graph's as it stands: the row as it was received, and what whoever writes it has to know beside the event."""

from typing import Any, Final

import msgspec

from service.core.event import Event
from service.core.sync import Listed, Malformed, Removed
from service.errors import EventGone, TransientFault
from service.providers.lenient import UNREADABLE, repair
from service.providers.microsoft.links import WireBody, WireOnlineMeeting
from service.providers.microsoft.reading import Lens, read_event
from service.providers.microsoft.rows import MASTER, read_row
from service.providers.microsoft.wire import EVENT_FIELDS, WireAddress
from service.providers.writing import Target, Written

STANDING_FIELDS: Final = f"{EVENT_FIELDS},recurrence,isOnlineMeeting,transactionId"
"""For `$select`; the etag comes by itself."""


class Invited(msgspec.Struct, rename="camel"):
    """An attendee, as far as a new list has to keep it."""

    type: str | None = None
    status: dict[str, Any] | None = None
    email_address: WireAddress | None = None

    @property
    def email(self) -> str:
        """In lower case."""
        return ((self.email_address.address if self.email_address else None) or "").lower()


class Recurrence(msgspec.Struct):
    """patternedRecurrence: kept whole, to be sent back."""

    pattern: dict[str, Any] | None = None
    range: dict[str, Any] | None = None


class Standing(msgspec.Struct, rename="camel"):
    """The part of a row that whoever writes it has to know."""

    etag: str | None = msgspec.field(default=None, name="@odata.etag")
    id: str | None = None
    type: str | None = None
    body: WireBody | None = None
    recurrence: Recurrence | None = None
    attendees: list[Invited] | None = None
    is_organizer: bool | None = None
    is_online_meeting: bool | None = None
    online_meeting: WireOnlineMeeting | None = None

    @property
    def guests(self) -> list[Invited]:
        """Those who are invited."""
        return self.attendees or []

    @property
    def join_url(self) -> str | None:
        """The way into the online meeting, once Graph has it."""
        return (self.online_meeting.join_url if self.online_meeting else None) or None


_standing: Final = msgspec.json.Decoder(Standing)


class Standpoint:
    """One event as Graph answers it. Raises TransientFault when it is none."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        try:
            self.standing = _standing.decode(raw)
        except UNREADABLE:
            try:
                self.standing = _standing.decode(repair(raw))
            except (*UNREADABLE, ValueError):
                raise TransientFault("the event in an answer cannot be read") from None

    def event(self, lens: Lens) -> Event:
        """The event as a sync would read it; of a series its master. Raises EventGone for one that was called off."""
        item = read_event(read_row(self.raw), lens)
        if isinstance(item, Removed):
            raise EventGone("cancelled")
        if isinstance(item, Malformed):
            raise TransientFault(f"the event in an answer cannot be read: {item.reason}")
        return item.event

    def written(self, lens: Lens) -> Written:
        """What the provider holds now. Raises EventGone for an event that was called off."""
        event = self.event(lens)
        event_id = event.provider_event_id
        if self.standing.type == MASTER:
            return Written(
                provider_event_id=event_id,
                series_id=event_id,
                first_starts_at=None if event.is_all_day else event.starts_at,
                first_start_date=event.start_date,
            )
        return Written(provider_event_id=event_id, item=Listed(event, self.raw), series_id=event.series_id)


def seen_of(target: Target, lens: Lens) -> Event | None:
    """The event that the caller has in mind, where its row says so."""
    if target.raw is None:
        return None
    item = read_event(read_row(target.raw), lens)
    return item.event if isinstance(item, Listed) else None
