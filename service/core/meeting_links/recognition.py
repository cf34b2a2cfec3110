"""Which meeting a link leads to, if any: unwrapped, rewritten to https, and held against the table of the platforms."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

from service.core.meeting_links.addresses import Address, parameters, read_address
from service.core.meeting_links.evidence import MeetingHost
from service.core.meeting_links.platforms import BY_NAME, UNKNOWN, forms_of, is_known
from service.core.meeting_links.platforms.forms import RETIRED, Form, Platform
from service.core.meeting_links.strangers import is_stranger
from service.core.meeting_links.wrappers import DEEPEST, find_wrapper, unwrap

REGISTRATION_REQUIRED: Final = "registration_required"
WRAPPED_UNRESOLVED: Final = "wrapped_unresolved"

Key = tuple[str, ...]
Hosts = Mapping[str, MeetingHost]


class Room(NamedTuple):
    """A meeting that a link leads to.

    `code` is a passcode as people type it, `token` an opaque key in the link; `key` is equal for links to one meeting.
    With `typed` an invitation's text may have a code; `is_whole` says that the link itself lacks nothing.
    """

    url: str
    platform: str
    tier: int
    key: Key
    meeting_id: str | None = None
    code: str | None = None
    token: str | None = None
    typed: bool = False
    is_whole: bool = True
    hint: str | None = None


Finding = Room | str | None
"""A room, a hint at what the link is instead, or nothing."""


class Whereabouts(NamedTuple):
    """Where a link was found, as far as it matters for what it may be."""

    glued: bool = False
    """In running text, where the next word may stick to it."""
    place: bool = False
    """In a field for a place, where people put rooms of their own servers."""


NOWHERE: Final = Whereabouts()


def recognise(url: str, hosts: Hosts, where: Whereabouts = NOWHERE) -> Finding:
    """What a link leads to. Never raises; asks nobody."""
    address = read_address(_rewrite(url) or url)
    for _ in range(DEEPEST):
        wrapper = find_wrapper(address) if address else None
        if address is None or wrapper is None:
            break
        if wrapper.target is None:
            return _unresolved(address)
        target = unwrap(wrapper, address)
        address = read_address(_rewrite(target) or target) if target else None
    return _judge(address, hosts, where) if address else None


def recognise_unknown(url: str, platform: str | None) -> Room | None:
    """A provider's link on a host that nobody knows; of whose `platform` its field may tell."""
    address = read_address(url)
    if address is None or is_known(address.host) or is_stranger(address.host) or find_wrapper(address):
        return None
    key = (platform or UNKNOWN, address.host, address.path, address.query, address.fragment)
    row = BY_NAME.get(platform or "")
    hint = RETIRED if row and row.forms and all(form.hint == RETIRED for form in row.forms) else None
    return Room(address.url, platform or UNKNOWN, row.tier if row else 3, key, hint=hint)


_NATIVE: Final = re.compile(
    r"(zoommtg|zoomus|msteams):(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?.*", re.IGNORECASE | re.DOTALL
)


def _rewrite(url: str) -> str | None:
    """An address for a desktop client (`zoommtg:`, `zoomus:`, `msteams:`) as one for browsers; None for any other."""
    if url[:1] not in "zmZM":
        return None
    parts = _NATIVE.fullmatch(url)
    if parts is None:
        return None
    is_teams = parts[1].lower() == "msteams"
    host, path, query = parts[2] or "", parts[3], parts[4] or ""
    if not is_known(host.lower()) and (host or not is_teams):
        return None
    if is_teams:
        return f"https://{host or 'teams.microsoft.com'}{path}" + (f"?{query}" if query else "")
    given = parameters(query)
    if path.rstrip("/") != "/join" or not given.get("confno", "").isdigit():
        return None
    kept = [f"{name}={given[name]}" for name in ("pwd", "tk") if given.get(name)]
    return f"https://{host}/j/{given['confno']}" + (f"?{'&'.join(kept)}" if kept else "")


def _unresolved(address: Address) -> str | None:
    """A hint, unless the wrapper itself says that its target is on a host without meetings (Mimecast's `domain=`)."""
    domain = parameters(address.query).get("domain")
    return None if domain and not is_known(domain.lower()) else WRAPPED_UNRESOLVED


def _judge(address: Address, hosts: Hosts, where: Whereabouts) -> Finding:
    hint = None
    for platform, form in forms_of(address.host):
        found = _fit(address, platform, form, where)
        if isinstance(found, Room):
            return found
        hint = hint or found
    if hint:
        return hint
    own = hosts.get(address.host)
    if own is None and (not where.place or is_known(address.host) or is_stranger(address.host)):
        return None
    return _own_room(address, own)


def _fit(address: Address, platform: Platform, form: Form, where: Whereabouts) -> Finding:
    """The room, by one form; a registration page is a hint at itself."""
    matched = _match(address, platform, form, where)
    if matched is None:
        return None
    if form.outcome == "registration":
        return REGISTRATION_REQUIRED
    address, groups = matched
    if where.glued and form.token_in:
        address = _cut_key(address)
    given = parameters(address.query) if address.query else {}
    if form.needs and not given.get(form.needs):
        return None
    if form.inner:
        return _inner(address, platform, form)
    if form.fragment and "?" in address.fragment:
        given = {**given, **parameters(address.fragment.partition("?")[2])}
    return _room(address, platform, form, given, groups)


def _match(
    address: Address, platform: Platform, form: Form, where: Whereabouts
) -> tuple[Address, dict[str, str | None]] | None:
    """The address without what is glued to its path, and the groups of the form's patterns; None if it has another form."""
    path = address.path.rstrip("/")
    match = form.path.match(path)
    if match is None:
        return None
    end = match.end()
    if end != len(path):
        if not form.glued:
            return None
        if path.startswith("/", end):
            if platform.name != "zoom":
                return None
        elif where.glued or path.startswith("%", end):
            address = _cut(address, end)
        else:
            return None
    tail = form.fragment.fullmatch(address.fragment) if form.fragment else None
    if form.fragment and tail is None:
        return None
    return address, {**match.groupdict(), **(tail.groupdict() if tail else {})}


def _room(
    address: Address, platform: Platform, form: Form, given: Mapping[str, str], groups: Mapping[str, str | None]
) -> Room:
    meeting_id = next((given[name] for name in form.id_in if given.get(name)), None) or groups.get("id")
    code = next((given[name] for name in form.code_in if given.get(name)), None) or groups.get("code")
    token = next((given[name] for name in form.token_in if given.get(name)), None)
    if platform.tier == 1 and meeting_id:
        meeting_id = _plain_id(platform.name, meeting_id)
    return Room(
        address.url,
        platform.name,
        platform.tier,
        _key(address, platform, meeting_id, form),
        meeting_id,
        code,
        token,
        typed=form.typed and not code,
        is_whole=bool(code or token) or not (form.code_in or form.token_in),
        hint=form.hint,
    )


def _cut(address: Address, end: int) -> Address:
    path = address.path[:end]
    return Address(f"https://{address.host}{path}", address.host, path, "", "")


_KEY_END: Final = re.compile(r"(?:^|[&;])pwd=[\w-]+\.\d(?=[A-Z][a-z])", re.ASCII)


def _cut_key(address: Address) -> Address:
    """Without the word that a lost line break left behind Zoom's key, which has one dot, before the last of it."""
    end = _KEY_END.search(address.query) if "." in address.query else None
    if end is None:
        return address
    query = address.query[: end.end()]
    return Address(f"https://{address.host}{address.path}?{query}", address.host, address.path, query, "")


def _inner(address: Address, platform: Platform, form: Form) -> Finding:
    target = form.inner(address) if form.inner else None
    if target is None:
        return None
    meant = Address(address.url, address.host, target[0], target[1], "")
    for each in platform.forms:
        if (
            each.inner is None
            and each.outcome == "meeting"
            and isinstance(found := _fit(meant, platform, each, NOWHERE), Room)
        ):
            return found._replace(url=address.url)
    return None


def _plain_id(platform: str, meeting_id: str) -> str:
    if platform == "google_meet" and "/" not in meeting_id:
        return meeting_id.lower()
    if platform == "microsoft_teams":
        return unquote(unquote(meeting_id))
    if platform == "zoom" and not meeting_id.isdigit():
        return f"my/{meeting_id}"
    return meeting_id


def _key(address: Address, platform: Platform, meeting_id: str | None, form: Form) -> Key:
    if meeting_id is None or platform.same == "place":
        fragment = address.fragment if form.fragment else ""
        told = parameters(address.query).get(form.needs, "") if form.needs else ""
        return (platform.name, address.host, address.path.rstrip("/"), told, fragment)
    if platform.same == "host":
        return (platform.name, address.host, meeting_id)
    return (platform.name, _FAMILIES.get(".".join(address.host.split(".")[-2:]), ""), meeting_id)


_FAMILIES: Final = {"zoomgov.com": "zoomgov", "zoom-x.de": "zoom-x", "com.cn": "zoom.com.cn"}
"""Zoom's clouds that share no meeting with zoom.us; zoom.com is the same as that."""

_OWN_ROOMS: Final = (
    (
        "bigbluebutton",
        re.compile(
            r"(?:/[\w-]+)?/(?:b/(?P<a>[\w]{2,}(?:-\w{3}){2,3})|rooms/(?P<b>\w{2,}(?:-\w{3}){2,3})(?:/join)?)", re.ASCII
        ),
    ),
    ("nextcloud_talk", re.compile(r"(?:/nextcloud)?(?:/index\.php)?/call/(?P<a>[a-z0-9]{6,32})", re.ASCII)),
)
_OWN_JITSI: Final = re.compile(r"/(?!static/|libs/|images/)(?P<a>[^/]+(?:/[^/]+)?)")
_OWN_ANY: Final = re.compile(r"/(?P<a>[^?#]+)")


def _own_room(address: Address, own: MeetingHost | None) -> Room | None:
    """A room on a server of somebody's own: one that was named to us, or, in a field for places, one whose path tells."""
    path = address.path.rstrip("/")
    for name, pattern in _OWN_ROOMS:
        if (own is None or own.platform in {None, name}) and (found := pattern.fullmatch(path)):
            return _own(address, name, next(group for group in found.groups() if group))
    if own is None:
        return None
    platform = own.platform or "jitsi"
    pattern = _OWN_JITSI if platform == "jitsi" else _OWN_ANY
    found = pattern.fullmatch(path)
    return _own(address, platform, found["a"]) if found else None


def _own(address: Address, platform: str, meeting_id: str) -> Room:
    key = (platform, address.host, address.path.rstrip("/"))
    return Room(address.url, platform, BY_NAME[platform].tier, key, meeting_id)
