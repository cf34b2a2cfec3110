"""A round against the store, trap by trap: what is written, what is news, and what is left alone."""

from collections.abc import Iterable

import msgspec
import pytest
from core.rounds import LINK, Store, delta, event, full, listed, news, occurrences

from service.core.sync import (
    Item,
    Malformed,
    Page,
    Removed,
    absorb,
    unsettled_series,
)


def test_an_echo_writes_nothing() -> None:
    store = Store(event("a"))

    assert not store.play(delta(), *listed(event("a")))
    assert not store.play(full(), *listed(event("a")))


@pytest.mark.parametrize("day", [-2, 30, 31, 5000], ids=str)
def test_a_delta_is_clamped_to_the_window(day: float) -> None:
    assert not Store().play(delta(), *listed(event("a", day=day)))


def test_a_known_event_is_followed_out_of_the_window_and_back() -> None:
    store = Store(event("a", meeting=LINK))

    out = store.play(delta(), *listed(event("a", day=90, meeting=LINK)))
    # A full listing does not show it, and that proves nothing.
    silent = store.play(full())
    back = store.play(delta(), *listed(event("a", day=2, meeting=LINK)))

    assert news(out) == news(back) == [("updated", "a")]
    assert [change.action for change in (*out.changes, *back.changes)] == ["move", "move"]
    assert not silent


def test_a_full_listing_sweeps_what_it_lacks_inside_the_window_alone() -> None:
    store = Store(event("in"), event("kept"), event("later", day=2))
    store.play(delta(), *listed(event("later", day=60)))

    decision = store.play(full(), *listed(event("kept")))

    assert news(decision) == [("cancelled", "in")]
    assert store.live == {"kept", "later"}
    assert not store.play(full(), *listed(event("kept"))), "gone once is gone"


def test_a_delta_sweeps_nothing() -> None:
    assert not Store(event("a"), event("b")).play(delta())


def test_an_empty_page_changes_nothing_and_the_rows_around_it_count() -> None:
    progress = delta()
    absorb(progress, Page(listed(event("a"))))
    absorb(progress, Page([]))
    absorb(progress, Page(listed(event("b")), "token"))

    assert set(progress.rows) == {"a", "b"}


def test_a_sparse_row_cancels_with_everything_that_was_known() -> None:
    store = Store(event("a", meeting=LINK, title="Review"))

    decision = store.play(delta(), Removed("a"))

    change = decision.changes[0]
    assert (change.kind, change.action) == ("cancelled", "cancel")
    assert change.upsert.event == event("a", meeting=LINK, title="Review", status="cancelled")
    assert change.upsert.raw is None, "the last row that said something stays"
    assert set(change.fields) == {"status"}


@pytest.mark.parametrize("item", [Removed("x"), Removed("x_20260303", "x")], ids=["id alone", "occurrence"])
def test_news_of_something_unknown_is_no_news(item: Removed) -> None:
    assert not Store().play(delta(), item)


def test_cancelled_then_restored() -> None:
    store = Store(event("a", meeting=LINK))
    store.play(delta(), Removed("a"))
    assert not store.play(delta(), Removed("a")), "cancelled twice is cancelled once"

    decision = store.play(delta(), *listed(event("a", meeting=LINK)))

    change = decision.changes[0]
    assert (change.kind, change.action, change.upsert.version) == ("updated", "schedule", 3)
    assert change.fields["status"] == msgspec.structs.replace(change.fields["status"], old="cancelled", new="confirmed")
    assert store.live == {"a"}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([*listed(event("a", title="1")), *listed(event("a", title="2"))], {"a": "2"}, id="the last wins"),
        pytest.param([*listed(event("a", title="1")), Removed("a")], {}, id="listed, then gone"),
        pytest.param([Removed("a"), *listed(event("a", title="3"))], {"a": "3"}, id="gone, then listed"),
        pytest.param([Malformed("a", "bad", b"{"), *listed(event("a", title="4"))], {"a": "4"}, id="bad, then good"),
    ],
)
def test_a_row_that_comes_twice_in_a_round_counts_as_it_came_last(items: list[Item], expected: dict[str, str]) -> None:
    store = Store()

    decision = store.play(delta(), *items)

    assert {each.provider_event_id: each.title for each in store.events.values()} == expected
    assert len(decision.changes) == len(expected)
    assert not decision.quarantined


@pytest.mark.parametrize(
    ("items", "touched", "expected"),
    [
        pytest.param(listed(*occurrences(3)), (), [], id="one plain edit is that edit"),
        pytest.param(listed(*occurrences(3, 4)), (), ["s"], id="two rows may be the series"),
        pytest.param([Removed("s_3", "s")], (), ["s"], id="an occurrence is gone"),
        pytest.param([Removed("s_3")], ("s",), ["s"], id="gone by its own id alone"),
        pytest.param([Removed("s")], ("s",), ["s"], id="the master is gone"),
        pytest.param(listed(event("s")), ("s",), [], id="the master is a single event by now"),
        pytest.param([Malformed("s_3", "bad", b"{")], (), [], id="a bad row says nothing"),
        pytest.param(listed(event("a"), event("b")), (), [], id="single events"),
        pytest.param(
            listed(*occurrences(3, 4, series="b"), *occurrences(3, 4, series="a")), (), ["a", "b"], id="in stable order"
        ),
    ],
)
def test_which_series_are_listed_again(items: list[Item], touched: Iterable[str], expected: list[str]) -> None:
    progress = delta()
    absorb(progress, Page(items, "token"))

    assert unsettled_series(progress, touched) == expected


def test_a_full_listing_needs_no_series() -> None:
    progress = full()
    absorb(progress, Page(listed(*occurrences(1, 2, 3)), "token"))

    assert unsettled_series(progress, ()) == []


def test_a_series_is_compared_as_a_set_inside_the_window() -> None:
    store = Store(*occurrences(1, 2, 3, 4), event("other"))
    store.play(delta(), *listed(event("s_4", day=40, series="s")))
    shorter = occurrences(1, 2, title="new")

    decision = store.play(delta(), *listed(*shorter), series={"s": listed(*shorter)})

    assert sorted(news(decision)) == [("cancelled", "s_3"), ("updated", "s_1"), ("updated", "s_2")]
    assert store.live == {"s_1", "s_2", "s_4", "other"}, "one that was moved out of the window is not in its listing"


def test_a_series_that_is_a_single_event_now_loses_its_occurrences() -> None:
    store = Store(*occurrences(1, 2, 3))
    progress = delta()
    absorb(progress, Page(listed(event("s", day=1)), "token"))
    assert unsettled_series(progress, ["s"]) == []

    store.play(progress)

    assert store.live == {"s"}


@pytest.mark.parametrize("left", [(1, 8), ()], ids=["two left", "none left"])
def test_a_single_event_that_is_a_series_now_goes_without_a_tombstone(left: tuple[int, ...]) -> None:
    store = Store(event("s"))
    shown = listed(*occurrences(*left))

    store.play(delta(), *(shown or [Removed("s_3", "s")]), series={"s": shown})

    assert store.live == {f"s_{day}" for day in left}


def test_a_bad_row_in_a_series_is_not_a_lost_occurrence() -> None:
    store = Store(*occurrences(1, 2))

    decision = store.play(delta(), series={"s": [*listed(*occurrences(1)), Malformed("s_2", "bad", b"{")]})

    assert news(decision) == []
    assert store.live == {"s_1", "s_2"}
