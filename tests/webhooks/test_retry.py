"""The decision after each attempt, as a table."""

from datetime import UTC, datetime, timedelta

import pytest

from webhooks.message import DeliveryState, Outcome
from webhooks.retry import SCHEDULE, Decision, Health, decide, retry_after

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = 3600, 86400


def status(code, **fields):
    kind = None if 200 <= code < 300 else "status"
    return Outcome(at=NOW, duration=0.1, status=code, error_kind=kind, **fields)


def broken(kind):
    return Outcome(at=NOW, duration=0.1, error_kind=kind)


@pytest.mark.parametrize(
    ("attempt", "outcome", "seconds"),
    [
        pytest.param(1, status(500), 5, id="first-pause"),
        pytest.param(2, status(500), 300, id="second"),
        pytest.param(3, status(500), 1800, id="third"),
        pytest.param(4, status(500), 2 * HOUR, id="fourth"),
        pytest.param(5, status(500), 5 * HOUR, id="fifth"),
        pytest.param(6, status(500), 10 * HOUR, id="sixth"),
        pytest.param(7, status(500), 14 * HOUR, id="seventh"),
        pytest.param(8, status(500), 20 * HOUR, id="eighth"),
        pytest.param(9, status(500), 24 * HOUR, id="ninth"),
        pytest.param(1, status(301), 5, id="a-redirect-is-a-failure"),
        pytest.param(1, status(308), 5, id="and-so-is-a-permanent-one"),
        pytest.param(1, status(400), 5, id="client-errors-are-retried-too"),
        pytest.param(1, status(404), 5, id="not-found-may-be-a-deploy"),
        pytest.param(1, broken("connect"), 5, id="connection-refused"),
        pytest.param(1, broken("dns"), 5, id="no-such-host"),
        pytest.param(1, broken("tls"), 5, id="bad-certificate"),
        pytest.param(1, broken("blocked_address"), 5, id="blocked-address"),
        pytest.param(1, broken("timeout"), 5, id="a-timeout-is-no-exception"),
        pytest.param(1, status(429), 5, id="too-many-requests-is-no-exception"),
        pytest.param(1, status(502), 5, id="bad-gateway-is-no-exception"),
        pytest.param(1, status(504), 5, id="gateway-timeout-is-no-exception"),
        pytest.param(2, status(504), 300, id="slowing-down-never-hurries"),
        pytest.param(1, status(429, retry_after="120"), 120, id="retry-after-seconds"),
        pytest.param(1, status(503, retry_after="Sun, 01 Mar 2026 12:10:00 GMT"), 600, id="retry-after-date"),
        pytest.param(1, status(503, retry_after="2"), 5, id="retry-after-below-the-schedule"),
        pytest.param(3, status(429, retry_after="60"), 1800, id="retry-after-never-shortens"),
        pytest.param(1, status(429, retry_after="999999999"), DAY, id="retry-after-for-ever"),
        pytest.param(1, status(429, retry_after="9" * 400), DAY, id="retry-after-of-400-digits"),
        pytest.param(1, status(503, retry_after="Fri, 31 Dec 9999 23:59:59 GMT"), DAY, id="retry-after-year-9999"),
        pytest.param(1, status(503, retry_after="Thu, 01 Jan 1970 00:00:00 GMT"), 5, id="retry-after-1970"),
        pytest.param(1, status(503, retry_after="-1"), 5, id="retry-after-negative"),
        pytest.param(1, status(503, retry_after="NaN"), 5, id="retry-after-nan"),
        pytest.param(1, status(503, retry_after="1e9"), 5, id="retry-after-exponent"),
        pytest.param(1, status(503, retry_after="٣٣٣٣"), 5, id="retry-after-foreign-digits"),
        pytest.param(1, status(503, retry_after="soon"), 5, id="retry-after-word"),
        pytest.param(1, status(429, retry_after=" 120 "), 120, id="retry-after-spaces"),
        pytest.param(1, status(429, retry_after="0"), 5, id="retry-after-zero"),
        pytest.param(1, status(429, retry_after="120, 60"), 5, id="retry-after-a-list"),
        pytest.param(1, status(429, retry_after="12.5"), 5, id="retry-after-fraction"),
        pytest.param(1, status(429, retry_after="\N{ARABIC-INDIC DIGIT ONE}20"), 5, id="retry-after-other-digits"),
        pytest.param(1, status(503, retry_after=""), 5, id="retry-after-empty"),
        pytest.param(1, status(500, retry_after="120"), 5, id="retry-after-counts-only-on-429-and-503"),
        pytest.param(1, status(500, control="please"), 5, id="unknown-control-word"),
    ],
)
def test_a_failed_attempt_waits(attempt, outcome, seconds):
    decision = decide(attempt, outcome, Health(), NOW, 0.0)
    assert decision == Decision(DeliveryState.PENDING, Health(NOW, 1), next_at=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("attempt", "outcome", "state", "disable"),
    [
        pytest.param(1, status(200), "delivered", None, id="ok"),
        pytest.param(10, status(204), "delivered", None, id="no-content-at-last"),
        pytest.param(1, status(299), "delivered", None, id="any-2xx"),
        pytest.param(1, status(200, control="disable"), "delivered", "requested", id="delivered-and-no-more-please"),
        pytest.param(1, status(200, control="abort-message"), "delivered", None, id="abort-after-success-is-nothing"),
        pytest.param(10, status(500), "failed", None, id="tenth-attempt-was-the-last"),
        pytest.param(10, broken("timeout"), "failed", None, id="tenth-timeout"),
        pytest.param(1, status(410), "parked", "gone", id="gone"),
        pytest.param(10, status(410), "failed", "gone", id="gone-at-the-last-attempt"),
        pytest.param(1, status(500, control="disable"), "parked", "requested", id="disable-by-header"),
        pytest.param(1, status(500, control=" Disable "), "parked", "requested", id="header-in-any-case"),
        pytest.param(1, status(500, control="abort-message"), "failed", None, id="abort-by-header"),
    ],
)
def test_an_attempt_that_ends_something(attempt, outcome, state, disable):
    decision = decide(attempt, outcome, Health(), NOW, 0.0)
    assert (decision.state, decision.disable, decision.next_at) == (state, disable, None)


@pytest.mark.parametrize(
    ("health", "attempt", "disable"),
    [
        pytest.param(Health(NOW - timedelta(days=5), 3), 9, "failing", id="five-days-three-messages"),
        pytest.param(Health(NOW - timedelta(days=5), 2), 9, None, id="two-messages-are-too-few"),
        pytest.param(Health(NOW - timedelta(days=5), 2), 1, "failing", id="this-is-the-third"),
        pytest.param(Health(NOW - timedelta(days=5) + timedelta(seconds=1), 99), 9, None, id="a-second-too-early"),
        pytest.param(Health(), 1, None, id="the-clock-starts"),
    ],
)
def test_five_days_of_unbroken_failure_disable(health, attempt, disable):
    assert decide(attempt, status(500), health, NOW, 0.0).disable == disable


def test_a_success_stops_the_clock_and_a_failure_counts_messages_once():
    health = Health()
    for attempt in (1, 1, 2, 3, 1):
        health = decide(attempt, status(500), health, NOW, 0.0).health
    assert health == Health(NOW, 3)
    assert decide(4, status(200), health, NOW, 0.0).health == Health()


@pytest.mark.parametrize("attempt", range(1, 10))
def test_jitter_only_adds_and_at_most_a_tenth(attempt):
    base = SCHEDULE[attempt - 1]
    for jitter in (0.0, 0.5, 0.999999):
        moment = decide(attempt, status(500), Health(), NOW, jitter).next_at
        assert NOW + base <= moment <= NOW + base * 1.1


def test_ten_attempts_take_the_promised_time():
    assert sum(SCHEDULE, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


def test_a_date_without_zone_is_read_as_utc():
    assert retry_after("Sun, 01 Mar 2026 12:01:00 -0000", NOW) == timedelta(minutes=1)
