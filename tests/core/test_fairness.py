"""Sharing out free places: nobody is starved, nobody sits idle beside an empty place without a reason."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.fairness import LEFT_FREE, shares

A, B, C = (UUID(int=number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("waiting", "held", "free", "spares", "given"),
    [
        pytest.param({A: 100}, {}, 32, False, {A: 32}, id="alone, everything"),
        pytest.param({A: 100}, {}, 32, True, {A: 24}, id="alone among others, three quarters"),
        pytest.param({A: 100, B: 1}, {}, 32, False, {A: 31, B: 1}, id="who wants little gets it"),
        pytest.param({A: 100, B: 100}, {}, 32, False, {A: 16, B: 16}, id="halves"),
        pytest.param({A: 100, B: 100}, {A: 20}, 12, False, {B: 12}, id="who has much already waits"),
        pytest.param({A: 100, B: 3}, {A: 24}, 8, True, {B: 3}, id="the spared places go to others"),
        pytest.param({A: 100}, {B: 13, C: 13}, 6, True, {A: 4}, id="a third one finds some left"),
        pytest.param({A: 5}, {}, 1, True, {A: 1}, id="the last place goes to who has none"),
        pytest.param({A: 5}, {A: 1}, 1, True, {}, id="and not to who has one"),
        pytest.param({A: 0, B: 1}, {}, 5, False, {B: 1}, id="who waits for nothing gets nothing"),
        pytest.param({}, {A: 3}, 5, True, {}, id="nobody waits"),
        pytest.param({A: 1, B: 1, C: 1}, {}, 2, False, {A: 1, B: 1}, id="of equals the first"),
    ],
)
def test_places_are_shared_out(waiting, held, free, spares, given):
    assert shares(waiting, held, free, spares=spares) == given


COUNTS = st.dictionaries(st.integers(1, 6).map(lambda number: UUID(int=number)), st.integers(0, 40), max_size=6)


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(COUNTS, COUNTS, st.integers(0, 64), st.booleans())
def test_no_share_is_unfair(waiting, held, free, spares):
    given = shares(waiting, held, free, spares=spares)
    taken = sum(given.values())
    assert taken <= free
    assert all(0 < given[project] <= waiting[project] for project in given)
    has = {project: held.get(project, 0) + given.get(project, 0) for project in waiting}
    hungry = [project for project in waiting if given.get(project, 0) < waiting[project]]
    for project in hungry:
        # Whoever was given a place had no more than this one has.
        assert all(has[other] <= has[project] + 1 for other in given)
    if not spares:
        assert taken == min(free, sum(waiting.values()))
    else:
        assert all(given[each] == 1 or has[each] <= LEFT_FREE * (free - taken) for each in given if has[each] > 1)
