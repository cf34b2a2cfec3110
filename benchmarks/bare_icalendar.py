"""CalDAV and feeds asked and read barely: httpx, lxml, and in processes apart `icalendar` with dateutil's rules.

The texts go to as many processes as calgate has for them. There the library parses each, dateutil expands what
repeats, and the body of each occurrence is built by hand; nothing is bounded, checked, or searched for links.
"""

import asyncio
import json
import multiprocessing
from base64 import b64encode
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

import httpx
from bare_rows import Listing, Plain
from dateutil.rrule import rrulestr  # type: ignore[import-untyped]
from icalendar import Calendar
from lxml import etree
from measure import cpu_of
from provider import Provider

from service.providers.caldav.wire import multiget, propfind, sync_collection

PROCESSES: Final = 2
CHUNK: Final = 100
_DAV: Final = "{DAV:}"
_DATA: Final = "{urn:ietf:params:xml:ns:caldav}calendar-data"
_ABOUT: Final = propfind("D:resourcetype", "D:sync-token", "CS:getctag", "D:supported-report-set")
_XML: Final = "application/xml; charset=utf-8"


class Readers:
    """The processes that read texts."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._pool.shutdown)

    async def read(self, texts: Sequence[tuple[str, bytes]]) -> list[Plain]:
        """Every occurrence in texts, each with what its event is called by (empty: by its UID)."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _read, texts)

    @property
    def cpu(self) -> float:
        """Seconds of processor time that they have used so far."""
        return cpu_of(list(self._pool._processes))


class CaldavFloor(Readers):
    """The calls of a first and of an unchanged sync, with Basic."""

    def __init__(self, server: Provider) -> None:
        super().__init__()
        self._server = server
        self._headers = {"content-type": _XML, "depth": "0", "accept-encoding": "identity"}
        self._headers["authorization"] = f"Basic {b64encode(b'owner:secret').decode()}"

    async def listing(self, client: httpx.AsyncClient, mine: UUID) -> Listing:
        """The collection's properties, its resources' names, and these a hundred at a time."""
        (await self._ask(client, mine, "PROPFIND", _ABOUT)).findtext(f".//{_DAV}sync-token")
        report = await self._ask(client, mine, "REPORT", sync_collection(""))
        hrefs = [each.text or "" for each in report.iter(f"{_DAV}href")]
        events: list[Plain] = []
        for start in range(0, len(hrefs), CHUNK):
            found = await self._ask(client, mine, "REPORT", multiget(hrefs[start : start + CHUNK]))
            texts = [(_href(row), _text(row)) for row in found.iter(f"{_DAV}response")]
            events += await self.read(texts)
        return Listing(events, report.findtext(f"{_DAV}sync-token") or "")

    async def unchanged(self, client: httpx.AsyncClient, mine: UUID) -> str:
        """One report without a row; its token."""
        report = await self._ask(client, mine, "REPORT", sync_collection("token-0"))
        return report.findtext(f"{_DAV}sync-token") or ""

    async def _ask(self, client: httpx.AsyncClient, mine: UUID, method: str, body: bytes) -> etree._Element:
        address = f"{self._server.url}/dav/{mine}/"
        return etree.fromstring((await client.request(method, address, content=body, headers=self._headers)).content)


class IcsFloor(Readers):
    """The calls of a first and of an unchanged sync."""

    def __init__(self, server: Provider) -> None:
        super().__init__()
        self._server = server

    async def listing(self, client: httpx.AsyncClient, mine: UUID) -> Listing:
        """One text."""
        answer = await client.get(f"{self._server.url}/feed/{mine}.ics", headers={"accept-encoding": "identity"})
        return Listing(await self.read([("", answer.content)]), answer.headers["etag"])

    async def unchanged(self, client: httpx.AsyncClient, mine: UUID) -> str:
        """One 304."""
        headers = {"accept-encoding": "identity", "if-none-match": '"1"'}
        answer = await client.get(f"{self._server.url}/feed/{mine}.ics", headers=headers)
        assert answer.status_code == 304
        return str(answer.headers["etag"])


def _href(row: etree._Element) -> str:
    return row.findtext(f"{_DAV}href") or ""


def _text(row: etree._Element) -> bytes:
    return (row.findtext(f".//{_DATA}") or "").encode()


def _read(texts: Sequence[tuple[str, bytes]]) -> list[Plain]:
    found: list[Plain] = []
    for name, text in texts:
        for event in Calendar.from_ical(text).walk("VEVENT"):
            raw = json.dumps({"raw": event.to_ical().decode()}).encode()
            found += _occurrences(name or str(event["UID"]), event, raw)
    return found


def _occurrences(name: str, event: Any, raw: bytes) -> list[Plain]:
    start, length = event["DTSTART"].dt, event["DTEND"].dt - event["DTSTART"].dt
    if "RRULE" not in event:
        return [_plain(name, None, event, raw, start, length)]
    rule = rrulestr(event["RRULE"].to_ical().decode(), dtstart=start)
    return [_plain(f"{name}#{_spelt(slot)}", name, event, raw, slot, length) for slot in rule]


def _spelt(slot: datetime) -> str:
    return f"{slot.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _plain(name: str, series_id: str | None, event: Any, raw: bytes, start: datetime, length: timedelta) -> Plain:
    starts_at, uid = start.astimezone(UTC), str(event["UID"])
    organizer = str(event["ORGANIZER"]).removeprefix("mailto:")
    people = [(str(each).removeprefix("mailto:"), each.params) for each in event["ATTENDEE"]]
    link = str(event["X-GOOGLE-CONFERENCE"])
    body: dict[str, Any] = {
        "provider_event_id": name,
        "ical_uid": uid,
        "series_id": series_id,
        "original_starts_at": starts_at if series_id else None,
        "original_start_date": None,
        "is_exception": False,
        "title": str(event["SUMMARY"]),
        "description": str(event["DESCRIPTION"]),
        "location": str(event["LOCATION"]),
        "starts_at": starts_at,
        "ends_at": starts_at + length,
        "is_all_day": False,
        "start_date": None,
        "end_date": None,
        "time_zone": event["DTSTART"].params["TZID"],
        "status": str(event["STATUS"]).lower(),
        "visibility": "default",
        "is_busy": True,
        "organizer": {"email": organizer, "name": event["ORGANIZER"].params["CN"], "self": False},
        "attendees": [
            {
                "email": email,
                "name": given["CN"],
                "response_status": "needsAction",
                "organizer": False,
                "self": False,
                "optional": False,
                "resource": False,
            }
            for email, given in people
        ],
        "response_status": None,
        "event_type": "default",
        "meeting": {
            "url": link,
            "platform": "google_meet",
            "meeting_id": link.rpartition("/")[2],
            "passcode": None,
            "found_in": "X-GOOGLE-CONFERENCE",
            "hint": None,
        },
        "meeting_hint": None,
        "html_link": None,
    }
    return Plain(
        raw=raw,
        id=name,
        series_id=series_id,
        ical_uid=uid,
        organizer_email=organizer,
        emails=f"|{'|'.join(email for email, _ in people)}|",
        starts_at=starts_at,
        ends_at=starts_at + length,
        status="confirmed",
        platform="google_meet",
        key=f"{uid}/{_spelt(start)}" if series_id else uid,
        body=body,
    )
