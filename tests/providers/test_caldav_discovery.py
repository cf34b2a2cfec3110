"""From an address to calendars, as the servers that are in use answer; and to whom a password is told on the way."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from caldav_server import BASIC, Asked, ScriptedServer, calendar, multistatus, redirect, response, row
from forked_expander import ForkedExpander
from loopback import serve_script
from radicale_server import LOOPBACK

from service.core.credentials import CaldavCredentials
from service.errors import GrantRejected, RequestRefused, TransientFault
from service.providers.addresses import Policy
from service.providers.caldav.client import CaldavCalendar
from service.providers.caldav.logins import Logins
from service.providers.caldav.session import Session
from service.providers.guarded_http import Slots
from service.providers.protocol import Access
from service.providers.vevent.expansion import Expander

pytestmark = pytest.mark.anyio

WELL_KNOWN = "PROPFIND /.well-known/caldav"
PRINCIPAL = "<d:current-user-principal><d:href>/p/ada/</d:href></d:current-user-principal>"
HOME = "<c:calendar-home-set><d:href>/cal/ada/</d:href></c:calendar-home-set>"
ADDRESSES = (
    "<c:calendar-user-address-set><d:href>mailto:a.lovelace@example.com</d:href><d:href>/p/ada/</d:href>"
    '<d:href preferred="1">MAILTO:Ada@example.com</d:href></c:calendar-user-address-set>'
)
LOGIN_PAGE = response(b"<!DOCTYPE html><html><body>Sign in</body></html>", 200, content_type="text/html")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PRIVILEGES = "<d:current-user-privilege-set>{}</d:current-user-privilege-set>"


def privileges(*names: str) -> str:
    return PRIVILEGES.format("".join(f"<d:privilege><d:{name}/></d:privilege>" for name in names))


class Place:
    """A server, a login at it, and the provider that is asked."""

    def __init__(self, server: ScriptedServer, url: str, access: Access, expander: Expander) -> None:
        self.server = server
        self.url = url
        self.access = access
        self.provider = CaldavCalendar(expander, LOOPBACK)
        self.username = "ada"
        server.answers = {
            WELL_KNOWN: redirect(301, "/dav/"),
            "PROPFIND /dav/": multistatus(row("/dav/", PRINCIPAL)),
            "PROPFIND /p/ada/": multistatus(row("/p/ada/", HOME + ADDRESSES)),
            "PROPFIND /cal/ada/": multistatus(row("/cal/ada/work/", calendar("Work"))),
        }

    def login(self, path: str = "") -> Access:
        given = CaldavCredentials(server_url=f"{self.url}{path}", username=self.username, password="opensesame")
        return Access(http=self.access.http, token=given.secret, client_key="", user_key="")

    async def names(self, path: str = "") -> list[str]:
        return sorted(each.name for each in await self.provider.calendars(self.login(path)))


@pytest.fixture
async def place(anyio_backend):
    server = ScriptedServer()
    slots = Slots(1, LOOPBACK)
    async with ForkedExpander() as expander, serve_script(server.answer) as served, slots.borrow() as http:
        yield Place(server, served.url, Access(http=http, token="", client_key="", user_key=""), expander)
    await slots.aclose()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_with_the_same_question(place: Place, status: int):
    place.server.answers[WELL_KNOWN] = redirect(status, "/dav/")
    assert await place.names() == ["Work"]
    first, second, *rest = place.server.asked
    assert (second.method, second.path, second.body) == ("PROPFIND", "/dav/", first.body)
    assert [(each.path, each.headers["depth"]) for each in rest] == [("/p/ada/", "0"), ("/cal/ada/", "1")]
    assert all(each.headers["content-type"] == "application/xml; charset=utf-8" for each in place.server.asked)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("", id="the-host"),
        pytest.param("/dav/", id="what-names-the-principal"),
        pytest.param("/p/ada/", id="the-principal"),
        pytest.param("/cal/ada/", id="the-home"),
        pytest.param("/cal/ada/work/", id="the-calendar"),
        pytest.param("/not/there", id="something-that-is-not-there"),
    ],
)
async def test_whichever_address_is_given(place: Place, path: str):
    place.server.answers["PROPFIND /cal/ada/"] = lambda asked: multistatus(
        row("/cal/ada/", PRINCIPAL),
        *([row("/cal/ada/work/", calendar("Work"))] if asked.headers["depth"] == "1" else []),
    )
    place.server.answers["PROPFIND /cal/ada/work/"] = multistatus(row("/cal/ada/work/", calendar("Work") + PRINCIPAL))
    assert await place.names(path) == ["Work"]


async def test_a_calendar_without_a_principal_is_the_whole_account(place: Place):
    place.server.answers = {"PROPFIND /shared/cal": multistatus(row("/shared/cal/", calendar("Shared")))}
    (found,) = await place.provider.calendars(place.login("/shared/cal"))
    assert (found.id, found.is_primary) == (f"{place.url}/shared/cal/", True)


async def test_a_calendar_that_is_named_is_the_primary_one(place: Place):
    place.server.answers["PROPFIND /cal/ada/"] = multistatus(
        row("/cal/ada/a/", calendar("A")), row("/cal/ada/b/", calendar("B"))
    )
    place.server.answers["PROPFIND /cal/ada/b/"] = multistatus(row("/cal/ada/b/", calendar("B") + PRINCIPAL))
    found = await place.provider.calendars(place.login("/cal/ada/b/"))
    assert {each.name: each.is_primary for each in found} == {"A": False, "B": True}


async def test_the_root_is_the_last_resort(place: Place):
    place.server.answers[WELL_KNOWN] = response(b"", 404)
    place.server.answers["PROPFIND /"] = multistatus(row("/", PRINCIPAL))
    assert await place.names() == ["Work"]


async def test_only_calendars_with_events_are_calendars(place: Place):
    names = "<c:supported-calendar-component-set>{}</c:supported-calendar-component-set>"
    todo = names.format('<c:comp name="VTODO"/>')
    both = names.format('<c:comp name="VTODO"/><c:comp name="VEVENT"/>')
    place.server.answers["PROPFIND /cal/ada/"] = multistatus(
        row("/cal/ada/", "<d:resourcetype><d:collection/></d:resourcetype>"),
        row("/cal/ada/1/", calendar("All")),
        row("/cal/ada/2/", calendar("Both", both)),
        row("/cal/ada/3/", calendar("Tasks", todo)),
        row("/cal/ada/4/", calendar("In", kind="<c:schedule-inbox/>")),
        row("/cal/ada/5/", calendar("Out", kind="<c:schedule-outbox/>")),
        row("/cal/ada/6/", calendar("Feed", kind="<c:calendar/><s:subscribed/>")),
        row("/cal/ada/7/", calendar("Source", "<s:source><d:href>https://x.example/f.ics</d:href></s:source>")),
        row("/cal/ada/8/", calendar("Gone", kind="<c:calendar/><n:deleted-calendar/>")),
        row("/cal/ada/9/", calendar("Bin", kind="<n:trash-bin/>")),
        row("/cal/ada/10/", calendar("Fake", kind="<d:calendar/>")),
        row("/cal/ada/11/", status="403"),
    )
    assert await place.names() == ["All", "Both"]


async def test_what_a_calendar_says_of_itself(place: Place):
    zone = (
        "<c:calendar-timezone>BEGIN:VCALENDAR&#13;\nBEGIN:VTIMEZONE\nTZID:Custom\nX-LIC-LOCATION:Europe/Vienna\n"
        "END:VTIMEZONE\nEND:VCALENDAR</c:calendar-timezone>"
    )
    extra = f"<a:calendar-color>#FF2968FF</a:calendar-color>{zone}"
    named = "<c:calendar-timezone-id>America/New_York</c:calendar-timezone-id>"
    inbox = "<c:schedule-default-calendar-URL><d:href>/cal/ada/three</d:href></c:schedule-default-calendar-URL>"
    place.server.answers["PROPFIND /cal/ada/"] = multistatus(
        row("/cal/ada/one/", calendar("One", extra + privileges("read", "read-free-busy"))),
        row("/cal/ada/two/", calendar("", named + privileges("read", "write-content"))),
        row("/cal/ada/three/", calendar("Three", privileges("all", "read"))),
        row("/cal/ada/four/", calendar("Four", privileges("read-free-busy"))),
        row("/cal/ada/inbox/", calendar("Inbox", inbox, kind="<c:schedule-inbox/>")),
    )
    one, two, three, four = await place.provider.calendars(place.login())
    assert (one.id, one.name, one.color) == (f"{place.url}/cal/ada/one/", "One", "#FF2968")
    assert (one.time_zone, two.time_zone, three.time_zone) == ("Europe/Vienna", "America/New_York", None)
    assert two.name == "two"
    assert [each.access_role for each in (one, two, three, four)] == ["reader", "writer", "owner", "freeBusyReader"]
    assert [each.is_primary for each in (one, two, three, four)] == [False, False, True, False]


async def test_whose_account_it_is(place: Place):
    access = place.login()
    account = await place.provider.account(access, await place.provider.calendars(access))
    assert (account.id, account.email) == ("ada@127.0.0.1", "ada@example.com")
    assert len([each for each in place.server.asked if each.path == "/p/ada/"]) == 1
    place.username = "a.lovelace@example.com"
    account = await place.provider.account(place.login(), [])
    assert (account.id, account.email) == ("a.lovelace@example.com@127.0.0.1", "a.lovelace@example.com")


@pytest.mark.parametrize(
    ("answer", "error", "requests"),
    [
        pytest.param(LOGIN_PAGE, RequestRefused, 2, id="a-login-page-everywhere"),
        pytest.param(response(b"", 404), RequestRefused, 2, id="nothing-there"),
        pytest.param(response(b"", 403), RequestRefused, 2, id="forbidden"),
        pytest.param(response(b"", 401, www_authenticate='Basic realm="x"'), GrantRejected, 1, id="a-wrong-password"),
        pytest.param(response(b"", 503, x_nextcloud_maintenance_mode="1"), TransientFault, 1, id="maintenance"),
        pytest.param(response(b"", 502), TransientFault, 2, id="an-outage"),
        pytest.param(multistatus(row("/", "<d:current-user-principal><d:unauthenticated/></d:current-user-principal>")), GrantRejected, 1, id="nobody"),
    ],
)  # fmt: skip
async def test_an_address_that_is_no_account(place: Place, answer: bytes, error: type[Exception], requests: int):
    place.server.answers = {WELL_KNOWN: answer, "PROPFIND /": answer}
    with pytest.raises(error):
        await place.names()
    assert len(place.server.asked) == requests


async def test_one_home_of_two_may_be_closed(place: Place):
    homes = HOME + "<c:calendar-home-set><d:href>/cal/ada/</d:href><d:href>/cal/bob/</d:href></c:calendar-home-set>"
    place.server.answers["PROPFIND /p/ada/"] = multistatus(row("/p/ada/", homes))
    place.server.answers["PROPFIND /cal/bob/"] = response(b"", 403)
    assert await place.names() == ["Work"]
    place.server.answers["PROPFIND /cal/ada/"] = response(b"", 403)
    with pytest.raises(RequestRefused, match="calendar home"):
        await place.names()


async def test_redirects_end(place: Place):
    place.server.answers = {WELL_KNOWN: redirect(302, "/.well-known/caldav"), "PROPFIND /": redirect(302, "/")}
    with pytest.raises(TransientFault, match="redirects"):
        await place.names()
    assert len(place.server.asked) == 6


async def test_a_password_is_told_to_the_host_that_the_user_named_and_to_no_other(place: Place):
    other = ScriptedServer()
    other.answers["/dav/"] = response(b"", 401, www_authenticate='Basic realm="x"')
    async with serve_script(other.answer) as served:
        place.server.answers[WELL_KNOWN] = redirect(301, f"{served.url}/dav/")
        with pytest.raises(RequestRefused, match="give an address there"):
            await place.names()
        assert [each.headers.get("authorization") for each in other.asked] == [None]
        assert all(each.headers["authorization"] == BASIC for each in place.server.asked)
        # The same of an absolute address in an answer.
        place.server.answers[WELL_KNOWN] = multistatus(row("/", HOME.replace("/cal/ada/", f"{served.url}/dav/")))
        with pytest.raises(RequestRefused, match="give an address there"):
            await place.names()
        assert [each.headers.get("authorization") for each in other.asked] == [None, None]


@pytest.mark.parametrize(
    ("home", "url", "told"),
    [
        pytest.param("https://dav.example.com/", "https://dav.example.com/x", True, id="the-same"),
        pytest.param("https://dav.example.com/", "https://DAV.example.com:443/x", True, id="the-same-otherwise-spelt"),
        pytest.param("https://dav.example.com/", "https://dav.example.com:8443/", False, id="another-port"),
        pytest.param("https://dav.example.com/", "http://dav.example.com/", False, id="without-tls"),
        pytest.param("http://dav.example.com/", "https://dav.example.com/", True, id="with-tls-after-all"),
        pytest.param("https://dav.example.com/", "https://evil.example.com/", False, id="a-sister"),
        pytest.param("https://caldav.icloud.com/", "https://p42-caldav.icloud.com/", True, id="within-icloud"),
        pytest.param(
            "https://caldav.icloud.com/", "http://p42-caldav.icloud.com/", False, id="within-icloud-without-tls"
        ),
        pytest.param("https://caldav.icloud.com/", "https://evil-icloud.com/", False, id="not-icloud"),
        pytest.param("https://dav.example.com/", "https://p42-caldav.icloud.com/", False, id="into-icloud"),
    ],
)
async def test_who_may_know(place: Place, home: str, url: str, told: bool):
    login = CaldavCredentials(server_url=home, username="ada", password="x")
    session = Session(place.access, login, policy=LOOPBACK, clock=lambda: NOW, logins=Logins())
    assert session._may_know(httpx.URL(url)) is told


@pytest.mark.parametrize(
    ("target", "url"),
    [
        pytest.param("/dav/#x", "https://dav.example.com:8443/dav/", id="relative"),
        pytest.param("http://dav.example.com/dav/", "https://dav.example.com:8443/dav/", id="a-proxy-took-off-tls"),
        pytest.param("https://other.example.com/", "https://other.example.com/", id="another-host"),
        pytest.param("http://other.example.com/", None, id="another-host-without-tls"),
        pytest.param("http://dav.example.com:8080/", None, id="another-port-without-tls"),
        pytest.param("https://[::1/", None, id="no-address"),
    ],
)
async def test_where_a_redirect_leads(place: Place, target: str, url: str | None):
    login = CaldavCredentials(server_url="https://dav.example.com:8443/", username="ada", password="x")
    session = Session(place.access, login, policy=LOOPBACK, clock=lambda: NOW, logins=Logins())
    if url is not None:
        assert str(session._redirected(session.home, target)) == url
        return
    with pytest.raises((RequestRefused, TransientFault)):
        session._redirected(session.home, target)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("http://10.0.0.1/", id="a-private-address"),
        pytest.param("http://169.254.169.254/latest", id="a-clouds-metadata"),
        pytest.param("http://user:pass@127.0.0.1/", id="somebody-elses-login"),
        pytest.param("file:///etc/passwd", id="a-file"),
        pytest.param("http://metadata.internal/", id="an-inner-name"),
    ],
)
async def test_a_redirect_leads_nowhere_else(place: Place, target: str):
    place.server.answers = {WELL_KNOWN: redirect(302, target), "PROPFIND /": redirect(302, target)}
    with pytest.raises(RequestRefused, match="blocked_url"):
        await place.names()


async def test_http_is_for_networks_that_the_operator_has_opened(place: Place):
    place.provider = CaldavCalendar(place.provider.expander, Policy())
    with pytest.raises(RequestRefused, match="blocked_url"):
        await place.names()
    assert place.server.asked == []


def digest_server(place: Place, path: str, inner: bytes, seen: list[str]):
    """Asks for Digest (RFC 7616) under a nonce that changes when `seen` is emptied, and judges the answer."""

    def answer(asked: Asked) -> bytes:
        nonce = f"n{len([each for each in seen if each == 'stale'])}"
        challenge = response(
            b"", 401, www_authenticate=f'Digest realm="dav", nonce="{nonce}", qop="auth", algorithm=SHA-256'
        )
        told = dict(re.findall(r'(\w+)="?([^",]+)"?', asked.headers.get("authorization", "")))
        seen.append("asked")
        if told.get("nonce") != nonce:
            return challenge
        ha1 = hashlib.sha256(b"ada:dav:opensesame").hexdigest()
        ha2 = hashlib.sha256(f"{asked.method}:{path}".encode()).hexdigest()
        whole = f"{ha1}:{nonce}:{told['nc']}:{told['cnonce']}:auth:{ha2}"
        return inner if hashlib.sha256(whole.encode()).hexdigest() == told["response"] else challenge

    return answer


async def test_digest_where_it_is_asked_for_and_from_then_on_at_once(place: Place):
    seen: list[str] = []
    place.server.answers = {"PROPFIND /c/": digest_server(place, "/c/", multistatus(row("/c/", calendar("C"))), seen)}
    assert await place.names("/c/") == ["C"]
    assert len(seen) == 2
    assert await place.names("/c/") == ["C"]
    assert len(seen) == 3
    seen.append("stale")
    assert await place.names("/c/") == ["C"]
    assert seen[3:] == ["stale", "asked", "asked"]


async def test_a_digest_that_is_refused_is_not_tried_again(place: Place):
    challenge = response(b"", 401, www_authenticate='Digest realm="dav", nonce="n", qop="auth"')
    place.server.answers = {"PROPFIND /c/": challenge}
    with pytest.raises(GrantRejected):
        await place.names("/c/")
    assert len(place.server.asked) == 2


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="x", nonce="n", algorithm=NONSENSE',
        "Digest nonsense",
        'Digest realm="x", nonce="n", qop="auth-int"',
    ],
)
async def test_a_digest_of_an_unknown_kind(place: Place, challenge: str):
    place.server.answers = {"PROPFIND /c/": response(b"", 401, www_authenticate=challenge)}
    with pytest.raises(RequestRefused, match="Digest"):
        await place.names("/c/")


async def test_a_password_that_was_refused_is_not_sent_again_within_the_minute(place: Place):
    """Each calendar of an account would try it, and servers count."""
    now = NOW
    place.provider = CaldavCalendar(place.provider.expander, LOOPBACK, clock=lambda: now)
    works = place.server.answers
    place.server.answers = {WELL_KNOWN: response(b"", 401, www_authenticate='Basic realm="x"')}
    for _ in range(5):
        with pytest.raises(GrantRejected):
            await place.names()
    assert len(place.server.asked) == 1
    place.server.answers = works
    now = NOW + timedelta(seconds=60)
    assert await place.names() == ["Work"]
