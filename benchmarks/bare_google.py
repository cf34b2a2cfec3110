"""Google asked and read barely: httpx, typed decode, and the body of an event built by hand."""

from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

import httpx
import msgspec
from bare_rows import Listing, Plain
from provider import Provider

from service.providers.google.wire import PAGE_FIELDS

HEADERS: Final = {"authorization": f"Bearer ya29.{'x' * 200}", "accept-encoding": "gzip", "user-agent": "bare (gzip)"}
QUERY: Final = {"singleEvents": "true", "maxResults": "2500", "fields": PAGE_FIELDS, "prettyPrint": "false"}
_WINDOW: Final = {"timeMin": "2026-01-01T00:00:00Z", "timeMax": "2026-02-01T00:00:00Z"}


class Person(msgspec.Struct, rename="camel", gc=False):
    email: str | None = None
    display_name: str | None = None
    self: bool = False
    organizer: bool = False
    optional: bool = False
    resource: bool = False
    response_status: str | None = None


class Moment(msgspec.Struct, rename="camel", gc=False):
    date_time: str
    time_zone: str | None = None


class Entry(msgspec.Struct, rename="camel", gc=False):
    entry_point_type: str
    uri: str


class Conference(msgspec.Struct, rename="camel", gc=False):
    entry_points: list[Entry]


class Item(msgspec.Struct, rename="camel", gc=False):
    """A row of Google's, as far as the prepared answers go."""

    id: str
    status: str
    ical_uid: str = msgspec.field(name="iCalUID")
    summary: str
    description: str
    location: str
    start: Moment
    end: Moment
    organizer: Person
    attendees: list[Person]
    event_type: str
    html_link: str
    conference_data: Conference


class Page(msgspec.Struct, rename="camel", gc=False):
    """A page, its rows not yet read; a calendar without news has none."""

    items: list[msgspec.Raw] = []
    next_sync_token: str = ""


PAGE: Final = msgspec.json.Decoder(Page)
_item: Final = msgspec.json.Decoder(Item)
_encode: Final = msgspec.json.Encoder().encode


def read(raw: bytes) -> Plain:
    """A row as what is stored of it."""
    item = _item.decode(raw)
    starts_at = datetime.fromisoformat(item.start.date_time).astimezone(UTC)
    ends_at = datetime.fromisoformat(item.end.date_time).astimezone(UTC)
    return Plain(
        raw=raw,
        id=item.id,
        series_id=None,
        ical_uid=item.ical_uid,
        organizer_email=item.organizer.email,
        emails=f"|{'|'.join(person.email or '' for person in item.attendees)}|",
        starts_at=starts_at,
        ends_at=ends_at,
        status=item.status,
        platform="google_meet",
        key=item.ical_uid,
        body=_body(item, starts_at, ends_at),
    )


class GoogleFloor:
    """The calls of a first and of an unchanged sync."""

    def __init__(self, server: Provider) -> None:
        self._server = server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def listing(self, client: httpx.AsyncClient, mine: UUID) -> Listing:
        """One page."""
        page = await self._ask(client, mine, _WINDOW)
        return Listing([read(bytes(raw)) for raw in page.items], page.next_sync_token)

    async def unchanged(self, client: httpx.AsyncClient, mine: UUID) -> str:
        """One empty page; its token."""
        return (await self._ask(client, mine, {"syncToken": "token-0"})).next_sync_token

    async def _ask(self, client: httpx.AsyncClient, mine: UUID, query: dict[str, str]) -> Page:
        address = f"{self._server.api_url}/calendars/{mine}%40example.com/events"
        return PAGE.decode((await client.get(address, params=QUERY | query, headers=HEADERS)).content)

    @property
    def cpu(self) -> float:
        """Seconds of processes beside this one: there are none."""
        return 0.0


def _body(item: Item, starts_at: datetime, ends_at: datetime) -> dict[str, Any]:
    return {
        "provider_event_id": item.id,
        "ical_uid": item.ical_uid,
        "series_id": None,
        "original_starts_at": None,
        "is_exception": False,
        "title": item.summary,
        "description": item.description,
        "location": item.location,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "is_all_day": False,
        "start_date": None,
        "end_date": None,
        "time_zone": item.start.time_zone,
        "status": item.status,
        "visibility": "default",
        "is_busy": True,
        "organizer": {"email": item.organizer.email, "name": item.organizer.display_name, "self": item.organizer.self},
        "attendees": [
            {
                "email": person.email,
                "name": person.display_name,
                "response_status": person.response_status,
                "organizer": person.organizer,
                "self": person.self,
                "optional": person.optional,
                "resource": person.resource,
            }
            for person in item.attendees
        ],
        "response_status": "accepted",
        "event_type": item.event_type,
        "meeting": {
            "url": item.conference_data.entry_points[0].uri,
            "platform": "google_meet",
            "meeting_id": item.conference_data.entry_points[0].uri.rpartition("/")[2],
            "passcode": None,
            "found_in": "conferenceData",
            "hint": None,
        },
        "html_link": item.html_link,
    }
