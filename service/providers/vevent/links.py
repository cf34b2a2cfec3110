"""What a VEVENT says about how to join: the properties that clients have for it, and its texts."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from service.core.meeting_links.evidence import Evidence, Kind, Passage, StructuredLink
from service.providers.vevent.properties import Properties, Property, from_map, from_text

GOOGLE: Final = "X-GOOGLE-CONFERENCE"
TEAMS: Final = "X-MICROSOFT-SKYPETEAMSMEETINGURL"
CONFERENCE: Final = "CONFERENCE"
EXTERNAL: Final = "X-MICROSOFT-ONLINEMEETINGEXTERNALLINK"
TEXTS: Final[Mapping[str, tuple[str, Kind]]] = {
    "LOCATION": ("location", "text"),
    "DESCRIPTION": ("description", "either"),
    "X-ALT-DESC": ("X-ALT-DESC", "html"),
    "SUMMARY": ("title", "text"),
}
"""In the order of trust: where their links are `found_in`, and what they are. DESCRIPTION may be empty beside X-ALT-DESC."""

LINK_PROPERTIES: Final = frozenset({GOOGLE, TEAMS, CONFERENCE, EXTERNAL, "URL", *TEXTS})
"""None of the others is a way in: ...CONFLINK is for a SIP client, ...TELURI a number, ...UPDATEURL an address of an API."""

_JOINED: Final = frozenset({"VIDEO", "AUDIO", "MODERATOR"})
_NO_PAGE: Final = re.compile(r"(?:tel|xmpp|sips?|mailto|conf|h323):", re.IGNORECASE)
_SKYPE_ROOM: Final = re.compile(r"https?://[^/?#]+/(?:[^/?#]+/){1,2}[A-Z0-9]{6,10}/?", re.IGNORECASE)


def evidence_of(properties: Properties) -> Evidence:
    """Google's property, Microsoft's, CONFERENCE and Exchange's; then the URL, which is often a page, and the texts."""
    conferences = _conferences(properties.get(CONFERENCE, []))
    joined = [each for each in conferences if _is_joined(each)]
    links = [
        *_structured(properties, GOOGLE),
        *_structured(properties, TEAMS),
        *(StructuredLink(url=each.value.strip(), found_in=CONFERENCE, platform=_labelled(each)) for each in joined),
        *_structured(properties, EXTERNAL),
    ]
    passages = [
        *(Passage(text=each.value, found_in=CONFERENCE) for each in conferences if each not in joined),
        *_passages(properties, "URL", "URL", "text"),
    ]
    for name, (found_in, kind) in TEXTS.items():
        passages.extend(_passages(properties, name, found_in, kind))
    return Evidence(links, passages)


def read_evidence(event: Mapping[str, Any]) -> Evidence:
    """The same of a map of decoded properties, or of `{"raw": "BEGIN:VEVENT..."}`, whatever is in it."""
    raw = event.get("raw")
    return evidence_of(from_text(raw, LINK_PROPERTIES) if isinstance(raw, str) else from_map(event))


def _structured(properties: Properties, name: str) -> Iterator[StructuredLink]:
    for each in properties.get(name, []):
        if url := each.value.strip():  # Exchange writes its property empty
            platform = "skype_for_business" if name == EXTERNAL and _SKYPE_ROOM.fullmatch(url) else None
            yield StructuredLink(url=url, found_in=name, platform=platform)


def _passages(properties: Properties, name: str, found_in: str, kind: Kind) -> Iterator[Passage]:
    return (Passage(text=each.value, found_in=found_in, kind=kind) for each in properties.get(name, []) if each.value)


def _conferences(given: list[Property]) -> list[Property]:
    """Those that lead to a page (RFC 7986, section 5.11): for guests before for moderators, with video before without."""
    pages = [each for each in given if each.value.strip() and not _NO_PAGE.match(each.value.strip())]
    return sorted(pages, key=lambda each: ("MODERATOR" in _features(each), "VIDEO" not in _features(each)))


def _is_joined(conference: Property) -> bool:
    """Whether it is a call, and not only a chat, a feed or a page of telephone numbers (section 6.3)."""
    features = _features(conference)
    return not features or not features.isdisjoint(_JOINED)


def _features(conference: Property) -> set[str]:
    return {word.strip().upper() for word in conference.parameters.get("FEATURE", "").split(",") if word.strip()}


def _labelled(conference: Property) -> str | None:
    """What the label says of a server of somebody's own."""
    return "jitsi" if "jitsi" in conference.parameters.get("LABEL", "").lower() else None
