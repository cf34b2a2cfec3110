"""The hosted flow's pure parts: what a callback says, where users may go, what is asked for and was granted."""

from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest

from service.core.authorization import Asked, authorization_url, challenge_of, lacking, read_scopes, scopes_for
from service.core.hosted import (
    MESSAGES,
    Denied,
    Granted,
    Malformed,
    Outcome,
    Wish,
    fault_of_redirect,
    is_allowed,
    own_address,
    read_callback,
    redirect_back,
)

ISSUER = "https://accounts.google.com"
CALENDAR = "https://www.googleapis.com/auth/calendar"
GRAPH = "https://graph.microsoft.com/"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("state=s&code=c", Granted("s", "c"), id="granted"),
        pytest.param(f"state=s&code=c&iss={ISSUER}", Granted("s", "c"), id="by whom it was asked"),
        pytest.param(f"state=s&code=c&iss={ISSUER}/tenant/v2.0", Granted("s", "c"), id="issuer with a tenant"),
        pytest.param("state=s&code=c&scope=x&authuser=0", Granted("s", "c"), id="more parameters"),
        pytest.param("code=c", Malformed("missing_state"), id="no state"),
        pytest.param("state=&code=c", Malformed("missing_state"), id="empty state"),
        pytest.param("", Malformed("missing_state"), id="nothing"),
        pytest.param("error=access_denied", Malformed("missing_state"), id="error without state"),
        pytest.param("state=s&state=s&code=c", Malformed("invalid_state"), id="state twice"),
        pytest.param("state=s&state=&code=c", Malformed("invalid_state"), id="state and an empty one"),
        pytest.param("state=%C3%A9&code=c", Malformed("invalid_state"), id="odd state"),
        pytest.param(f"state={'s' * 257}&code=c", Malformed("invalid_state"), id="huge state"),
        pytest.param("state=s", Denied("s", "no_code"), id="no code"),
        pytest.param("state=s&code=", Denied("s", "no_code"), id="empty code"),
        pytest.param("state=s&code=a&code=b", Denied("s", "no_code"), id="code twice"),
        pytest.param("state=s&code=a&code=a", Denied("s", "no_code"), id="the same code twice"),
        pytest.param("state=s&code=a%00", Denied("s", "no_code"), id="NUL"),
        pytest.param("state=s&code=c&error=access_denied", Denied("s", "access_denied"), id="code and error"),
        pytest.param("state=s&error=consent_required", Denied("s", "access_denied"), id="consent"),
        pytest.param("state=s&error=invalid_scope", Denied("s", "invalid_scope"), id="scope"),
        pytest.param("state=s&error=temporarily_unavailable", Denied("s", "server_error"), id="outage"),
        pytest.param("state=s&error=zzz&error_description=access_denied", Denied("s", "unknown"), id="unknown error"),
        pytest.param("state=s&code=c&iss=https://evil.test", Denied("s", "unknown"), id="another issuer"),
        pytest.param(f"state=s&code=c&iss={ISSUER}.evil.test", Denied("s", "unknown"), id="issuer with a tail"),
        pytest.param(f"state=s&code=c&iss={ISSUER}&iss=x", Denied("s", "unknown"), id="two issuers"),
    ],
)
def test_a_callback(query: str, expected: object) -> None:
    assert read_callback(parse_qsl(query, keep_blank_values=True), ISSUER) == expected


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        pytest.param("https://app.example.com/done", None, id="https"),
        pytest.param("https://app.example.com:8443/done?a=b&c=%20", None, id="port and query"),
        pytest.param("http://localhost:3000/done", None, id="localhost"),
        pytest.param("http://127.0.0.1/done", None, id="loopback"),
        pytest.param("http://[::1]:3000/", None, id="loopback of IPv6"),
        pytest.param("http://app.example.com/", "https://", id="no TLS"),
        pytest.param("http://localhost.evil.io/", "https://", id="loopback with a tail"),
        pytest.param("HTTPS://app.example.com/", "absolute", id="capitals"),
        pytest.param("//app.example.com", "absolute", id="no scheme"),
        pytest.param("/done", "absolute", id="path"),
        pytest.param("https:///done", "absolute", id="no host"),
        pytest.param("com.example.app:/done", "absolute", id="another scheme"),
        pytest.param("https://app.example.com/#", "fragment", id="empty fragment"),
        pytest.param("https://u:p@app.example.com/", "user name", id="user"),
        pytest.param("https://app.example.com\\@evil.io", "character", id="backslash"),
        pytest.param("https://app.example.com/\n", "character", id="new line"),
        pytest.param("\thttps://app.example.com/", "character", id="tab"),
        pytest.param("https://app.example.com/ö", "character", id="not ASCII"),
        pytest.param('https://app.example.com/"', "character", id="quote"),
        pytest.param("https://app.example.com:99999/", "not an address", id="port"),
        pytest.param("https://[::1", "not an address", id="bracket"),
        pytest.param("https://app.example.com/" + "a" * 2048, "longer", id="length"),
    ],
)
def test_what_can_be_a_redirect_address(url: str, fault: str | None) -> None:
    found = fault_of_redirect(url)
    assert found is None if fault is None else fault in str(found)


def test_addresses_are_compared_letter_for_letter() -> None:
    allowed = ["https://a.test/x", "https://b.test"]
    assert is_allowed("https://b.test", allowed)
    assert not any(is_allowed(url, allowed) for url in ("https://b.test/", "https://B.test", "https://a.test/X", ""))


@pytest.mark.parametrize(
    ("public_url", "host", "expected"),
    [
        pytest.param("https://calgate.test", "127.0.0.1:1", "https://calgate.test", id="as it is set"),
        pytest.param(None, "127.0.0.1:8420", "http://127.0.0.1:8420", id="loopback"),
        pytest.param(None, "localhost", "http://localhost", id="localhost"),
        pytest.param(None, "[::1]:8420", "http://[::1]:8420", id="loopback of IPv6"),
        pytest.param(None, "calgate.test", None, id="somewhere"),
        pytest.param(None, "127.0.0.1.evil.io", None, id="loopback with a tail"),
        pytest.param(None, "evil.io@127.0.0.1", None, id="user"),
        pytest.param(None, "127.0.0.1#", None, id="fragment"),
        pytest.param(None, "", None, id="none"),
        pytest.param(None, "[", None, id="broken"),
    ],
)
def test_where_browsers_come_back_to(public_url: str | None, host: str, expected: str | None) -> None:
    assert own_address(public_url, host) == expected


@pytest.mark.parametrize(
    ("redirect_url", "start"),
    [
        pytest.param("https://a.test/x", "https://a.test/x?", id="no query"),
        pytest.param("https://a.test/x?b=1", "https://a.test/x?b=1&", id="query"),
        pytest.param("https://a.test/x?", "https://a.test/x?", id="empty query"),
        pytest.param("https://a.test/x?b=1&", "https://a.test/x?b=1&", id="open query"),
    ],
)
def test_the_way_back(redirect_url: str, start: str) -> None:
    mine = UUID(int=7)
    good = redirect_back(redirect_url, Outcome(provider="google", wish=Wish(state="a&b"), connection_id=mine))
    assert good == f"{start}success=true&provider=google&connection_id={mine}&state=a%26b"
    bad = redirect_back(redirect_url, Outcome(provider="zoom", wish=Wish(), code="no_code"))
    query = dict(parse_qsl(urlsplit(bad).query))
    assert bad.startswith(f"{start}error=true&provider=zoom&code=no_code&message=")
    assert query["message"] == MESSAGES["no_code"]
    assert "state" not in query


def test_the_challenge_is_that_of_the_rfc() -> None:
    # RFC 7636, appendix B.
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_hint_is_given_where_it_is_understood() -> None:
    asked = Asked(
        client_id="c", redirect_uri="https://x.test/?a", state="s", challenge="h", scopes=["a", "b"], hint="e@x"
    )
    google = dict(parse_qsl(urlsplit(authorization_url("google", ISSUER, asked)).query))
    assert (google["login_hint"], google["scope"], google["redirect_uri"]) == ("e@x", "a b", "https://x.test/?a")
    assert "login_hint" not in authorization_url("zoom", ISSUER, asked)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [], id="none"),
        pytest.param(" , ", [], id="only between"),
        pytest.param("a b,c, d a", ["a", "b", "c", "d"], id="both ways, each once"),
        pytest.param('a"b', None, id="quote"),
        pytest.param("a\nb", None, id="new line"),
        pytest.param(" ".join(str(number) for number in range(31)), None, id="too many"),
        pytest.param("x" * 257, None, id="too long"),
    ],
)
def test_scopes_of_a_query(text: str, expected: list[str] | None) -> None:
    assert read_scopes(text) == expected


@pytest.mark.parametrize(
    ("provider", "access", "wished", "granted", "missing"),
    [
        pytest.param("google", "read", [], f"openid {CALENDAR}.readonly", [], id="reading"),
        pytest.param("google", "read", [], f"openid {CALENDAR}", [], id="more than asked"),
        pytest.param("google", "read", [], "openid email", [f"{CALENDAR}.readonly"], id="unticked"),
        pytest.param("google", "write", [], f"{CALENDAR}.readonly", [CALENDAR], id="reading for writing"),
        pytest.param("google", "write", [f"{CALENDAR}.events", "other"], f"{CALENDAR}.events", [], id="other unticked"),
        pytest.param("google", "read", [f"{CALENDAR}.events.readonly"], f"{CALENDAR}.events", [], id="covered"),
        pytest.param(
            "google", "read", [f"{CALENDAR}.freebusy"], f"{CALENDAR}.events", [f"{CALENDAR}.freebusy"], id="not covered"
        ),
        pytest.param("google", "read", [], "", [], id="nothing said"),
        pytest.param("microsoft", "read", [], f"{GRAPH}Calendars.Read {GRAPH}User.Read", [], id="Graph"),
        pytest.param("microsoft", "read", [], "Calendars.ReadWrite", [], id="short names"),
        pytest.param(
            "microsoft", "write", [], "Calendars.Read User.Read", ["Calendars.ReadWrite"], id="Graph for writing"
        ),
        pytest.param("zoom", "write", [], "user:read", [], id="Zoom's own settings"),
        pytest.param("zoom", "write", ["meeting:write"], "user:read", ["meeting:write"], id="Zoom, asked"),
    ],
)
def test_what_was_not_granted(provider: str, access: str, wished: list[str], granted: str, missing: list[str]) -> None:
    asked = scopes_for(provider, access, wished)  # type: ignore[arg-type]
    assert lacking(provider, asked, granted.split()) == missing
