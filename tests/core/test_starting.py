"""When a meeting's start is to be announced: the whole table, reckoned from a meeting from 10:00 to 10:30."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from service.core.announcements import MeetingCopy, MeetingStarting
from service.core.event import Event, Meeting, encode_event, view_json
from service.core.starting import Outlook, announcement, earliest, first_look, outlook

STARTS = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ENDS = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)


def at(minute: float) -> datetime:
    """So many minutes before the start."""
    return STARTS - timedelta(minutes=minute)


@pytest.mark.parametrize(
    ("now", "leads", "due", "next_at"),
    [
        pytest.param(at(60), (600, 60), (), at(10), id="long before"),
        pytest.param(at(10) - timedelta(microseconds=1), (600, 60), (), at(10), id="never early"),
        pytest.param(at(10), (600, 60), (600,), at(1), id="the first, to the moment"),
        pytest.param(at(5), (600, 60), (600,), at(1), id="the first, missed"),
        pytest.param(at(1), (600, 60), (600, 60), None, id="the second"),
        pytest.param(at(1), (60, 600), (600, 60), None, id="in whatever order they are given"),
        pytest.param(at(-29), (600, 60), (600, 60), None, id="late, while it runs"),
        pytest.param(ENDS, (600, 60), (), None, id="not when it is over"),
        pytest.param(at(10), (), (), None, id="no lead times"),
        pytest.param(at(0), (0,), (0,), None, id="at the start itself"),
        pytest.param(at(5), (60, 60), (), at(1), id="one named twice is one"),
    ],
)
def test_what_is_due_and_when_the_next_is(
    now: datetime, leads: tuple[int, ...], due: tuple[int, ...], next_at: datetime | None
) -> None:
    assert outlook(STARTS, ENDS, leads, now) == Outlook(due, next_at)


@pytest.mark.parametrize(
    ("now", "leads", "expected"),
    [
        pytest.param(at(60), (60, 600), at(10), id="the longest"),
        pytest.param(at(5), (60, 600), at(10), id="past: due at once"),
        pytest.param(at(-10), (60, 600), at(10), id="running"),
        pytest.param(ENDS, (60, 600), None, id="over"),
        pytest.param(at(60), (), None, id="nothing to say"),
    ],
)
def test_a_written_copy_is_first_looked_at(now: datetime, leads: tuple[int, ...], expected: datetime | None) -> None:
    assert first_look(STARTS, ENDS, leads, now) == expected


def test_the_earliest_of_what_there_is() -> None:
    assert earliest(None, at(1), at(2)) == at(2)
    assert earliest(None) is None


def test_an_announcement_is_what_the_catalogue_says() -> None:
    link = Meeting(url="https://meet.google.com/abc-defg-hij", platform="google_meet", found_in="conferenceData")
    event = Event(provider_event_id="1", starts_at=STARTS, ends_at=ENDS, meeting=link)
    copy = MeetingCopy(
        event_id=uuid4(), calendar_id=uuid4(), calendar_status="active", email=None, response_status="accepted"
    )
    stored = view_json(
        encode_event(event),
        event_id=copy.event_id,
        calendar_id=copy.calendar_id,
        key="key",
        version=1,
        created_at=STARTS,
        updated_at=STARTS,
        deleted_at=None,
    )
    told = msgspec.json.decode(
        msgspec.json.encode(announcement("key", STARTS, 60, stored, [copy])), type=MeetingStarting
    )
    assert (told.meeting_key, told.starts_at, told.lead_seconds) == ("key", STARTS, 60)
    assert (told.meeting_url, told.platform, told.copies) == (link.url, "google_meet", [copy])
    assert (told.event.id, told.event.meeting) == (copy.event_id, link)
