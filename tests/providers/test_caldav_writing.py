"""Writing to CalDAV: over real sockets, to Radicale, with faults written between the two."""

from datetime import date, timedelta

import msgspec
import pytest
from providers.caldav_desk import AT, FOLDER, KEY, LUNCH, ZONE, Desk, open_desk
from radicale_server import USER

from service.core.drafts import Draft, Guest
from service.errors import (
    CalendarGone,
    EventGone,
    Outdated,
    ReadOnly,
    RequestRefused,
    Throttled,
    TransientFault,
)
from service.providers.writing import Target


@pytest.fixture
async def desk(anyio_backend, tmp_path):
    async with open_desk(tmp_path) as desk:
        yield desk


DRAFTS = [
    pytest.param(LUNCH, id="plain"),
    pytest.param(msgspec.structs.replace(LUNCH, time_zone=None), id="in-the-calendars-zone"),
    pytest.param(msgspec.structs.replace(LUNCH, time_zone="UTC"), id="in-utc"),
    pytest.param(msgspec.structs.replace(LUNCH, time_zone="America/New_York"), id="in-another-zone"),
    pytest.param(Draft(title="Off", start_date=date(2026, 3, 9), end_date=date(2026, 3, 11)), id="days"),
    pytest.param(
        msgspec.structs.replace(LUNCH, title="a, b; c\\n\r\nd\0", description="x\ny\\" * 200), id="hostile-text"
    ),
    pytest.param(
        msgspec.structs.replace(
            LUNCH,
            location="https://us02web.zoom.us/j/81234567890?pwd=x",
            attendees=[
                Guest(email="bob@example.com", name='Doe, "Bob"; x'),
                Guest(email="c@example.com", optional=True),
            ],
            visibility="private",
            is_busy=False,
            reminders=[10, 60],
            conference="zoom",
        ),
        id="everything",
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize("draft", DRAFTS)
async def test_what_is_written_is_what_a_sync_reads(desk: Desk, draft: Draft) -> None:
    written = await desk.create(draft)
    assert (await desk.rows()) == {written.provider_event_id: written.item}
    assert written.series_id is None
    event = written.item.event
    assert (event.starts_at, event.start_date) == (draft.starts_at or event.starts_at, draft.start_date)
    assert event.is_busy == draft.is_busy
    assert [each.email for each in event.attendees] == [each.email for each in draft.attendees]


@pytest.mark.anyio
async def test_everything_of_a_draft_arrives(desk: Desk) -> None:
    event = (await desk.create(DRAFTS[-1].values[0])).item.event
    assert event.meeting.meeting_id == "81234567890"
    assert (event.visibility, event.organizer.email, event.organizer.self) == ("private", USER, True)
    assert [(each.name, each.optional) for each in event.attendees] == [('Doe, "Bob"; x', False), (None, True)]
    assert desk.text().count("BEGIN:VALARM") == 2
    assert "BEGIN:VTIMEZONE\r\nTZID:Europe/Paris" in desk.text()


@pytest.mark.anyio
@pytest.mark.parametrize("how", [pytest.param(0, id="no-answer"), pytest.param(504, id="gateway-timeout")])
@pytest.mark.parametrize("after", [pytest.param(True, id="carried-out"), pytest.param(False, id="not-carried-out")])
async def test_an_event_is_made_once_whatever_is_lost(desk: Desk, how: int, after: bool) -> None:
    desk.fail("PUT", how, after=after)
    with pytest.raises(TransientFault):
        await desk.create()
    written = await desk.create()
    again = await desk.create()
    assert written == again
    assert list(await desk.rows()) == [written.provider_event_id]


@pytest.mark.anyio
async def test_a_name_that_another_event_has_is_not_taken(desk: Desk) -> None:
    desk.server.put(f"{FOLDER}{KEY}.ics", "BEGIN:VEVENT\r\nUID:other\r\nDTSTART:20260303T100000Z\r\nEND:VEVENT")
    with pytest.raises(RequestRefused):
        await desk.create()
    with pytest.raises(RequestRefused):
        await desk.writer.withdraw(desk.access, desk.place, LUNCH, key=KEY)
    assert "UID:other" in desk.text()


@pytest.mark.anyio
async def test_an_event_that_the_server_has_renamed_is_found_by_its_uid(desk: Desk) -> None:
    written = await desk.create()
    text = desk.text()
    desk.server.done("DELETE", f"{FOLDER}{KEY}.ics")
    desk.server.done("PUT", f"{FOLDER}other-name.ics", text, content_type="text/calendar")
    again = await desk.create()
    assert again.provider_event_id == written.provider_event_id.replace(KEY, "other-name")
    await desk.writer.withdraw(desk.access, desk.place, LUNCH, key=KEY)
    assert await desk.rows() == {}


@pytest.mark.anyio
async def test_withdrawing_takes_back_what_may_have_been_made(desk: Desk) -> None:
    await desk.writer.withdraw(desk.access, desk.place, LUNCH, key=KEY)
    await desk.create()
    await desk.writer.withdraw(desk.access, desk.place, LUNCH, key=KEY)
    assert await desk.rows() == {}


CHANGES = [
    pytest.param({"title": "Dinner"}, {"title": "Dinner"}, 0, id="title"),
    pytest.param({"title": None, "location": "Room 1"}, {"title": None, "location": "Room 1"}, 0, id="place"),
    pytest.param(
        {"starts_at": AT + timedelta(hours=1), "ends_at": AT + timedelta(hours=3)},
        {"starts_at": AT + timedelta(hours=1), "ends_at": AT + timedelta(hours=3), "time_zone": ZONE},
        1,
        id="times",
    ),
    pytest.param(
        {"ends_at": AT + timedelta(hours=3)}, {"starts_at": AT, "ends_at": AT + timedelta(hours=3)}, 1, id="end"
    ),
    pytest.param({"time_zone": "Asia/Tokyo"}, {"starts_at": AT, "time_zone": "Asia/Tokyo"}, 1, id="zone"),
    pytest.param(
        {"start_date": date(2026, 3, 11)},
        {"start_date": date(2026, 3, 11), "end_date": date(2026, 3, 12), "is_all_day": True},
        1,
        id="becomes-a-day",
    ),
    pytest.param(
        {"visibility": "confidential", "is_busy": False},
        {"visibility": "confidential", "is_busy": False},
        0,
        id="class",
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("fields", "expected", "sequence"), CHANGES)
async def test_a_change_is_read_as_a_sync_reads_it(desk: Desk, fields, expected, sequence: int) -> None:
    made = await desk.create()
    written = await desk.change(
        Target(provider_event_id=made.provider_event_id, raw=made.item.raw), strict=True, **fields
    )
    assert await desk.rows() == {made.provider_event_id: written.item}
    assert {name: getattr(written.item.event, name) for name in expected} == expected
    assert f"SEQUENCE:{sequence}" in desk.text()


@pytest.mark.anyio
async def test_what_we_do_not_know_stays(desk: Desk) -> None:
    path = f"{FOLDER}{KEY}.ics"
    lines = [
        *(
            "BEGIN:VEVENT",
            "UID:x",
            "DTSTART;TZID=Europe/Paris:20260303T100000",
            "DURATION:PT1H",
            "SUMMARY;LANGUAGE=de:Alt",
        ),
        *('X-KEEP;X-A="b:c":d\\,e', "GEO:37.3;-122.0", "CATEGORIES:A,B", "X-ALT-DESC;FMTTYPE=text/html:<p>alt</p>"),
        *("ATTENDEE;PARTSTAT=ACCEPTED;X-NUM-GUESTS=1:mailto:bob@example.com", f"ORGANIZER:mailto:{USER}"),
        *("BEGIN:VALARM", "ACTION:AUDIO", "TRIGGER:-PT5M", "X-A:b", "END:VALARM", "END:VEVENT"),
    ]
    desk.server.put(path, "\r\n".join(lines))
    written = await desk.change(
        Target(provider_event_id=path),
        title="Neu",
        description="plain",
        attendees=[Guest(email="Bob@example.com"), Guest(email="eve@example.com")],
    )
    text = desk.text(path)
    for kept in (
        'X-KEEP;X-A="b:c":d\\,e',
        "GEO:37.3;-122.0",
        "CATEGORIES:A,B",
        "ACTION:AUDIO",
        "DURATION:PT1H",
        "X-NUM-GUESTS=1",
    ):
        assert kept in text
    assert "<p>alt</p>" not in text
    assert [(each.email, each.response_status) for each in written.item.event.attendees] == [
        ("bob@example.com", "accepted"),
        ("eve@example.com", "needsAction"),
    ]
    assert "SEQUENCE" not in text


@pytest.mark.anyio
async def test_a_patch_that_says_what_is_there_writes_nothing(desk: Desk) -> None:
    made = await desk.create()
    desk.server.asked.clear()
    target = Target(provider_event_id=made.provider_event_id, raw=b"an older row")
    written = await desk.change(target, strict=True, title="Lunch", starts_at=AT, is_busy=True, time_zone=ZONE)
    assert written == made
    assert [method for method, _ in desk.server.asked] == ["GET"]


@pytest.mark.anyio
async def test_strict_refuses_what_has_changed_and_others_do_not(desk: Desk) -> None:
    made = await desk.create()
    target = Target(provider_event_id=made.provider_event_id, raw=made.item.raw)
    await desk.change(target, description="by somebody else")
    with pytest.raises(Outdated):
        await desk.change(target, strict=True, title="Mine")
    with pytest.raises(Outdated):
        await desk.remove(target, strict=True)
    written = await desk.change(target, title="Mine")
    assert (written.item.event.title, written.item.event.description) == ("Mine", "by somebody else")


@pytest.mark.anyio
async def test_a_change_meanwhile_is_merged_or_refused_and_never_lost(desk: Desk) -> None:
    made = await desk.create(msgspec.structs.replace(LUNCH, description="theirs"))
    target = Target(provider_event_id=made.provider_event_id, raw=made.item.raw)
    desk.meddle(f"{FOLDER}{KEY}.ics", "theirs", "theirs")
    written = await desk.change(target, title="Mine")
    assert (written.item.event.title, written.item.event.description) == ("Mine", "theirs0")
    desk.meddle(f"{FOLDER}{KEY}.ics", "theirs", "theirs")
    with pytest.raises(Outdated):
        await desk.change(msgspec.structs.replace(target, raw=written.item.raw), strict=True, title="Again")
    desk.meddle(f"{FOLDER}{KEY}.ics", "theirs", "theirs", times=9)
    with pytest.raises(Outdated):
        await desk.change(target, title="For ever")


@pytest.mark.anyio
async def test_guests_that_shall_get_no_mail_are_asked_by_nobody(desk: Desk) -> None:
    bob, eve = Guest(email="bob@example.com"), Guest(email="eve@example.com")
    made = await desk.create(msgspec.structs.replace(LUNCH, attendees=[bob], notify=False))
    assert desk.text().count("SCHEDULE-AGENT=CLIENT") == 1
    target = Target(provider_event_id=made.provider_event_id)
    await desk.change(target, attendees=[bob, eve], notify=False)
    assert desk.text().count("SCHEDULE-AGENT=CLIENT") == 2
    await desk.change(target, attendees=[bob])
    assert "SCHEDULE-AGENT" not in desk.text()
    await desk.change(target, attendees=[eve], notify=False)
    await desk.change(target, attendees=[])
    assert "ORGANIZER" not in desk.text()


@pytest.mark.anyio
async def test_what_is_gone_is_removed_and_nothing_else_can_be_done_with_it(desk: Desk) -> None:
    made = await desk.create()
    target = Target(provider_event_id=made.provider_event_id, raw=made.item.raw)
    await desk.remove(target, strict=True)
    await desk.remove(target, strict=True)
    with pytest.raises(EventGone):
        await desk.change(target, title="x")
    with pytest.raises(EventGone):
        await desk.writer.read(desk.access, desk.place, target)
    desk.server.done("DELETE", FOLDER)
    with pytest.raises(CalendarGone):
        await desk.change(target, title="x")
    with pytest.raises(CalendarGone):
        await desk.create()


XML = b'<?xml version="1.0"?><error xmlns="DAV:"><%s/></error>'
REFUSALS = [
    pytest.param(403, XML % b"need-privileges", ReadOnly, id="no-privileges"),
    pytest.param(403, b"", ReadOnly, id="bare-403"),
    pytest.param(
        403, XML % b'valid-calendar-data xmlns="urn:ietf:params:xml:ns:caldav"', RequestRefused, id="cyrus-invalid"
    ),
    pytest.param(405, b"", ReadOnly, id="no-put"),
    pytest.param(415, b"", RequestRefused, id="sabre-invalid"),
    pytest.param(507, XML % b"quota-not-exceeded", RequestRefused, id="quota"),
    pytest.param(413, b"", RequestRefused, id="too-large"),
    pytest.param(423, b"", TransientFault, id="locked"),
    pytest.param(503, b"", TransientFault, id="outage"),
    pytest.param(429, b"", Throttled, id="throttled"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "body", "kind"), REFUSALS)
async def test_each_refusal_is_told_for_what_it_is(desk: Desk, status: int, body: bytes, kind: type[Exception]) -> None:
    made = await desk.create()
    target = Target(provider_event_id=made.provider_event_id)
    for method, act in (
        ("PUT", desk.change(target, title="x")),
        ("DELETE", desk.remove(target)),
        ("PUT", desk.create(key="1f" * 16)),
    ):
        desk.fail(method, status, after=False, body=body)
        with pytest.raises(kind) as caught:
            await act
        assert type(caught.value) is kind
    assert list(await desk.rows()) == [made.provider_event_id]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "draft",
    [
        pytest.param(msgspec.structs.replace(LUNCH, conference="google_meet"), id="meet"),
        pytest.param(msgspec.structs.replace(LUNCH, conference="microsoft_teams"), id="teams"),
        pytest.param(msgspec.structs.replace(LUNCH, time_zone="Mars/Base"), id="zone"),
        pytest.param(msgspec.structs.replace(LUNCH, recurrence=["RRULE:FREQ=SOMETIMES"]), id="rule"),
        pytest.param(msgspec.structs.replace(LUNCH, recurrence=["RRULE:FREQ=DAILY\r\nSUMMARY:x"]), id="smuggled-line"),
        pytest.param(msgspec.structs.replace(LUNCH, recurrence=["SUMMARY:x"]), id="no-rule"),
        pytest.param(msgspec.structs.replace(LUNCH, attendees=[Guest(email="a@b\r\nX:y")]), id="address"),
        pytest.param(msgspec.structs.replace(LUNCH, ends_at=AT - timedelta(hours=1)), id="ends-before"),
        pytest.param(Draft(title="never"), id="no-start"),
    ],
)
async def test_what_cannot_be_written_is_refused_before_anything_is_sent(desk: Desk, draft: Draft) -> None:
    desk.server.asked.clear()
    with pytest.raises(RequestRefused):
        await desk.create(draft)
    assert desk.server.asked == []


@pytest.mark.anyio
@pytest.mark.parametrize("name", [pytest.param("abc", id="no-path"), pytest.param("/\u00e4.ics", id="not-ascii")])
async def test_what_is_no_event_of_ours_is_gone(desk: Desk, name: str) -> None:
    with pytest.raises(EventGone):
        await desk.writer.read(desk.access, desk.place, Target(provider_event_id=name))


@pytest.mark.anyio
async def test_what_was_made_before_and_changed_since_is_not_overwritten(desk: Desk) -> None:
    made = await desk.create()
    await desk.change(Target(provider_event_id=made.provider_event_id), title="Changed since")
    assert (await desk.create()).item.event.title == "Changed since"
    assert "Changed since" in desk.text()


@pytest.mark.anyio
async def test_the_version_is_asked_for_where_the_answer_has_none(desk: Desk) -> None:
    made = await desk.create()
    target = Target(provider_event_id=made.provider_event_id)
    desk.server.rewritten_headers["ETag"] = None
    assert (await desk.change(target, title="Asked for")).item.event.title == "Asked for"
    assert "PROPFIND" in [method for method, _ in desk.server.asked]
    desk.server.rewritten_headers["ETag"] = "W/{}"
    assert (await desk.change(target, title="Weakened by a proxy")).item.event.title == "Weakened by a proxy"


@pytest.mark.anyio
async def test_what_nobody_shall_hear_of_is_refused_where_the_server_would_tell(desk: Desk) -> None:
    """A server with RFC 6638 mails the guests whom it has invited, whatever is asked."""
    guests = [Guest(email="bob@example.com")]
    invited = await desk.create(msgspec.structs.replace(LUNCH, attendees=guests))
    asked = await desk.create(msgspec.structs.replace(LUNCH, attendees=guests, notify=False), key="1f" * 16)
    first, second = (Target(provider_event_id=each.provider_event_id) for each in (invited, asked))
    desk.server.rewritten_headers["DAV"] = "{}, calendar-auto-schedule"
    with pytest.raises(RequestRefused, match="mails"):
        await desk.change(first, title="Quiet", notify=False)
    with pytest.raises(RequestRefused, match="mails"):
        await desk.writer.remove(desk.access, desk.place, first, notify=False, strict=False)
    assert (await desk.change(first, title="Told")).item.event.title == "Told"
    await desk.change(second, title="Quiet", notify=False)
    await desk.writer.remove(desk.access, desk.place, second, notify=False, strict=False)
    desk.server.rewritten_headers.clear()
    await desk.change(first, title="Nobody is mailed by this one", notify=False)
    await desk.writer.remove(desk.access, desk.place, first, notify=False, strict=False)
    assert await desk.rows() == {}
