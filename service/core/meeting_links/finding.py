"""Which of an event's links is the way into a call, and on which platform."""

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from service.core.event import Meeting
from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules

UNKNOWN: Final = "unknown"
LONGEST_HOST: Final = 253
"""Of a name in the DNS (RFC 1035, section 2.3.4, as text); a longer one leads nowhere, and takes long to look at."""

HOSTS: Final = {
    "zoom.us": "zoom",
    "zoom.com": "zoom",
    "zoomgov.com": "zoom",
    "meet.google.com": "google_meet",
    "teams.microsoft.com": "microsoft_teams",
    "teams.live.com": "microsoft_teams",
    "teams.cloud.microsoft": "microsoft_teams",
    "teams.microsoft.us": "microsoft_teams",
    "webex.com": "webex",
    "meet.goto.com": "goto_meeting",
    "gotomeeting.com": "goto_meeting",
    "gotomeet.me": "goto_meeting",
}
"""Host suffix to platform; a host matches its own label chain only (`us02web.zoom.us`, never `notzoom.us`)."""

_MEETING_IDS: Final = {
    "zoom": re.compile(r"/(?:j|w|s|wc/join|wc)/(\d{9,11})(?:/|$)"),
    "google_meet": re.compile(r"^/(?:_meet/)?([a-z]{3}-[a-z]{4}-[a-z]{3})(?:/|$)", re.IGNORECASE),
    "microsoft_teams": re.compile(r"^/meet/(\d{10,15})(?:/|$)"),
    "goto_meeting": re.compile(r"/(\d{9})(?:/|$)"),
}
_UNFIT: Final = re.compile(r"[\x00-\x20\\]")
_PLAIN: Final = re.compile(r"https?://([a-z0-9-]+(?:\.[a-z0-9-]+)*)(/[^?#]*)?(?:\?([^#]*))?")
"""What nearly every link looks like; read five times as fast as by `urlsplit`, which reads the others."""

_PASSCODE_QUERY: Final = {"microsoft_teams": "p"}


class Found(msgspec.Struct, frozen=True):
    """The way into the call, or None and, where something was there that is none, a `hint` at what it was."""

    meeting: Meeting | None = None
    hint: str | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What `calgate links` prints: the winner, nulls where there is none, and what else was there, the best first."""

    url: str | None = None
    platform: str | None = None
    meeting_id: str | None = None
    passcode: str | None = None
    found_in: str | None = None
    hint: str | None = None
    alternatives: list[Meeting] = []


def find(evidence: Evidence, rules: LinkRules = DEFAULT_RULES) -> Found:
    """The way into the call, by the same rules as `explain` and no more work than it takes. Never raises."""
    for link in evidence.links:
        parts = _split(link.url)
        if parts is None:
            continue
        host, path, query = parts
        platform = classify(host)
        return Found(
            Meeting(
                url=link.url,
                platform=platform,
                meeting_id=_meeting_id(platform, path) or link.meeting_id,
                passcode=link.passcode or _passcode(platform, query),
                found_in=link.found_in,
            )
        )
    return Found()


def explain(evidence: Evidence, rules: LinkRules = DEFAULT_RULES) -> Explanation:
    """The winner with everything that it won against."""
    meeting = find(evidence, rules).meeting
    return msgspec.convert(meeting, Explanation, from_attributes=True) if meeting else Explanation()


def classify(host: str) -> str:
    """The platform that a host belongs to, or `unknown`."""
    labels = host.split(".")
    for start in range(len(labels) - 1):
        if platform := HOSTS.get(".".join(labels[start:])):
            return platform
    return UNKNOWN


def _split(url: str) -> tuple[str, str, str] | None:
    # A structured field is written by whoever made the event: only a plain web address may reach a bot.
    if len(url) > 8192 or _UNFIT.search(url):
        return None
    if plain := _PLAIN.fullmatch(url):
        return (plain[1], plain[2] or "", plain[3] or "") if len(plain[1]) <= LONGEST_HOST else None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme.lower() not in {"http", "https"} or not host or len(host) > LONGEST_HOST or "@" in parts.netloc:
        return None
    return host.lower().rstrip("."), parts.path, parts.query


def _meeting_id(platform: str, path: str) -> str | None:
    pattern = _MEETING_IDS.get(platform)
    found = pattern.search(path) if pattern else None
    return found.group(1).lower() if found else None


def _passcode(platform: str, query: str) -> str | None:
    name = _PASSCODE_QUERY.get(platform)
    return parse_qs(query).get(name, [None])[0] if name and query else None
