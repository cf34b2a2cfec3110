"""What a project or a calendar says about links, in the words of its users, and the rules that come of it."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from service.core.meeting_links.evidence import LinkRules, MeetingHost

MOST_HOSTS: Final = 50
"""Of one project or calendar: each is held against every link of every event."""

LONGEST_HOST: Final = 253
"""Of a name in the DNS, as text (RFC 1035, section 2.3.4)."""

_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def make_rules(preference: str, hosts: Sequence[Any]) -> LinkRules:
    """The rules behind choices as they are stored: each host a name, or an object with `host` and `platform`.

    Raises msgspec.ValidationError for what no user could have chosen.
    """
    found = [{"host": host} if isinstance(host, str) else host for host in hosts]
    rules = msgspec.convert({"preference": preference, "hosts": found}, LinkRules)
    return LinkRules(
        rules.preference, tuple(MeetingHost(host=each.host.lower(), platform=each.platform) for each in rules.hosts)
    )


def inherited_rules(
    own_preference: str | None, own_hosts: Sequence[Any] | None, preference: str, hosts: Sequence[Any]
) -> LinkRules:
    """The rules of a calendar that decides this itself (None: as its project does) in a project that decides that."""
    return make_rules(own_preference or preference, hosts if own_hosts is None else own_hosts)


def explain_host(host: str) -> str | None:
    """Why a text is not the name of a host with meeting rooms, as a sentence without a subject; None when it is one."""
    name = host.lower()
    if "/" in name:
        return "has a scheme or a path: give the host alone, such as meet.example.org"
    if _is_address(name):
        return "is an IP address: give the name of the host"
    if ":" in name:
        return "has a port: give the host alone, such as meet.example.org"
    if not name.isascii():
        return "is not in ASCII: write an international name in its ASCII form (xn--...)"
    labels = name.split(".")
    if len(name) > LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        return "is not a name in the DNS, such as meet.example.org"
    return None if len(labels) > 1 else "has a single label: give the host's whole name, such as meet.example.org"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
