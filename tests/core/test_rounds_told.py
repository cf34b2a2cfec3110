"""What the rolling window, bad rows and flapping sources do to the news of a round."""

from collections.abc import Iterator
from uuid import UUID

import msgspec
import pytest
from core.rounds import DAY, LINK, NOW, WINDOW, Store, delta, event, full, listed, news

from service.core.decision import MAX_FLAPS, Decision, decide
from service.core.event import Event, encode_event, fingerprint
from service.core.schedule import Window
from service.core.sync import Item, Malformed, Page, Removed, Round, absorb, absorb_stretch, compare, removed_ids


def roll(store: Store, *items: Item, by: int = 5) -> Decision:
    """A delta without rows, and the listing of what has come into the window."""
    progress = delta()
    absorb_stretch(progress, Window(WINDOW.end, WINDOW.end + by * DAY), items)
    return store.play(progress)


def test_what_the_rolling_window_brings_is_told_with_that_cause() -> None:
    store = Store()
    decision = roll(store, *listed(event("a", day=31)))

    assert [(change.kind, change.cause) for change in decision.changes] == [("created", "window")]


def test_a_row_that_the_delta_brought_too_is_news_of_the_delta() -> None:
    progress = delta()
    absorb(progress, Page(listed(event("a", day=31, title="new")), "token"))
    absorb_stretch(progress, Window(WINDOW.end, WINDOW.end + DAY * 5), listed(event("a", day=31, title="old")))

    decision = Store().play(progress)

    assert [(change.cause, change.upsert.event.title) for change in decision.changes] == [("poll", "new")]


def test_the_listing_of_a_stretch_sweeps_the_stretch_and_nothing_else() -> None:
    store = Store(event("moved", day=3), event("in"))
    store.play(delta(), *listed(event("moved", day=32)))

    decision = roll(store)

    assert news(decision) == [("cancelled", "moved")]
    assert store.live == {"in"}


def test_the_listing_of_a_stretch_proves_nothing_of_what_began_before_it() -> None:
    store = Store(event("long", day=29.99))
    store.play(delta(), *listed(msgspec.structs.replace(event("long", day=29.99), ends_at=NOW + 31 * DAY)))

    # All-day events lie a little elsewhere for Google than for us.
    assert not roll(store)
    assert store.live == {"long"}


def test_an_instant_at_the_very_start_of_a_stretch_is_not_proved_gone_by_it() -> None:
    instant = msgspec.structs.replace(event("now", day=30), ends_at=NOW + 30 * DAY)
    store = Store(event("now", day=3))
    store.play(delta(), *listed(instant))

    assert not roll(store)


def test_what_the_store_had_in_the_stretch_already_is_no_news() -> None:
    store = Store(event("a", day=3))
    store.play(delta(), *listed(event("a", day=32)))

    assert not roll(store, *listed(event("a", day=32)))


def test_a_bad_row_is_set_aside_and_never_swept() -> None:
    store = Store(event("a"), event("b"))

    decision = store.play(full(), Malformed("a", "no start", b"{}"), *listed(event("b")))

    assert [row.provider_event_id for row in decision.quarantined] == ["a"]
    assert news(decision) == []
    assert store.live == {"a", "b"}


@pytest.mark.parametrize(
    ("progress", "items", "cured"),
    [
        pytest.param(delta(), listed(event("bad")), True, id="reads well"),
        pytest.param(delta(), [Removed("bad")], True, id="gone"),
        pytest.param(delta(), [], False, id="not mentioned by a delta"),
        pytest.param(full(), [], True, id="not listed any more"),
        pytest.param(full(), [Malformed("bad", "still", b"{")], False, id="still bad"),
    ],
)
def test_how_a_quarantine_ends(progress: Round, items: list[Item], cured: bool) -> None:
    store = Store()
    store.set_aside = {"bad"}

    decision = store.play(msgspec.structs.replace(progress, rows={}), *items)

    assert (decision.cured == ["bad"]) is cured
    assert (store.set_aside == set()) is cured


def flap(store: Store, *versions: Event, times: int) -> list[Decision]:
    return [store.play(delta(), *listed(versions[number % len(versions)])) for number in range(times)]


def test_a_flapping_source_is_capped_and_kept_up_to_date() -> None:
    one, two = event("a", title="1"), event("a", title="2")
    store = Store(one)

    told = [bool(decision.changes) for decision in flap(store, two, one, times=MAX_FLAPS + 20)]

    assert told == [True] * (MAX_FLAPS + 1) + [False] * 19
    assert [each.title for each in store.events.values()] == ["1"]
    assert store.play(delta(), *listed(event("a", title="3"))).changes, "something new is told again"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        pytest.param(event("a"), event("a", day=2), id="time without a link"),
        pytest.param(event("a", meeting=LINK), event("a", day=2, meeting=LINK), id="time"),
        pytest.param(event("a", meeting=LINK), event("a"), id="link"),
        pytest.param(event("a"), event("a", status="tentative"), id="status"),
        pytest.param(
            event("a", meeting=LINK, response_status="accepted"),
            event("a", meeting=LINK, response_status="declined"),
            id="declined",
        ),
    ],
)
def test_what_matters_to_a_bot_is_told_however_often_it_flaps(one: Event, two: Event) -> None:
    store = Store(one)

    assert all(decision.changes for decision in flap(store, two, one, times=MAX_FLAPS * 2))


def test_cancelling_and_restoring_is_told_however_often() -> None:
    store = Store(event("a"))

    for _ in range(MAX_FLAPS):
        assert store.play(delta(), Removed("a")).changes
        assert store.play(delta(), *listed(event("a"))).changes


def test_a_stored_form_that_is_older_is_renewed_in_silence() -> None:
    store = Store(event("a"))
    known = store.known["a"]
    store.known["a"] = msgspec.structs.replace(known, fingerprint=b"of another encoding")

    decision = store.play(full(), *listed(event("a")))

    assert len(decision.upserts) == 1
    assert decision.upserts[0].version == known.version
    assert decision.changes == []


def test_versions_rise_by_one_and_creation_stays() -> None:
    store = Store(event("a", title="1"))
    for number in range(2, 5):
        decision = store.play(delta(), *listed(event("a", title=str(number))))
        assert (decision.upserts[0].version, decision.upserts[0].created_at) == (number, NOW)
        assert decision.upserts[0].fingerprint == fingerprint(encode_event(event("a", title=str(number))))


def test_removed_ids_are_those_of_tombstones() -> None:
    progress = delta()
    absorb(progress, Page([Removed("a"), *listed(event("b")), Malformed("c", "bad", b"")], "token"))

    assert removed_ids(progress) == ["a"]


def fresh_ids() -> Iterator[UUID]:
    return iter([UUID(int=1)])


def test_the_first_round_needs_no_store() -> None:
    progress = full()
    absorb(progress, Page(listed(event("a", meeting=LINK)), "token"))

    decision = decide(compare(progress, {}), {}, cause="initial", now=NOW, ids=fresh_ids())

    change = decision.changes[0]
    assert (change.kind, change.cause, change.action, change.fields) == ("created", "initial", "schedule", {})
    assert change.upsert.raw == b"{}"
