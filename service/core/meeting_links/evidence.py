"""What an event says about how to join it, whichever provider it came from, and by which rules that is judged."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

RULES_VERSION: Final = 2
"""Raise it when the tables or the rules improve: stored events are then examined again, and what changes is news."""

Kind = Literal["text", "html", "either"]
Preference = Literal["structured", "typed"]


class StructuredLink(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A link in a field that the provider has for links; `found_in` names the field as the provider does.

    `meeting_id` and `passcode` are what the provider says beside the link; `platform` is what the field itself tells of
    a host that nobody knows (an Exchange property for a Skype for Business server of somebody's own).
    """

    url: str
    found_in: str
    meeting_id: str | None = None
    passcode: str | None = None
    platform: str | None = None


class Passage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A piece of free text, which may have links in it; `either` is text of which nobody says whether it is HTML.

    `found_in` is the event's field in our words (`location`, `description`, `title`), or the property's name.
    """

    text: str
    found_in: str
    kind: Kind = "text"


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """Everything of one event that may hold a link: each sequence in the order of trust, the best first.

    A provider's link is believed to be a meeting even on a host that nobody knows; a link in a passage is not.
    """

    links: Sequence[StructuredLink] = ()
    passages: Sequence[Passage] = ()


class MeetingHost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A host with meeting rooms of somebody's own; without a `platform` the path tells (Jitsi, BigBlueButton, Nextcloud)."""

    host: str
    platform: Literal["jitsi", "bigbluebutton", "nextcloud_talk"] | None = None


class LinkRules(msgspec.Struct, frozen=True):
    """What a project or a calendar decides of links.

    Whether a provider's own link or one that somebody typed comes first, and which hosts beside the known ones have
    meeting rooms.
    """

    preference: Preference = "structured"
    hosts: tuple[MeetingHost, ...] = ()


DEFAULT_RULES: Final = LinkRules()
