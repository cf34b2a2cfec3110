"""Consent, and the token endpoint: codes with PKCE, and refresh tokens of which each is good once."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from simulator import consent
from simulator.codes import Code, is_verified, may_return_to
from simulator.google.answers import Answer, Request
from simulator.zoom.state import AccessToken, Client, Grant, State, TokenError, ZoomError

PROVIDER = "Zoom"
INVALID = ("invalid_grant", "Invalid Token!")


def authorize(state: State, request: Request) -> Answer:
    """The consent page, and where its form leads: back with a code, or with `access_denied`."""
    asked = consent.read_parameters(request)
    client = state.clients.get(asked.get("client_id", ""))
    redirect_uri = asked.get("redirect_uri", "")
    if client is None or client.status != "ok":
        return consent.refuse(PROVIDER, f"Invalid client_id: ({asked.get('client_id', '')}) (4,702)")
    if not may_return_to(redirect_uri, client.redirect_uris):
        return consent.refuse(PROVIDER, f"Invalid redirect: {redirect_uri} (4,700)")
    if asked.get("response_type") != "code":
        return consent.refuse(PROVIDER, "Invalid response type (4,706)")
    if request.method != "POST":
        return consent.ask(PROVIDER, client.name, list(state.accounts), client.scopes, asked)
    decision = consent.read_decision(request)
    if not decision.is_allowed or decision.email not in state.accounts:
        return consent.send_back(redirect_uri, {"error": "access_denied", "state": asked.get("state")})
    code = issue_code(
        state,
        client,
        decision.email,
        redirect_uri,
        challenge=asked.get("code_challenge"),
        method=asked.get("code_challenge_method", "plain"),
    )
    return consent.send_back(redirect_uri, {"code": code, "state": asked.get("state")})


def issue_code(
    state: State, client: Client, email: str, redirect_uri: str, *, challenge: str | None, method: str
) -> str:
    code = state.make_secret(32)
    expires_at = state.now() + timedelta(seconds=state.settings.code_seconds)
    state.codes[code] = Code(client.client_id, email, list(client.scopes), redirect_uri, challenge, method, expires_at)
    return code


def give_consent(state: State, client_id: str, email: str, scopes: list[str]) -> Grant:
    """A new consent, which ends an earlier one to the same app."""
    for grant in state.grants:
        if (grant.client_id, grant.email) == (client_id, email):
            end_grant(state, grant)
    grant = Grant(client_id, email, scopes, "", state.now())
    state.grants.append(grant)
    _rotate(state, grant)
    return grant


def answer_token(state: State, authorization: str | None, form: Mapping[str, str]) -> dict[str, Any]:
    """Raises TokenError."""
    client = _authenticate(state, authorization)
    kind = form.get("grant_type", "")
    if kind == "authorization_code":
        grant = _redeem(state, client, form)
    elif kind == "refresh_token":
        grant = _find(state, client, form.get("refresh_token", ""))
        _rotate(state, grant)
    else:
        raise TokenError(400, "unsupported_grant_type", f"Unsupported grant type: {kind}")
    token = f"eyJzdiI6IjAwMDAwMiJ9.{state.make_secret(48)}"
    seconds = state.settings.access_token_seconds
    state.access_tokens[token] = AccessToken(grant, state.now() + timedelta(seconds=seconds))
    return {
        "access_token": token,
        "token_type": "bearer",
        "refresh_token": grant.refresh_token,
        "expires_in": seconds,
        "scope": " ".join(grant.scopes),
        "api_url": "https://api.zoom.us",
    }


def end_grant(state: State, grant: Grant) -> None:
    grant.revoked = True
    for token in [token for token, access in state.access_tokens.items() if access.grant is grant]:
        del state.access_tokens[token]


def revoke(state: State, authorization: str | None, token: str) -> dict[str, str]:
    """Ends the consent that an access or a refresh token is of."""
    client = _authenticate(state, authorization)
    access = state.access_tokens.get(token)
    grant = access.grant if access is not None else state.refresh_tokens.get(token)
    if grant is None or grant.client_id != client.client_id:
        raise TokenError(400, *INVALID)
    end_grant(state, grant)
    return {"status": "success"}


def bearer(state: State, authorization: str | None) -> Grant:
    """Whose access token this is. Raises ZoomError."""
    access = peek(state, authorization)
    if access is None or access.grant.revoked:
        raise ZoomError(401, 124, "Invalid access token.")
    if access.expires_at <= state.now():
        raise ZoomError(401, 124, "Access token is expired.")
    return access.grant


def peek(state: State, authorization: str | None) -> AccessToken | None:
    scheme, _, token = (authorization or "").partition(" ")
    return state.access_tokens.get(token) if scheme.lower() == "bearer" else None


def _authenticate(state: State, authorization: str | None) -> Client:
    scheme, _, given = (authorization or "").partition(" ")
    try:
        client_id, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        client_id, secret = "", ""
    client = state.clients.get(client_id)
    if scheme.lower() != "basic" or client is None or client.client_secret != secret:
        raise TokenError(401, "invalid_client", "Invalid client_id or client_secret")
    if client.status != "ok":
        raise TokenError(400, "invalid_client", "App has been disabled by Zoom.")
    return client


def _redeem(state: State, client: Client, form: Mapping[str, str]) -> Grant:
    code = state.codes.pop(form.get("code", ""), None)
    if code is None or code.client_id != client.client_id or code.expires_at <= state.now():
        raise TokenError(400, "invalid_grant", "Invalid authorization code")
    if form.get("redirect_uri") != code.redirect_uri:
        raise TokenError(400, "invalid_request", "Redirect URI mismatch.")
    if not is_verified(code, form.get("code_verifier")):
        raise TokenError(400, "invalid_grant", "Code verifier does not match.")
    return give_consent(state, code.client_id, code.email, code.scopes)


def _find(state: State, client: Client, token: str) -> Grant:
    grant = state.refresh_tokens.get(token)
    is_good = grant is not None and grant.client_id == client.client_id and grant.refresh_token == token
    if grant is None or not is_good or grant.revoked or grant.expires_at <= state.now():
        raise TokenError(400, *INVALID)
    return grant


def _rotate(state: State, grant: Grant) -> None:
    """The old one is dead at once."""
    grant.refresh_token = f"eyJyZWYiOiIxIn0.{state.make_secret(48)}"
    grant.expires_at = state.now() + timedelta(days=state.settings.refresh_token_days)
    state.refresh_tokens[grant.refresh_token] = grant
