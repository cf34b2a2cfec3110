"""Google's consent page, /o/oauth2/v2/auth, and what the token endpoint gives for its codes."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from simulator import consent
from simulator.codes import Code, is_verified, may_return_to
from simulator.google.answers import Answer, Request
from simulator.google.errors import OAuthError
from simulator.google.oauth import ACCOUNT_REFUSALS, authenticate_client, give_consent, issue_access_token
from simulator.google.state import CALENDAR_SCOPE, Client, Grant, State

PATH = "/o/oauth2/v2/auth"
IDENTITY = {
    "openid": "openid",
    "email": "https://www.googleapis.com/auth/userinfo.email",
    "profile": "https://www.googleapis.com/auth/userinfo.profile",
}
"""What signing in alone asks for, with the names that answers have; nobody can untick it."""

SUFFIXES = (
    "", ".readonly", ".events", ".events.readonly", ".events.owned", ".events.owned.readonly", ".calendarlist",
    ".calendarlist.readonly", ".calendars", ".calendars.readonly", ".freebusy", ".events.freebusy", ".settings.readonly",
    ".app.created", ".acls", ".acls.readonly", ".events.public.readonly",
)  # fmt: skip
KNOWN = {*IDENTITY, *IDENTITY.values(), *(CALENDAR_SCOPE + suffix for suffix in SUFFIXES)}


def authorize(state: State, request: Request) -> Answer:
    """Ask the user, or send the browser back with what the user has decided.

    A page of Google's own, and no redirect, where the application or its address is not known.
    """
    asked = consent.read_parameters(request)
    client = state.clients.get(asked.get("client_id", ""))
    if (fault := _fault(client, asked)) is not None or client is None:
        return consent.refuse("Google", fault or "Error 401: invalid_client")
    scopes = asked.get("scope", "").split()
    wanted = [scope for scope in scopes if scope not in IDENTITY and scope not in IDENTITY.values()]
    if request.method == "POST":
        return _decide(state, request, asked, scopes)
    prompts = asked.get("prompt", "").split()
    hint = asked.get("login_hint")
    known = _standing_grant(state, asked["client_id"], hint)
    if known is not None and set(wanted) <= set(known.scopes) and not {"consent", "select_account"} & set(prompts):
        return _answer(state, request, asked, known.email, scopes, was_asked=False)
    if "none" in prompts:
        return _send_back(request, asked, {"error": "interaction_required"})
    people = [email for email, account in state.accounts.items() if account.status == "ok"]
    return consent.ask("Google", client.project, people, wanted, asked, chosen=hint, may_untick=True)


def redeem(state: State, form: Mapping[str, str]) -> dict[str, Any]:
    """The token endpoint's answer to `grant_type=authorization_code`. Raises OAuthError."""
    client = authenticate_client(state, form)
    if not form.get("code"):
        raise OAuthError(400, "invalid_request", "Missing required parameter: code")
    code = state.codes.get(form["code"])
    if code is None or code.used or code.expires_at <= state.now():
        raise OAuthError(400, "invalid_grant", "Malformed auth code." if code is None else "Bad Request")
    if code.client_id != client.client_id:
        raise OAuthError(401, "unauthorized_client", "Unauthorized")
    if form.get("redirect_uri") != code.redirect_uri:
        raise OAuthError(400, "redirect_uri_mismatch", "Bad Request")
    if not is_verified(code, form.get("code_verifier")):
        said = "Invalid code verifier." if form.get("code_verifier") else "Missing code verifier."
        raise OAuthError(400, "invalid_grant", said)
    account = state.accounts[code.email]
    if account.status in ACCOUNT_REFUSALS:
        raise ACCOUNT_REFUSALS[account.status]
    code.used = True
    granted = [IDENTITY.get(scope, scope) for scope in code.scopes]
    refresh_token = give_consent(state, client.client_id, code.email, granted) if code.offline else None
    grant = _standing_grant(state, client.client_id, code.email) or Grant(client.client_id, code.email, granted, [])
    if grant not in state.grants:
        state.grants.append(grant)
    answer: dict[str, Any] = {
        "access_token": issue_access_token(state, grant),
        "expires_in": state.settings.access_token_seconds,
        "scope": " ".join(granted),
        "token_type": "Bearer",
    }
    return answer if refresh_token is None else {**answer, "refresh_token": refresh_token}


def _fault(client: Client | None, asked: Mapping[str, str]) -> str | None:
    if client is None or client.status != "ok":
        return "Error 401: invalid_client"
    if not may_return_to(asked.get("redirect_uri", ""), client.redirect_uris):
        return "Error 400: redirect_uri_mismatch"
    scopes = asked.get("scope", "").split()
    if asked.get("response_type") != "code" or not scopes:
        return "Error 400: invalid_request"
    if asked.get("code_challenge_method", "plain") not in {"S256", "plain"}:
        return "Error 400: invalid_request"
    return "Error 400: invalid_scope" if not set(scopes) <= KNOWN else None


def _decide(state: State, request: Request, asked: dict[str, str], scopes: list[str]) -> Answer:
    decision = consent.read_decision(request)
    if not decision.is_allowed or decision.email not in state.accounts:
        return _send_back(request, asked, {"error": "access_denied"})
    given = [scope for scope in scopes if scope in decision.scopes or scope in IDENTITY or scope in IDENTITY.values()]
    return _answer(state, request, asked, decision.email, given, was_asked=True)


def _answer(
    state: State, request: Request, asked: dict[str, str], email: str, scopes: list[str], *, was_asked: bool
) -> Answer:
    """With a code. Its refresh token comes with offline access alone, and then for the first consent or a repeated one."""
    is_first = _standing_grant(state, asked["client_id"], email) is None
    is_repeated = was_asked and "consent" in asked.get("prompt", "").split()
    text = f"4/0A{state.make_id(64)}"
    state.codes[text] = Code(
        asked["client_id"],
        email,
        scopes,
        asked["redirect_uri"],
        asked.get("code_challenge"),
        asked.get("code_challenge_method", "plain"),
        state.now() + timedelta(seconds=state.settings.code_seconds),
        offline=asked.get("access_type") == "offline" and (is_first or is_repeated),
    )
    granted = " ".join(IDENTITY.get(scope, scope) for scope in scopes)
    return _send_back(request, asked, {"code": text, "scope": granted, "authuser": "0", "prompt": "consent"})


def _send_back(request: Request, asked: Mapping[str, str], told: Mapping[str, str]) -> Answer:
    scheme = request.headers.get("x-forwarded-proto", "http")
    issuer = f"{scheme}://{request.headers.get('host', 'localhost')}"
    return consent.send_back(asked["redirect_uri"], {"state": asked.get("state"), "iss": issuer, **told})


def _standing_grant(state: State, client_id: str, email: str | None) -> Grant | None:
    mine = (grant for grant in state.grants if (grant.client_id, grant.email) == (client_id, email))
    return next((grant for grant in mine if not grant.revoked), None)
