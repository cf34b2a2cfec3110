"""Every refusal of the token endpoint, by AADSTS number: HTTP status, OAuth error, what it says, and its suberror."""

import json
from typing import Any, NamedTuple

CLAIMS = json.dumps(
    {"access_token": {"capolids": {"essential": True, "values": ["c17f1b3a-0000-4000-8000-000000000000"]}}}
)


class Refusal(NamedTuple):
    status: int
    error: str
    says: str
    suberror: str | None = None


def _grant(says: str, suberror: str | None = None) -> Refusal:
    return Refusal(400, "invalid_grant", says, suberror)


def _interaction(says: str, suberror: str = "basic_action") -> Refusal:
    """Which of the two errors it is has changed over the years; the commonest ones are known as `invalid_grant`."""
    return Refusal(400, "interaction_required", says, suberror)


def _client(says: str) -> Refusal:
    return Refusal(401, "invalid_client", says)


def _app(says: str, error: str = "unauthorized_client") -> Refusal:
    return Refusal(400, error, says)


def _again(says: str, status: int = 503, error: str = "temporarily_unavailable") -> Refusal:
    return Refusal(status, error, says)


REFUSALS: dict[int, Refusal] = {
    # The grant is dead.
    70000: _grant("The provided grant is invalid or malformed.", "bad_token"),
    70008: _grant("The refresh token has expired.", "token_expired"),
    700082: _grant("The refresh token has expired due to inactivity.", "token_expired"),
    50173: _grant("The provided grant was revoked; a fresh sign-in is needed.", "bad_token"),
    50132: _grant("The session is not valid any more: password expired or changed.", "bad_token"),
    50133: _grant("The session is not valid: password expired or recently changed.", "bad_token"),
    70043: _grant("The refresh token is over the sign-in frequency of conditional access.", "token_expired"),
    700084: _grant("The refresh token was issued to a single page app, and is over its fixed lifetime.", "token_expired"),
    50089: _grant("The authentication flow has expired.", "bad_token"),
    50148: _grant("The code_verifier is absent that belongs to the code_challenge of the authorization request."),
    501481: _grant("The code_verifier does not match the code_challenge of the authorization request."),
    500112: _grant("The reply address does not match the one of the authorization request."),
    54005: _grant("The authorization code was redeemed before.", "bad_token"),
    9002341: _grant("The user must permit single sign-on.", "bad_token"),
    9002313: _grant("The request is malformed or invalid."),
    # The account.
    50057: _grant("The user account is disabled."),
    50034: _grant("The user account does not exist in the directory."),
    51004: _grant("The user account does not exist in the directory of the tenant."),
    50055: _grant("The password has expired."),
    50144: _grant("The user's directory password has expired."),
    50053: _grant("The account is locked."),
    50020: _grant("The user account does not exist in this tenant and cannot use the application there."),
    # The user must act: second factor, conditional access.
    50076: _grant("A second factor is needed because of a change of configuration.", "basic_action"),
    50079: _grant("The user must enrol for a second factor.", "basic_action"),
    50078: _interaction("The second factor has expired."),
    50072: _interaction("The user must enrol for a second factor, in the browser."),
    50074: _interaction("Strong authentication is needed."),
    50158: _interaction("An external security challenge was not met.", "additional_action"),
    53000: _interaction("The device is not compliant.", "device_authentication_failed"),
    53001: _interaction("The device is not joined to the domain.", "device_authentication_failed"),
    53002: _interaction("The application is not approved.", "message_only"),
    53003: _grant("Access is blocked by conditional access.", "message_only"),
    53004: _interaction("The user must complete the enrolment for a second factor."),
    530032: _interaction("Access is blocked by a security policy of the tenant.", "message_only"),
    530033: _interaction("Access is blocked: use the application from a managed device.", "message_only"),
    530034: _interaction("A delegated administrator is blocked.", "message_only"),
    16000: _interaction("Several accounts are signed in; one must be chosen."),
    50058: _interaction("A silent sign-in was asked for, and nobody is signed in."),
    # Consent.
    65001: _grant("The user or administrator has not consented to use the application.", "consent_required"),
    65004: Refusal(400, "consent_required", "The user declined to consent.", "consent_required"),
    90094: Refusal(400, "consent_required", "An administrator must consent.", "consent_required"),
    90095: Refusal(400, "consent_required", "An administrator must consent, and has been asked.", "consent_required"),
    90008: Refusal(400, "consent_required", "The user or administrator has not consented.", "consent_required"),
    # The tenant's administrator.
    50105: _grant("The user is not assigned to a role of the application."),
    7000112: _app("The application is disabled."),
    70001: _app("The application is not found in the directory."),
    500011: _app("The resource principal was not found in the tenant.", "invalid_resource"),
    # The client's own credentials.
    7000215: _client("An invalid client secret was provided: send the secret's value, not its id."),
    7000222: _client("The client secret keys provided have expired."),
    7000216: _client("A client assertion or secret is needed."),
    7000218: _client("The request must have 'client_assertion' or 'client_secret'."),
    700027: _client("The client assertion failed signature validation."),
    70002: _client("The credentials of the client could not be validated."),
    50013: _client("The assertion is not valid."),
    # The client's configuration.
    700016: _app("The application was not found in the directory."),
    700025: _app("The client is public, so neither 'client_assertion' nor 'client_secret' may be presented.", "invalid_client"),
    50194: _app("The application is not configured as a multi-tenant application; /common is not for it.", "invalid_request"),
    9002331: _app("The application is for Microsoft accounts only: use the /consumers endpoint.", "invalid_request"),
    9002332: _app("The application is for work accounts only: the /consumers endpoint is not for it.", "invalid_request"),
    9002346: _app("The application is for Microsoft accounts only: use the /consumers endpoint.", "invalid_request"),
    900144: _app("The request body must contain a parameter that is absent.", "invalid_request"),
    70003: _app("The grant type is not supported.", "unsupported_grant_type"),
    70011: _app("The provided value for 'scope' is not valid.", "invalid_scope"),
    650057: _app("The requested resource is not among the application's permissions.", "invalid_resource"),
    28002: _app("The provided value for 'scope' is not valid for an access token.", "invalid_scope"),
    90002: _app("The tenant was not found.", "invalid_request"),
    # Later.
    90033: _again("A transient error has occurred."),
    90006: _again("An external service is not ready.", 400),
    90024: _again("The request budget is exceeded."),
    90090: _again("Graph could not be reached.", 500, "server_error"),
    90091: _again("Graph failed.", 500, "server_error"),
    50000: _again("There was an error issuing a token.", 500, "server_error"),
    50033: _again("A transient error has occurred.", 400, "invalid_request"),
    50087: _again("A transient error has occurred during sign-out.", 400, "server_error"),
    70012: _again("A server error has occurred.", 500, "server_error"),
    90012: _again("The request has timed out.", 408),
    90055: _again("There are too many requests.", 429),
    80002: _again("The on-premises agent's password check has timed out.", 400, "server_error"),
    50166: _again("A request to an external OpenID Connect provider has failed.", 400, "server_error"),
    50196: _grant("The server detected a loop of requests by the client."),
    # Numbers that nobody has met before.
    7777777: _grant("Something new stands in the way of this grant."),
    7777778: _app("Something new is wrong with this request.", "invalid_request"),
}  # fmt: skip
WITH_CLAIMS = {50076, 50079, 50074, 50158, 53000, 53001, 53003}


def describe(number: int, message: str | None, ids: tuple[str, str], stamp: str) -> tuple[int, dict[str, Any]]:
    """Status and body of a refusal. `ids` are trace id and correlation id, `stamp` as `2026-11-20 09:00:00Z`."""
    refusal = REFUSALS[number]
    trace, correlation = ids
    says = f"AADSTS{number}: {message or refusal.says}"
    body: dict[str, Any] = {
        "error": refusal.error,
        "error_description": f"{says} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
        "error_codes": [number],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }
    if refusal.suberror is not None:
        body["suberror"] = refusal.suberror
    if number in WITH_CLAIMS:
        body["claims"] = CLAIMS
    return refusal.status, body
