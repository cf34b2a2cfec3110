"""What a row of Google's says about how to join: its conference, its Meet link, and its texts."""

from service.core.meeting_links.evidence import Evidence, StructuredLink
from service.providers.google.wire import WireEvent


def evidence_of(wire: WireEvent) -> Evidence:
    """The evidence of a row, in the order of section "which link wins"."""
    links = []
    for entry in (wire.conference_data.entry_points or ()) if wire.conference_data else ():
        if entry.entry_point_type == "video" and entry.uri:
            links.append(
                StructuredLink(
                    url=entry.uri,
                    found_in="conferenceData",
                    meeting_id=entry.meeting_code or None,
                    passcode=entry.passcode or entry.password or entry.pin or entry.access_code or None,
                )
            )
    if wire.hangout_link:
        links.append(StructuredLink(url=wire.hangout_link, found_in="hangoutLink"))
    return Evidence(links)
