"""What two versions of an event mean for a bot, which copies are one meeting, and what is told about it."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest

from service.core.announcements import (
    MOST_IDS,
    Change,
    Entry,
    entries,
    state_change,
    sync_notice,
    views,
    with_seq,
)
from service.core.decision import Change as Decided
from service.core.decision import Upsert
from service.core.event import (
    STALE,
    Attendee,
    Event,
    EventView,
    Meeting,
    Organizer,
    decode_event,
    diff,
    encode_event,
    fingerprint,
    hint_action,
    lead_rank,
    view_json,
)
from service.core.lifecycle import State

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
ZOOM = Meeting(url="https://zoom.us/j/12345678901", platform="zoom", found_in="conferenceData")
MEET = Meeting(url="https://meet.google.com/abc-defg-hij", platform="google_meet", found_in="hangoutLink")
PLAIN = Event(provider_event_id="a", title="Plan", starts_at=NOW, ends_at=NOW + timedelta(hours=1))
LINKED = msgspec.structs.replace(PLAIN, meeting=ZOOM)


def changed(event: Event, **fields: Any) -> Event:
    return msgspec.structs.replace(event, **fields)


DIFFERENCES = [
    {"title": "New"},
    {"description": "x"},
    {"location": "Room 1"},
    {"starts_at": NOW - timedelta(hours=1)},
    {"ends_at": NOW + timedelta(hours=2)},
    {"status": "tentative"},
    {"visibility": "private"},
    {"is_busy": False},
    {"organizer": Organizer(email="grace@example.com")},
    {"attendees": [Attendee(email="grace@example.com")]},
    {"response_status": "accepted"},
    {"event_type": "focusTime"},
    {"meeting": MEET},
    {"meeting": None},
    {"meeting": changed(ZOOM, passcode="1234")},  # type: ignore[type-var]
    {"html_link": "https://example.com"},
    {"time_zone": "Europe/Paris"},
    {"is_all_day": True, "start_date": date(2026, 3, 2), "end_date": date(2026, 3, 3)},
    {"is_exception": True},
    {"original_start_date": date(2026, 3, 2)},
    {"meeting_hint": "x"},
]


@pytest.mark.parametrize(
    "fields", [pytest.param(each, id=f"{number} {'+'.join(each)}") for number, each in enumerate(DIFFERENCES)]
)
def test_every_field_that_differs_is_seen_and_named(fields: dict[str, Any]) -> None:
    after = changed(LINKED, **fields)

    assert {name: change.new for name, change in diff(LINKED, after).items()} == fields
    assert {name: change.old for name, change in diff(LINKED, after).items()} == {
        name: getattr(LINKED, name) for name in fields
    }
    assert fingerprint(encode_event(after)) != fingerprint(encode_event(LINKED))
    assert decode_event(encode_event(after)) == after


def test_the_same_instant_in_another_zone_is_the_same() -> None:
    paris = timezone(timedelta(hours=1))
    assert diff(PLAIN, changed(PLAIN, starts_at=NOW.astimezone(paris))) == {}


def test_the_fingerprint_is_short_and_repeats() -> None:
    assert fingerprint(encode_event(LINKED)) == fingerprint(encode_event(changed(LINKED)))
    assert len(fingerprint(encode_event(LINKED))) == 16


def test_an_event_stored_before_a_field_was_known_still_reads() -> None:
    body = b'{"provider_event_id":"a","starts_at":"2026-03-02T09:00:00Z","ends_at":"2026-03-02T10:00:00Z","later":1}'

    assert decode_event(body).attendees == []


CANCELLED, DECLINED = {"status": "cancelled"}, {"response_status": "declined"}
HOUR = timedelta(hours=1)
ALL_DAY = {"is_all_day": True, "start_date": date(2026, 3, 2), "end_date": date(2026, 3, 3)}
ON_A_DAY = changed(LINKED, **ALL_DAY, starts_at=NOW - 9 * HOUR, ends_at=NOW + 15 * HOUR)
GUESTS = [Attendee(email="grace@example.com", response_status="accepted")]


def other_way_in(**fields: Any) -> Event:
    return changed(LINKED, meeting=msgspec.structs.replace(ZOOM, **fields))


ACTIONS: list[tuple[str, Event | None, Event, str]] = [
    ("new with a link", None, LINKED, "schedule"),
    ("new without", None, PLAIN, "none"),
    ("new and declined", None, changed(LINKED, **DECLINED), "none"),
    ("new and tentative", None, changed(LINKED, status="tentative"), "schedule"),
    ("new on a day", None, ON_A_DAY, "schedule"),
    ("gets a link", PLAIN, LINKED, "schedule"),
    ("gets a link and moves", PLAIN, changed(LINKED, starts_at=NOW + HOUR), "schedule"),
    ("loses its link", LINKED, PLAIN, "cancel"),
    ("loses its link and moves", LINKED, changed(PLAIN, starts_at=NOW - HOUR), "cancel"),
    ("another link", LINKED, changed(LINKED, meeting=MEET), "relink"),
    ("another passcode", LINKED, other_way_in(passcode="1"), "relink"),
    ("a passcode gone", other_way_in(passcode="1"), LINKED, "relink"),
    ("another number of the meeting", LINKED, other_way_in(meeting_id="1"), "relink"),
    ("another platform", LINKED, other_way_in(platform="unknown"), "relink"),
    ("found elsewhere", LINKED, other_way_in(found_in="location"), "none"),
    ("another hint", LINKED, other_way_in(hint="wrapped"), "none"),
    ("another hint why there is no link", PLAIN, changed(PLAIN, meeting_hint="x"), "none"),
    ("found elsewhere and moved", LINKED, changed(other_way_in(found_in="location"), ends_at=NOW), "move"),
    ("starts later", LINKED, changed(LINKED, starts_at=NOW + timedelta(minutes=5)), "move"),
    ("starts earlier", LINKED, changed(LINKED, starts_at=NOW - HOUR, ends_at=NOW), "move"),
    ("ends later", LINKED, changed(LINKED, ends_at=NOW + timedelta(hours=3)), "move"),
    ("ends earlier", LINKED, changed(LINKED, ends_at=NOW + timedelta(minutes=30)), "move"),
    ("moved and relinked", LINKED, changed(LINKED, ends_at=NOW, meeting=MEET), "move"),
    ("moved without a link", PLAIN, changed(PLAIN, ends_at=NOW), "none"),
    ("moved and declined", LINKED, changed(LINKED, ends_at=NOW, **DECLINED), "cancel"),
    ("cancelled", LINKED, changed(LINKED, **CANCELLED), "cancel"),
    ("cancelled without a link", PLAIN, changed(PLAIN, **CANCELLED), "none"),
    ("restored", changed(LINKED, **CANCELLED), LINKED, "schedule"),
    ("restored elsewhere", changed(LINKED, **CANCELLED), changed(LINKED, starts_at=NOW + HOUR), "schedule"),
    ("restored without a link", changed(LINKED, **CANCELLED), PLAIN, "none"),
    ("restored and declined", changed(LINKED, **CANCELLED), changed(LINKED, **DECLINED), "none"),
    ("declined", LINKED, changed(LINKED, **DECLINED), "cancel"),
    ("accepted after all", changed(LINKED, **DECLINED), LINKED, "schedule"),
    ("declined and cancelled", changed(LINKED, **DECLINED), changed(LINKED, **CANCELLED), "none"),
    ("moved when declined", changed(LINKED, **DECLINED), changed(LINKED, **DECLINED, starts_at=NOW + HOUR), "none"),
    ("accepted", LINKED, changed(LINKED, response_status="accepted"), "none"),
    ("answered with perhaps", LINKED, changed(LINKED, response_status="tentative"), "none"),
    ("tentative", LINKED, changed(LINKED, status="tentative"), "none"),
    ("confirmed", changed(LINKED, status="tentative"), LINKED, "none"),
    ("on a day from now on", LINKED, ON_A_DAY, "move"),
    ("at a time from now on", ON_A_DAY, LINKED, "move"),
    ("on a day, at the same instants", LINKED, changed(LINKED, **ALL_DAY), "none"),
    ("renamed", LINKED, changed(LINKED, title="New"), "none"),
    ("other guests", LINKED, changed(LINKED, attendees=GUESTS), "none"),
    ("another zone", LINKED, changed(LINKED, time_zone="Europe/Paris"), "none"),
    ("another text", LINKED, changed(LINKED, description="x", location="y"), "none"),
]


@pytest.mark.parametrize(
    ("old", "new", "expected"), [pytest.param(old, new, action, id=name) for name, old, new, action in ACTIONS]
)
def test_the_hint_says_what_a_bot_scheduler_does(old: Event | None, new: Event, expected: str) -> None:
    assert hint_action(old, new, diff(old, new) if old is not None else {}) == expected


ORGANISED = {"organizer": Organizer(self=True)}
ROOM = {"response_status": "accepted", "attendees": [Attendee(self=True, resource=True, response_status="accepted")]}
INVITED_ROOM = [Attendee(resource=True, response_status="accepted"), Attendee(self=True, response_status="accepted")]


def test_the_organisers_copy_leads_then_who_comes_then_rooms_and_who_declined_is_last() -> None:
    copies = [
        [changed(PLAIN, **ORGANISED), changed(PLAIN, **ORGANISED, response_status="tentative")],
        [
            changed(PLAIN, response_status="accepted"),
            changed(PLAIN, response_status="accepted", attendees=INVITED_ROOM),
        ],
        [changed(PLAIN, response_status=answer) for answer in ("needsAction", "tentative", None)],
        [changed(PLAIN, **ROOM)],
        [changed(PLAIN, **ORGANISED, response_status="declined"), changed(PLAIN, **ROOM | DECLINED)],
    ]

    ranks = [{lead_rank(copy) for copy in group} for group in copies]

    assert [len(group) for group in ranks] == [1] * 5
    assert ranks == sorted(ranks, key=min)
    *comes, declined = (min(group) for group in ranks)
    assert comes == sorted(set(comes))
    assert comes[-1] < STALE, "a copy that is kept up leads before all that are not"
    assert comes[-1] + STALE < declined, "one that is not kept up leads before what was declined"


def shown(event: Event, **more: Any) -> dict[str, Any]:
    known = {
        "event_id": ONE,
        "calendar_id": TWO,
        "key": "k",
        "version": 3,
        "created_at": NOW,
        "updated_at": NOW,
        "deleted_at": None,
        **more,
    }
    return msgspec.json.decode(view_json(encode_event(event), **known))


@pytest.mark.parametrize("title", [None, "Plan", '"}{', "\\", "\N{PARTY POPPER}\u2028", ""])
def test_what_is_spliced_is_an_event_view(title: str | None) -> None:
    event = changed(LINKED, title=title, attendees=[Attendee(email="a@b.example", self=True)], original_starts_at=NOW)
    view = msgspec.convert(shown(event, deleted_at=NOW), EventView)

    for name in Event.__struct_fields__:
        assert getattr(view, name) == getattr(event, name)
    assert (view.id, view.calendar_id, view.meeting_key, view.version) == (ONE, TWO, "k", 3)
    assert view.deleted_at == NOW
    assert set(shown(event)) == set(EventView.__struct_fields__)


def decided(number: int, kind: str = "created", event: Event = LINKED) -> Decided:
    body = encode_event(event)
    upsert = Upsert(
        id=UUID(int=number), event=event, body=body, raw=None, fingerprint=fingerprint(body), previous_fingerprint=None,
        flaps=0, version=2, created_at=NOW,
    )  # fmt: skip
    fields = diff(PLAIN, event)
    return Decided(upsert=upsert, kind=kind, cause="push", fields=fields, action="schedule")


def told(*changes: Decided) -> list[Entry]:
    return entries(changes, views([change.upsert for change in changes], TWO, NOW), TWO, NOW)


@pytest.mark.parametrize("kind", ["created", "updated", "cancelled"])
def test_an_entry_reads_as_a_change(kind: str) -> None:
    event = changed(LINKED, status="cancelled") if kind == "cancelled" else LINKED
    (entry,) = told(decided(1, kind, event))

    change = msgspec.json.decode(with_seq(41, entry.body), type=Change)

    assert (change.seq, change.event_id, change.calendar_id, change.kind, change.cause) == (41, ONE, TWO, kind, "push")
    assert (change.at, change.action, change.event.version) == (NOW, "schedule", 2)
    assert set(change.fields) == {"meeting", "status"} if kind == "cancelled" else {"meeting"}
    assert change.fields["meeting"].old is None
    assert change.fields["meeting"].new["url"] == ZOOM.url
    assert (change.event.deleted_at is not None) == (kind == "cancelled")


@pytest.mark.parametrize("count", [0, 1, MOST_IDS, MOST_IDS + 1])
def test_a_notice_of_a_sync_counts_all_and_names_some(count: int) -> None:
    written = told(*(decided(number) for number in range(count)))

    notice = sync_notice(TWO, written, first_seq=7, now=NOW, initial=count == 0)

    assert (notice.first_seq, notice.last_seq, notice.change_count) == (7, 6 + count, count)
    assert len(notice.affected_event_ids) == min(count, MOST_IDS)
    assert notice.truncated is (count > MOST_IDS)
    assert notice.counts.created == count


def test_an_event_that_changed_twice_is_named_once() -> None:
    written = [Entry(event_id=ONE, kind=kind, cause="poll", body=b"{}") for kind in ("updated", "cancelled")]

    notice = sync_notice(TWO, written, first_seq=1, now=NOW, initial=False)

    assert notice.affected_event_ids == [ONE]
    assert (notice.counts.updated, notice.counts.cancelled, notice.change_count) == (1, 1, 2)


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize("after", list(State))
def test_which_changes_of_state_are_told(before: State, after: State) -> None:
    expected = None if before is after or after is State.SYNCING else f"calendar.{after.value}"

    assert state_change(before, after) == expected
