"""A round against the store, trap by trap: what is written, what is news, and what is left alone."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from service.core.event import Event, Meeting, decode_event, encode_event, fingerprint
from service.core.schedule import Window
from service.core.sync import (
    MAX_FLAPS,
    Decision,
    Item,
    Known,
    Listed,
    Malformed,
    Page,
    Removed,
    Round,
    absorb,
    absorb_series,
    absorb_stretch,
    compare,
    decide,
    removed_ids,
    unsettled_series,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window(NOW - DAY, NOW + 30 * DAY)
LINK = Meeting(url="https://zoom.us/j/12345678901", platform="zoom", found_in="conferenceData")


def event(name: str, *, day: float = 1, series: str | None = None, **more: object) -> Event:
    start = NOW + day * DAY
    return Event(
        provider_event_id=name,
        series_id=series,
        title=str(more.pop("title", "t")),
        starts_at=start,
        ends_at=start + timedelta(hours=1),
        **more,  # type: ignore[arg-type]
    )


class Store:
    """What a calendar has, kept as the tables keep it; `play` is a whole round and leaves its result here."""

    def __init__(self, *events: Event) -> None:
        self.known: dict[str, Known] = {}
        self.events: dict[UUID, Event] = {}
        self.set_aside: set[str] = set()
        self._ids = (UUID(int=number) for number in range(1, 10_000))
        for each in events:
            self.play(Round(window=WINDOW, full=False), Listed(each, b"{}"))

    def play(self, progress: Round, *items: Item, series: dict[str, list[Item]] | None = None) -> Decision:
        absorb(progress, Page(items, "token"))
        for name, listed in (series or {}).items():
            absorb_series(progress, name, listed)
        found = compare(progress, self.known, self.set_aside)
        stored = {each: self.events[each] for each in found.needs}
        decision = decide(found, stored, cause="poll", now=NOW, ids=self._ids, entered=progress.entered)
        self.write(decision)
        return decision

    def write(self, decision: Decision) -> None:
        for upsert in decision.upserts:
            kept = decode_event(upsert.body)
            self.events[upsert.id] = kept
            self.known[kept.provider_event_id] = Known(
                id=upsert.id,
                provider_event_id=kept.provider_event_id,
                series_id=kept.series_id,
                starts_at=kept.starts_at,
                ends_at=kept.ends_at,
                fingerprint=upsert.fingerprint,
                previous_fingerprint=upsert.previous_fingerprint,
                flaps=upsert.flaps,
                version=upsert.version,
                created_at=upsert.created_at,
                is_cancelled=kept.status == "cancelled",
            )
        self.set_aside -= set(decision.cured)
        self.set_aside |= {row.provider_event_id for row in decision.quarantined}

    @property
    def live(self) -> set[str]:
        return {each.provider_event_id for each in self.events.values() if each.status != "cancelled"}


def delta() -> Round:
    return Round(window=WINDOW, full=False)


def full() -> Round:
    return Round(window=WINDOW, full=True)


def listed(*events: Event) -> list[Item]:
    return [Listed(each, b"{}") for each in events]


def news(decision: Decision) -> list[tuple[str, str]]:
    return [(change.kind, change.upsert.event.provider_event_id) for change in decision.changes]


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


def occurrences(*days: float, series: str = "s", **more: object) -> list[Event]:
    return [event(f"{series}_{day}", day=day, series=series, **more) for day in days]


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
