"""What a feed's text is, before anybody expands it: whether it is a feed, what it says of itself, and prints of its events.

A text is looked at in pieces, one for each VEVENT, so that a thread which does it leaves the event loop its turns.
"""

import codecs
import hashlib
import heapq
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec
from icalendar.parser import unescape_backslash

from service.providers.vevent.moments import read_duration
from service.providers.vevent.text import MOST_EVENTS, scan
from service.providers.vevent.zones import recognise

SKETCH: Final = 16
"""So many of the smallest prints stand for a whole set: of two sets that have much in common they have some."""

LONGEST_PIECE: Final = 256 * 1024
"""Octets that are looked into; a longer event is printed as it is, and a longer head is cut off."""

LONGEST_NAME: Final = 256

MOST_SKETCHED: Final = 5_000
"""Events of a feed beyond which nobody asks whether its UIDs change: those that do are small."""

MOST_FRAMES: Final = 1_000_000
"""BEGINs and ENDs in one text: ten for each of the most events."""

_BOMS_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_VOLATILE: Final = re.compile(
    rb"^(?:DTSTAMP|CREATED|LAST-MODIFIED|PRODID|X-WR-CALDESC|REFRESH-INTERVAL|X-PUBLISHED-TTL)[;:][^\n]*(?:\n[ \t][^\n]*)*\n?",
    re.IGNORECASE | re.MULTILINE,
)
_UID: Final = re.compile(rb"^UID[;:][^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)
_CONTENT: Final = re.compile(
    rb"^(?:DTSTART|DTEND|DURATION|SUMMARY)[;:][^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE
)
_PAGE: Final = re.compile(rb"<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)


class Unusable(ValueError):
    """No whole feed, with the reason; `is_other`: it is something else, and nobody need wait for the rest of it."""

    def __init__(self, reason: str, *, is_other: bool = False) -> None:
        super().__init__(reason)
        self.is_other = is_other


class Prints(msgspec.Struct, frozen=True, array_like=True):
    """A feed's events: how many, a print of all of them in any order, and sketches of their UIDs and of their contents.

    The print is the same when nothing differs but stamps of time and of software. Sketches are made of at most
    MOST_SKETCHED events.
    """

    count: int
    events: bytes
    uids: tuple[int, ...]
    contents: tuple[int, ...]


class Feed(NamedTuple):
    """What a feed says of itself, and its prints."""

    name: str | None
    time_zone: str | None
    interval: timedelta | None
    prints: Prints


def read_feed(body: bytes) -> Feed:
    """A feed's text, looked at and not expanded; takes time as the length. Raises Unusable."""
    text = check(body)
    count = text.upper().count(b"\nBEGIN:VEVENT")
    if count > MOST_EVENTS:
        raise Unusable(f"more than {MOST_EVENTS:,} events")
    prints, head = _print_events(text) if count <= MOST_SKETCHED else _print_lines(text, count)
    said = _said(head)
    zone = said.get("X-WR-TIMEZONE")
    return Feed(
        name=unescape_backslash(said.get("NAME") or said.get("X-WR-CALNAME") or "").strip()[:LONGEST_NAME] or None,
        time_zone=recognise(zone) if zone else None,
        interval=_interval(said.get("REFRESH-INTERVAL") or said.get("X-PUBLISHED-TTL") or ""),
        prints=prints,
    )


def check(body: bytes) -> bytes:
    """The text in UTF-8 or the like, with LF alone. Raises Unusable unless it begins and ends as a feed does."""
    if body.startswith(_BOMS_16):
        body = body.decode("utf-16", "replace").encode()
    text = body.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text.strip(b"\0"):
        raise Unusable("an empty answer")
    if not text[:100].upper().startswith(b"BEGIN:VCALENDAR"):
        is_page = _PAGE.match(text) is not None
        raise Unusable("a web page and no feed" if is_page else "no iCalendar feed", is_other=True)
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    upper = text.upper()
    if upper.count(b"\nBEGIN:") + upper.count(b"\nEND:") > MOST_FRAMES:
        raise Unusable(f"more than {MOST_FRAMES:,} beginnings and ends")
    if upper.rfind(b"\nEND:VCALENDAR") < max(upper.rfind(b"\nBEGIN:VCALENDAR"), upper.rfind(b"\nBEGIN:VEVENT")):
        raise Unusable("a feed that is cut off")
    if b"\nEND:VCALENDAR" not in upper:
        raise Unusable("a feed that is cut off")
    return text


def body_print(body: bytes) -> bytes:
    """A print of a text as it is."""
    return hashlib.blake2b(body, digest_size=16).digest()


def are_renamed(before: Prints, now: Prints) -> bool:
    """Whether events go on under UIDs that are all new: at least half of the contents are known, and none of the UIDs."""
    if not before.uids or not now.uids or set(before.uids) & set(now.uids):
        return False
    common = set(before.contents) & set(now.contents)
    return 2 * len(common) >= min(len(before.contents), len(now.contents)) > 0


def _print_events(text: bytes) -> tuple[Prints, bytes]:
    """The prints, and what is around the events."""
    head: list[bytes] = []
    room = LONGEST_PIECE
    rest = hashlib.blake2b(digest_size=16)
    whole, count = 0, 0
    uids: set[int] = set()
    contents: set[int] = set()
    for piece, is_event in _pieces(text):
        if not is_event:
            head.append(piece[:room])
            room -= len(head[-1])
            rest.update(_settled(piece))
            continue
        count += 1
        whole += _number(_settled(piece), 16)
        if len(piece) <= LONGEST_PIECE:
            uids.update(_number(found, 6) for found in _UID.findall(piece))
            contents.add(_number(b"\n".join(sorted(_CONTENT.findall(piece))), 6))
    rest.update((whole % 2**128).to_bytes(16))
    return Prints(count, rest.digest(), _sketch(uids), _sketch(contents)), b"".join(head)


def _print_lines(text: bytes, count: int) -> tuple[Prints, bytes]:
    """The same of a feed with many events, whose order counts: ten times as fast."""
    rest = hashlib.blake2b(digest_size=16)
    at = 0
    while at < len(text):
        end = text.find(b"\n", at + LONGEST_PIECE // 2) + 1 or len(text)
        rest.update(_settled(text[at:end]))
        at = end
    upper = text.upper()
    first, last = upper.find(b"\nBEGIN:VEVENT") + 1, upper.rfind(b"\nEND:VEVENT") + 1
    return Prints(count, rest.digest(), (), ()), text[:first][:LONGEST_PIECE] + text[last:][:LONGEST_PIECE]


def _pieces(text: bytes) -> Iterator[tuple[bytes, bool]]:
    """Each VEVENT (True), and what is between them."""
    upper = text.upper()
    at = 0
    while (begin := upper.find(b"\nBEGIN:VEVENT", at)) >= 0:
        end = upper.find(b"\nEND:VEVENT", begin)
        if end < 0:
            break
        yield text[at : begin + 1], False
        yield text[begin + 1 : end + 1], True
        at = end + 1
    yield text[at:], False


def _settled(piece: bytes) -> bytes:
    return _VOLATILE.sub(b"", piece) if len(piece) <= LONGEST_PIECE else piece


def _number(octets: bytes, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(octets, digest_size=size).digest())


def _sketch(prints: set[int]) -> tuple[int, ...]:
    return tuple(heapq.nsmallest(SKETCH, prints))


def _said(head: bytes) -> dict[str, str]:
    said: dict[str, str] = {}
    try:
        headers = scan(head).headers
    except ValueError as error:
        raise Unusable(str(error)) from None
    for header in headers:
        said = header.properties | said
    return said


def _interval(text: str) -> timedelta | None:
    try:
        length = read_duration(text)
    except ValueError:
        return None
    return timedelta(days=length.days) + length.exact
