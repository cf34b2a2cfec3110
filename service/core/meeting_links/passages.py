"""Every link in a piece of text, typed or behind a word, in reading order."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Final, NamedTuple

from service.core.meeting_links.addresses import LONGEST_URL
from service.core.meeting_links.evidence import Passage
from service.core.meeting_links.markup import is_markup, read_markup

LONGEST_TEXT: Final = 262_144
"""Characters of one field that are read; mails are cut before that, and nobody scrolls to there."""


class Sighting(NamedTuple):
    """A link and where it stands. `is_typed` is one in the running text, not behind a word; `is_bare` lacks a scheme."""

    url: str
    place: int
    is_typed: bool
    is_bare: bool = False


class Reading(NamedTuple):
    """A passage as it is read: its text without markup, and the links."""

    text: str
    sightings: list[Sighting]


_WORTH_READING: Final = re.compile(r"http|zoommtg|zoomus|msteams|&#|[^\x00-\x7f]", re.IGNORECASE)
_BARE_SIGN: Final = re.compile(r"\.[a-z]{2,24}(?::443)?/", re.IGNORECASE)


def read_passage(passage: Passage) -> Reading | None:
    """The links of a passage, or None where none can be: most titles and places cost one look. Never raises."""
    text = passage.text
    if "://" not in text and not ("/" in text and _BARE_SIGN.search(text)) and not _WORTH_READING.search(text):
        return None
    text = _clean(text[:LONGEST_TEXT])
    if passage.kind == "html" or (passage.kind == "either" and is_markup(text)):
        text, targets = read_markup(text)
        text = _decode(text, 1)
    else:
        text, targets = _decode(text.replace("\x02", " "), 2), []
    text = _mend(text)
    return Reading(text, list(_scan(text, targets)))


_HIDDEN: Final = re.compile(r"[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_HIDDEN_CHARACTERS: Final = [chr(code) for code in range(0xFFFF) if _HIDDEN.match(chr(code))]
_HALVES: Final = re.compile(r"[\ud800-\udfff]")


def _clean(text: str) -> str:
    """Without what is written but not seen; half characters, which no UTF-8 has, are made whole ones of no meaning."""
    if text.isascii():
        return text
    if any(character in text for character in _HIDDEN_CHARACTERS):
        text = _HIDDEN.sub("", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = _HALVES.sub("\ufffd", text)
    # The only letter that is longer in lower case, in which links are looked for.
    return text.replace("\u0130", "I")


_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8}\d{0,2});")


def _decode(text: str, times: int) -> str:
    """Entities with a semicolon only: without one, `&region=` of an address is no trade mark."""
    for _ in range(times):
        if "&" not in text:
            break
        text = _ENTITY.sub(_character, text)
    return text


def _character(entity: re.Match[str]) -> str:
    character = unescape(entity[0])
    return " " if character < " " and character not in "\t\n\r" else "" if _HIDDEN.match(character) else character


_ANGLED: Final = re.compile(r"<((?:https?|msteams|zoommtg):[^<>]{8,8192})>", re.IGNORECASE)
_FOLD: Final = re.compile(r"[ \t]*\r?\n[ \t]*")
_ESCAPED_EQUALS: Final = re.compile(r"[?&](?:pwd|p|tk|MTID|confno)=3D")
_SOFT_BREAK: Final = re.compile(r"=\r?\n")


def _mend(text: str) -> str:
    """Addresses whole again that were broken over lines inside `<...>`, or by quoted-printable that nobody decoded."""
    if "=3D" in text and _SOFT_BREAK.search(text) and _ESCAPED_EQUALS.search(text):
        text = _SOFT_BREAK.sub("", text).replace("=3D", "=")
    if "<" in text and "\n" in text:
        text = _ANGLED.sub(lambda found: f"<{_FOLD.sub('', found[1])}>", text)
    return text


_START: Final = re.compile(r"\x02|https?://|zoommtg:|zoomus:|msteams:")
_MARK: Final = re.compile(r"\x02(\d{1,7})\x03")
_SCRIPT: Final = re.compile(r"\b(?:(?:java|vb)script:|data:[\w/+.;=-]*,|mailto:)[^\s<>]*$")
_LONGEST_SCRIPT: Final = 200
"""What an address may stand in that does something else with it: nobody knows what."""
_SPLITS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789,;)]}'.!*(|>\x03")
"""After one of these a new scheme begins a new link: lost line breaks glue them."""
_REST: Final = r"[!#-;=?-\[\]_a-{}~]*"
_BODY: Final = re.compile(rf"https?://[^\s<>\"`|\\/?#\x00-\x20]*(?:[/?#]{_REST})?", re.IGNORECASE)
_NATIVE_BODY: Final = re.compile(rf"[a-z]+:{_REST}", re.IGNORECASE)
_TAIL: Final = re.compile(_REST)
_JSON: Final = re.compile(r"\{\"[^{}<>\n\r\\`]{1,600}\}")
_NAMED_IN_ANY_SCRIPT: Final = re.compile(r"https?://meet\.jit\.si(?::443)?/", re.IGNORECASE)
_ROOM: Final = re.compile(rf"(?:[\w%+~-]|\.(?=\w))*(?:[/?#]{_REST})?")
_ROOM_OF_SPACED_WORDS: Final = re.compile(rf"(?:(?![\u0e00-\U0010ffff])\w|[%+~-]|\.(?=\w))*(?:[/?#]{_REST})?")
"""How a room's name goes on after a letter outside ASCII; in scripts without blanks between words, other words follow."""
_BARE: Final = re.compile(
    rf"(?<![\w@/=%&?#\\~+$*.-])(?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,8}}[a-z]{{2,24}}(?::443)?/{_REST}", re.IGNORECASE
)


def _scan(text: str, targets: list[str]) -> Iterator[Sighting]:
    lowered = text.lower()
    starts = [found.start() for found in _START.finditer(lowered)]
    ends = _ends(lowered, starts)
    done = 0
    for number, start in enumerate(starts):
        if start < done:
            continue
        yield from _scan_bare(text, done, start)
        if lowered[start] == "\x02":
            mark = _MARK.match(text, start)
            done = mark.end() if mark else start + 1
            if mark and int(mark[1]) < len(targets):
                yield Sighting(_target(targets[int(mark[1])]), start, is_typed=False)
            continue
        url, done = _read_url(text, start, ends[number])
        if text[max(0, start - 1) : start] == "_":
            url = url.removesuffix("_")  # Markdown's emphasis; else it may be a part of the link
        if _SCRIPT.search(lowered, max(0, start - _LONGEST_SCRIPT), start):
            continue
        if url and text[max(0, start - 2) : start] != "~~":
            yield Sighting(url, start, is_typed=True)
    yield from _scan_bare(text, done, len(text))


def _ends(lowered: str, starts: list[int]) -> list[int]:
    """For each link where the next one begins that is glued to it, so that together they are read once."""
    ends, end = [], len(lowered)
    for start in reversed(starts):
        ends.append(end)
        if start and lowered[start - 1] in _SPLITS:
            end = start
    return ends[::-1]


def _read_url(text: str, start: int, end: int) -> tuple[str, int]:
    body = _BODY.match(text, start, end) or _NATIVE_BODY.match(text, start, end)
    if body is None:
        return "", start + 1
    stop = body.end()
    if text[stop - 9 : stop] == "context={":
        # Teams' context as raw JSON has quotes, where any other link would end.
        json = _JSON.match(text, stop - 1, end)
        tail = _TAIL.match(text, json.end(), end) if json else None
        if json and tail:
            return _trim(text[start : tail.end()].replace(" ", "")), tail.end()
    if stop < end and text[stop] > "\x7f" and _NAMED_IN_ANY_SCRIPT.match(text, start, stop):
        room = _ROOM if text[stop - 1] == "/" else _ROOM_OF_SPACED_WORDS
        tail = room.match(text, stop, end)
        stop = tail.end() if tail else stop
    label = text.find("](", start, stop)
    stop = stop if label == -1 else label
    return (_trim(text[start:stop]) if stop - start <= LONGEST_URL * 2 else ""), max(stop, start + 1)


_ENDS: Final = ".,;:!?*'"


def _trim(url: str) -> str:
    """Without what belongs to the sentence; a bracket stays where its partner is in the link."""
    spare = {close: url.count(close) - url.count(opening) for opening, close in ("()", "[]", "{}")}
    end = len(url)
    while end:
        last = url[end - 1]
        if spare.get(last, 0) > 0:
            spare[last] -= 1
        elif last not in _ENDS and not url.endswith("~~", 0, end):
            break
        end -= 1
    return url[:end]


def _target(target: str) -> str:
    """An anchor's target as browsers read it: no blanks around, no tabs and line breaks inside (WHATWG URL, 4.4)."""
    target = _clean(target).strip().replace("\t", "").replace("\n", "").replace("\r", "")
    return _decode(target, 1) if "&" in target else target


def _scan_bare(text: str, start: int, end: int) -> Iterator[Sighting]:
    if end - start < 6 or text.find("/", start, end) == -1 or not _BARE_SIGN.search(text, start, end):
        return
    for found in _BARE.finditer(text, start, end):
        yield Sighting("https://" + _trim(found[0]), found.start(), is_typed=True, is_bare=True)
