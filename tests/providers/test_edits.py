"""What a patch makes of an event: its times, and whether it was made already."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from service.core.drafts import Draft, Guest, Patch
from service.core.event import Attendee, Event
from service.errors import RequestRefused
from service.providers.edits import is_made, moved, span_of

AT = datetime(2026, 3, 3, 14, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SEEN = Event(
    provider_event_id="e",
    title="Planning",
    description="<p>What &amp; when</p>",
    starts_at=AT,
    ends_at=AT + HOUR,
    time_zone="Europe/Paris",
    attendees=[Attendee(email="ada@example.org", organizer=True), Attendee(email="grace@example.org")],
)
DAY = msgspec.structs.replace(SEEN, is_all_day=True, start_date=date(2026, 3, 3), end_date=date(2026, 3, 4))


@pytest.mark.parametrize(
    ("event", "patch", "start", "end"),
    [
        pytest.param(SEEN, Patch(starts_at=AT - HOUR), AT - HOUR, AT + HOUR, id="start-alone"),
        pytest.param(SEEN, Patch(ends_at=AT + 3 * HOUR), AT, AT + 3 * HOUR, id="end-alone"),
        pytest.param(SEEN, Patch(time_zone="Asia/Tokyo"), AT, AT + HOUR, id="zone-alone"),
        pytest.param(
            SEEN,
            Patch(start_date=date(2026, 3, 5), end_date=date(2026, 3, 6)),
            date(2026, 3, 5),
            date(2026, 3, 6),
            id="to-a-day",
        ),
        pytest.param(DAY, Patch(end_date=date(2026, 3, 8)), date(2026, 3, 3), date(2026, 3, 8), id="longer"),
        pytest.param(DAY, Patch(starts_at=AT, ends_at=AT + HOUR), AT, AT + HOUR, id="from-a-day"),
    ],
)
def test_when_an_event_is_after_a_patch(event, patch, start, end):
    span = moved(event, patch, None)
    assert (span.start, span.end) == (start, end)
    assert span.zone == (patch.time_zone or "Europe/Paris")


@pytest.mark.parametrize(
    ("event", "patch"),
    [
        pytest.param(DAY, Patch(starts_at=AT), id="a-start-without-an-end"),
        pytest.param(SEEN, Patch(start_date=date(2026, 3, 5)), id="a-day-without-an-end"),
    ],
)
def test_a_start_of_another_kind_needs_its_end(event, patch):
    with pytest.raises(RequestRefused):
        moved(event, patch, None)


def test_a_draft_is_in_its_own_zone_or_in_the_calendars():
    draft = Draft(starts_at=AT, ends_at=AT + HOUR)
    assert span_of(draft, "Asia/Tokyo").wall(AT) == datetime(2026, 3, 3, 23)  # noqa: DTZ001
    assert span_of(msgspec.structs.replace(draft, time_zone="Europe/Paris"), "Asia/Tokyo").zone == "Europe/Paris"
    assert span_of(draft, None).zone == "UTC"


@pytest.mark.parametrize(
    ("patch", "fields"),
    [
        pytest.param(Patch(title="New"), {"title": "New"}, id="title"),
        pytest.param(Patch(title=None), {"title": ""}, id="no-title"),
        pytest.param(Patch(description="a & b"), {"description": "<html><body>a &amp; b</body></html>"}, id="text"),
        pytest.param(Patch(starts_at=AT - HOUR), {"starts_at": AT - HOUR, "is_exception": True}, id="time"),
        pytest.param(Patch(is_busy=False), {"is_busy": False}, id="busy"),
        pytest.param(
            Patch(attendees=[Guest(email="Alan@example.org")]),
            {"attendees": [SEEN.attendees[0], Attendee(email="alan@example.org")]},
            id="guests",
        ),
        pytest.param(
            Patch(attendees=[Guest(email="ada@example.org"), Guest(email="alan@example.org")]),
            {"attendees": [SEEN.attendees[0], Attendee(email="alan@example.org")]},
            id="guests-and-the-organizer",
        ),
    ],
)
def test_a_patch_that_was_made(patch, fields):
    assert is_made(SEEN, msgspec.structs.replace(SEEN, **fields), patch)


@pytest.mark.parametrize(
    ("patch", "fields"),
    [
        pytest.param(Patch(title="New"), {"title": "Other"}, id="another-title"),
        pytest.param(Patch(title="New"), {"title": "New", "location": "there"}, id="something-besides"),
        pytest.param(Patch(starts_at=AT - HOUR), {"starts_at": AT}, id="not-moved"),
        pytest.param(Patch(starts_at=AT - HOUR), {"starts_at": AT - 2 * HOUR}, id="moved-elsewhere"),
        pytest.param(Patch(is_busy=False), {"is_busy": True, "title": "x"}, id="not-freed"),
        pytest.param(Patch(description="New"), {"description": "Old"}, id="another-text"),
        pytest.param(Patch(attendees=[]), {"attendees": SEEN.attendees}, id="still-invited"),
        pytest.param(Patch(), {"title": "Other"}, id="nothing-asked"),
    ],
)
def test_what_somebody_else_made(patch, fields):
    assert not is_made(SEEN, msgspec.structs.replace(SEEN, **fields), patch)
