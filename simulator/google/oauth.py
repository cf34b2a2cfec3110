"""The token endpoint: refresh tokens in, access tokens out, and revocation."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from simulator.google.errors import OAuthError, bad_credentials
from simulator.google.state import AccessToken, Client, Grant, State

MOST_REFRESH_TOKENS = 100
ACCOUNT_REFUSALS = {
    "deleted": OAuthError(400, "invalid_grant", "The account has been deleted"),
    "reauth": OAuthError(400, "invalid_grant", "reauth related error (invalid_rapt)", error_subtype="invalid_rapt"),
    "admin_policy": OAuthError(400, "admin_policy_enforced", "Blocked by your administrator."),
}


def give_consent(state: State, client_id: str, email: str, scopes: list[str]) -> str:
    """A new refresh token of this user for this client. The hundred-and-first kills the oldest."""
    grant = next(
        (each for each in state.grants if (each.client_id, each.email) == (client_id, email) and not each.revoked), None
    )
    if grant is None:
        grant = Grant(client_id, email, scopes, [])
        state.grants.append(grant)
    grant.scopes = scopes
    return _issue_refresh_token(state, grant)


def refresh(state: State, form: Mapping[str, str]) -> dict[str, Any]:
    if form.get("grant_type") != "refresh_token":
        raise OAuthError(400, "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
    client = authenticate_client(state, form)
    if not form.get("refresh_token"):
        raise OAuthError(400, "invalid_request", "Missing required parameter: refresh_token")
    grant = state.refresh_tokens.get(form["refresh_token"])
    if grant is None:
        raise OAuthError(400, "invalid_grant", "Bad Request")
    if grant.client_id != client.client_id:
        raise OAuthError(401, "unauthorized_client", "Unauthorized")
    if grant.revoked or form["refresh_token"] not in grant.refresh_tokens:
        raise OAuthError(400, "invalid_grant", "Token has been expired or revoked.")
    account = state.accounts[grant.email]
    if account.status in ACCOUNT_REFUSALS:
        raise ACCOUNT_REFUSALS[account.status]
    answer: dict[str, Any] = {
        "access_token": issue_access_token(state, grant),
        "expires_in": state.settings.access_token_seconds,
        "scope": " ".join(grant.scopes),
        "token_type": "Bearer",
    }
    if account.rotates_refresh_tokens:
        grant.refresh_tokens.remove(form["refresh_token"])
        answer["refresh_token"] = _issue_refresh_token(state, grant)
    return answer


def revoke(state: State, token: str) -> None:
    """Revoking any token ends the whole grant, and with it every calendar connected through it."""
    access = state.access_tokens.get(token)
    grant = access.grant if access is not None else state.refresh_tokens.get(token)
    if grant is None or grant.revoked:
        raise OAuthError(400, "invalid_token", "Token expired or revoked")
    end_grant(state, grant)


def end_grant(state: State, grant: Grant) -> None:
    grant.revoked = True
    for token in [token for token, access in state.access_tokens.items() if access.grant is grant]:
        del state.access_tokens[token]


def issue_access_token(state: State, grant: Grant) -> str:
    token = f"ya29.{state.random.getrandbits(160):040x}"
    lifetime = timedelta(seconds=state.settings.access_token_seconds)
    state.access_tokens[token] = AccessToken(grant, state.now() + lifetime)
    return token


def bearer_grant(state: State, authorization: str | None) -> Grant:
    """Whose access token this is; unknown, expired and revoked ones are a 401."""
    access = peek_token(state, authorization)
    if access is None or access.expires_at <= state.now() or access.grant.revoked:
        raise bad_credentials()
    if state.accounts[access.grant.email].status in ACCOUNT_REFUSALS:
        raise bad_credentials()
    return access.grant


def peek_token(state: State, authorization: str | None) -> AccessToken | None:
    scheme, _, token = (authorization or "").partition(" ")
    return state.access_tokens.get(token) if scheme.lower() == "bearer" else None


def authenticate_client(state: State, form: Mapping[str, str]) -> Client:
    client = state.clients.get(form.get("client_id", ""))
    if not form.get("client_id"):
        raise OAuthError(400, "invalid_request", "Could not determine client ID from request.")
    if client is None:
        raise OAuthError(401, "invalid_client", "The OAuth client was not found.")
    if client.status != "ok":
        raise OAuthError(401, f"{client.status}_client", f"The OAuth client was {client.status}.")
    if form.get("client_secret") != client.client_secret:
        raise OAuthError(401, "invalid_client", "Unauthorized")
    return client


def _issue_refresh_token(state: State, grant: Grant) -> str:
    token = f"1//{state.random.getrandbits(160):040x}"
    grant.refresh_tokens.append(token)
    state.refresh_tokens[token] = grant
    del grant.refresh_tokens[:-MOST_REFRESH_TOKENS]
    return token
