"""What a page may say beside its rows: series that are whole, series to be listed, a listing under a token, a rest."""

from datetime import timedelta

from rounds import Store, delta, event, listed, news, occurrences

from service.core.decision import decide
from service.core.sync import Page, absorb, compare, unsettled_series


def play(store: Store, page: Page) -> list[tuple[str, str]]:
    progress = delta()
    absorb(progress, page)
    assert unsettled_series(progress, []) == []
    found = compare(progress, store.known)
    stored = {each: store.events[each] for each in found.needs}
    decision = decide(found, stored, cause="poll", now=event("x").starts_at, ids=store._ids)
    store.write(decision)
    return news(decision)


def test_a_whole_series_loses_what_its_page_does_not_have() -> None:
    store = Store(*occurrences(1, 2, 3), event("other"))
    assert play(store, Page(listed(*occurrences(1, 3)), "token", whole=("s",))) == [("cancelled", "s_2")]
    assert store.live == {"s_1", "s_3", "other"}


def test_a_whole_series_without_an_occurrence_is_gone() -> None:
    store = Store(*occurrences(1, 2))
    assert sorted(play(store, Page([], "token", whole=("s",)))) == [("cancelled", "s_1"), ("cancelled", "s_2")]


def test_a_single_event_that_has_become_a_whole_series_is_replaced_by_its_occurrences() -> None:
    store = Store(event("s"))
    assert ("cancelled", "s") in play(store, Page(listed(*occurrences(1)), "token", whole=("s",)))
    assert store.live == {"s_1"}


def test_a_series_that_changed_in_a_way_the_rows_do_not_tell_is_to_be_listed() -> None:
    progress = delta()
    absorb(progress, Page([], unsettled=("s",)))
    absorb(progress, Page(listed(event("other")), "token"))
    assert unsettled_series(progress, []) == ["s"]


def test_a_whole_series_is_not_listed_once_more() -> None:
    progress = delta()
    absorb(progress, Page(listed(*occurrences(1, 2)), "token", whole=("s",)))
    assert unsettled_series(progress, ["s"]) == []


def test_a_listing_under_a_token_sweeps_the_window() -> None:
    store = Store(event("kept"), event("lost"))
    assert play(store, Page(listed(event("kept")), "token", is_listing=True)) == [("cancelled", "lost")]


def test_the_rest_that_any_page_asks_for_is_kept() -> None:
    progress = delta()
    absorb(progress, Page([], rest=timedelta(hours=1)))
    absorb(progress, Page([], "token"))
    assert progress.rest == timedelta(hours=1)
