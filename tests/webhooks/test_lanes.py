"""Whose turn it is, without a database or a network."""

from collections import Counter
from uuid import uuid4

from webhooks.lanes import Lanes
from webhooks.message import Dispatch, Target


def dispatch(endpoint_id, rate_limit=None):
    target = Target(endpoint_id, uuid4(), 1, "https://example.org", rate_limit, b"")
    return Dispatch(uuid4(), uuid4(), target, "a.b", b"{}", None)


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
    lanes = Lanes(2, most_slow=1)
    filled(lanes, a, 5)
    filled(lanes, b, 5)
    assert popped(lanes) == [a, b, a, b]
    lanes.done(a, 0.0, timed_out=False)
    assert popped(lanes) == [a]
    assert lanes.load() == 9
    assert lanes.full() == [a, b]


def test_a_slot_may_stay_with_its_endpoint():
    a, b = uuid4(), uuid4()
    lanes = Lanes(2, most_slow=1)
    filled(lanes, a, 3)
    filled(lanes, b, 1)
    assert lanes.pop(0.0).target.endpoint_id == a
    assert lanes.follow(a, 0.0).target.endpoint_id == a
    assert lanes.follow(a, 0.0) is None
    assert lanes.follow(uuid4(), 0.0) is None
    assert popped(lanes) == [b]


def test_slow_endpoints_share_few_slots_until_they_answer():
    slow = [uuid4() for _ in range(5)]
    lanes = Lanes(4, most_slow=2)
    for endpoint_id in slow:
        filled(lanes, endpoint_id, 1)
    assert len(popped(lanes)) == 5
    for endpoint_id in slow:
        lanes.done(endpoint_id, 0.0, timed_out=True)
        assert lanes.room(endpoint_id) == 1
        filled(lanes, endpoint_id, 3)
    assert popped(lanes) == slow[:2]
    assert lanes.load() == 0
    healthy = uuid4()
    filled(lanes, healthy, 4)
    assert popped(lanes) == [healthy] * 4
    lanes.done(slow[0], 0.0, timed_out=False)
    assert Counter(popped(lanes)) == {slow[0]: 2, slow[2]: 1}


def test_a_rate_limit_spaces_them_out():
    a = uuid4()
    lanes = Lanes(8, most_slow=4)
    filled(lanes, a, 3, rate_limit=10)
    assert popped(lanes, 0.0) == [a]
    assert lanes.pause(0.0) == 0.1
    assert lanes.follow(a, 0.05) is None
    assert popped(lanes, 0.05) == []
    assert popped(lanes, 0.1) == [a]
    assert popped(lanes, 0.25) == [a]
    assert lanes.pause(0.25) is None


def test_what_waits_can_be_taken_back():
    a, b = uuid4(), uuid4()
    lanes = Lanes(1, most_slow=1)
    filled(lanes, a, 3)
    filled(lanes, b, 2)
    lanes.pop(0.0)
    assert len(lanes.withdraw(a)) == 2
    assert lanes.withdraw(a) == lanes.withdraw(uuid4()) == []
    assert len(lanes.withdraw_all()) == 2
    assert popped(lanes) == []
