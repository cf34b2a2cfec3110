"""An event of Google's as it stands: the row as it was received, and what whoever writes it has to know beside the event."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from service.core.event import Event
from service.core.sync import Listed, Malformed, Removed
from service.errors import EventGone, TransientFault
from service.providers.google.bodies import MARK
from service.providers.google.reading import read_rows
from service.providers.lenient import UNREADABLE, repair
from service.providers.writing import Place, Target, Written


class Private(msgspec.Struct):
    """Extended properties that only this copy of the event has."""

    private: dict[str, Any] | None = None


class Status(msgspec.Struct, rename="camel"):
    status_code: str | None = None


class CreateRequest(msgspec.Struct, rename="camel"):
    status: Status | None = None


class Conference(msgspec.Struct, rename="camel"):
    create_request: CreateRequest | None = None
    entry_points: list[Any] | None = None


class Standing(msgspec.Struct, rename="camel"):
    """The part of a row that whoever writes it has to know, beside the event that it reads as."""

    id: str | None = None
    etag: str | None = None
    status: str | None = None
    recurrence: list[str] | None = None
    attendees: list[dict[str, Any]] | None = None
    extended_properties: Private | None = None
    conference_data: Conference | None = None
    hangout_link: str | None = None
    created: str | None = None
    summary: str | None = None

    @property
    def mark(self) -> str | None:
        """By which key we made it."""
        properties = self.extended_properties.private if self.extended_properties else None
        return str((properties or {}).get(MARK) or "") or None

    @property
    def has_conference(self) -> bool:
        """Whether there is a way into a conference, or will be."""
        if self.hangout_link:
            return True
        conference = self.conference_data
        return conference is not None and (bool(conference.entry_points) or self.conference_status == "pending")

    @property
    def conference_status(self) -> str | None:
        """`pending`, `success` or `failure` of a conference that was asked for."""
        request = self.conference_data.create_request if self.conference_data else None
        return request.status.status_code if request and request.status else None


_standing: Final = msgspec.json.Decoder(Standing)


class Row:
    """One event as the API answers it. Raises TransientFault when it is none."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        try:
            self.standing = _standing.decode(raw)
        except UNREADABLE:
            try:
                self.standing = _standing.decode(repair(raw))
            except (*UNREADABLE, ValueError):
                raise TransientFault("the event in an answer cannot be read") from None

    @property
    def made_at(self) -> datetime:
        """When it was created, long ago where it does not say."""
        try:
            return datetime.fromisoformat(self.standing.created or "").astimezone(UTC)
        except (ValueError, OverflowError):
            return datetime.min.replace(tzinfo=UTC)

    def event(self, place: Place) -> Event:
        """The event as a sync would read it; of a series its master. Raises EventGone for a cancelled one."""
        (item,) = read_rows([msgspec.Raw(self.raw)], place.time_zone, place.rules)
        if isinstance(item, Removed):
            raise EventGone("cancelled")
        if isinstance(item, Malformed):
            raise TransientFault(f"the event in an answer cannot be read: {item.reason}")
        return item.event

    def written(self, place: Place) -> Written:
        """What the provider holds now. Raises EventGone for a cancelled one."""
        event = self.event(place)
        event_id = event.provider_event_id
        if self.standing.recurrence:
            return Written(
                provider_event_id=event_id,
                series_id=event_id,
                first_starts_at=None if event.is_all_day else event.starts_at,
                first_start_date=event.start_date,
            )
        return Written(provider_event_id=event_id, item=Listed(event, self.raw), series_id=event.series_id)


def seen_of(target: Target, place: Place) -> Event | None:
    """The event that the caller has in mind, where its row says so."""
    if target.raw is None:
        return None
    (item,) = read_rows([msgspec.Raw(target.raw)], place.time_zone, place.rules)
    return item.event if isinstance(item, Listed) else None


class Conferences(msgspec.Struct, rename="camel"):
    """What a calendar offers to hold conferences with."""

    allowed_conference_solution_types: list[str] | None = None


class Entry(msgspec.Struct, rename="camel"):
    """A calendar in the account's list."""

    conference_properties: Conferences = msgspec.field(default_factory=Conferences)


def allowed_conferences(body: bytes) -> list[str] | None:
    """The conference solutions that an entry of the list of calendars allows; None where it does not say."""
    try:
        entry = msgspec.json.decode(body, type=Entry)
    except UNREADABLE:
        raise TransientFault("an entry of the list of calendars cannot be read") from None
    return entry.conference_properties.allowed_conference_solution_types
