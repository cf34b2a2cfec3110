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
from service.core.event import (
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
    meeting_key,
    view_json,
)
from service.core.lifecycle import State
from service.core.sync import Change as Decided
from service.core.sync import Upsert

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
ACTIONS: list[tuple[str, Event | None, Event, str]] = [
    ("new with a link", None, LINKED, "schedule"),
    ("new without", None, PLAIN, "none"),
    ("new and declined", None, changed(LINKED, **DECLINED), "none"),
    ("gets a link", PLAIN, LINKED, "schedule"),
    ("loses its link", LINKED, PLAIN, "cancel"),
    ("another link", LINKED, changed(LINKED, meeting=MEET), "relink"),
    ("another passcode", LINKED, changed(LINKED, meeting=changed(ZOOM, passcode="1")), "relink"),  # type: ignore[type-var]
    ("starts later", LINKED, changed(LINKED, starts_at=NOW + timedelta(minutes=5)), "move"),
    ("ends later", LINKED, changed(LINKED, ends_at=NOW + timedelta(hours=3)), "move"),
    ("moved and relinked", LINKED, changed(LINKED, ends_at=NOW, meeting=MEET), "move"),
    ("moved without a link", PLAIN, changed(PLAIN, ends_at=NOW), "none"),
    ("cancelled", LINKED, changed(LINKED, **CANCELLED), "cancel"),
    ("cancelled without a link", PLAIN, changed(PLAIN, **CANCELLED), "none"),
    ("restored", changed(LINKED, **CANCELLED), LINKED, "schedule"),
    ("restored elsewhere", changed(LINKED, **CANCELLED), changed(LINKED, starts_at=NOW), "schedule"),
    ("declined", LINKED, changed(LINKED, **DECLINED), "cancel"),
    ("accepted after all", changed(LINKED, **DECLINED), LINKED, "schedule"),
    ("declined and cancelled", changed(LINKED, **DECLINED), changed(LINKED, **CANCELLED), "none"),
    ("tentative", LINKED, changed(LINKED, status="tentative"), "none"),
    ("renamed", LINKED, changed(LINKED, title="New"), "none"),
]


@pytest.mark.parametrize(
    ("old", "new", "expected"), [pytest.param(old, new, action, id=name) for name, old, new, action in ACTIONS]
)
def test_the_hint_says_what_a_bot_scheduler_does(old: Event | None, new: Event, expected: str) -> None:
    assert hint_action(old, new, diff(old, new) if old is not None else {}) == expected


SLOT = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
OCCURRENCE = changed(PLAIN, provider_event_id="s_20260309", series_id="s", ical_uid="u@x", original_starts_at=SLOT)


@pytest.mark.parametrize(
    ("one", "two", "is_same"),
    [
        pytest.param(changed(PLAIN, ical_uid="u@x"), changed(PLAIN, ical_uid="u@x", starts_at=SLOT), True, id="moved"),
        pytest.param(
            changed(PLAIN, ical_uid="u@x"), changed(PLAIN, ical_uid="v@x"), False, id="one room, two meetings"
        ),
        pytest.param(OCCURRENCE, changed(OCCURRENCE, starts_at=NOW), True, id="moved occurrence"),
        pytest.param(
            OCCURRENCE, changed(OCCURRENCE, provider_event_id="other", series_id="t"), True, id="other calendar"
        ),
        pytest.param(OCCURRENCE, changed(OCCURRENCE, original_starts_at=NOW), False, id="another occurrence"),
        pytest.param(
            OCCURRENCE,
            changed(OCCURRENCE, original_starts_at=SLOT.astimezone(timezone(timedelta(hours=5)))),
            True,
            id="slot in another zone",
        ),
        pytest.param(PLAIN, changed(PLAIN, provider_event_id="b"), False, id="no UID"),
    ],
)
def test_copies_of_one_meeting_have_one_key(one: Event, two: Event, is_same: bool) -> None:
    assert (meeting_key(one) == meeting_key(two)) is is_same


def test_the_organisers_copy_leads_then_who_comes_and_who_declined_is_last() -> None:
    copies = [
        changed(PLAIN, organizer=Organizer(self=True)),
        changed(PLAIN, response_status="accepted"),
        changed(PLAIN, response_status="needsAction"),
        changed(PLAIN, organizer=Organizer(self=True), response_status="declined"),
    ]

    assert [lead_rank(copy) for copy in copies] == [0, 1, 2, 3]


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
    event = changed(LINKED, title=title, attendees=[Attendee(email="a@b.example", self=True)], original_starts_at=SLOT)
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
