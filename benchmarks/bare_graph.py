"""Graph asked and read barely: httpx, typed decode, and the body of an event built by hand."""

from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

import httpx
import msgspec
from bare_rows import Listing, Plain
from provider import Provider

HEADERS: Final = {
    "authorization": f"Bearer ya29.{'x' * 200}",
    "accept-encoding": "gzip",
    "prefer": 'odata.maxpagesize=200, outlook.timezone="UTC", IdType="ImmutableId"',
}
_WINDOW: Final = {"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2026-02-01T00:00:00Z"}


class Mail(msgspec.Struct, gc=False):
    name: str
    address: str


class Answer(msgspec.Struct, gc=False):
    response: str


class Person(msgspec.Struct, rename="camel", gc=False):
    email_address: Mail
    type: str = "required"
    status: Answer | None = None


class Moment(msgspec.Struct, rename="camel", gc=False):
    date_time: str


class Named(msgspec.Struct, rename="camel", gc=False):
    display_name: str


class Content(msgspec.Struct, gc=False):
    content: str


class Online(msgspec.Struct, rename="camel", gc=False):
    join_url: str


class Item(msgspec.Struct, rename="camel", gc=False):
    """A row of Graph's, as far as the prepared answers go."""

    id: str
    uid: str
    subject: str
    body: Content
    start: Moment
    end: Moment
    location: Named
    attendees: list[Person]
    organizer: Person
    online_meeting: Online
    web_link: str


class Page(msgspec.Struct, gc=False):
    value: list[msgspec.Raw]
    link: str = msgspec.field(name="@odata.deltaLink")


_page: Final = msgspec.json.Decoder(Page)
_item: Final = msgspec.json.Decoder(Item)


class GraphFloor:
    """The calls of a first and of an unchanged sync."""

    def __init__(self, server: Provider) -> None:
        self._server = server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def listing(self, client: httpx.AsyncClient, mine: UUID) -> Listing:
        """One page, which ends the delta."""
        address = f"{self._server.graph_url}/me/calendars/{mine}/calendarView/delta"
        page = _page.decode((await client.get(address, params=_WINDOW, headers=HEADERS)).content)
        return Listing([_read(bytes(raw)) for raw in page.value], page.link)

    async def unchanged(self, client: httpx.AsyncClient, mine: UUID) -> str:
        """One empty page; its link."""
        address = f"{self._server.graph_url}/me/calendars/{mine}/calendarView/delta?$deltatoken=token-0"
        return _page.decode((await client.get(address, headers=HEADERS)).content).link

    @property
    def cpu(self) -> float:
        """Seconds of processes beside this one: there are none."""
        return 0.0


def _read(raw: bytes) -> Plain:
    item = _item.decode(raw)
    starts_at, ends_at = _instant(item.start), _instant(item.end)
    return Plain(
        raw=raw,
        id=item.id,
        series_id=None,
        ical_uid=item.uid,
        organizer_email=item.organizer.email_address.address,
        emails=f"|{'|'.join(person.email_address.address for person in item.attendees)}|",
        starts_at=starts_at,
        ends_at=ends_at,
        status="confirmed",
        platform="microsoft_teams",
        key=item.uid,
        body=_body(item, starts_at, ends_at),
    )


def _instant(moment: Moment) -> datetime:
    return datetime.fromisoformat(moment.date_time[:19]).replace(tzinfo=UTC)


def _body(item: Item, starts_at: datetime, ends_at: datetime) -> dict[str, Any]:
    return {
        "provider_event_id": item.id,
        "ical_uid": item.uid,
        "series_id": None,
        "original_starts_at": None,
        "original_start_date": None,
        "is_exception": False,
        "title": item.subject,
        "description": item.body.content,
        "location": item.location.display_name,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "is_all_day": False,
        "start_date": None,
        "end_date": None,
        "time_zone": "Europe/Berlin",
        "status": "confirmed",
        "visibility": "default",
        "is_busy": True,
        "organizer": {
            "email": item.organizer.email_address.address,
            "name": item.organizer.email_address.name,
            "self": True,
        },
        "attendees": [
            {
                "email": person.email_address.address,
                "name": person.email_address.name,
                "response_status": person.status.response if person.status else None,
                "organizer": False,
                "self": False,
                "optional": person.type == "optional",
                "resource": person.type == "resource",
            }
            for person in item.attendees
        ],
        "response_status": "accepted",
        "event_type": "default",
        "meeting": {
            "url": item.online_meeting.join_url,
            "platform": "microsoft_teams",
            "meeting_id": item.online_meeting.join_url.split("/")[5],
            "passcode": None,
            "found_in": "onlineMeeting",
            "hint": None,
        },
        "meeting_hint": None,
        "html_link": item.web_link,
    }
