"""Events that were only examined again, beside what the provider lists: its word is the last, and sweeps stay right."""

import msgspec
import pytest
from core.rounds import LINK, NOW, WINDOW, Store, delta, event, full, listed, news, occurrences

from service.core.event import Event, Meeting
from service.core.schedule import Window
from service.core.sync import Malformed, Removed, Round, absorb_stretch

OTHER = Meeting(url="https://meet.google.com/abc-defg-hij", platform="google_meet", found_in="conferenceData")


def linked(name: str, meeting: Meeting | None, **more: object) -> Event:
    return event(name, meeting=meeting, **more)


def again(progress: Round, *events: Event) -> Round:
    progress.reexamined = {each.provider_event_id: each for each in events}
    return progress


@pytest.mark.parametrize("make", [delta, lambda: Round(window=WINDOW, full=False)], ids=["delta", "nothing-listed"])
@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        pytest.param(LINK, OTHER, "relink", id="another-link"),
        pytest.param(None, OTHER, "schedule", id="a-link-at-last"),
        pytest.param(LINK, None, "cancel", id="no-link-any-more"),
    ],
)
def test_another_link_is_an_ordinary_change(make, before: Meeting | None, after: Meeting | None, action: str) -> None:
    store = Store(linked("a", before), linked("b", LINK))

    decision = store.play(again(make(), linked("a", after)))

    (change,) = decision.changes
    assert (change.kind, change.cause, change.action, list(change.fields)) == ("updated", "resync", action, ["meeting"])
    assert (change.upsert.raw, change.upsert.version) == (None, 2)


def test_a_hint_alone_is_told_too() -> None:
    store = Store(event("a"))
    (change,) = store.play(again(delta(), event("a", meeting_hint="no link that works"))).changes
    assert (list(change.fields), change.action) == (["meeting_hint"], "none")


def test_the_same_link_writes_nothing() -> None:
    assert not Store(linked("a", LINK)).play(again(delta(), linked("a", LINK)))


@pytest.mark.parametrize("day", [-30, -2, 31, 400], ids=str)
def test_events_outside_the_window_are_followed(day: float) -> None:
    store = Store(linked("a", LINK))
    store.play(delta(), *listed(linked("a", LINK, day=day)))
    assert news(store.play(again(full(), linked("a", OTHER, day=day)))) == [("updated", "a")]


def test_what_the_provider_lists_has_the_last_word() -> None:
    store = Store(linked("a", LINK), linked("b", LINK), linked("c", LINK))
    stale = [linked(name, OTHER) for name in "abc"]

    decision = store.play(again(delta(), *stale), *listed(linked("a", OTHER, title="new")), Removed("b"))

    said = {change.upsert.event.provider_event_id: (change.kind, change.cause) for change in decision.changes}
    assert said == {"a": ("updated", "poll"), "b": ("cancelled", "poll"), "c": ("updated", "resync")}
    assert len(decision.upserts) == 3, "each is written once"


def test_a_row_that_cannot_be_read_does_not_keep_the_old_link() -> None:
    store = Store(linked("a", LINK))
    decision = store.play(again(delta(), linked("a", OTHER)), Malformed("a", "no start", b"{}"))
    assert (news(decision), len(decision.quarantined)) == ([("updated", "a")], 1)


@pytest.mark.parametrize("swept_by", ["full", "series", "stretch"])
def test_what_is_swept_is_gone_and_not_relinked(swept_by: str) -> None:
    before = occurrences(1, 2, meeting=LINK)
    store = Store(*before)
    stale = [msgspec.structs.replace(each, meeting=OTHER) for each in before]
    progress, series = again(full() if swept_by == "full" else delta(), *stale), {}
    items = listed(stale[0])
    if swept_by == "series":
        items, series = [], {"s": items}
    if swept_by == "stretch":
        absorb_stretch(progress, Window(NOW, WINDOW.end), items)
        items = []

    decision = store.play(progress, *items, series=series)

    assert sorted(news(decision)) == [("cancelled", "s_2"), ("updated", "s_1")]


def test_what_is_cancelled_or_unknown_stays_so() -> None:
    store = Store(linked("a", LINK))
    store.play(delta(), Removed("a"))
    assert not store.play(again(delta(), linked("a", OTHER), linked("never seen", OTHER)))
