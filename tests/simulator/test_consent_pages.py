"""The fake consent pages and the codes that they give: who may ask, what comes back, and how often a code is good."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import msgspec
import pytest

from simulator.google.answers import Answer, Request
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld

BACK = "https://app.test/back"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALENDAR = "https://www.googleapis.com/auth/calendar"
ADA = "ada@example.com"
FORM = {"content-type": "application/x-www-form-urlencoded", "host": "google.test", "x-forwarded-proto": "https"}


class Office:
    """One provider with Ada's account and one application."""

    def __init__(self, provider: str, clock: Any) -> None:
        self.is_google = provider == "google"
        self.world: Any = World(clock, seed=3) if self.is_google else MicrosoftWorld(clock, seed=3)
        self.app = self.world.add_client(redirect_uris=[BACK])
        self.world.add_account(ADA)
        self.page = "/o/oauth2/v2/auth" if self.is_google else "/common/oauth2/v2.0/authorize"
        self.token = "/token" if self.is_google else "/common/oauth2/v2.0/token"
        self.asked = {
            "client_id": self.app["client_id"],
            "redirect_uri": BACK,
            "response_type": "code",
            "scope": f"{CALENDAR} openid email" if self.is_google else "Calendars.Read User.Read offline_access",
            "state": "s",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "access_type": "offline",
        }

    def ask(self, **change: str) -> Answer:
        query = {name: [value] for name, value in {**self.asked, **change}.items()}
        return self.world.handle(Request("GET", self.page, query, FORM))

    def decide(self, decision: str = "allow", granted: list[str] | None = None, **change: str) -> dict[str, str]:
        asked = {**self.asked, **change}
        ticked = asked["scope"].split() if granted is None else granted
        body = urlencode([("decision", decision), ("account", ADA), *(("granted", scope) for scope in ticked)])
        query = {name: [value] for name, value in asked.items()}
        answer = self.world.handle(Request("POST", self.page, query, FORM, body.encode()))
        assert answer.status == 302, answer.body
        assert answer.headers["Location"].startswith(f"{BACK}?")
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    def redeem(self, code: str, **change: str) -> tuple[int, dict[str, Any]]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            "client_id": self.app["client_id"],
            "client_secret": self.app["client_secret"],
        } | change
        answer = self.world.handle(Request("POST", self.token, {}, FORM, urlencode(form).encode()))
        return answer.status, msgspec.json.decode(answer.body)


@pytest.fixture(params=["google", "microsoft"])
def office(request: pytest.FixtureRequest, clock: Any) -> Office:
    return Office(request.param, clock)


@pytest.fixture
def google(clock: Any) -> Office:
    return Office("google", clock)


def test_a_user_is_asked_and_agrees(office: Office) -> None:
    page = office.ask()
    assert (page.status, ADA.encode() in page.body, b"Allow" in page.body) == (200, True, True)
    back = office.decide()
    assert back["state"] == "s"
    assert back.get("iss") == ("https://google.test" if office.is_google else None)
    status, tokens = office.redeem(back["code"])
    assert status == 200
    refreshed = office.redeem("", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refreshed[0] == 200


def test_a_user_does_not_agree(office: Office) -> None:
    back = office.decide("deny")
    assert (back["error"], back["state"], "code" in back) == ("access_denied", "s", False)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"redirect_uri": f"{BACK}/"}, id="slash"),
        pytest.param({"redirect_uri": "https://app.test/BACK"}, id="case"),
        pytest.param({"redirect_uri": f"{BACK}?x=1"}, id="query"),
        pytest.param({"redirect_uri": "http://127.0.0.1/back"}, id="loopback"),
        pytest.param({"client_id": "nobody"}, id="client"),
    ],
)
def test_nobody_is_sent_where_nobody_is_known(office: Office, change: dict[str, str]) -> None:
    answer = office.ask(**change)
    assert (answer.status, "Location" in answer.headers) == (400, False)


def test_an_application_without_addresses_listens_on_loopback(office: Office) -> None:
    office.world.set_client(office.app["client_id"], redirect_uris=[])
    assert office.ask(redirect_uri="http://127.0.0.1:3000/x").status == 200
    assert office.ask(redirect_uri="http://127.0.0.1.evil.io/").status == 400
    assert office.ask().status == 400


@pytest.mark.parametrize(
    ("change", "google", "microsoft"),
    [
        pytest.param({"code_verifier": "x" * 43}, "invalid_grant", "invalid_grant", id="another verifier"),
        pytest.param({"code_verifier": ""}, "invalid_grant", "invalid_grant", id="no verifier"),
        pytest.param({"redirect_uri": f"{BACK}/"}, "redirect_uri_mismatch", "invalid_grant", id="redirect_uri"),
        pytest.param({"client_secret": "x"}, "invalid_client", "invalid_client", id="secret"),
        pytest.param({"code": "x"}, "invalid_grant", "invalid_grant", id="code"),
        pytest.param({"code": ""}, "invalid_request", "invalid_request", id="no code"),
    ],
)
def test_what_a_code_is_not_given_for(office: Office, change: dict[str, str], google: str, microsoft: str) -> None:
    code = office.decide()["code"]
    status, refusal = office.redeem(**({"code": code} | change))
    assert (status >= 400, refusal["error"]) == (True, google if office.is_google else microsoft)
    # Nothing of it has used the code up.
    assert office.redeem(code)[0] == 200


def test_a_code_is_good_once_and_for_minutes(office: Office) -> None:
    used, late = office.decide()["code"], office.decide()["code"]
    assert [office.redeem(used)[0] for _ in range(2)] == [200, 400]
    office.world.advance(601)
    assert office.redeem(late)[1]["error"] == "invalid_grant"


def test_a_code_of_another_application_is_none(office: Office) -> None:
    code = office.decide()["code"]
    other = office.world.add_client()
    assert office.redeem(code, client_id=other["client_id"], client_secret=other["client_secret"])[0] >= 400


def test_google_users_may_give_less(google: Office) -> None:
    back = google.decide(granted=[])
    _, tokens = google.redeem(back["code"])
    assert tokens["scope"].split() == ["openid", "https://www.googleapis.com/auth/userinfo.email"]
    authorization = {"authorization": f"Bearer {tokens['access_token']}"}
    answer = google.world.handle(Request("GET", "/calendar/v3/users/me/calendarList", {}, authorization))
    assert answer.status == 403


def test_google_gives_a_refresh_token_for_the_first_consent_or_a_repeated_one(google: Office) -> None:
    def has_one(**change: str) -> bool:
        return "refresh_token" in google.redeem(google.decide(**change)["code"])[1]

    assert not has_one(access_type="online")
    google.world.revoke_consent(ADA)
    assert has_one()
    assert not has_one()
    assert not has_one(prompt="select_account")
    assert has_one(prompt="consent")


def test_google_asks_a_known_user_nothing_twice(google: Office) -> None:
    assert google.ask(login_hint=ADA, prompt="none").headers["Location"].startswith(f"{BACK}?")
    google.redeem(google.decide()["code"])
    straight = google.ask(login_hint=ADA)
    assert (straight.status, "code=" in straight.headers["Location"]) == (302, True)
    assert google.ask(login_hint=ADA, prompt="consent").status == 200
    assert google.ask(login_hint=ADA, scope=f"{CALENDAR}.readonly").status == 200


def test_microsoft_gives_a_refresh_token_for_offline_access(clock: Any) -> None:
    office = Office("microsoft", clock)
    _, tokens = office.redeem(office.decide(scope="Calendars.Read User.Read")["code"])
    assert "refresh_token" not in tokens
    assert tokens["scope"].split() == [
        f"https://graph.microsoft.com/{name}" for name in ("Calendars.Read", "User.Read")
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"scope": "Everything"}, "invalid_scope", id="scope"),
        pytest.param({"scope": ""}, "invalid_request", id="no scope"),
        pytest.param({"response_type": "token"}, "invalid_request", id="response_type"),
        pytest.param({"prompt": "none"}, "login_required", id="silent"),
    ],
)
def test_microsoft_tells_the_application(clock: Any, change: dict[str, str], error: str) -> None:
    back = Office("microsoft", clock).ask(**change)
    assert parse_qs(urlsplit(back.headers["Location"]).query)["error"] == [error]


def test_microsoft_lets_in_whom_the_tenant_knows(clock: Any) -> None:
    office = Office("microsoft", clock)
    office.world.add_account("eve@outlook.com")
    pages: Callable[[str], Answer] = lambda tenant: office.world.handle(  # noqa: E731
        Request(
            "GET", f"/{tenant}/oauth2/v2.0/authorize", {name: [value] for name, value in office.asked.items()}, FORM
        )
    )
    assert (ADA.encode() in pages("organizations").body, b"eve@" in pages("organizations").body) == (True, False)
    assert (ADA.encode() in pages("consumers").body, b"eve@" in pages("consumers").body) == (False, True)
    assert pages("nowhere").status == 400
