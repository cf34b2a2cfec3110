"""From the address that a user gives to the account's calendars (RFC 6764, 5397, 4791 section 6.2.1).

    given address, /.well-known/caldav, / ──► principal ──► home sets ──► collections that are calendars

The address may be any of these itself. What does not answer as a CalDAV server is passed by; only when nothing is left
is the address at fault.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

import httpx
import msgspec

from service.errors import CalendarGone, GrantRejected, RequestRefused, TransientFault
from service.providers.caldav.answers import NotDav
from service.providers.caldav.paths import calendar_id, is_same, path_of
from service.providers.caldav.session import Found, Session
from service.providers.caldav.wire import APPLE, CALDAV, CALENDAR_SERVER, DAV, Row, propfind
from service.providers.protocol import RawCalendar
from service.providers.vevent.text import scan
from service.providers.vevent.zones import recognise

MOST_HOMES: Final = 10
LONGEST_ID: Final = 1024
LARGEST_ZONE: Final = 256 * 1024

_CALENDAR: Final = (
    "D:resourcetype", "D:displayname", "C:calendar-description", "C:supported-calendar-component-set", "C:calendar-timezone",
    "C:calendar-timezone-id", "A:calendar-color", "CS:source", "D:current-user-privilege-set",
)  # fmt: skip
_FIRST: Final = propfind("D:current-user-principal", "C:calendar-home-set", "C:calendar-user-address-set", *_CALENDAR)
_PRINCIPAL: Final = propfind("C:calendar-home-set", "C:calendar-user-address-set")
_HOME: Final = propfind("C:schedule-default-calendar-URL", *_CALENDAR)
_NO_CALENDARS: Final = frozenset(
    {
        f"{CALDAV}schedule-inbox",
        f"{CALDAV}schedule-outbox",
        f"{CALENDAR_SERVER}subscribed",
        f"{CALENDAR_SERVER}notification",
        f"{CALENDAR_SERVER}dropbox-home",
        "{http://nextcloud.com/ns}trash-bin",
        "{http://nextcloud.com/ns}deleted-calendar",
    }
)
_WRITES: Final = frozenset({f"{DAV}write", f"{DAV}write-content", f"{DAV}bind"})


class Estate(NamedTuple):
    """What a login has: its calendars, and the addresses that mail for it goes to, the preferred first."""

    calendars: list[RawCalendar]
    addresses: tuple[str, ...]


class _Principal(NamedTuple):
    homes: tuple[httpx.URL, ...]
    addresses: tuple[str, ...]
    single: RawCalendar | None


async def discover(session: Session) -> Estate:
    """The calendars behind a login. Raises RequestRefused when the address leads to no CalDAV account."""
    principal = await _find_principal(session)
    calendars: dict[str, RawCalendar] = {}
    preferred = principal.single.id if principal.single else ""
    refused: RequestRefused | None = None
    for home in principal.homes[:MOST_HOMES]:
        try:
            found = await session.multistatus("PROPFIND", home, _HOME, depth=1)
        except (CalendarGone, RequestRefused) as error:
            # One of several may be somebody else's, who has taken it back.
            refused = RequestRefused(f"calendar home: {error.reason}")
            continue
        for calendar in _calendars(found):
            calendars.setdefault(calendar.id, calendar)
        preferred = preferred or _default(found)
    if principal.single is not None:
        calendars.setdefault(principal.single.id, principal.single)
    if refused is not None and not calendars:
        raise refused
    return Estate(_with_primary(list(calendars.values()), preferred), principal.addresses)


def zone_of(row: Row) -> str | None:
    """The calendar's zone by its IANA name (RFC 7809, section 5.2, or RFC 4791, section 5.2.2)."""
    if known := recognise(row.text(f"{CALDAV}calendar-timezone-id")):
        return known
    text = row.text(f"{CALDAV}calendar-timezone")
    if not text.strip() or len(text) > LARGEST_ZONE:
        return None
    for header in scan(text.encode("utf-8", "replace")).headers:
        for name, zone in header.zones.items():
            if known := recognise(name) or recognise(zone.location or ""):
                return known
    return None


async def _find_principal(session: Session) -> _Principal:
    """Each address that may know is asked once; a 401 is the end, as each costs a try before the lock."""
    fault: TransientFault | None = None
    reason = ""
    for url in _candidates(session.home):
        try:
            found = await session.multistatus("PROPFIND", url, _FIRST, depth=0)
            principal = await _principal(session, found)
        except NotDav as error:
            reason = reason or error.reason
        except TransientFault as error:
            if not error.reason.startswith("http_"):
                raise
            fault = fault or error
        except CalendarGone:
            pass  # a 404 says less than what else is answered
        except RequestRefused as error:
            reason = reason or error.reason
        else:
            if principal is not None:
                return principal
    if fault is not None:
        raise fault
    raise RequestRefused(f"no CalDAV account at this address: {reason or 'nothing there names one'}")


def _candidates(home: httpx.URL) -> Iterator[httpx.URL]:
    if home.path.strip("/"):
        yield home
    yield home.copy_with(raw_path=b"/.well-known/caldav")
    yield home.copy_with(raw_path=b"/")


async def _principal(session: Session, found: Found) -> _Principal | None:
    """Whose account the first answer speaks of; None where it speaks of nobody's."""
    row = _own_row(found)
    if row is None:
        return None
    single = _calendar(row, found.url)
    principals = row.hrefs(f"{DAV}current-user-principal")
    if not row.hrefs(f"{CALDAV}calendar-home-set") and principals:
        url = found.join(principals[0])
        found = await session.multistatus("PROPFIND", url, _PRINCIPAL, depth=0)
        row = _own_row(found) or row
    homes = row.hrefs(f"{CALDAV}calendar-home-set")
    if not homes and single is None:
        if f"{DAV}unauthenticated" in row.names(f"{DAV}current-user-principal"):
            raise GrantRejected("unauthenticated")
        return None
    addresses = [_mail_address(href) for href in row.hrefs(f"{CALDAV}calendar-user-address-set")]
    return _Principal(
        homes=tuple(dict.fromkeys(found.join(href) for href in homes)),
        addresses=tuple(dict.fromkeys(address for address in addresses if address)),
        single=single,
    )


def _own_row(found: Found) -> Row | None:
    rows = [row for row in found.multistatus.rows if row.found]
    own = [row for row in rows if is_same(path_of(row.href), path_of(found.url.path))]
    return next(iter(own or rows), None)


def _calendars(found: Found) -> Iterator[RawCalendar]:
    for row in found.multistatus.rows:
        calendar = _calendar(row, found.join(row.href)) if row.href else None
        if calendar is not None:
            yield calendar


def _calendar(row: Row, url: httpx.URL) -> RawCalendar | None:
    kinds = row.names(f"{DAV}resourcetype")
    components = row.names(f"{CALDAV}supported-calendar-component-set") - {f"{CALDAV}comp"}
    if f"{CALDAV}calendar" not in kinds or not kinds.isdisjoint(_NO_CALENDARS):
        return None
    # RFC 4791, section 5.2.3: without the property every component is supported.
    if (components and "VEVENT" not in components) or row.hrefs(f"{CALENDAR_SERVER}source"):
        return None
    identifier = calendar_id(url)
    if len(identifier) > LONGEST_ID:
        return None
    color = row.text(f"{APPLE}calendar-color").strip()
    return RawCalendar(
        id=identifier,
        name=row.text(f"{DAV}displayname").strip()[:1024] or unquote(identifier.rstrip("/").rpartition("/")[2]),
        description=row.text(f"{CALDAV}calendar-description").strip()[:4096] or None,
        time_zone=zone_of(row),
        access_role=_role(row.names(f"{DAV}current-user-privilege-set")),
        # Apple adds an alpha channel, which nobody shows.
        color=color[:7] if color.startswith("#") else None,
    )


def _role(privileges: frozenset[str]) -> str | None:
    if not privileges:
        return None
    if f"{DAV}all" in privileges or f"{DAV}write-acl" in privileges:
        return "owner"
    if not privileges.isdisjoint(_WRITES):
        return "writer"
    return "reader" if f"{DAV}read" in privileges else "freeBusyReader"


def _default(found: Found) -> str:
    """The calendar that invitations go to (RFC 6638, section 9.2), where the inbox is listed and says so."""
    for row in found.multistatus.rows:
        if hrefs := row.hrefs(f"{CALDAV}schedule-default-calendar-URL"):
            return calendar_id(found.join(hrefs[0]))
    return ""


def _with_primary(calendars: list[RawCalendar], preferred: str) -> list[RawCalendar]:
    """The named one is primary, else the first by address that can be written, as servers list in any order."""
    names = [calendar.id for calendar in calendars]
    if preferred not in names:
        writable = [calendar.id for calendar in calendars if calendar.access_role in {"owner", "writer", None}]
        preferred = min(writable or names, default="")
    return [msgspec.structs.replace(each, is_primary=each.id == preferred) for each in calendars]


def _mail_address(href: str) -> str:
    text = unquote(href.strip())
    return text[7:].strip().lower() if text[:7].lower() == "mailto:" and "@" in text else ""
