"""The state machine, cell by cell: what each fact does in each state, and when the next attempt is."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from service.core import lifecycle
from service.core.lifecycle import (
    AddressRefused,
    CalendarGone,
    ClientRejected,
    GrantRejected,
    Reconnected,
    Refused,
    Standing,
    State,
    Synced,
    Throttled,
    TransientFailure,
    after,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYNCING, ACTIVE, ERROR, DISCONNECTED = State.SYNCING, State.ACTIVE, State.ERROR, State.DISCONNECTED
GRANT = GrantRejected("credentials_rejected", "invalid_grant")
GONE = CalendarGone("notFound")

# Fact, then the state that it leads to from syncing, active, error and disconnected.
TABLE = [
    (Synced(), ACTIVE, ACTIVE, ACTIVE, DISCONNECTED),
    (Throttled(), SYNCING, ACTIVE, ERROR, DISCONNECTED),
    (TransientFailure("timeout"), SYNCING, ACTIVE, ERROR, DISCONNECTED),
    (ClientRejected("invalid_client"), ERROR, ERROR, ERROR, DISCONNECTED),
    (Refused("calendar_refused", "forbidden"), ERROR, ERROR, ERROR, DISCONNECTED),
    (GRANT, ERROR, ERROR, ERROR, DISCONNECTED),
    (GONE, ERROR, ERROR, ERROR, DISCONNECTED),
    (AddressRefused("http_404"), ERROR, ERROR, ERROR, DISCONNECTED),
    (Reconnected(), SYNCING, SYNCING, SYNCING, SYNCING),
]
CELLS = [
    pytest.param(fact, before, expected, id=f"{type(fact).__name__}-{before.value}")
    for fact, *row in TABLE
    for before, expected in zip((SYNCING, ACTIVE, ERROR, DISCONNECTED), row, strict=True)
]
FAULTS = [fact for fact, *_ in TABLE if not isinstance(fact, Synced | Reconnected)]


def standing(status: State, **more: object) -> Standing:
    return Standing(status=status, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("fact", "before", "expected"), CELLS)
def test_each_cell_of_the_state_table(fact: lifecycle.Fact, before: State, expected: State) -> None:
    assert after(standing(before), fact, NOW, 0.5).status is expected


@pytest.mark.parametrize("fact", [Synced(), *FAULTS], ids=lambda fact: type(fact).__name__)
def test_a_disconnected_calendar_is_deaf_to_all_but_new_credentials(fact: lifecycle.Fact) -> None:
    gone = standing(DISCONNECTED, error_code="credentials_rejected", error_message="x", failures=2)

    assert after(gone, fact, NOW, 0.9) == gone


def test_success_forgets_everything() -> None:
    bad = standing(
        ERROR, failures=9, failing_since=NOW, throttles=3, rate_limited_until=NOW, suspicion="grant", error_code="x",
        error_message="y", retry_at=NOW,
    )  # fmt: skip

    assert after(bad, Synced(), NOW, 0.5) == Standing(status=ACTIVE)


def test_new_credentials_forget_everything_and_are_tried_at_once() -> None:
    bad = standing(DISCONNECTED, failures=9, failing_since=NOW, error_code="x", error_message="y")

    assert after(bad, Reconnected(), NOW, 0.5) == Standing(status=SYNCING)


@pytest.mark.parametrize("before", [SYNCING, ACTIVE])
def test_the_third_failure_in_a_row_is_an_error(before: State) -> None:
    now, stands = NOW, standing(before)
    seen = []
    for _ in range(3):
        stands = after(stands, TransientFailure("http_503"), now, 0.5)
        seen.append(stands.status)
        now += timedelta(seconds=20)

    assert seen == [before, before, ERROR]
    assert stands.failing_since == NOW
    assert stands.error_code == "provider_unavailable"


@pytest.mark.parametrize(
    ("minutes", "expected"), [pytest.param(14.9, ACTIVE, id="patient"), pytest.param(15, ERROR, id="15 minutes")]
)
def test_two_failures_a_quarter_of_an_hour_apart_are_an_error(minutes: float, expected: State) -> None:
    first = after(standing(ACTIVE), TransientFailure("timeout"), NOW, 0.5)

    assert after(first, TransientFailure("timeout"), NOW + minutes * MINUTE, 0.5).status is expected


def test_failures_that_are_not_in_a_row_are_no_error() -> None:
    stands = standing(ACTIVE)
    for _ in range(5):
        for fact in (TransientFailure("timeout"), TransientFailure("timeout"), Synced()):
            stands = after(stands, fact, NOW, 0.5)
            assert stands.status is ACTIVE


@pytest.mark.parametrize(("fact", "suspicion"), [(GRANT, "grant"), (GONE, "gone")], ids=["grant", "gone"])
@pytest.mark.parametrize("before", [SYNCING, ACTIVE, ERROR])
def test_only_the_second_look_disconnects(fact: lifecycle.Fact, suspicion: str, before: State) -> None:
    looked = after(standing(before), fact, NOW, 0.0)
    assert (looked.status, looked.suspicion, looked.retry_at) == (ERROR, suspicion, NOW + MINUTE)

    confirmed = after(looked, fact, NOW + MINUTE, 0.0)

    assert (confirmed.status, confirmed.suspicion, confirmed.retry_at) == (DISCONNECTED, None, None)
    assert confirmed.error_code == looked.error_code
    assert confirmed.error_message == looked.error_message


@pytest.mark.parametrize(
    "between", [TransientFailure("timeout"), ClientRejected("x"), GONE], ids=lambda f: type(f).__name__
)
def test_a_suspicion_that_is_not_confirmed_in_a_row_begins_anew(between: lifecycle.Fact) -> None:
    stands = standing(ACTIVE)
    for fact in (GRANT, between, GRANT):
        stands = after(stands, fact, NOW, 0.5)

    assert (stands.status, stands.suspicion) == (ERROR, "grant")


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        pytest.param([0, 12], ERROR, id="two refusals"),
        pytest.param([0, 1, 2, 23.9], ERROR, id="many in less than a day"),
        pytest.param([0, 12, 24], DISCONNECTED, id="three in a day"),
        pytest.param([0, 24], ERROR, id="two in a day"),
    ],
)
def test_a_feed_is_given_up_after_three_refusals_and_a_day(hours: list[float], expected: State) -> None:
    stands = standing(ACTIVE)
    for hour in hours:
        stands = after(stands, AddressRefused("http_404"), NOW + timedelta(hours=hour), 0.5)

    assert (stands.status, stands.error_code) == (expected, "feed_refused")
    assert (stands.retry_at is None) == (expected is DISCONNECTED)


def test_an_outage_before_them_does_not_count_as_refusals() -> None:
    stands = standing(ACTIVE)
    for hour in range(30):
        stands = after(stands, TransientFailure("timeout"), NOW + timedelta(hours=hour), 0.5)
    for hour in range(30, 33):
        stands = after(stands, AddressRefused("http_404"), NOW + timedelta(hours=hour), 0.5)

    assert stands.status is ERROR


def test_throttling_keeps_a_suspicion_and_confirms_nothing() -> None:
    looked = after(standing(ACTIVE), GRANT, NOW, 0.5)

    assert after(looked, Throttled(), NOW, 0.5).suspicion == "grant"


@pytest.mark.parametrize("times", [1, 5, 200])
def test_throttling_never_changes_the_state(times: int) -> None:
    for before in (SYNCING, ACTIVE, ERROR):
        stands = standing(before)
        for _ in range(times):
            stands = after(stands, Throttled(), NOW, 0.5)
        assert stands.status is before
        assert stands.throttles == times
        assert stands.retry_at == stands.rate_limited_until


@pytest.mark.parametrize(
    "fact_type", [Throttled, lambda until: TransientFailure("x", until)], ids=["throttled", "failed"]
)
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(timedelta(hours=2), timedelta(hours=2), id="honoured"),
        pytest.param(timedelta(hours=24), timedelta(hours=24), id="a day"),
        pytest.param(timedelta(days=365), timedelta(hours=24), id="a year is cut to a day"),
    ],
)
def test_a_provider_is_obeyed_for_a_day_at_most(fact_type: type, asked: timedelta, expected: timedelta) -> None:
    stands = after(standing(ACTIVE), fact_type(NOW + asked), NOW, 0.5)

    assert stands.retry_at == NOW + expected


@pytest.mark.parametrize("until", [NOW, NOW - timedelta(days=1)], ids=["now", "yesterday"])
def test_a_pause_that_is_over_is_no_pause(until: datetime) -> None:
    assert after(standing(ACTIVE), Throttled(until), NOW, 0.0).retry_at == NOW + timedelta(seconds=15)


@pytest.mark.parametrize(
    ("fact", "lowest", "highest"),
    [
        pytest.param(ClientRejected("x"), 15, 16.5, id="client"),
        pytest.param(Refused("calendar_refused", "x"), 60, 66, id="refused"),
        pytest.param(GRANT, 1, 1.1, id="grant"),
        pytest.param(GONE, 1, 1.1, id="gone"),
    ],
)
def test_jitter_only_adds(fact: lifecycle.Fact, lowest: float, highest: float) -> None:
    first = after(standing(ACTIVE), fact, NOW, 0.0).retry_at
    last = after(standing(ACTIVE), fact, NOW, 0.999999).retry_at

    assert first == NOW + lowest * MINUTE
    assert last is not None
    assert NOW + lowest * MINUTE < last <= NOW + highest * MINUTE


def test_in_error_the_pauses_grow_to_an_hour_and_never_vanish() -> None:
    stands = standing(ACTIVE)
    pauses = []
    for _ in range(16):
        stands = after(stands, TransientFailure("http_500"), NOW, 0.999)
        assert stands.retry_at is not None
        pauses.append((stands.retry_at - NOW).total_seconds())

    assert pauses == sorted(pauses)
    assert pauses[2] <= 60
    assert 3500 < pauses[-1] <= 3600
    assert (after(stands, TransientFailure("x"), NOW, 0.0).retry_at or NOW) >= NOW + timedelta(seconds=5)


@pytest.mark.parametrize("fact", FAULTS, ids=lambda fact: type(fact).__name__)
def test_every_error_says_what_to_do(fact: lifecycle.Fact) -> None:
    stands = standing(ACTIVE, failures=2)
    after_it = after(stands, fact, NOW, 0.5)
    if after_it.status is not ERROR:
        assert after_it.error_message is None
        return
    assert after_it.error_code in lifecycle.REMEDIES
    assert after_it.error_message is not None
    assert after_it.error_message.startswith(lifecycle.REMEDIES[after_it.error_code])
    assert after_it.error_message.endswith(f"({fact.reason})")  # type: ignore[union-attr]


def test_nothing_is_changed_in_place() -> None:
    before = standing(ACTIVE, failures=1)
    kept = msgspec.structs.replace(before)
    for fact in (fact for fact, *_ in TABLE):
        after(before, fact, NOW, 0.5)

    assert before == kept
