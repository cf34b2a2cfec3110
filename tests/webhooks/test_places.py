"""How places are shared out between projects, and how far a walk through many of them comes at a time."""

from typing import NamedTuple
from uuid import UUID

import pytest

from webhooks import walks
from webhooks.places import Places, free_of, shared_out, with_spare
from webhooks.walks import Walk

A, B, C = (UUID(int=number) for number in (1, 2, 3))


class Row(NamedTuple):
    """What a walk looks at."""

    id: tuple[UUID, UUID]
    grouped: UUID
    item: UUID
    seen: int


@pytest.mark.parametrize("most", [1, 2, 3, 5, 8, 16, 64])
def test_alone_a_project_gets_all_that_one_may_have_and_others_find_some_free(most):
    places = Places(most)
    taken = 0
    while places.has_one_for(A):
        places.take(A)
        taken += 1
    assert taken == most
    assert places.has_one_for(B)
    places.take(B)
    places.give_back(A, taken)
    assert places.has_one_for(A)


def test_projects_that_keep_all_they_get_leave_some_for_four_more():
    places = Places(64)
    held = []
    for project in (UUID(int=number) for number in range(5)):
        held.append(0)
        while places.has_one_for(project):
            places.take(project)
            held[-1] += 1
    assert held[0] == 64
    assert all(held)
    assert sum(held) <= with_spare(64)


@pytest.mark.parametrize(
    ("waiting", "held", "free", "given"),
    [
        pytest.param({A: 100}, {}, 96, {A: 64}, id="alone, with what is left free"),
        pytest.param({A: 100, B: 2}, {}, 96, {A: 62, B: 2}, id="who wants little gets it"),
        pytest.param({A: 100, B: 100}, {A: 40}, 56, {B: 37}, id="who holds less is next"),
        pytest.param({A: 5, B: 5, C: 5}, {}, 2, {A: 1, B: 1}, id="in their order"),
        pytest.param({A: 0, B: 1}, {}, 5, {B: 1}, id="nothing waits"),
        pytest.param({A: 5}, {A: 60}, 0, {}, id="nothing is free"),
    ],
)
def test_places_are_shared_out_to_those_who_have_least(waiting, held, free, given):
    assert shared_out(waiting, held, free) == given


def test_what_a_project_brings_along_takes_nobodys_place():
    assert free_of(64, {}) == 96
    assert free_of(64, {A: 60}) == 36
    assert free_of(64, {A: 10_000}) == 12
    assert shared_out({A: 5, B: 5}, {A: 10_000}, 12) == {B: 5}


def index(groups):
    """Answers as the database does, of so many items in each group."""
    pairs = [(UUID(int=group), UUID(int=item)) for group, count in groups.items() for item in range(1, count + 1)]

    async def ask(*, after, within, each, steps):
        found, seen = [], {}
        for group, item in sorted(pairs):
            number = seen.get(group, 0)
            if group > after and number < each and (number == 0 or item > within) and len(found) < steps:
                seen[group] = number + 1
                found.append(Row((group, item), group, item, number + 1))
        return found

    return ask


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("groups", "most"),
    [
        pytest.param({1: 3, 2: 1}, 1, id="few"),
        pytest.param({1: 300, 2: 2}, 65, id="one of very many"),
        pytest.param({1: 30, 2: 30, 3: 2}, 20, id="two of many"),
        pytest.param(dict.fromkeys(range(1, 60), 1), 6, id="many groups"),
        pytest.param(dict.fromkeys(range(1, 20), 20), 80, id="many groups of many"),
    ],
)
async def test_a_walk_comes_by_everybody(monkeypatch, groups, most):
    for name, value in (("STEPS", 12), ("FEWEST", 2), ("AT_FIRST", 4)):
        monkeypatch.setattr(walks, name, value)
    walk, ask = Walk(), index(groups)
    everybody = {row.id for row in await ask(after=walks.FIRST, within=walks.FIRST, each=1000, steps=100_000)}
    for start in range(2):  # whichever lap it is
        seen: set[object] = set()
        rounds = 0
        while seen != everybody:
            rows, left_out = await walk.go(ask)
            seen |= {row.id for row in rows}
            rounds += 1
            assert rounds <= most, start
            assert left_out or seen == everybody


@pytest.mark.anyio
async def test_a_group_of_few_is_in_every_lap(monkeypatch):
    for name, value in (("STEPS", 12), ("FEWEST", 2), ("AT_FIRST", 4)):
        monkeypatch.setattr(walks, name, value)
    walk, ask = Walk(), index({1: 300, 2: 2})
    await walk.go(ask)
    for _ in range(30):
        rows, _ = await walk.go(ask)
        assert {row.item.int for row in rows if row.grouped.int == 2} == {1, 2}
