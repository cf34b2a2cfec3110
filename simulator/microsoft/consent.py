"""Microsoft's consent page, /{tenant}/oauth2/v2.0/authorize, and what the token endpoint gives for its codes."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from simulator import consent
from simulator.codes import Code, is_verified, may_return_to
from simulator.google.answers import Answer, Request
from simulator.microsoft.errors import LoginError
from simulator.microsoft.login import (
    OPENID_SCOPES,
    authenticate_client,
    check_audience,
    check_home,
    check_tenant,
    give_consent,
    issue_access_token,
    read_number,
    short_scope,
)
from simulator.microsoft.refusals import REFUSALS
from simulator.microsoft.state import GRAPH, Client, Grant, State

KNOWN = {
    *OPENID_SCOPES, ".default", "User.Read", "User.ReadWrite", "Calendars.Read", "Calendars.ReadBasic", "Calendars.ReadWrite",
    "Calendars.Read.Shared", "Calendars.ReadWrite.Shared", "MailboxSettings.Read", "OnlineMeetings.ReadWrite",
}  # fmt: skip


def authorize(state: State, tenant: str, request: Request) -> Answer:
    """Ask the user, or send the browser back with what the user has decided.

    A page of Microsoft's own, and no redirect, where the application, its address or the tenant is not known.
    """
    asked = consent.read_parameters(request)
    try:
        client = _find_client(state, asked)
        check_tenant(state, tenant)
        check_audience(client, tenant)
    except LoginError as error:
        return consent.refuse("Microsoft", f"AADSTS{error.number}: {REFUSALS[error.number].says}")
    if not may_return_to(asked.get("redirect_uri", ""), client.redirect_uris):
        return consent.refuse("Microsoft", "AADSTS50011: The redirect URI does not match those of the application.")
    scopes = [short_scope(scope) for scope in asked.get("scope", "").split()]
    if (fault := _fault(asked, scopes)) is not None:
        return _send_back(asked, dict(zip(("error", "error_description"), fault, strict=True)))
    if request.method == "POST":
        return _decide(state, tenant, request, asked, scopes)
    people = [email for email in state.accounts if _may_sign_in(state, tenant, asked, email)]
    shown = [scope for scope in scopes if scope not in OPENID_SCOPES or scope == "offline_access"]
    return consent.ask("Microsoft", client.client_id, people, shown, asked, chosen=asked.get("login_hint"))


def redeem(state: State, tenant: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The token endpoint's answer to `grant_type=authorization_code`. Raises LoginError."""
    client = authenticate_client(state, tenant, form)
    if not form.get("code"):
        raise LoginError(900144, "The request body must contain the parameter 'code'.")
    code = state.codes.get(form["code"])
    if code is None or code.client_id != client.client_id:
        raise LoginError(9002313 if code is None else 70000)
    if code.used:
        raise LoginError(54005)
    if code.expires_at <= state.now():
        raise LoginError(70008, "The provided authorization code has expired.")
    if form.get("redirect_uri") != code.redirect_uri:
        raise LoginError(500112)
    if not is_verified(code, form.get("code_verifier")):
        raise LoginError(501481 if form.get("code_verifier") else 50148)
    account = state.accounts[code.email]
    check_home(tenant, client, account)
    if account.status != "ok":
        raise LoginError(read_number(account.status))
    code.used = True
    granted = [scope for scope in code.scopes if scope not in OPENID_SCOPES]
    refresh_token = give_consent(state, client.client_id, code.email, code.scopes)
    grant = state.refresh_tokens[refresh_token]
    lifetime = state.settings.access_token_seconds or state.random.randint(3600, 5400)
    answer: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": " ".join(f"{GRAPH}{scope}" for scope in granted),
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": issue_access_token(state, grant, granted, lifetime),
    }
    if "offline_access" not in code.scopes:
        _take_back(state, grant, refresh_token)
        return answer
    return {**answer, "refresh_token": refresh_token}


def _find_client(state: State, asked: Mapping[str, str]) -> Client:
    client = state.clients.get(asked.get("client_id", ""))
    if client is None:
        raise LoginError(700016)
    return client


def _fault(asked: Mapping[str, str], scopes: list[str]) -> tuple[str, str] | None:
    """What is wrong with a request whose application is told of it."""
    if asked.get("response_type") != "code" or not scopes:
        return "invalid_request", "AADSTS900144: The request must contain a parameter that is absent."
    if not set(scopes) <= KNOWN:
        return "invalid_scope", "AADSTS70011: The provided value for 'scope' is not valid."
    if asked.get("prompt") == "none":
        return "login_required", "AADSTS50058: A silent sign-in was asked for, and nobody is signed in."
    return None


def _decide(state: State, tenant: str, request: Request, asked: dict[str, str], scopes: list[str]) -> Answer:
    decision = consent.read_decision(request)
    if not decision.is_allowed or not _may_sign_in(state, tenant, asked, decision.email):
        told = {"error": "access_denied", "error_subcode": "cancel"}
        return _send_back(
            asked, {**told, "error_description": "AADSTS65004: User declined to consent to access the app."}
        )
    account = state.accounts[decision.email]
    if account.status != "ok":
        refusal = REFUSALS[read_number(account.status)]
        return _send_back(asked, {"error": refusal.error, "error_description": f"{account.status}: {refusal.says}"})
    text = f"1.AXoA{state.make_secret(80)}"
    state.codes[text] = Code(
        asked["client_id"],
        decision.email,
        scopes,
        asked["redirect_uri"],
        asked.get("code_challenge"),
        asked.get("code_challenge_method", "plain"),
        state.now() + timedelta(seconds=state.settings.code_seconds),
    )
    return _send_back(asked, {"code": text, "session_state": state.make_guid()})


def _may_sign_in(state: State, tenant: str, asked: Mapping[str, str], email: str) -> bool:
    account = state.accounts.get(email)
    if account is None:
        return False
    try:
        check_home(tenant, state.clients[asked["client_id"]], account)
    except LoginError:
        return False
    return True


def _send_back(asked: Mapping[str, str], told: Mapping[str, str]) -> Answer:
    return consent.send_back(asked["redirect_uri"], {**told, "state": asked.get("state")})


def _take_back(state: State, grant: Grant, text: str) -> None:
    """Who did not ask for offline access is told of no refresh token."""
    grant.refresh_tokens = [token for token in grant.refresh_tokens if token.text != text]
    del state.refresh_tokens[text]
