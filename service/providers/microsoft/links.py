"""What an event of Microsoft Graph says about how to join: its online meeting, its places, and its body."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from service.core.meeting_links.evidence import Evidence, Kind, Passage, StructuredLink
from service.providers.lenient import read_leniently

LINK_FIELDS: Final = ("onlineMeeting", "onlineMeetingUrl", "onlineMeetingProvider", "location", "locations", "subject", "body")  # fmt: skip
"""For `$select`; without it `onlineMeeting` may be missing."""

MOST_PLACES: Final = 50

_PLATFORMS: Final = {"skypeForBusiness": "skype_for_business"}
"""Servers of somebody's own: only the event says what they are (`onlineMeetingProviderType`)."""

_KINDS: Final[Mapping[str | None, Kind]] = {"html": "html", "text": "text"}


class WireOnlineMeeting(msgspec.Struct, gc=False, rename="camel"):
    """onlineMeetingInfo; its `conferenceId` is the number for dialling in, which no link has."""

    join_url: str | None = None


class WireLocation(msgspec.Struct, gc=False, rename="camel"):
    display_name: str | None = None
    location_uri: str | None = None


class WireBody(msgspec.Struct, gc=False, rename="camel"):
    content: str | None = None
    content_type: str | None = None


class WireLinks(msgspec.Struct, gc=False, rename="camel"):
    """The part of an event that may have links to a meeting.

    Left out with intent: `bodyPreview`, which is the body cut at 255 characters, and `webLink`, the calendar's own page.
    """

    online_meeting: WireOnlineMeeting | None = None
    online_meeting_url: str | None = None
    online_meeting_provider: str | None = None
    location: WireLocation | None = None
    locations: list[WireLocation] | None = None
    subject: str | None = None
    body: WireBody | None = None


def evidence_of(wire: WireLinks) -> Evidence:
    """`joinUrl` before the older `onlineMeetingUrl`; then what somebody typed: places, body, subject."""
    platform = _PLATFORMS.get(wire.online_meeting_provider or "")
    links = []
    if wire.online_meeting and wire.online_meeting.join_url:
        links.append(StructuredLink(url=wire.online_meeting.join_url, found_in="onlineMeeting", platform=platform))
    if wire.online_meeting_url:
        links.append(StructuredLink(url=wire.online_meeting_url, found_in="onlineMeetingUrl", platform=platform))
    # `locations` repeats what `location` has joined by semicolons.
    passages = [Passage(text=text, found_in="location") for text in dict.fromkeys(_places(wire))]
    if wire.body and wire.body.content:
        kind = _KINDS.get(wire.body.content_type, "either")
        passages.append(Passage(text=wire.body.content, found_in="description", kind=kind))
    if wire.subject:
        passages.append(Passage(text=wire.subject, found_in="title"))
    return Evidence(links, passages)


def read_evidence(event: Mapping[str, Any]) -> Evidence:
    """The same of an event as decoded JSON, whatever is in it."""
    return evidence_of(read_leniently(event, WireLinks))


def _places(wire: WireLinks) -> Iterator[str]:
    for place in (wire.location, *(wire.locations or [])[:MOST_PLACES]):
        if place is not None:
            yield from (text for text in (place.display_name, place.location_uri) if text)
