"""The passcode that an invitation's text has for people to type."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from service.core.meeting_links.platforms import is_known
from service.core.meeting_links.platforms.forms import words

_GLUED_LABELS: Final = (
    "\u0e23\u0e2b\u0e31\u0e2a\u0e1c\u0e48\u0e32\u0e19", "\u30d1\u30b9\u30b3\u30fc\u30c9",
    "\u30d1\u30b9\u30ef\u30fc\u30c9", "\u4f1a\u8bae\u5bc6\u7801", "\u5165\u4f1a\u5bc6\u7801", "\u5bc6\u7801",
    "\u6703\u8b70\u5bc6\u78bc", "\u5bc6\u78bc", "\u901a\u884c\u7801", "\uc554\ud638", "\ube44\ubc00\ubc88\ud638",
    "\ud328\uc2a4\ucf54\ub4dc",
)  # fmt: skip
"""Of scripts without blanks, where the code may follow at once."""
_LABELS: Final = (
    "passcode", "password", "pass code", "pass-code", "meeting pin", "security code", "kenncode", "kennwort",
    "passwort", "zugangscode", "zugriffscode", "code secret", "code d'acc\u00e8s", "mot de passe",
    "c\u00f3digo de acceso", "clave de acceso", "contrase\u00f1a", "c\u00f3digo de acesso", "senha de acesso",
    "senha", "palavra-passe", "codice d'accesso", "codice di accesso", "codice segreto", "passcode riunione",
    "wachtwoordcode", "wachtwoord", "toegangscode", "has\u0142o", "kod dost\u0119pu", "l\u00f6senkod",
    "l\u00f6senord", "passord", "adgangskode", "adgangsudtryk", "kodeord", "tunnuskoodi", "salasana", "heslo",
    "p\u0159\u00edstupov\u00fd k\u00f3d", "jelsz\u00f3", "bel\u00e9p\u00e9si k\u00f3d", "parol\u0103",
    "cod de acces", "ge\u00e7i\u015f kodu", "parola", "\u015fifre", "kata sandi", "kode sandi",
    "m\u1eadt kh\u1ea9u", "m\u1eadt m\u00e3", "\u043a\u043e\u0434 \u0434\u043e\u0441\u0442\u0443\u043f\u0430",
    "\u043a\u043e\u0434-\u043f\u0430\u0440\u043e\u043b\u044c", "\u043f\u0430\u0440\u043e\u043b\u044c",
    "\u043a\u043e\u0434 \u0434\u043e\u0441\u0442\u0443\u043f\u0443",
    "\u03ba\u03c9\u03b4\u03b9\u03ba\u03cc\u03c2 \u03c0\u03c1\u03cc\u03c3\u03b2\u03b1\u03c3\u03b7\u03c2",
    "\u05e1\u05d9\u05e1\u05de\u05d4", "\u05e7\u05d5\u05d3 \u05d2\u05d9\u05e9\u05d4",
    "\u0631\u0645\u0632 \u0627\u0644\u0645\u0631\u0648\u0631",
    "\u0643\u0644\u0645\u0629 \u0627\u0644\u0645\u0631\u0648\u0631", "\u092a\u093e\u0938\u0915\u094b\u0921",

    *_GLUED_LABELS,
)  # fmt: skip
"""What calls it so in the invitations of Zoom, Teams and Webex, by language; in lower case."""

_LONGEST_LABEL: Final = 80
"""With what may stand in brackets after it."""
_SEPARATOR: Final = re.compile(r"[:\uff1a=]| (?:is|ist|est|es) ")
_CODE: Final = re.compile(r"\s{0,6}([A-Za-z0-9@#$%&*!_][A-Za-z0-9@#$%^&*!_+=.?/-]{1,39})")
_OTHERS: Final = ("phone", "numeric", "numerical", "host", "audio", "video system", "telefon", "dial-in", "dialin")
_ELSEWHERE: Final = (
    "wifi", "wi-fi", "wlan", "network", "netzwerk", "door", "door code", "entry code", "gate code", "t\u00fcr", "gate", "alarm", "document", "file", "zip", "pdf",
    "login", "log-in", "account", "portal", "recording", "room", "building", "laptop", "computer",
)  # fmt: skip
"""What a password is of that lets nobody into a meeting; in lower case."""
_NO_CODES: Final = frozenset(
    words(
        "none no not n/a na nil null tbd tba required optional will shall be is are was to the a an in on for and or of as "
        "at see below above sent send provided shared attached same please your you by via email separately later keine "
        "kein nicht siehe ninguna ninguno aucun aucune nessuna geen"
    )
)
_NAMED_ID: Final = re.compile(r"\bID\b[^\d\n]{0,30}((?:\d[ \u00a0-]?){9,15})", re.IGNORECASE)
_WIRELESS: Final = re.compile(r"\b(?:wi-?fi|wlan)\b")
_LINKED_HOST: Final = re.compile(r"://([^/\s<>()\"]{1,253})")
_NEAR: Final = 160
"""Characters in which the number of a meeting stands before its passcode."""
MOST_CODES: Final = 50


class Code(NamedTuple):
    """A passcode, the place where its label ends, and the digits of the meeting that is named just before it."""

    place: int
    text: str
    meeting_id: str | None


def find_codes(text: str) -> list[Code]:
    """The passcodes in a text in their order, at most fifty; those for telephones and for other things left out."""
    return sorted(found for _, found in zip(range(MOST_CODES), _find(text), strict=False))


def choose_code(codes: list[Code], meeting_id: str | None, place: int) -> str | None:
    """Of a text's codes the one of a meeting whose link stands at `place`.

    The one that is named together with its number, else the first behind the link, else the first; never one that is
    named together with another meeting's number.
    """
    if meeting_id is None or not meeting_id.isdecimal():
        fitting = codes
    else:
        named = [code for code in codes if code.meeting_id == meeting_id]
        fitting = named or [code for code in codes if code.meeting_id is None]
    behind = next((code for code in fitting if code.place > place), None)
    chosen = behind or (fitting[0] if fitting else None)
    return chosen.text if chosen else None


def _find(text: str) -> Iterator[Code]:
    for separator in _SEPARATOR.finditer(text):
        place = separator.start()
        before = text[max(0, place - _LONGEST_LABEL) : place].rstrip().lower().replace("\u2019", "'")
        if before.endswith(")") and "(" in before:
            before = before[: before.rindex("(")].rstrip()
        if before.endswith(_LABELS) and (code := _read_code(text, separator.end())) and not _is_other(before):
            yield Code(place, code, _named_id(text, place))
    if text.isascii():
        return
    for label in _GLUED_LABELS:
        place = text.find(label)
        if place != -1 and (code := _read_code(text, place + len(label))):
            yield Code(place + len(label), code, _named_id(text, place))


def _read_code(text: str, place: int) -> str:
    found = _CODE.match(text, place)
    code = found[1].rstrip(".,;:!?)]") if found else ""
    return "" if code.lower() in _NO_CODES else code


def _named_id(text: str, place: int) -> str | None:
    named = _NAMED_ID.findall(text, max(0, place - _NEAR), place)
    return "".join(filter(str.isdecimal, named[-1])) if named else None


def _is_other(before: str) -> bool:
    label = next(label for label in _LABELS if before.endswith(label))
    line = before.removesuffix(label).rpartition("\n")[2].rstrip(" -:/|(")
    if line.endswith((*_OTHERS, *_ELSEWHERE)):
        return True
    if _WIRELESS.search(line):
        return True
    hosts = _LINKED_HOST.findall(line)
    return bool(hosts) and not is_known(hosts[-1])
