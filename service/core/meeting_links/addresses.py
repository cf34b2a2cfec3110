"""Web addresses as anybody may have written them: which are fit to be sent a bot to, and their parts in one spelling."""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

import idna

LONGEST_HOST: Final = 253
"""Of a name in the DNS (RFC 1035, section 2.3.4, as text); a longer one leads nowhere, and takes long to look at."""
LONGEST_URL: Final = 8192

_PARTS: Final = re.compile(r"https?://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.IGNORECASE | re.DOTALL)
_UNFIT: Final = re.compile(
    r"[\x00-\x20\\\x7f-\xa0\u00ad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]"
)
"""What no address has: blanks and controls, what turns or hides text, half characters, and what browsers read as a slash."""
_HOST: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})")
_END: Final = re.compile(r"[<>`]")
"""Where an address ends that somebody wrapped or linked with what stood behind it; quotes are part of Teams' raw JSON."""
_PORT: Final = re.compile(r":(?:443|80)?$")
_PRIVATE: Final = frozenset(
    {"local", "localhost", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "onion", "arpa"}
)
_DOTS: Final = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_DOT: Final = re.compile(r"%2e", re.IGNORECASE)


class Address(NamedTuple):
    """A fit address: `url` as it is to be used (https), `host` in lower-case ASCII, the others as they were written."""

    url: str
    host: str
    path: str
    query: str
    fragment: str


def read_address(url: str) -> Address | None:
    """The parts of an http or https address of a public host, or None. Never raises.

    http becomes https, the ports 80 and 443 and a trailing dot of the host go, a non-ASCII host is mapped (UTS 46), dot
    segments are resolved (WHATWG URL, 4.4), and a tail that belongs to the text around it goes. Refused: other schemes and ports, user names, IP addresses, private names,
    `%`, blanks and controls in the host, backslashes, and what is too long.
    """
    if "<" in url or ">" in url or '"' in url or "`" in url:
        url = _without_end(url)
    if len(url) > LONGEST_URL or _UNFIT.search(url):
        return None
    parts = _PARTS.fullmatch(url)
    if parts is None:
        return None
    authority, path, query, fragment = parts[1], parts[2], parts[3], parts[4]
    host = _read_host(authority)
    if host is None:
        return None
    if "/." in path or ("%2" in path and _DOTS.search(path)):
        path = _resolve(path)
    if host == authority and url.startswith("https://" + host + path):
        return Address(url, host, path, query or "", fragment or "")
    tail = url[parts.end(2) :]
    return Address(f"https://{host}{path}{tail}", host, path, query or "", fragment or "")


def parameters(query: str) -> dict[str, str]:
    """The first value of each parameter by its name in lower case, percent-decoded once; a plus stays a plus.

    `&amp;`, as texts have it, separates like `&`.
    """
    found: dict[str, str] = {}
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if equals:
            name = name.removeprefix("amp;").lower()
            if name not in found:
                found[name] = unquote(value) if "%" in value else value
    return found


def suffixes(host: str) -> list[str]:
    """The host itself and what is left of it label by label, the longest first; the last label alone is left out."""
    found = [host]
    at = host.find(".")
    while at != -1 and (after := host.find(".", at + 1)) != -1:
        found.append(host[at + 1 :])
        at = after
    return found


def _without_end(url: str) -> str:
    url = _END.split(url, maxsplit=1)[0]
    quote = url.find('"')
    return url[:quote] if quote != -1 and "{" not in url[:quote] else url


def _read_host(authority: str) -> str | None:
    if len(authority) > LONGEST_HOST + 4:
        return None
    if ":" in authority:
        authority = _PORT.sub("", authority)
    host = authority.lower()
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return None
    host = host.removesuffix(".")
    if len(host) > LONGEST_HOST or not _HOST.fullmatch(host) or host[host.rfind(".") + 1 :] in _PRIVATE:
        return None
    return host


def _resolve(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for number, segment in enumerate(segments):
        dots = _DOT.sub(".", segment) if len(segment) <= len("%2e%2e") else segment
        if dots == "..":
            if len(kept) > 1:
                kept.pop()
        elif dots != ".":
            kept.append(segment)
        if dots in {".", ".."} and number == len(segments) - 1:
            kept.append("")
    return "/".join(kept) or "/"
