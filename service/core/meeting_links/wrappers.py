"""The table of the services that wrap links in links of their own, and how each hides its target. Never asks them."""

import base64
import binascii
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import msgspec

from service.core.meeting_links.addresses import Address, parameters, suffixes

Target = Callable[[Address], str | None]
DEEPEST: Final = 6
"""Wrappers around one link; a mail that was forwarded through three firms has three."""


class Wrapper(msgspec.Struct, frozen=True, kw_only=True):
    """One form that a service's links have; `hosts` as in the platforms' table, none for any host.

    `target` is what the link leads to, as it was before it was wrapped; without it only the service itself knows.
    """

    name: str
    hosts: tuple[str, ...] = ()
    path: re.Pattern[str]
    target: Target | None = None


def _wrapper(name: str, hosts: str, path: str, target: Target | None = None) -> Wrapper:
    return Wrapper(name=name, hosts=tuple(hosts.split()), path=re.compile(path, re.DOTALL), target=target)


def _named(*names: str) -> Target:
    """The first of the parameters that is there, percent-decoded once."""

    def target(address: Address) -> str | None:
        given = parameters(address.query)
        # What follows `#` is the target's where the wrapper did not escape it.
        tail = f"#{address.fragment}" if address.fragment else ""
        return next((given[name] + tail for name in names if given.get(name)), None)

    return target


def _base64(name: str) -> Target:
    def target(address: Address) -> str | None:
        given = parameters(address.query).get(name, "")
        return _decode(given) if given else None

    return target


def _either(*targets: Target) -> Target:
    def target(address: Address) -> str | None:
        return next((found for each in targets if (found := each(address))), None)

    return target


def _last_segment(address: Address) -> str | None:
    return unquote(address.path.rsplit("/", 1)[-1]) + (f"?{address.query}" if address.query else "")


def _second_segment(scheme: str) -> Target:
    def target(address: Address) -> str | None:
        return scheme + unquote(address.path.split("/")[2])

    return target


def _without_suffix(suffix: str) -> Target:
    def target(address: Address) -> str | None:
        return address.url.replace(address.host, address.host.removesuffix(suffix), 1)

    return target


def _proofpoint_2(address: Address) -> str | None:
    coded = parameters(address.query).get("u")
    return unquote(coded.translate(_PROOFPOINT_2)) if coded else None


_PROOFPOINT_2: Final = str.maketrans("-_", "%/")
_PROOFPOINT_3: Final = re.compile(r"/v3/__(.+)__;([\w-]*)!!", re.DOTALL)
_REMOVED: Final = re.compile(r"\*(?:\*([\w-]))?", re.ASCII)
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _proofpoint_3(address: Address) -> str | None:
    found = _PROOFPOINT_3.search(address.url)
    if found is None:
        return None
    removed = _decode(found[2])
    at = 0

    def restore(token: re.Match[str]) -> str:
        nonlocal at
        count = _ALPHABET.index(token[1]) + 2 if token[1] else 1
        at += count
        return removed[at - count : at]

    return _REMOVED.sub(restore, found[1])


_UNDERSCORED: Final = re.compile(r"___(.+)___", re.DOTALL)
_STARRED: Final = re.compile(r"\*([0-9A-Fa-f]{2})")


def _between_underscores(address: Address) -> str | None:
    found = _UNDERSCORED.search(address.url)
    return _STARRED.sub(r"%\1", found[1]) if found else None


def _decode(coded: str) -> str:
    coded = coded.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(coded + "=" * (-len(coded) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


_URL_SAFE: Final = str.maketrans("-_ ", "+/+")

WRAPPERS: Final = (
    _wrapper(
        "safe_links",
        "*.safelinks.protection.outlook.com *.safelinks.protection.office365.us *.safelinks.protection.outlook.cn",
        r"/?|/GetUrlReputation|/ap/[\w-]+/?",
        _named("url"),
    ),
    _wrapper(
        "teams_chat",
        "=statics.teams.cdn.office.net =teams.public.onecdn.static.microsoft",
        r"/.*safelinks/\d+/atp-safelinks\.html",
        _named("url"),
    ),
    _wrapper(
        "outlook_web",
        "=outlook.office.com =outlook.office365.com =outlook.live.com =outlook.cloud.microsoft",
        r"/mail/safelink\.html",
        _named("url"),
    ),
    _wrapper("outlook_on_premises", "", r"/owa/redir\.aspx", _either(_named("url"), _base64("ref"))),
    _wrapper("defender_cloud_apps", "*.mcas.ms", r".*", _without_suffix(".mcas.ms")),
    _wrapper("google", "google.*", r"/url", _named("q", "url")),
    _wrapper("google_meet_chat", "=meet.google.com", r"/linkredirect", _named("dest")),
    _wrapper("proofpoint_1", "=urldefense.proofpoint.com =urldefense.com =urldefense.us", r"/v1/url", _named("u")),
    _wrapper("proofpoint_2", "=urldefense.proofpoint.com =urldefense.com =urldefense.us", r"/v2/url", _proofpoint_2),
    _wrapper("proofpoint_3", "=urldefense.com =urldefense.us =urldefense.proofpoint.com", r"/v3/__.+", _proofpoint_3),
    _wrapper("barracuda", "=linkprotect.cudasvc.com", r"/url", _named("a")),
    _wrapper("cisco", "=secure-web.cisco.com", r"/[^/]+/.+", _last_segment),
    _wrapper("sophos", "*.protection.sophos.com", r"/?", _base64("u")),
    _wrapper(
        "trellix", "=protect.fireeye.com =protect2.fireeye.com =protect3.fireeye.com", r"(?:/v\d)?/url", _named("u")
    ),
    _wrapper(
        "check_point_2", "=protect.checkpoint.com =url.avanan.click", r"/v2/(?:r\d+/)?___.+", _between_underscores
    ),
    _wrapper("check_point_1", "*.url-protection.com =protect.checkpoint.com", r"/v1/(?:r\d+/)?url", _named("o")),
    _wrapper("symantec", "=clicktime.symantec.com", r"(?!/a/1/)/.+", _named("u")),
    _wrapper("symantec_older", "=clicktime.symantec.com", r"/a/1/.+"),
    _wrapper("slack", "=slack-redir.net", r"/link", _named("url")),
    _wrapper(
        "meta", "=l.facebook.com =lm.facebook.com =l.instagram.com =l.messenger.com", r"/(?:l\.php)?", _named("u")
    ),
    _wrapper("linkedin", "=www.linkedin.com =linkedin.com", r"/safety/go/?|/redir/redirect", _named("url")),
    _wrapper("amazon_ses", "*.awstrack.me", r"/L\d+/[^/]+/.*", _second_segment("")),
    _wrapper("postmark", "=click.pstmrk.it", r"/\ds?/[^/]+(?:/.*)?", _second_segment("https://")),
    _wrapper("mimecast", "*.mimecast.com *.mimecastprotect.com", r"/(?:s|r)/.+"),
    _wrapper("email_protection", "=url.emailprotection.link", r".*"),
    _wrapper("sendgrid", "*.sendgrid.net", r"/(?:ls|wf|uni|asm)/.*"),
    _wrapper("sendgrid_own_host", "", r"/ls/click"),
    _wrapper("mailchimp", "*.list-manage.com *.mailchi.mp =mailchi.mp", r"/.+"),
    _wrapper("hubspot", "*.hubspotlinks.com *.hubspotemail.net *.hs-sites.com =hubs.ly =hubs.li", r"/.+"),
    _wrapper(
        "shortener",
        "bit.ly tinyurl.com =t.co ow.ly is.gd buff.ly rebrand.ly short.gy =goo.gl cutt.ly t.ly lnkd.in shorturl.at "
        "rb.gy tiny.cc =tiny.one =v.gd =bl.ink =s.id =a.co =zpr.io =dub.sh =trib.al",
        r"/.+",
    ),
)
"""In the order in which they are tried on one host."""


def _index() -> tuple[dict[str, tuple[Wrapper, ...]], dict[str, tuple[Wrapper, ...]], tuple[Wrapper, ...]]:
    exact: dict[str, tuple[Wrapper, ...]] = {}
    below: dict[str, tuple[Wrapper, ...]] = {}
    for wrapper in WRAPPERS:
        for host in wrapper.hosts:
            name = host.lstrip("=*.")
            if not host.startswith("*."):
                exact[name] = (*exact.get(name, ()), wrapper)
            if not host.startswith("="):
                below[name] = (*below.get(name, ()), wrapper)
    return exact, below, tuple(each for each in WRAPPERS if not each.hosts)


_EXACT, _BELOW, _ANYWHERE = _index()
_PATHS_ANYWHERE: Final = ("/owa/redir.aspx", "/ls/click")
"""A look at these spares a match of the rows without hosts for nearly every address."""
_GOOGLE: Final = re.compile(r"(?:www\.)?google\.(?:com?\.)?[a-z]{2,3}")
_GOOGLE_ROWS: Final = _EXACT.pop("google.*")


def find_wrapper(address: Address) -> Wrapper | None:
    """The row that an address answers to, or None."""
    rows = _rows_of(address.host)
    if address.path in _PATHS_ANYWHERE:
        rows = (*rows, *_ANYWHERE)
    return next((row for row in rows if row.path.fullmatch(address.path)), None) if rows else None


@lru_cache(maxsize=2048)
def _rows_of(host: str) -> tuple[Wrapper, ...]:
    rows = _EXACT.get(host, ())
    for name in suffixes(host)[1:]:
        if name in _BELOW:
            rows += _BELOW[name]
    if "google." in host and _GOOGLE.fullmatch(host):
        rows += _GOOGLE_ROWS
    return rows


_NO_SCHEME: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+/")
_ONE_SLASH: Final = re.compile(r"(https?:)/+", re.IGNORECASE)


def unwrap(wrapper: Wrapper, address: Address) -> str | None:
    """What a wrapped address leads to, or None; a scheme that lost a slash has both again, one that is missing is https."""
    target = (wrapper.target(address) or "").strip() if wrapper.target else ""
    if _NO_SCHEME.match(target):
        return f"https://{target}"
    return _ONE_SLASH.sub(r"\1//", target, count=1) if target else None
