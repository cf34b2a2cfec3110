"""The token endpoint: tenants, clients, rotating refresh tokens, and access tokens for Graph."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from simulator.microsoft.errors import LoginError, bad_token
from simulator.microsoft.state import CONSUMERS, GRAPH, AccessToken, Account, Client, Grant, RefreshToken, State

SHARED_TENANTS = ("common", "organizations", "consumers")
LOOP_SECONDS = 300
OPENID_SCOPES = {"openid", "profile", "email", "offline_access"}


def give_consent(state: State, client_id: str, email: str, scopes: list[str]) -> str:
    """A new refresh token of this user for this client."""
    grant = next(
        (each for each in state.grants if (each.client_id, each.email) == (client_id, email) and not each.revoked), None
    )
    if grant is None:
        grant = Grant(client_id, email, scopes, [])
        state.grants.append(grant)
    grant.scopes = [short_scope(scope) for scope in scopes]
    return _issue_refresh_token(state, grant)


def refresh(state: State, tenant: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Answer a token request. Raises LoginError."""
    check_tenant(state, tenant)
    client = authenticate_client(state, tenant, form)
    if not form.get("grant_type"):
        raise LoginError(900144, "The request body must contain the parameter 'grant_type'.")
    if form["grant_type"] != "refresh_token":
        raise LoginError(70003, f"The grant type '{form['grant_type']}' is not supported.")
    if not form.get("refresh_token"):
        raise LoginError(900144, "The request body must contain the parameter 'refresh_token'.")
    grant, token = _find_token(state, client, form["refresh_token"])
    account = state.accounts[grant.email]
    check_home(tenant, client, account)
    _check_alive(state, client, grant, token, account)
    _check_loop(state, grant)
    scopes = _read_scopes(grant, form.get("scope"))
    granted = [scope for scope in scopes if scope not in OPENID_SCOPES]
    lifetime = state.settings.access_token_seconds or state.random.randint(3600, 5400)
    answer: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": " ".join(f"{GRAPH}{scope}" for scope in granted),
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": issue_access_token(state, grant, granted, lifetime),
    }
    if "offline_access" in scopes:
        _rotate(state, token)
        answer["refresh_token"] = _issue_refresh_token(state, grant)
    return answer


def issue_access_token(state: State, grant: Grant, scopes: list[str], lifetime: float) -> str:
    start = "EwB4A8l6BAAU" if state.accounts[grant.email].personal else "eyJ0eXAiOiJKV1QiLCJub25jZSI6I"
    token = start + state.make_secret(64)
    state.access_tokens[token] = AccessToken(grant, scopes, state.now() + timedelta(seconds=lifetime))
    return token


def end_grant(state: State, grant: Grant) -> None:
    grant.revoked = True
    for token in [token for token, access in state.access_tokens.items() if access.grant is grant]:
        del state.access_tokens[token]


def bearer(state: State, authorization: str | None) -> AccessToken:
    """Whose access token this is; unknown, expired and revoked ones are a 401."""
    if not authorization:
        raise bad_token("Access token is empty.")
    access = peek_token(state, authorization)
    if access is None or access.grant.revoked:
        raise bad_token("IDX14100: JWT is not well formed, or the token is not known.")
    if access.expires_at <= state.now():
        raise bad_token("Lifetime validation failed, the token is expired.")
    return access


def peek_token(state: State, authorization: str | None) -> AccessToken | None:
    scheme, _, token = (authorization or "").partition(" ")
    return state.access_tokens.get(token) if scheme.lower() == "bearer" else None


def newest_token(grant: Grant) -> str:
    return grant.refresh_tokens[-1].text


def check_tenant(state: State, tenant: str) -> None:
    known = {account.tenant for account in state.accounts.values()} | {each.audience for each in state.clients.values()}
    if tenant not in {*SHARED_TENANTS, *known}:
        raise LoginError(90002, f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.")


def authenticate_client(state: State, tenant: str, form: Mapping[str, str]) -> Client:
    if not form.get("client_id"):
        raise LoginError(900144, "The request body must contain the parameter 'client_id'.")
    client = state.clients.get(form["client_id"])
    if client is None:
        raise LoginError(700016, f"Application '{form['client_id']}' was not found in the directory '{tenant}'.")
    check_audience(client, tenant)
    if not form.get("client_secret") and not form.get("client_assertion"):
        raise LoginError(7000218)
    if client.status != "ok":
        raise LoginError(read_number(client.status))
    if form.get("client_assertion"):
        raise LoginError(700027)
    if form["client_secret"] != client.client_secret:
        raise LoginError(7000215)
    return client


def check_audience(client: Client, tenant: str) -> None:
    if client.audience not in SHARED_TENANTS:
        if tenant in SHARED_TENANTS:
            raise LoginError(
                50194, f"Application '{client.client_id}' is not configured as a multi-tenant application."
            )
        if tenant != client.audience:
            raise LoginError(700016)
    if client.audience == "consumers" and tenant not in {"consumers", CONSUMERS}:
        raise LoginError(9002346)
    if client.audience == "organizations" and tenant in {"consumers", CONSUMERS}:
        raise LoginError(9002332)


def check_home(tenant: str, client: Client, account: Account) -> None:
    """Whether this user may use the application through this tenant."""
    fits = {
        "common": client.audience == "common" or account.personal == (client.audience == "consumers"),
        "organizations": not account.personal,
        "consumers": account.personal,
    }.get(tenant, tenant == account.tenant)
    if not fits:
        raise LoginError(50020, f"User account '{account.email}' does not exist in tenant '{tenant}'.")


def _find_token(state: State, client: Client, text: str) -> tuple[Grant, RefreshToken]:
    grant = state.refresh_tokens.get(text)
    if grant is None:
        raise LoginError(70000 if text.startswith(("0.A", "M.C5")) else 9002313)
    if grant.client_id != client.client_id:
        raise LoginError(70000, "The refresh token was issued to another client.")
    return grant, next(token for token in grant.refresh_tokens if token.text == text)


def _check_alive(state: State, client: Client, grant: Grant, token: RefreshToken, account: Account) -> None:
    if account.status != "ok":
        raise LoginError(read_number(account.status))
    if grant.revoked:
        raise LoginError(50173)
    age = state.now() - token.issued_at
    if client.single_page and age >= timedelta(days=1):
        raise LoginError(700084)
    if age >= timedelta(days=state.settings.refresh_token_days):
        raise LoginError(700082)
    if token.dies_at is not None and state.now() >= token.dies_at:
        raise LoginError(70000)


def _check_loop(state: State, grant: Grant) -> None:
    limit, now = state.settings.loop_limit, state.now().timestamp()
    while grant.refreshes and grant.refreshes[0] <= now - LOOP_SECONDS:
        grant.refreshes.popleft()
    grant.refreshes.append(now)
    if limit is not None and len(grant.refreshes) > limit:
        raise LoginError(50196)


def _read_scopes(grant: Grant, asked: str | None) -> list[str]:
    if not asked:
        return grant.scopes
    scopes = [short_scope(scope) for scope in asked.split()]
    for scope in scopes:
        if "://" in scope:
            raise LoginError(70011, f"The scope '{scope}' is not valid.")
    if ".default" in scopes:
        return grant.scopes
    missing = set(scopes) - set(grant.scopes) - OPENID_SCOPES
    if missing:
        raise LoginError(65001)
    # Who never agreed to offline access gets no refresh token by asking for it.
    return [scope for scope in scopes if scope in grant.scopes or scope != "offline_access"]


def _rotate(state: State, token: RefreshToken) -> None:
    settings = state.settings
    if settings.rotation == "normal" or token.dies_at is not None:
        return
    grace = settings.grace_seconds if settings.rotation == "grace" else 0
    token.dies_at = state.now() + timedelta(seconds=grace)


def _issue_refresh_token(state: State, grant: Grant) -> str:
    start = "M.C542_SN1.0.U." if state.accounts[grant.email].personal else "0.AXoA"
    token = RefreshToken(start + state.make_secret(80), state.now())
    grant.refresh_tokens.append(token)
    state.refresh_tokens[token.text] = grant
    return token.text


def short_scope(scope: str) -> str:
    return scope.removeprefix(GRAPH)


def read_number(preset: str) -> int:
    """`AADSTS50173` as a number."""
    return int(preset.removeprefix("AADSTS"))
