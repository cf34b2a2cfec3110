"""What a row of Google's says about how to join: its conference, its Meet link, and its texts."""

from collections.abc import Mapping
from typing import Any, Final

from service.core.meeting_links.evidence import Evidence, Passage, StructuredLink
from service.providers.google.wire import WireEntryPoint, WireEvent
from service.providers.lenient import read_leniently

MOST_ENTRIES: Final = 50


def evidence_of(wire: WireEvent) -> Evidence:
    """The conference's video before the Meet link, which may be left over from before an add-on was chosen.

    Telephone, SIP and "more" entry points lead to no meeting (Events resource, `conferenceData.entryPoints[]`); a
    conference that is still being created has none. A description is HTML when a person has edited it.
    """
    entries = (wire.conference_data.entry_points or [])[:MOST_ENTRIES] if wire.conference_data else []
    links = [_video(entry, entry.uri) for entry in entries if entry.entry_point_type == "video" and entry.uri]
    if wire.hangout_link:
        links.append(StructuredLink(url=wire.hangout_link, found_in="hangoutLink"))
    passages = []
    if wire.location:
        passages.append(Passage(text=wire.location, found_in="location"))
    if wire.description:
        passages.append(Passage(text=wire.description, found_in="description", kind="either"))
    if wire.summary:
        passages.append(Passage(text=wire.summary, found_in="title"))
    return Evidence(links, passages)


def read_evidence(event: Mapping[str, Any]) -> Evidence:
    """The same of an event as decoded JSON, whatever is in it."""
    return evidence_of(read_leniently(event, WireEvent))


def _video(entry: WireEntryPoint, uri: str) -> StructuredLink:
    return StructuredLink(
        url=uri,
        found_in="conferenceData",
        meeting_id=entry.meeting_code or None,
        passcode=entry.passcode or entry.password or entry.pin or entry.access_code or None,
    )
