"""Faults on demand: rules that say which request fails how, and a preset for each refusal Google is known for."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Any

import msgspec

from simulator.google.answers import Answer, as_json

HUGE_BYTES = 10_000_000
WRITES = (
    "events.insert", "events.patch", "events.update", "events.delete", "events.quickAdd", "events.cancel", "events.respond",
)  # fmt: skip


@dataclass(slots=True)
class Fault:
    """The next `times` matching requests fail (all of them if None), after `skip` that do not."""

    preset: str
    endpoint: str = "*"  # one pattern, or several with "|" between them; "writes" are all that write events
    account: str | None = None
    calendar: str | None = None
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    after: bool = False  # the request takes effect first, and only its answer is lost
    seconds: float = 0.0
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hits: int = 0

    def matches(self, endpoint: str, account: str | None, calendar: str | None) -> bool:
        patterns = WRITES if self.endpoint == "writes" else self.endpoint.split("|")
        return (
            any(fnmatchcase(endpoint, pattern) for pattern in patterns)
            and self.account in (None, account)
            and self.calendar in (None, calendar)
        )


def pick_fault(
    faults: list[Fault], random: Random, endpoint: str, account: str | None, calendar: str | None
) -> Fault | None:
    """The first rule that strikes; used-up rules go."""
    for fault in list(faults):
        if not fault.matches(endpoint, account, calendar):
            continue
        if fault.skip > 0:
            fault.skip -= 1
            continue
        if fault.probability < 1 and random.random() >= fault.probability:
            continue
        fault.hits += 1
        if fault.times is not None and fault.hits >= fault.times:
            faults.remove(fault)
        return fault
    return None


def write_faults(*, before: float, after: float, silent: float, error: str, silence: str) -> list[Fault]:
    """Rules by which a fraction of writes fails before it is carried out, a fraction after, and one is never answered."""
    faults, left = [], 1.0
    for share, preset, is_after in ((before, error, False), (after, error, True), (silent, silence, True)):
        if share:
            # The rules are asked one after the other, each about what the ones before have let through.
            chance = min(1.0, share / left) if left > 0 else 0.0
            faults.append(Fault(preset, "writes", times=None, probability=chance, after=is_after))
            left -= share
    return faults


def _api(code: int, reason: str, message: str, domain: str = "global", **extra: Any) -> tuple[int, dict[str, Any]]:
    cause = {"domain": domain, "reason": reason, "message": message}
    return code, {"error": {"errors": [cause], "code": code, "message": message, **extra}}


def _oauth(status: int, error: str, description: str, **extra: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": error, "error_description": description, **extra}


def _details(reason: str) -> list[dict[str, Any]]:
    return [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": {"service": "calendar-json.googleapis.com"},
        }
    ]


TOKEN_PRESETS: dict[str, tuple[int, dict[str, Any]]] = {
    "invalid_grant": _oauth(400, "invalid_grant", "Token has been expired or revoked."),
    "invalid_grant_bad_request": _oauth(400, "invalid_grant", "Bad Request"),
    "account_deleted": _oauth(400, "invalid_grant", "The account has been deleted"),
    "invalid_rapt": _oauth(400, "invalid_grant", "reauth related error (invalid_rapt)", error_subtype="invalid_rapt"),
    "rapt_required": _oauth(400, "invalid_grant", "reauth related error", error_subtype="rapt_required"),
    "invalid_client": _oauth(401, "invalid_client", "The OAuth client was not found."),
    "invalid_client_secret": _oauth(401, "invalid_client", "Unauthorized"),
    "deleted_client": _oauth(401, "deleted_client", "The OAuth client was deleted."),
    "disabled_client": _oauth(401, "disabled_client", "The OAuth client was disabled."),
    "unauthorized_client": _oauth(401, "unauthorized_client", "Unauthorized"),
    "invalid_request": _oauth(400, "invalid_request", "Missing required parameter: refresh_token"),
    "invalid_scope": _oauth(400, "invalid_scope", "Some requested scopes were invalid."),
    "admin_policy_enforced": _oauth(400, "admin_policy_enforced", "Blocked by your administrator."),
    "org_internal": _oauth(403, "org_internal", "This client is restricted to users within its organization."),
    "internal_failure_400": _oauth(400, "internal_failure", "Internal failure."),
    "server_error_400": _oauth(400, "server_error", "Backend error."),
    "temporarily_unavailable": _oauth(503, "temporarily_unavailable", "Try again later."),
    "token_429": _oauth(429, "rate_limit_exceeded", "Too many requests."),
    "token_500": _oauth(500, "internal_failure", "Backend error."),
}

API_PRESETS: dict[str, tuple[int, dict[str, Any]]] = {
    "unauthorized_401": _api(401, "authError", "Invalid Credentials", status="UNAUTHENTICATED"),
    "rate_limit_403": _api(403, "rateLimitExceeded", "Rate Limit Exceeded", "usageLimits"),
    "user_rate_limit_403": _api(403, "userRateLimitExceeded", "User Rate Limit Exceeded", "usageLimits"),
    "rate_limit_429": _api(429, "rateLimitExceeded", "Rate Limit Exceeded", "usageLimits"),
    "quota_403": _api(403, "quotaExceeded", "Calendar usage limits exceeded.", "usageLimits"),
    "calendar_limits_403": _api(403, "calendarUsageLimitsExceeded", "Calendar usage limits exceeded.", "usageLimits"),
    "daily_limit_403": _api(403, "dailyLimitExceeded", "Daily Limit Exceeded", "usageLimits"),
    "scope_403": _api(
        403,
        "insufficientPermissions",
        "Request had insufficient authentication scopes.",
        status="PERMISSION_DENIED",
        details=_details("ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    ),
    "api_disabled_403": _api(
        403,
        "accessNotConfigured",
        "Google Calendar API has not been used in this project before or it is disabled.",
        "usageLimits",
        status="PERMISSION_DENIED",
        details=_details("SERVICE_DISABLED"),
    ),
    "forbidden_403": _api(403, "forbidden", "Forbidden"),
    "required_access_403": _api(
        403, "requiredAccessLevel", "You need to have writer access to this calendar.", "calendar"
    ),
    "non_organizer_403": _api(
        403, "forbiddenForNonOrganizer", "Shared properties can only be changed by the organizer.", "calendar"
    ),
    "service_account_403": _api(
        403, "forbiddenForServiceAccounts", "Service accounts cannot invite attendees.", "calendar"
    ),
    "not_a_calendar_user_403": _api(
        403, "notACalendarUser", "The user must be signed up for Google Calendar.", "calendar"
    ),
    "domain_policy_403": _api(403, "domainPolicy", "The domain administrators have disabled Calendar."),
    "not_found_404": _api(404, "notFound", "Not Found"),
    "duplicate_409": _api(409, "duplicate", "The requested identifier already exists."),
    "conflict_409": _api(409, "conflict", "Conflict"),
    "deleted_410": _api(410, "deleted", "Resource has been deleted"),
    "full_sync_required_410": _api(
        410, "fullSyncRequired", "Sync token is no longer valid, a full sync is required.", "calendar"
    ),
    "updated_min_410": _api(
        410, "updatedMinTooLongAgo", "The requested minimum modification time lies too far in the past.", "calendar"
    ),
    "invalid_sync_token_400": _api(400, "invalid", "Invalid sync token value."),
    "time_range_empty_400": _api(400, "timeRangeEmpty", "The specified time range is empty.", "calendar"),
    "invalid_parameter_400": _api(400, "invalidParameter", "Invalid field selection"),
    "required_400": _api(400, "required", "Required"),
    "bad_request_400": _api(400, "badRequest", "Bad Request"),
    "condition_412": _api(412, "conditionNotMet", "Precondition Failed"),
    "backend_500": _api(500, "backendError", "Backend Error"),
    "backend_502": _api(502, "backendError", "Bad Gateway"),
    "backend_503": _api(503, "backendError", "Service Unavailable"),
    "backend_504": _api(504, "backendError", "Gateway Timeout"),
    "webhook_not_https_400": _api(400, "push.webhookUrlNotHttps", "WebHook callback must be HTTPS"),
    "webhook_unauthorized_401": _api(401, "push.webhookUrlUnauthorized", "Unauthorized WebHook callback channel"),
    "channel_id_400": _api(400, "channelIdNotUnique", "Channel id not unique"),
    "push_not_supported_400": _api(
        400,
        "pushNotSupportedForRequestedResource",
        "Push notifications are not supported by this resource.",
        "calendar",
    ),
}
# These change how the real answer travels; `custom` sends the rule's own status and body.
WIRE_PRESETS = ("latency", "hang", "broken_page", "truncated_page", "lost_answer", "huge_page", "html_200", "custom")
PRESETS = sorted([*TOKEN_PRESETS, *API_PRESETS, *WIRE_PRESETS, "503_retry_after", "429_retry_after"])


def strike(fault: Fault) -> Answer | None:
    """The answer of a fault that needs no real one; None when the real answer is to be bent."""
    known = {**TOKEN_PRESETS, **API_PRESETS}.get(fault.preset)
    if known is not None:
        answer = as_json(*known)
    elif fault.preset == "503_retry_after":
        answer = as_json(*API_PRESETS["backend_503"])
        answer.headers["Retry-After"] = str(int(fault.seconds or 7))
    elif fault.preset == "429_retry_after":
        answer = as_json(*API_PRESETS["rate_limit_429"])
        answer.headers["Retry-After"] = str(int(fault.seconds or 7))
    elif fault.preset == "html_200":
        answer = Answer(200, b"<!doctype html><title>Sign in</title><h1>Sign in</h1>", "text/html; charset=utf-8")
    elif fault.preset == "huge_page":
        answer = as_json(200, {"kind": "calendar#events", "items": [], "description": "x" * HUGE_BYTES})
    elif fault.preset == "hang":
        answer = Answer(200, hang=True)
    elif fault.preset == "custom":
        answer = _custom(fault)
    else:
        return None
    answer.headers |= fault.headers
    answer.fault = fault.preset
    return answer


def bend(fault: Fault, answer: Answer) -> Answer:
    """The real answer, spoilt on its way."""
    answer.fault = fault.preset
    if fault.preset == "latency":
        answer.delay = fault.seconds
    elif fault.preset == "lost_answer":
        # A 204 is whole without a body, so that nothing of it would be missed.
        answer.status, answer.body, answer.cut = 200 if answer.status == 204 else answer.status, b"", True
    else:
        answer.body = answer.body[: max(1, len(answer.body) // 2)]
        answer.cut = fault.preset == "broken_page"
    return answer


def _custom(fault: Fault) -> Answer:
    if isinstance(fault.body, str):
        return Answer(fault.status or 500, fault.body.encode(), "text/plain; charset=utf-8")
    return Answer(fault.status or 500, msgspec.json.encode(fault.body))
