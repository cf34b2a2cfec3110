"""WebDAV's XML: multistatus answers (RFC 4918, section 13) and errors → rows; questions are written here, too.

A server is a stranger: no document type is taken, so that there are no entities; the encoding is UTF-8 whatever the
document says; and an answer with more tags than a calendar can have is refused before it is parsed.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from lxml import etree

from service.core.schedule import Window

DAV: Final = "{DAV:}"
CALDAV: Final = "{urn:ietf:params:xml:ns:caldav}"
CALENDAR_SERVER: Final = "{http://calendarserver.org/ns/}"
APPLE: Final = "{http://apple.com/ns/ical/}"
PREFIXES: Final = {"D:": DAV, "C:": CALDAV, "CS:": CALENDAR_SERVER, "A:": APPLE}

MOST_TAGS: Final = 500_000
MOST_QUOTES: Final = 2_000_000
"""Beyond these a parsed answer would fill the memory."""

MARGIN: Final = timedelta(days=2)
"""Servers place days and floating times in zones of their own: they are asked for more than the window."""

_DOCTYPE: Final = re.compile(rb"\s*+(?:(?><\?.*?\?>|<!--.*?-->)\s*+)*+<!DOCTYPE", re.DOTALL)
_STATUS: Final = re.compile(r"HTTP/[\d.]+\s+(\d{3})")


class Garbled(ValueError):
    """No XML that we take."""


class Value(NamedTuple):
    """A property: its text; the hrefs in it, the preferred first; and the names of all elements in it.

    A calendar component is named `VEVENT`, without a namespace, after the `name` of its element.
    """

    text: str = ""
    hrefs: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()


class Row(NamedTuple):
    """What is said of one resource: `status` where it is said of the whole, and the properties that were found."""

    href: str
    status: int | None
    found: dict[str, Value]
    failed: int | None = None
    conditions: frozenset[str] = frozenset()

    def text(self, name: str) -> str:
        """The text of a property, empty where it is absent."""
        return self.found[name].text if name in self.found else ""

    def names(self, name: str) -> frozenset[str]:
        return self.found[name].names if name in self.found else frozenset()

    def hrefs(self, name: str) -> tuple[str, ...]:
        return self.found[name].hrefs if name in self.found else ()


class Multistatus(NamedTuple):
    """An answer of many rows; `sync_token` where it is one to sync-collection."""

    rows: list[Row]
    sync_token: str | None


def read_multistatus(body: bytes) -> Multistatus:
    """The rows of an answer. Raises Garbled when it is no multistatus."""
    root = _parse(body)
    if root.tag != f"{DAV}multistatus":
        raise Garbled("not a multistatus")
    rows = [_row(each) for each in root.iterchildren(f"{DAV}response")]
    token = root.findtext(f"{DAV}sync-token")
    return Multistatus(rows, token.strip() if token and token.strip() else None)


def read_conditions(body: bytes) -> frozenset[str]:
    """The names in a DAV:error (RFC 4918, section 16), without namespaces; none in anything else. Never raises."""
    try:
        root = _parse(body)
    except Garbled:
        return frozenset()
    if root.tag != f"{DAV}error":
        return frozenset()
    return frozenset(str(each.tag).rpartition("}")[2] for each in root.iter(etree.Element))


def propfind(*names: str) -> bytes:
    """A question for properties, named `D:getetag`, `C:calendar-data` and so on."""
    return _document("D:propfind", f"<D:prop>{_tags(names)}</D:prop>")


def sync_collection(token: str) -> bytes:
    """RFC 6578, section 3.2; never with a limit, which some servers take and lose what is beyond."""
    level = "<D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop>"
    return _document("D:sync-collection", f"<D:sync-token>{escape(token)}</D:sync-token>{level}")


def multiget(hrefs: Iterable[str]) -> bytes:
    """RFC 4791, section 7.9: whole resources, never expanded by the server."""
    wanted = "".join(f"<D:href>{escape(href)}</D:href>" for href in hrefs)
    return _document("C:calendar-multiget", f"<D:prop><D:getetag/><C:calendar-data/></D:prop>{wanted}")


def query_window(window: Window) -> bytes:
    """RFC 4791, section 7.8: which resources have an event there, as the server reckons."""
    start, end = (f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" for at in (window.start, window.end))
    return _query(f'<C:time-range start="{start}" end="{end}"/>')


def query_repeating() -> bytes:
    """Which resources have an event with a rule (RFC 4791, section 9.7.2): many a server reckons these wrong."""
    return _query('<C:prop-filter name="RRULE"/>')


def query_uid(uid: str) -> bytes:
    """Which resource has the event of a UID (RFC 4791, section 7.8.6)."""
    match = f'<C:text-match collation="i;octet">{escape(uid)}</C:text-match>'
    return _query(f'<C:prop-filter name="UID">{match}</C:prop-filter>')


def widen(window: Window) -> Window:
    """A window with the margin to both sides that servers are asked with."""
    return Window(_whole_day(window.start - MARGIN), _whole_day(window.end + MARGIN + timedelta(days=1)))


def status_of(text: str | None) -> int | None:
    """The code of a status line (RFC 4918, section 14.28)."""
    match = _STATUS.search(text or "")
    return int(match[1]) if match else None


def _whole_day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _query(condition: str) -> bytes:
    event = f'<C:comp-filter name="VEVENT">{condition}</C:comp-filter>'
    filters = f'<C:filter><C:comp-filter name="VCALENDAR">{event}</C:comp-filter></C:filter>'
    return _document("C:calendar-query", f"<D:prop><D:getetag/></D:prop>{filters}")


def _document(name: str, inner: str) -> bytes:
    spaces = " ".join(f'xmlns:{prefix[:-1]}="{space[1:-1]}"' for prefix, space in PREFIXES.items())
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{name} {spaces}>{inner}</{name}>'.encode()


def _tags(names: Iterable[str]) -> str:
    return "".join(f"<{name}/>" for name in names)


def _parse(body: bytes) -> etree._Element:
    if body.count(b"<") > MOST_TAGS or body.count(b'"') + body.count(b"'") > MOST_QUOTES:
        raise Garbled("more tags than a calendar has")
    body = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _DOCTYPE.match(body):
        raise Garbled("a document type")
    # A parser for each: one that is shared waits for itself between threads.
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_pis=True,
        remove_comments=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Garbled(f"not XML: {type(error).__name__}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Garbled("a document type")
    return root


def _row(response: etree._Element) -> Row:
    found: dict[str, Value] = {}
    failed: list[int] = []
    for propstat in response.iterchildren(f"{DAV}propstat"):
        status = status_of(propstat.findtext(f"{DAV}status")) or 200
        properties = propstat.find(f"{DAV}prop")
        if not 200 <= status < 300:
            failed.append(status)
        elif properties is not None:
            found.update((str(each.tag), _value(each)) for each in properties.iterchildren(etree.Element))
    error = response.find(f"{DAV}error")
    conditions = () if error is None else (str(each.tag).rpartition("}")[2] for each in error.iterchildren())
    return Row(
        href=(response.findtext(f"{DAV}href") or "").strip(),
        status=status_of(response.findtext(f"{DAV}status")),
        found=found,
        failed=max(failed, default=None),
        conditions=frozenset(conditions),
    )


def _value(element: etree._Element) -> Value:
    if len(element) == 0:
        return Value(element.text or "")
    inner = list(element.iterdescendants(etree.Element))
    hrefs = sorted(
        (each for each in inner if each.tag == f"{DAV}href" and each.text),
        # Apple marks the address that counts.
        key=lambda each: each.get("preferred", "0") != "1",
    )
    names = {str(each.tag) for each in inner}
    names.update(each.get("name", "").upper() for each in inner if each.tag == f"{CALDAV}comp")
    text = "".join(str(part) for part in element.itertext())
    return Value(text, tuple((each.text or "").strip() for each in hrefs), frozenset(names))
