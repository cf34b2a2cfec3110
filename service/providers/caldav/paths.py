"""Addresses of collections and paths of resources, spelt one way however a server escapes them."""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import httpx

from service.errors import CalendarGone
from service.providers.vevent.reading import bounded_id

_AS_IS: Final = "!$&'()*+,;=:@-._~"
_PLAIN: Final = re.compile(r"[\w/!$&'()*+,;=:@.~-]*", re.ASCII)
"""Where nothing is escaped and nothing has to be: what nearly every path is, told in a tenth of the time."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def spell(path: str) -> str:
    """A path escaped as little as may be: Radicale writes `%40`, others `@`. An escaped slash stays one."""
    if _PLAIN.fullmatch(path):
        return path
    return "/".join(quote(unquote_to_bytes(segment), safe=_AS_IS) for segment in path.split("/"))


def path_of(href: str) -> str:
    """The path of a href, which is absolute, has a host or neither; empty for what is none."""
    try:
        return spell(urlsplit(href.strip()).path)
    except ValueError:
        return ""


def event_id(path: str) -> str:
    """What the event in a resource is called, which is its path, shortened where that is very long."""
    return bounded_id(path)


def calendar_id(url: httpx.URL) -> str:
    """The id of a calendar: the absolute address of its collection."""
    port = f":{url.port}" if url.port and url.port != _DEFAULT_PORTS.get(url.scheme) else ""
    path = spell(url.raw_path.decode("ascii", "replace").partition("?")[0]).rstrip("/")
    host = url.host.lower()
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}{port}{path}/"


def address_of(raw_calendar_id: str) -> httpx.URL:
    """The address behind a calendar's id. Raises CalendarGone for what is none."""
    try:
        url = httpx.URL(raw_calendar_id)
    except (httpx.InvalidURL, ValueError):
        raise CalendarGone("not the address of a calendar") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise CalendarGone("not the address of a calendar")
    return url


def is_same(one: str, other: str) -> bool:
    """Whether two paths lead to one collection, with a slash at the end or without."""
    return one.rstrip("/") == other.rstrip("/")
