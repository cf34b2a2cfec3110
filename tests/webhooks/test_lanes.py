"""Whose turn it is, without a database or a network."""

from collections import Counter
from uuid import uuid4

import pytest

from webhooks.lanes import Lanes
from webhooks.message import Dispatch, Rank, Target

PROJECT = uuid4()


def lanes_of(cap, most_slow, most=64):
    return Lanes(cap, most_slow=most_slow, most=most)


def dispatch(endpoint_id, rate_limit=None, project_id=PROJECT, **fields):
    target = Target(endpoint_id, project_id, 1, "https://example.org", rate_limit, b"")
    return Dispatch(uuid4(), uuid4(), target, "a.b", b"{}", None, **fields)


def filled(lanes, endpoint_id, count, **fields):
    for _ in range(count):
        lanes.push(dispatch(endpoint_id, **fields), 0.0)


def popped(lanes, now=0.0):
    taken = []
    while one := lanes.pop(now):
        taken.append(one.target.endpoint_id)
    return taken


def test_endpoints_take_turns_up_to_their_share():
    a, b = uuid4(), uuid4()
    lanes = lanes_of(2, most_slow=1)
    filled(lanes, a, 5)
    filled(lanes, b, 5)
    assert popped(lanes) == [a, b, a, b]
    lanes.done(dispatch(a), 0.0, timed_out=False)
    assert popped(lanes) == [a]
    assert lanes.loads() == {PROJECT: 9}
    assert [lanes.room(each) for each in (a, b)] == [0, 0]


def test_a_slot_may_stay_with_its_endpoint():
    a, b = uuid4(), uuid4()
    lanes = lanes_of(2, most_slow=1)
    filled(lanes, a, 3)
    filled(lanes, b, 1)
    assert lanes.pop(0.0).target.endpoint_id == a
    assert lanes.follow(a, 0.0).target.endpoint_id == a
    assert lanes.follow(a, 0.0) is None
    assert lanes.follow(uuid4(), 0.0) is None
    assert popped(lanes) == [b]


def test_slow_endpoints_share_few_slots_until_they_answer():
    slow = [uuid4() for _ in range(5)]
    lanes = lanes_of(4, most_slow=2)
    for endpoint_id in slow:
        filled(lanes, endpoint_id, 1)
    assert len(popped(lanes)) == 5
    for endpoint_id in slow:
        lanes.done(dispatch(endpoint_id), 0.0, timed_out=True)
        assert lanes.room(endpoint_id) == 1
        filled(lanes, endpoint_id, 3)
    assert popped(lanes) == slow[:2]
    assert not lanes.loads()
    healthy = uuid4()
    filled(lanes, healthy, 4)
    assert popped(lanes) == [healthy] * 4
    lanes.done(dispatch(slow[0]), 0.0, timed_out=False)
    assert Counter(popped(lanes)) == {slow[0]: 2, slow[2]: 1}


def test_a_rate_limit_spaces_them_out():
    a = uuid4()
    lanes = lanes_of(8, most_slow=4)
    filled(lanes, a, 3, rate_limit=10)
    assert popped(lanes, 0.0) == [a]
    assert lanes.pause(0.0) == 0.1
    assert lanes.follow(a, 0.05) is None
    assert popped(lanes, 0.05) == []
    assert popped(lanes, 0.1) == [a]
    assert popped(lanes, 0.25) == [a]
    assert lanes.pause(0.25) is None


def test_processes_share_a_rate_limit():
    a = uuid4()
    lanes = lanes_of(8, most_slow=4)
    lanes.sharers = 2
    filled(lanes, a, 3, rate_limit=10)
    assert popped(lanes, 0.0) == [a]
    assert popped(lanes, 0.1) == []
    assert popped(lanes, 0.2) == [a]
    assert lanes.room(a) == 2, "5 a second: two are in flight, one waits"
    lanes.sharers = 1
    assert popped(lanes, 0.4) == [a]


def test_what_waits_can_be_taken_back():
    a, b = uuid4(), uuid4()
    lanes = lanes_of(1, most_slow=1)
    filled(lanes, a, 3)
    filled(lanes, b, 2)
    lanes.pop(0.0)
    assert len(lanes.withdraw(a)) == 2
    assert lanes.withdraw(a) == lanes.withdraw(uuid4()) == []
    assert len(lanes.withdraw_all()) == 2
    assert popped(lanes) == []


def test_news_goes_before_what_is_made_up_for():
    a, b = uuid4(), uuid4()
    lanes = lanes_of(4, most_slow=3)
    filled(lanes, a, 10, rank=Rank.BACKFILL)
    filled(lanes, b, 10, rank=Rank.BACKFILL)
    assert popped(lanes) == [a, b, a]  # its share of all slots
    filled(lanes, a, 3)
    filled(lanes, b, 1)
    assert popped(lanes) == [a, b, a]  # and of a lane's: half of it
    assert lanes.loads(Rank.NEWS) == {PROJECT: 4}
    assert lanes.loads(Rank.BACKFILL) == {PROJECT: 20}
    for _ in range(2):
        lanes.done(dispatch(a, rank=Rank.BACKFILL), 0.0, timed_out=False)
    assert popped(lanes) == [a, b, a]
    assert [lanes.room(a, rank) for rank in Rank] == [5, 8]


def test_a_slot_stays_with_a_backfill_only_while_nobody_has_news():
    a, b = uuid4(), uuid4()
    lanes = lanes_of(8, most_slow=8)
    filled(lanes, a, 3, rank=Rank.BACKFILL)
    assert lanes.follow(a, 0.0).rank == Rank.BACKFILL
    filled(lanes, b, 1)
    assert lanes.follow(a, 0.0) is None
    filled(lanes, a, 1)
    assert lanes.follow(a, 0.0).rank == Rank.NEWS


def test_a_slot_does_not_outrun_a_rate_limit():
    a = uuid4()
    lanes = lanes_of(8, most_slow=4)
    filled(lanes, a, 3, rate_limit=10)
    assert lanes.follow(a, 0.0)
    assert lanes.pop(0.05) is None
    assert lanes.pop(0.1)


@pytest.mark.parametrize(
    ("fields", "held", "has_room"),
    [
        pytest.param({}, 100, True, id="quick and not to be merged"),
        pytest.param({"mergeable": True}, 3, True, id="room left"),
        pytest.param({"mergeable": True}, 4, False, id="waits for a newer one elsewhere"),
        pytest.param({"rate_limit": 3}, 2, True, id="a second's worth"),
        pytest.param({"rate_limit": 3}, 3, False, id="more than a second's worth"),
    ],
)
def test_what_is_beyond_the_room_of_its_lane_waits_elsewhere(fields, held, has_room):
    a = uuid4()
    lanes = lanes_of(2, most_slow=1)
    filled(lanes, a, held, **fields)
    assert lanes.has_room(dispatch(a, **fields)) is has_room


def test_nothing_waits_behind_a_slow_one():
    a = uuid4()
    lanes = lanes_of(2, most_slow=1)
    assert lanes.has_room(dispatch(a))
    filled(lanes, a, 1)
    lanes.done(lanes.pop(0.0), 0.0, timed_out=True)
    assert lanes.has_room(dispatch(a))
    filled(lanes, a, 1)
    assert not lanes.has_room(dispatch(a))


def test_projects_take_turns_however_many_endpoints_they_have():
    many, [other] = [uuid4() for _ in range(5)], [uuid4()]
    lanes = lanes_of(1, most_slow=4)
    for endpoint_id in many:
        filled(lanes, endpoint_id, 1)
    filled(lanes, other, 1, project_id=uuid4())
    assert popped(lanes) == [many[0], other, *many[1:]]


def test_one_project_leaves_places_for_others_and_gives_way_to_them():
    crowd, theirs = uuid4(), uuid4()
    lanes = lanes_of(64, most_slow=4, most=4)
    filled(lanes, crowd, 20)
    assert popped(lanes) == [crowd] * 4
    other = {"project_id": uuid4()}
    filled(lanes, theirs, 2, **other)
    assert popped(lanes) == [theirs]
    lanes.done(dispatch(crowd), 0.0, timed_out=False)
    assert lanes.follow(crowd, 0.0) is None, "its share is less, now that there are two"
    assert popped(lanes) == [theirs]
    for _ in range(2):
        lanes.done(dispatch(theirs, **other), 0.0, timed_out=False)
    assert popped(lanes) == [crowd]


@pytest.mark.parametrize("kind", ["slow", "backfill"])
def test_what_is_slow_and_what_is_made_up_for_leave_places_for_those_of_others(kind):
    lanes = lanes_of(8, most_slow=2)
    fields = {"rank": Rank.BACKFILL} if kind == "backfill" else {}
    mine, [theirs], other = [uuid4() for _ in range(4)], [uuid4()], uuid4()
    owners = dict.fromkeys(mine, PROJECT) | {theirs: other}
    for endpoint_id, project_id in owners.items():
        filled(lanes, endpoint_id, 1, project_id=project_id)
        lanes.done(lanes.pop(0.0), 0.0, timed_out=kind == "slow")
    for endpoint_id in mine:
        filled(lanes, endpoint_id, 1, **fields)
    assert popped(lanes) == mine[:2]
    filled(lanes, theirs, 1, project_id=other, **fields)
    assert popped(lanes) == [theirs]


def test_an_endpoint_that_turns_slow_counts_with_all_that_it_has_in_flight():
    hanging, also = uuid4(), uuid4()
    lanes = lanes_of(4, most_slow=2)
    for endpoint_id in (also, hanging):
        filled(lanes, endpoint_id, 4 if endpoint_id == hanging else 1)
        popped(lanes)
        lanes.done(dispatch(endpoint_id), 0.0, timed_out=True)
    filled(lanes, also, 1)
    assert popped(lanes) == [], "three of the other hang"
    for _ in range(3):
        lanes.done(dispatch(hanging), 0.0, timed_out=True)
    assert popped(lanes) == [also]
