"""What to do after an attempt: deliver, wait and for how long, give up, or disable the endpoint. All of it pure."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from webhooks.message import DeliveryState, Outcome

SCHEDULE = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""The pause after the first attempt, the second, ...; nine pauses make ten attempts."""

LONGEST_PAUSE = timedelta(hours=24)
JITTER = 0.10
HEEDS_RETRY_AFTER = frozenset({429, 503})
UNBROKEN = timedelta(days=5)
UNBROKEN_MESSAGES = 3


class Health(msgspec.Struct, frozen=True):
    """An endpoint's clock of unbroken failure, and how many messages have failed while it runs."""

    first_failure_at: datetime | None = None
    failed_messages: int = 0


class Decision(msgspec.Struct, frozen=True):
    """What becomes of the delivery and of its endpoint.

    `next_at` is set when the state is pending. `disable` is the reason to disable the endpoint: `gone` (410),
    `requested` (by header) or `failing` (five days without a success).
    """

    state: DeliveryState
    health: Health
    next_at: datetime | None = None
    disable: str | None = None


def decide(
    attempt_number: int, outcome: Outcome, health: Health, now: datetime, jitter: float, *, may_disable: bool = True
) -> Decision:
    """Judge attempt `attempt_number` (from 1) of a round of ten.

    `now` is when the attempt ended and `jitter` a number in [0, 1): up to a tenth is added to a pause and nothing
    ever taken off, so no attempt is early. Who may not be disabled is tried until the round ends.
    """
    disable = told_to_stop(outcome) if may_disable else None
    if outcome.error_kind is None:
        return Decision(DeliveryState.DELIVERED, Health(), disable=disable)
    health = failed(health, attempt_number, now)
    disable = disable or ("failing" if may_disable and is_given_up(health, now) else None)
    if asks(outcome) == "abort-message" or attempt_number > len(SCHEDULE):
        return Decision(DeliveryState.FAILED, health, disable=disable)
    if disable is not None:
        return Decision(DeliveryState.PARKED, health, disable=disable)
    wait = pause(attempt_number, outcome, now)
    return Decision(DeliveryState.PENDING, health, next_at=now + wait * (1 + JITTER * jitter))


def failed(health: Health, attempt_number: int, now: datetime) -> Health:
    """The endpoint's health after a failed attempt; a message counts once, with its first attempt."""
    if health.first_failure_at is None:
        return Health(now, 1)
    return Health(health.first_failure_at, health.failed_messages + (attempt_number == 1))


def asks(outcome: Outcome) -> str:
    """The receiver's word in the header webhook-delivery: `disable`, `abort-message`, or something else."""
    return (outcome.control or "").strip().lower()


def told_to_stop(outcome: Outcome) -> str | None:
    """The reason to disable an endpoint that its receiver gives itself: `gone`, `requested` or None."""
    if outcome.status == 410:
        return "gone"
    return "requested" if asks(outcome) == "disable" else None


def is_given_up(health: Health, now: datetime) -> bool:
    """Whether an endpoint has failed long enough, and often enough, without a success in between."""
    since = health.first_failure_at
    return since is not None and now - since >= UNBROKEN and health.failed_messages >= UNBROKEN_MESSAGES


def pause(attempt_number: int, outcome: Outcome, now: datetime) -> timedelta:
    """How long to wait after a failed attempt, before jitter: the schedule, or longer where the receiver asks."""
    base = SCHEDULE[attempt_number - 1]
    if outcome.status in HEEDS_RETRY_AFTER:
        asked = retry_after(outcome.retry_after, now)
        if asked is not None:
            return max(base, min(asked, LONGEST_PAUSE))
    return base


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The pause that a Retry-After header asks for (RFC 9110, 10.2.3), or None when there is none or it is nonsense.

    A date in the past is a negative pause.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return min(timedelta(seconds=int(text[:10])), LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError):
        return None
