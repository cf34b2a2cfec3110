"""What a project or a calendar may decide about links, as its users send it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, UnsetType

from service.core.meeting_links.choices import LONGEST_HOST, MOST_HOSTS, explain_host
from service.core.meeting_links.evidence import MeetingHost

LinkPreference = Literal["structured", "typed"]
HostName = Annotated[str, Meta(min_length=1, max_length=LONGEST_HOST)]
GivenHost = HostName | MeetingHost
MeetingHosts = Annotated[list[GivenHost], Meta(max_length=MOST_HOSTS)]


def check_hosts(hosts: Sequence[GivenHost] | UnsetType | None) -> None:
    """Raises ValueError, which names the item that is wrong."""
    seen: set[str] = set()
    for number, given in enumerate(hosts or ()):
        host = given if isinstance(given, str) else given.host
        place = f"meeting_hosts[{number}]" if isinstance(given, str) else f"meeting_hosts[{number}].host"
        if wrong := explain_host(host):
            raise ValueError(f"`{place}` {wrong}")
        if host.lower() in seen:
            raise ValueError(f"`{place}` is in the list twice")
        seen.add(host.lower())


def stored_hosts(hosts: Sequence[GivenHost]) -> list[Any]:
    """The hosts as they were given, in what JSON has."""
    return [
        given
        if isinstance(given, str)
        else {"host": given.host} | ({"platform": given.platform} if given.platform else {})
        for given in hosts
    ]
