from datetime import UTC, datetime, timedelta

import pytest

from service.providers import quotas
from service.providers.quotas import Limit, Quotas

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def greedy(shares: Quotas, seconds: int, users: int = 1) -> int:
    """How many calls go through when everybody asks ten times a second all the time."""
    gone = 0
    for tenth in range(seconds * 10):
        for user in range(users):
            while shares.reserve("client", f"user{user}", NOW + timedelta(seconds=tenth / 10)) is None:
                gone += 1
    return gone


def test_a_user_stays_inside_googles_minute():
    assert 590 <= greedy(Quotas(), 60) <= 600


def test_the_second_minute_is_no_larger():
    shares = Quotas()
    greedy(shares, 60)
    later = sum(
        shares.reserve("client", "user0", NOW + timedelta(seconds=60 + tenth / 10)) is None for tenth in range(600)
    )
    assert 440 <= later <= 600


def test_a_client_is_bounded_over_all_its_users():
    assert 9_900 <= greedy(Quotas(), 60, users=40) <= 10_000


def test_one_users_greed_is_not_anothers():
    shares = Quotas()
    while shares.reserve("client", "greedy", NOW) is None:
        pass
    assert shares.reserve("client", "modest", NOW) is None


def test_who_is_sent_away_is_told_when_and_finds_it_true():
    shares = Quotas(user=Limit(60, 1))
    assert shares.reserve("client", "user", NOW) is None
    told = [shares.reserve("client", "user", NOW) for _ in range(5)]
    assert told == [NOW + timedelta(seconds=second) for second in range(1, 6)]
    assert [shares.reserve("client", "user", moment) for moment in told if moment] == [None] * 5


@pytest.mark.parametrize(("scope", "key"), [("client", "client"), ("user", "user")])
def test_a_penalty_silences_until_it_is_over(scope, key):
    shares = Quotas()
    shares.penalise(scope, key, NOW + timedelta(seconds=90))
    shares.penalise(scope, key, NOW + timedelta(seconds=30))
    assert shares.reserve("client", "user", NOW) == NOW + timedelta(seconds=90)
    assert shares.reserve("client", "user", NOW + timedelta(seconds=90)) is None


def test_a_user_of_another_client_is_not_penalised():
    shares = Quotas()
    shares.penalise("client", "client", NOW + timedelta(seconds=90))
    assert shares.reserve("other", "user", NOW) is None


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(quotas, "MOST_KEYS", 50)
    shares = Quotas()
    for number in range(500):
        shares.reserve("client", f"user{number}", NOW)
    assert len(shares._buckets) == 50
    assert ("client", "client") in shares._buckets


def test_a_clock_that_is_put_back_parks_nobody():
    quotas = Quotas()
    for _ in range(100):
        quotas.reserve("client", "user", NOW)
    back = NOW - timedelta(hours=1)
    turns = [quotas.reserve("client", "user", back) for _ in range(60)]
    assert turns[:49] == [None] * 49, "what was left of the burst"
    assert all(turn is not None and turn <= back + timedelta(seconds=2) for turn in turns[50:]), turns


def test_what_a_provider_asked_for_holds_when_the_clock_is_put_back():
    quotas = Quotas()
    quotas.reserve("client", "user", NOW)
    quotas.penalise("user", "user", NOW + timedelta(minutes=5))
    turn = quotas.reserve("client", "user", NOW - timedelta(minutes=1))
    assert turn is not None
    assert turn >= NOW + timedelta(minutes=5)
