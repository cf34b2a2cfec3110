import json
from datetime import UTC, datetime, timedelta

import pytest

from service.errors import (
    AccessRejected,
    CalendarGone,
    ClientRejected,
    CursorExpired,
    PolicyForbids,
    PushUnsupported,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.google.answers import judge

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def said(reason: str | None, message: str = "", domain: str = "global", **more) -> bytes:
    cause = {"domain": domain, "message": message} | ({"reason": reason} if reason else {})
    cause |= {name: more.pop(name) for name in ("location", "locationType") if name in more}
    return json.dumps({"error": {"code": 0, "errors": [cause], "message": message, **more}}).encode()


def detail(reason: str, **metadata: str) -> list[dict]:
    return [
        {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata},
    ]


USAGE = "usageLimits"
ROWS = [
    pytest.param(400, said("invalid", "Invalid sync token value."), CursorExpired, id="invalid-sync-token"),
    pytest.param(400, said("invalid", "Invalid value", location="syncToken"), CursorExpired, id="located-sync-token"),
    pytest.param(400, said("invalid", "Invalid page token value."), CursorExpired, id="invalid-page-token"),
    pytest.param(400, said("invalid", "Invalid value", location="pageToken"), CursorExpired, id="located-page-token"),
    pytest.param(400, said("invalid", "Invalid value", location="timeMin"), RequestRefused, id="invalid-else"),
    pytest.param(400, said("timeRangeEmpty", domain="calendar"), RequestRefused, id="time-range-empty"),
    pytest.param(400, said("required", "Required"), RequestRefused, id="required"),
    pytest.param(400, said("invalidParameter", "Invalid field selection"), RequestRefused, id="invalid-parameter"),
    pytest.param(400, said("badRequest", "Bad Request"), RequestRefused, id="bad-request"),
    pytest.param(401, said("authError", "Invalid Credentials"), AccessRejected, id="auth-error"),
    pytest.param(401, b"", AccessRejected, id="401-empty"),
    pytest.param(401, said(None, status="UNAUTHENTICATED"), AccessRejected, id="401-without-reason"),
    pytest.param(403, said("userRateLimitExceeded", domain=USAGE), Throttled, id="user-rate-403"),
    pytest.param(403, said("rateLimitExceeded", domain=USAGE), Throttled, id="rate-403"),
    pytest.param(429, said("rateLimitExceeded", domain=USAGE), Throttled, id="rate-429"),
    pytest.param(429, b"", Throttled, id="429-empty"),
    pytest.param(429, b"<html>Too many requests</html>", Throttled, id="429-html"),
    pytest.param(403, said("quotaExceeded", "Calendar usage limits exceeded.", USAGE), Throttled, id="quota"),
    pytest.param(403, said("calendarUsageLimitsExceeded", domain=USAGE), Throttled, id="usage-limits"),
    pytest.param(403, said("dailyLimitExceeded", domain=USAGE), Throttled, id="daily-limit"),
    pytest.param(403, said("forbidden", "Calendar usage limits exceeded."), Throttled, id="quota-as-forbidden"),
    pytest.param(403, said("forbidden", "Quota exceeded for quota metric 'Queries'"), Throttled, id="metric-forbidden"),
    pytest.param(403, said(None, "Rate Limit Exceeded"), Throttled, id="quota-without-reason"),
    pytest.param(403, said("limitOfTomorrow", domain=USAGE), Throttled, id="usage-domain-unknown-reason"),
    pytest.param(403, said("forbidden", status="RESOURCE_EXHAUSTED"), Throttled, id="exhausted"),
    pytest.param(
        403, said("forbidden", status="X", details=detail("RATE_LIMIT_EXCEEDED")), Throttled, id="detail-rate-limit"
    ),
    pytest.param(403, said("insufficientPermissions"), ScopeMissing, id="insufficient-permissions"),
    pytest.param(403, said(None, details=detail("ACCESS_TOKEN_SCOPE_INSUFFICIENT")), ScopeMissing, id="detail-scope"),
    pytest.param(
        403, said("forbidden", details=detail("ACCESS_TOKEN_SCOPE_INSUFFICIENT")), ScopeMissing, id="forbidden-scope"
    ),
    pytest.param(403, said("accessNotConfigured", domain=USAGE), ClientRejected, id="api-off"),
    pytest.param(403, said("forbidden", details=detail("SERVICE_DISABLED")), ClientRejected, id="service-disabled"),
    pytest.param(403, said("forbidden", "Forbidden"), RequestRefused, id="forbidden"),
    pytest.param(403, said("requiredAccessLevel", domain="calendar"), RequestRefused, id="access-level"),
    pytest.param(403, said("forbiddenForNonOrganizer", domain="calendar"), RequestRefused, id="not-organizer"),
    pytest.param(403, said("forbiddenForServiceAccounts", domain="calendar"), RequestRefused, id="service-account"),
    pytest.param(403, said("somethingNew"), RequestRefused, id="403-unknown"),
    pytest.param(403, b"<html>Access denied by Example Proxy</html>", TransientFault, id="403-proxy"),
    pytest.param(403, said("notACalendarUser", domain="calendar"), PolicyForbids, id="not-a-calendar-user"),
    pytest.param(403, said("domainPolicy"), PolicyForbids, id="domain-policy"),
    pytest.param(404, said("notFound", "Not Found"), CalendarGone, id="not-found"),
    pytest.param(404, b"", CalendarGone, id="404-empty"),
    pytest.param(404, b"<html>Error 404 (Not Found)!!1</html>", TransientFault, id="404-html"),
    pytest.param(409, said("duplicate"), RequestRefused, id="duplicate"),
    pytest.param(409, said("conflict"), RequestRefused, id="conflict"),
    pytest.param(410, said("fullSyncRequired", domain="calendar"), CursorExpired, id="full-sync-required"),
    pytest.param(410, said("updatedMinTooLongAgo", domain="calendar"), CursorExpired, id="updated-min"),
    pytest.param(410, said("deleted", "Resource has been deleted"), RequestRefused, id="deleted"),
    pytest.param(410, b"", CursorExpired, id="410-empty"),
    pytest.param(412, said("conditionNotMet"), TransientFault, id="condition"),
    pytest.param(500, said("backendError"), TransientFault, id="500"),
    pytest.param(502, b"<html>", TransientFault, id="502"),
    pytest.param(503, b"", TransientFault, id="503"),
    pytest.param(504, said(None), TransientFault, id="504"),
    pytest.param(408, b"", TransientFault, id="408"),
    pytest.param(400, said("backendError"), TransientFault, id="backend-error-as-400"),
    pytest.param(302, b"", TransientFault, id="redirect"),
    pytest.param(400, said("push.webhookUrlNotHttps"), PushUnsupported, id="push-not-https"),
    pytest.param(401, said("push.webhookUrlUnauthorized"), PushUnsupported, id="push-unauthorized"),
    pytest.param(400, said("push.webhookUrlNoHostOrAddress"), PushUnsupported, id="push-no-host"),
    pytest.param(400, said("pushNotSupportedForRequestedResource"), PushUnsupported, id="push-not-supported"),
    pytest.param(400, said("channelIdNotUnique"), TransientFault, id="channel-id"),
    pytest.param(400, b'{"error": "invalid_grant"}', RequestRefused, id="the-other-envelope"),
    pytest.param(400, b'{"error": {"errors": "none"}}', RequestRefused, id="a-broken-envelope"),
    pytest.param(403, b'{"error": {"errors": []}}', RequestRefused, id="no-errors"),
    pytest.param(403, b'{"x": ' + b"[" * 100_000, TransientFault, id="deep-nesting"),
    pytest.param(403, b'{"error": \xff}', TransientFault, id="not-utf-8"),
]


@pytest.mark.parametrize(("status", "body", "kind"), ROWS)
def test_what_an_error_answer_means(status, body, kind):
    error = judge(status, {}, body, NOW)
    assert type(error) is kind
    assert error.reason


PER_USER = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service"
PER_PROJECT = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service"


@pytest.mark.parametrize(
    ("body", "scope"),
    [
        pytest.param(said("userRateLimitExceeded", PER_PROJECT), "user", id="user-rate"),
        pytest.param(said("rateLimitExceeded", "Rate Limit Exceeded"), "user", id="rate"),
        pytest.param(said("rateLimitExceeded", PER_USER), "user", id="message-per-user"),
        pytest.param(said("rateLimitExceeded", PER_PROJECT), "client", id="message-per-project"),
        pytest.param(
            said("rateLimitExceeded", details=detail("RATE_LIMIT_EXCEEDED", quota_limit="defaultPerMinutePerProject")),
            "client",
            id="detail-per-project",
        ),
        pytest.param(
            said("rateLimitExceeded", details=detail("RATE_LIMIT_EXCEEDED", quota_limit="PerMinutePerProjectPerUser")),
            "user",
            id="detail-per-user",
        ),
        pytest.param(said("quotaExceeded"), "user", id="usage"),
        pytest.param(said("dailyLimitExceeded"), "client", id="daily"),
    ],
)
def test_whose_quota_ran_out(body, scope):
    error = judge(403, {}, body, NOW)
    assert isinstance(error, Throttled)
    assert error.scope == scope


@pytest.mark.parametrize(
    ("reason", "headers", "now", "until"),
    [
        pytest.param("rateLimitExceeded", {}, NOW, None, id="unsaid"),
        pytest.param("rateLimitExceeded", {"retry-after": "7"}, NOW, NOW + timedelta(seconds=7), id="said"),
        pytest.param("rateLimitExceeded", {"retry-after": "9999999"}, NOW, NOW + timedelta(days=1), id="clamped"),
        pytest.param("rateLimitExceeded", {"retry-after": "-4"}, NOW, None, id="nonsense"),
        pytest.param("quotaExceeded", {}, NOW, NOW + timedelta(hours=3), id="usage"),
        pytest.param("dailyLimitExceeded", {}, NOW, datetime(2026, 3, 3, 8, tzinfo=UTC), id="pacific-midnight"),
        pytest.param(
            "dailyLimitExceeded",
            {},
            datetime(2026, 7, 2, 6, 59, tzinfo=UTC),
            datetime(2026, 7, 2, 7, tzinfo=UTC),
            id="pacific-summer",
        ),
    ],
)
def test_until_when_to_wait(reason, headers, now, until):
    error = judge(403, headers, said(reason), now)
    assert isinstance(error, Throttled)
    assert error.retry_at == until


def test_an_outage_may_say_how_long_it_takes():
    error = judge(503, {"retry-after": "Mon, 02 Mar 2026 09:05:00 GMT"}, b"", NOW)
    assert isinstance(error, TransientFault)
    assert error.retry_at == NOW + timedelta(minutes=5)
