"""What becomes of a bot, as tables: its plan, its meeting, and the time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.core.bots import COVERED, Absence, Bot, BotStatus, Notice, Place, Plan, Verdict, again, first

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
PLAN = Plan(id=1, version=1, join_lead_seconds=60)


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def place(start: float = 30, *, url: str | None = "https://meet.google.com/a", **more: Any) -> Place:
    return Place(event_id=1, starts_at=at(start), ends_at=at(start + 30), url=url, **more)


def bot(status: BotStatus = BotStatus.PLANNED, start: float = 30, **more: Any) -> Bot:
    known = {"url": "https://meet.google.com/a", "event_id": 1, "plan": PLAN} | more
    return Bot(status=status, starts_at=at(start), ends_at=at(start + 30), **known)


def launched(start: float = 0, status: BotStatus = BotStatus.LAUNCHED, **more: Any) -> Bot:
    return bot(status, start, launched_at=at(start - 1), **more)


def said(verdict: Verdict) -> tuple[BotStatus, str | None, Notice | None, bool]:
    return verdict.status, verdict.reason, verdict.notice, verdict.is_new


@pytest.mark.parametrize(
    ("meeting", "status", "reason", "notice", "look_at"),
    [
        pytest.param(place(), BotStatus.PLANNED, None, Notice.PLANNED, at(29), id="coming"),
        pytest.param(place(1), BotStatus.LAUNCHING, None, Notice.LAUNCH, at(31), id="at-its-very-moment"),
        pytest.param(place(1.01), BotStatus.PLANNED, None, Notice.PLANNED, at(0.01), id="a-moment-before"),
        pytest.param(place(-20), BotStatus.LAUNCHING, None, Notice.LAUNCH, at(10), id="runs-already"),
        pytest.param(place(-30), BotStatus.WAITING, "ended", None, None, id="over-at-this-moment"),
        pytest.param(
            place(url=None, absence=Absence.NO_LINK), BotStatus.WAITING, "no_link", None, at(60), id="no-link"
        ),
        pytest.param(
            place(url=None, absence=Absence.DECLINED), BotStatus.WAITING, "declined", None, at(60), id="declined"
        ),
    ],
)
def test_a_new_bot(
    meeting: Place, status: BotStatus, reason: str | None, notice: Notice | None, look_at: datetime | None
):
    verdict = first(meeting, PLAN, NOW)
    assert (verdict.status, verdict.reason, verdict.notice, verdict.look_at) == (status, reason, notice, look_at)


@pytest.mark.parametrize(
    ("known", "meeting", "plan", "expected"),
    [
        pytest.param(bot(), place(), PLAN, (BotStatus.PLANNED, None, None, False), id="unchanged"),
        pytest.param(bot(), place(90), PLAN, (BotStatus.PLANNED, None, Notice.PLANNED, False), id="moved"),
        pytest.param(bot(), place(0.5), PLAN, (BotStatus.LAUNCHING, None, Notice.LAUNCH, False), id="moved-to-now"),
        pytest.param(
            bot(),
            place(url="https://zoom.us/j/1"),
            PLAN,
            (BotStatus.PLANNED, None, Notice.PLANNED, False),
            id="relinked",
        ),
        pytest.param(
            bot(event_id=2), place(), PLAN, (BotStatus.PLANNED, None, Notice.PLANNED, False), id="handed-over"
        ),
        pytest.param(
            bot(),
            place(),
            Plan(id=1, version=2, join_lead_seconds=60),
            (BotStatus.PLANNED, None, Notice.PLANNED, False),
            id="plan-replaced",
        ),
        pytest.param(
            bot(),
            place(url=None, absence=Absence.NO_LINK),
            PLAN,
            (BotStatus.WAITING, "link_removed", Notice.CANCELLED, False),
            id="link-removed",
        ),
        pytest.param(
            bot(),
            place(url=None, absence=Absence.DECLINED),
            PLAN,
            (BotStatus.WAITING, "declined", Notice.CANCELLED, False),
            id="declined",
        ),
        pytest.param(
            bot(BotStatus.WAITING, reason="declined"),
            place(url=None, absence=Absence.CANCELLED),
            PLAN,
            (BotStatus.WAITING, "cancelled", None, False),
            id="declined-and-then-cancelled-is-said-once",
        ),
        pytest.param(
            bot(BotStatus.WAITING, reason="cancelled"),
            place(),
            PLAN,
            (BotStatus.PLANNED, None, Notice.PLANNED, False),
            id="confirmed-again",
        ),
        pytest.param(
            bot(BotStatus.WAITING, url=None, reason="no_link"),
            place(0.5),
            PLAN,
            (BotStatus.LAUNCHING, None, Notice.LAUNCH, False),
            id="a-link-at-the-last-moment",
        ),
        pytest.param(
            bot(), place(), None, (BotStatus.CANCELLED, "unplanned", Notice.CANCELLED, False), id="plan-dropped"
        ),
        pytest.param(bot(), None, PLAN, (BotStatus.CANCELLED, "gone", Notice.CANCELLED, False), id="calendar-deleted"),
        pytest.param(
            bot(BotStatus.CANCELLED, reason="unplanned"),
            place(),
            PLAN,
            (BotStatus.PLANNED, None, Notice.PLANNED, False),
            id="planned-again",
        ),
        pytest.param(
            bot(start=-40), place(-40), PLAN, (BotStatus.FAILED, "missed", Notice.FAILED, False), id="nobody-was-there"
        ),
        pytest.param(
            bot(BotStatus.WAITING, start=-40, reason="no_link"),
            place(-40, url=None, absence=Absence.NO_LINK),
            PLAN,
            (BotStatus.WAITING, "ended", None, False),
            id="over-without-a-link",
        ),
        pytest.param(
            bot(BotStatus.FAILED, reason="runner_refused"),
            place(),
            PLAN,
            (BotStatus.FAILED, "runner_refused", None, False),
            id="failed-stays",
        ),
        pytest.param(
            bot(BotStatus.FAILED, reason="runner_refused"),
            place(90),
            PLAN,
            (BotStatus.FAILED, "runner_refused", None, True),
            id="failed-and-moved-away-gets-another",
        ),
    ],
)
def test_before_it_is_launched(known: Bot, meeting: Place | None, plan: Plan | None, expected: Any):
    assert said(again(known, meeting, plan, NOW)) == expected


COVERED_MINUTES = COVERED.total_seconds() / 60


@pytest.mark.parametrize(
    ("known", "meeting", "plan", "expected"),
    [
        pytest.param(launched(), place(0), PLAN, (BotStatus.LAUNCHED, None, None, False), id="unchanged"),
        pytest.param(
            launched(), place(COVERED_MINUTES), PLAN, (BotStatus.LAUNCHED, None, None, False), id="it-waits-there"
        ),
        pytest.param(launched(), place(-10), PLAN, (BotStatus.LAUNCHED, None, None, False), id="moved-to-earlier"),
        pytest.param(
            launched(),
            place(COVERED_MINUTES + 1),
            PLAN,
            (BotStatus.CANCELLED, "moved", Notice.CANCELLED, True),
            id="moved-far-away",
        ),
        pytest.param(
            launched(-60),
            place(7 * 24 * 60),
            PLAN,
            (BotStatus.LAUNCHED, "moved", None, True),
            id="dragged-to-next-week-when-it-was-over",
        ),
        pytest.param(
            launched(),
            place(0, url=None, absence=Absence.CANCELLED),
            PLAN,
            (BotStatus.CANCELLED, "cancelled", Notice.CANCELLED, False),
            id="cancelled",
        ),
        pytest.param(
            launched(-60),
            place(-60, url=None, absence=Absence.CANCELLED),
            PLAN,
            (BotStatus.LAUNCHED, None, None, False),
            id="cancelled-when-it-was-over",
        ),
        pytest.param(
            launched(), place(0), None, (BotStatus.CANCELLED, "unplanned", Notice.CANCELLED, False), id="plan-dropped"
        ),
        pytest.param(
            launched(status=BotStatus.CANCELLED, reason="unplanned"),
            place(0),
            PLAN,
            (BotStatus.CANCELLED, "unplanned", None, False),
            id="planned-again-is-not-launched-again",
        ),
        pytest.param(
            launched(status=BotStatus.CANCELLED, reason="cancelled"),
            place(0),
            PLAN,
            (BotStatus.FAILED, "restored_after_launch", Notice.FAILED, False),
            id="confirmed-again-is-not-launched-again",
        ),
        pytest.param(
            launched(status=BotStatus.FAILED, reason="restored_after_launch"),
            place(0),
            PLAN,
            (BotStatus.FAILED, "restored_after_launch", None, False),
            id="which-is-said-once",
        ),
        pytest.param(
            launched(status=BotStatus.CANCELLED, reason="cancelled"),
            place(0, url=None, absence=Absence.DECLINED),
            PLAN,
            (BotStatus.CANCELLED, "cancelled", None, False),
            id="cancelled-is-said-once",
        ),
        pytest.param(
            launched(),
            place(60, url=None, absence=Absence.CANCELLED),
            PLAN,
            (BotStatus.CANCELLED, "cancelled", Notice.CANCELLED, False),
            id="moved-and-cancelled",
        ),
    ],
)
def test_after_it_was_launched(known: Bot, meeting: Place | None, plan: Plan | None, expected: Any):
    assert said(again(known, meeting, plan, NOW)) == expected


@pytest.mark.parametrize("meeting", [place(0), place(600), place(0, url=None, absence=Absence.CANCELLED), None])
@pytest.mark.parametrize("plan", [PLAN, None])
def test_while_a_runner_is_asked_nothing_is_decided(meeting: Place | None, plan: Plan | None):
    held = bot(BotStatus.LAUNCHING, start=0, is_held=True)
    assert said(again(held, meeting, plan, NOW)) == (BotStatus.LAUNCHING, None, None, False)


@pytest.mark.parametrize(
    ("meeting", "expected"),
    [
        pytest.param(place(0), (BotStatus.LAUNCHING, None, None, False), id="goes-on"),
        pytest.param(place(90), (BotStatus.PLANNED, None, Notice.PLANNED, False), id="moved"),
        pytest.param(
            place(0, url=None, absence=Absence.CANCELLED),
            (BotStatus.WAITING, "cancelled", Notice.CANCELLED, False),
            id="cancelled",
        ),
    ],
)
def test_between_two_tries_of_a_runner(meeting: Place, expected: Any):
    assert said(again(bot(BotStatus.LAUNCHING, start=0), meeting, PLAN, NOW)) == expected
