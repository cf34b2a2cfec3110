"""The table of the platforms: a row each, so that one more is a row and a test."""

from functools import lru_cache
from typing import Final

from service.core.meeting_links.addresses import suffixes
from service.core.meeting_links.platforms.first_tier import FIRST_TIER
from service.core.meeting_links.platforms.forms import Form, Platform
from service.core.meeting_links.platforms.retired import RETIRED_PLATFORMS
from service.core.meeting_links.platforms.second_tier import SECOND_TIER
from service.core.meeting_links.platforms.third_tier import THIRD_TIER
from service.core.meeting_links.platforms.third_tier_rest import THIRD_TIER_REST

PLATFORMS: Final = (*FIRST_TIER, *SECOND_TIER, *THIRD_TIER, *THIRD_TIER_REST, *RETIRED_PLATFORMS)
BY_NAME: Final = {platform.name: platform for platform in PLATFORMS}
UNKNOWN: Final = "unknown"

Entry = tuple[Platform, Form]


def _index() -> tuple[dict[str, tuple[Entry, ...]], dict[str, tuple[Entry, ...]], frozenset[str]]:
    exact: dict[str, list[Entry]] = {}
    below: dict[str, list[Entry]] = {}
    for platform in PLATFORMS:
        for form in platform.forms:
            for host in form.hosts:
                name = host.lstrip("=*.")
                if not host.startswith("*."):
                    exact.setdefault(name, []).append((platform, form))
                if not host.startswith("="):
                    below.setdefault(name, []).append((platform, form))
    frozen = tuple({name: tuple(entries) for name, entries in each.items()} for each in (exact, below))
    return *frozen, frozenset(exact) | frozenset(below)  # type: ignore[return-value]


_EXACT, _BELOW, _NAMES = _index()
STRANGERS: Final = frozenset().union(*(platform.strangers for platform in PLATFORMS))


@lru_cache(maxsize=2048)
def forms_of(host: str) -> tuple[Entry, ...]:
    """The forms that links to a host may have; none of a host that nobody knows or that is no place for meetings."""
    found = _EXACT.get(host, ())
    for name in suffixes(host)[1:]:
        if name in _BELOW:
            found = found + _BELOW[name]
    return () if found and host in STRANGERS else found


def is_known(host: str) -> bool:
    """Whether a host is a platform's, or below one that is, rooms or not."""
    return any(name in _NAMES for name in suffixes(host))
