"""A VEVENT's properties in our words, and the evidence that a row keeps."""

import pytest
from vevent_lists import calendar, events, items, only, vevent

from service.core.event import Attendee, Organizer, encode_event
from service.core.meeting_links.evidence import LinkRules, MeetingHost
from service.core.meeting_links.finding import find
from service.core.sync import Listed, Malformed
from service.providers.vevent.lines import read_lines
from service.providers.vevent.properties import from_text
from service.providers.vevent.reading import WANTED, read_evidence

START = "DTSTART:20260304T100000Z"


def test_everything_that_it_says_is_in_the_event():
    event = only(
        calendar(
            vevent(
                START, "DTEND:20260304T110000Z", r"SUMMARY:Plan\, and more\; now", r"DESCRIPTION:One\nTwo\\Three", "LOCATION:Room 1",
                "STATUS:TENTATIVE", "CLASS:PRIVATE", "TRANSP:TRANSPARENT", "URL:https://example.com/e/1",
                'ORGANIZER;CN="Boss, The":MAILTO:Boss@Example.com',
                "ATTENDEE;CN=Me;PARTSTAT=DECLINED:mailto:me@example.com",
                "ATTENDEE;ROLE=OPT-PARTICIPANT;PARTSTAT=TENTATIVE:mailto:opt@example.com",
                "ATTENDEE;CUTYPE=ROOM;PARTSTAT=ACCEPTED;CN=Blue:mailto:blue@example.com",
                "ATTENDEE;EMAIL=server@example.com:urn:uuid:1",
                "ATTENDEE:mailto:boss@example.com",
            )
        ),
        addresses=frozenset({"me@example.com"}), time_zone="Europe/Paris",
    )  # fmt: skip

    assert (event.title, event.description) == ("Plan, and more; now", "One\nTwo\\Three")
    assert (event.location, event.status, event.visibility, event.is_busy) == ("Room 1", "tentative", "private", False)
    assert (event.html_link, event.event_type, event.time_zone) == (
        "https://example.com/e/1",
        "default",
        "Europe/Paris",
    )
    assert event.organizer == Organizer(email="boss@example.com", name="Boss, The")
    assert event.response_status == "declined"
    assert {each.email: each for each in event.attendees} == {
        "me@example.com": Attendee(email="me@example.com", name="Me", response_status="declined", self=True),
        "opt@example.com": Attendee(email="opt@example.com", response_status="tentative", optional=True),
        "blue@example.com": Attendee(email="blue@example.com", name="Blue", response_status="accepted", resource=True),
        "server@example.com": Attendee(email="server@example.com", response_status="needsAction"),
        "boss@example.com": Attendee(email="boss@example.com", response_status="needsAction", organizer=True),
    }


def test_what_it_does_not_say_has_its_default():
    event = only(calendar(vevent(START)))

    assert (event.title, event.description, event.location, event.organizer, event.html_link) == (None,) * 5
    assert (event.status, event.visibility, event.is_busy, event.attendees) == ("confirmed", "default", True, [])
    assert (event.response_status, event.meeting, event.meeting_hint) == (None, None, None)


@pytest.mark.parametrize(
    ("lines", "is_busy", "event_type"),
    [
        pytest.param(["TRANSP:OPAQUE"], True, "default", id="opaque"),
        pytest.param(["X-MICROSOFT-CDO-BUSYSTATUS:FREE"], False, "default", id="free"),
        pytest.param(["X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"], True, "default", id="tentative"),
        pytest.param(["X-MICROSOFT-CDO-BUSYSTATUS:OOF"], True, "outOfOffice", id="out of office"),
        pytest.param(
            ["TRANSP:TRANSPARENT", "X-MICROSOFT-CDO-BUSYSTATUS:BUSY"], False, "default", id="transparent all the same"
        ),
    ],
)
def test_busy_is_said_in_two_ways(lines, is_busy, event_type):
    event = only(calendar(vevent(START, *lines)))

    assert (event.is_busy, event.event_type) == (is_busy, event_type)


def test_who_calls_a_meeting_and_is_not_on_the_list_comes():
    event = only(calendar(vevent(START, "ORGANIZER:mailto:me@example.com")), addresses=frozenset({"me@example.com"}))

    assert event.response_status == "accepted"
    assert event.organizer is not None
    assert event.organizer.self


def test_attendees_are_bounded_and_their_order_means_nothing():
    lines = [f"ATTENDEE:mailto:{number}@example.com" for number in range(3000)]

    one, other = only(calendar(vevent(START, *lines))), only(calendar(vevent(START, *reversed(lines), lines[0])))

    assert len(one.attendees) == 1000
    assert encode_event(one) == encode_event(other)


def test_no_nul_and_no_half_character_reaches_a_text():
    text = calendar(vevent(START, "SUMMARY:a\0b", "DESCRIPTION:c?d")).replace(b"?", b"\xed\xa0\x80")

    event = only(text)

    assert event.title == "ab"
    assert event.description is not None
    assert event.description.encode().decode() == event.description


def test_the_meeting_is_found_and_the_row_says_the_same_again():
    text = calendar(
        vevent(START, "RRULE:FREQ=DAILY;COUNT=2", "LOCATION:https://us02web.zoom.us/j/81234567890?pwd=abc"),
        vevent("RECURRENCE-ID:20260305T100000Z", START, "X-GOOGLE-CONFERENCE:https://meet.google.com/abc-defg-hij"),
    )

    found = {each.event.provider_event_id: each for each in items(text) if isinstance(each, Listed)}

    assert found["u#20260304T100000Z"].event.meeting.meeting_id == "81234567890"
    assert found["u#20260305T100000Z"].event.meeting.platform == "google_meet"
    for each in found.values():
        assert find(read_evidence(each.raw)).meeting == each.event.meeting


def test_the_rules_of_the_project_say_what_a_meeting_is():
    rules = LinkRules(hosts=(MeetingHost(host="rooms.example.com", platform="jitsi"),))
    text = calendar(vevent(START, "LOCATION:https://rooms.example.com/standup"))

    assert only(text).meeting is None
    assert only(text, rules=rules).meeting.platform == "jitsi"


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'{"raw":1}', b"BEGIN:VEVENT"])
def test_a_row_of_something_else_is_refused(raw):
    with pytest.raises(ValueError, match=r"JSON|Expected|Input"):
        read_evidence(raw)


def test_rows_that_are_set_aside_keep_what_they_said():
    [bad] = [each for each in items(calendar(vevent("SUMMARY:Secret plan"))) if isinstance(each, Malformed)]

    assert b"Secret plan" in bad.raw


def test_a_slot_that_was_moved_by_a_day_has_its_own_days():
    text = calendar(
        vevent("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=DAILY;COUNT=2"),
        vevent("RECURRENCE-ID;VALUE=DATE:20260303", "DTSTART:20260305T100000Z", "DTEND:20260305T110000Z"),
    )

    day, moved = events(text)

    assert (day.is_all_day, moved.is_all_day, moved.start_date) == (True, False, None)
    assert f"{moved.original_start_date}" == "2026-03-03"


@pytest.mark.parametrize(
    "line",
    [
        "DTSTART;TZID=Europe/Paris:20260304T100000", "SUMMARY;LANGUAGE=en:A: b; c, d", 'ATTENDEE;CN="A; b":mailto:a@example.com',
        r"DESCRIPTION:a\nb\, c\; d\\e", "attendee;cn=A B;X-P=1:mailto:a@example.com", "SUMMARY:", 'SUMMARY;ALTREP="http://x/y":z',
        "ATTENDEE;CN=O^'Brien:mailto:a@example.com", r"ATTENDEE;CN=A\,B:mailto:a@example.com", "URL:https://example.com/?a=b;c",
        'ATTENDEE;MEMBER="mailto:a@x","mailto:b@x";ROLE=CHAIR:mailto:c@x',
    ],
)  # fmt: skip
def test_the_short_way_to_read_a_line_comes_to_what_the_library_says(line):
    name = line.replace(";", ":").partition(":")[0].upper()

    ours = read_lines(line, WANTED)[name]
    theirs = from_text(f"{line}\r\n", WANTED).get(name, [])

    assert ours == theirs or (ours[0].value == "" and not theirs)
