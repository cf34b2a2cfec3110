"""Each setting of a connection, and what it does at the provider."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from api.office import ADA, GUEST, Office, moment
from flows.stage import Stage

pytestmark = pytest.mark.anyio


@pytest.fixture
async def calendar(call: httpx.AsyncClient, credentials: dict[str, Any], stage: Stage) -> str:
    answer = await call.post("/calendars", json=credentials)
    calendar_id: str = answer.json()["id"]
    await stage.sync()
    return calendar_id


@pytest.fixture
def office(call: httpx.AsyncClient, stage: Stage, calendar: str) -> Office:
    return Office(call, stage, calendar)


async def test_inbound_writes_nothing(office: Office):
    await office.set(sync_direction="inbound")
    problem = await office.write(409)
    assert "inbound" in problem["detail"]
    assert office.rows() == {}


async def test_new_events_go_to_the_calendar_that_is_preferred(office: Office):
    team = office.stage.world.add_calendar(ADA, "Team")
    (connection,) = (await office.call.get("/connections")).json()["data"]
    path = f"/connections/{connection['id']}/events"
    wish = {"title": "First", "starts_at": office.at(5), "ends_at": office.at(6)}
    assert (await office.call.post(path, json=wish)).status_code == 201
    assert list(office.rows()) == ["First"]
    await office.set(primary_calendar=team)
    assert (await office.call.post(path, json=wish)).status_code == 409
    await office.set(selected_calendars=[ADA, team])
    assert (await office.call.post(path, json={**wish, "title": "Second"})).status_code == 201
    assert [row["summary"] for row in office.stage.world.read_truth(team)] == ["Second"]
    assert list(office.rows()) == ["First"]


async def test_defaults_stand_where_a_request_says_nothing(office: Office):
    await office.set(event_defaults={"visibility": "private", "reminders": [15]})
    await office.write()
    await office.write(title="Loud", visibility="public", reminders=[5])
    rows = office.rows()
    assert rows["Review"]["visibility"] == "private"
    assert [each["minutes"] for each in rows["Review"]["reminders"]["overrides"]] == [15]
    assert rows["Loud"]["visibility"] == "public"
    assert [each["minutes"] for each in rows["Loud"]["reminders"]["overrides"]] == [5]


async def test_a_sentence_is_written_as_the_settings_say(office: Office):
    await office.set(
        event_privacy={"show_title": False},
        event_defaults={"visibility": "private", "reminders": [7]},
        validate_availability=True,
    )
    await office.say("Secret lunch tomorrow at 1pm")
    (row,) = office.rows().values()
    assert (row["summary"], row["visibility"]) == ("Busy", "private")
    assert [each["minutes"] for each in row["reminders"]["overrides"]] == [7]
    assert "taken" in (await office.say("Secret lunch tomorrow at 1pm", 409))["detail"]
    assert len(office.stage.world.read_truth(ADA)) == 1


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param({"event_privacy": {"show_location": False}}, id="privacy"),
        pytest.param({"event_defaults": {"reminders": [7]}}, id="defaults"),
        pytest.param({"validate_availability": True}, id="validated"),
    ],
)
async def test_google_reads_no_sentence_that_a_setting_has_a_say_in(office: Office, setting: dict[str, Any]):
    await office.say("Lunch tomorrow at 1pm")
    await office.set(**setting)
    await office.say("Dinner tomorrow at 7pm")
    # What was read here is written as any event is, with our mark.
    assert {title: "extendedProperties" in row for title, row in office.rows().items()} == {
        "Lunch": False,
        "Dinner": True,
    }


async def test_the_provider_is_shown_what_privacy_allows(office: Office):
    hidden = {"show_title": False, "show_description": False, "show_attendees": False, "show_location": False}
    await office.set(event_privacy=hidden)
    event = await office.write(description="the plan", location="Room 5", attendees=[{"email": GUEST}])
    (row,) = office.rows().values()
    assert row["summary"] == "Busy"
    assert not {"description", "location", "attendees"} & row.keys()
    await office.call.patch(f"/events/{event['id']}", json={"title": "Even more secret", "starts_at": office.at(7)})
    (row,) = office.rows().values()
    assert row["summary"] == "Busy"
    assert moment(row) == datetime.fromisoformat(office.at(7))


async def test_privacy_holds_for_one_occurrence_of_a_series_too(office: Office):
    await office.set(event_privacy={"show_title": False, "show_description": False})
    daily = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=3"], "time_zone": "Europe/Berlin"}
    event = await office.write(title="Layoffs", description="secret", **daily)
    listed = (await office.call.get("/events", params={"series_id": event["series_id"]})).json()["data"]
    changed = await office.change(listed[1], title="Layoffs", description="secret", location="Room 5")
    assert (changed["title"], changed["description"], changed["location"]) == ("Busy", None, "Room 5")
    seen = [(row["summary"], row.get("description"), row.get("location")) for row in office.stage.world.read_truth(ADA)]
    assert sorted(seen, key=str) == [("Busy", None, "Room 5"), ("Busy", None, None), ("Busy", None, None)]


async def test_buffers_stand_in_the_calendar_and_move_with_the_event(office: Office):
    await office.set(sync_buffers_to_calendar=True)
    event = await office.write(buffer_before=15, buffer_after=10)
    rows = office.stage.world.read_truth(ADA)
    assert sorted(row["summary"] for row in rows) == ["Buffer", "Buffer", "Review"]
    first = datetime.fromisoformat(event["starts_at"])
    assert min(moment(row) for row in rows) == first - timedelta(minutes=15)
    assert max(moment(row, "end") for row in rows) == datetime.fromisoformat(event["ends_at"]) + timedelta(minutes=10)
    await office.call.patch(f"/events/{event['id']}", json={"starts_at": office.at(8)})
    assert min(moment(row) for row in office.stage.world.read_truth(ADA)) == first + timedelta(hours=3, minutes=-15)
    await office.call.delete(f"/events/{event['id']}")
    assert office.rows() == {}
    await office.settle()
    assert {cause for _, cause in await office.told()} == {"write"}


async def test_buffers_follow_an_event_that_is_moved_at_the_provider(office: Office):
    await office.set(sync_buffers_to_calendar=True)
    event = await office.write(buffer_before=15)
    start, end = office.at(9), office.at(10)
    office.stage.world.edit_event(
        ADA, event["provider_event_id"], {"start": {"dateTime": start}, "end": {"dateTime": end}}
    )
    await office.settle()
    rows = office.rows()
    assert moment(rows["Buffer"], "end") == datetime.fromisoformat(start)
    assert (await office.show(event))["starts_at"] == start


async def test_without_the_setting_nothing_but_the_event_is_written(office: Office):
    await office.write(buffer_before=15, buffer_after=15)
    assert list(office.rows()) == ["Review"]


async def test_a_guest_who_declines_cancels_the_event_where_that_is_wanted(office: Office):
    await office.set(cancel_if_declined_or_deleted=True)
    event = await office.write(attendees=[{"email": GUEST}])
    office.stage.world.respond(ADA, event["provider_event_id"], GUEST, "declined")
    await office.settle()
    assert office.rows() == {}
    assert (await office.show(event))["status"] == "cancelled"


async def test_otherwise_a_declined_event_stays(office: Office):
    event = await office.write(attendees=[{"email": GUEST}])
    office.stage.world.respond(ADA, event["provider_event_id"], GUEST, "declined")
    await office.settle()
    assert list(office.rows()) == ["Review"]
    assert (await office.show(event))["status"] == "confirmed"


async def test_outbound_sets_right_what_somebody_changed(office: Office):
    await office.set(sync_direction="outbound")
    event = await office.write()
    office.stage.world.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    await office.settle()
    assert list(office.rows()) == ["Review"]
    assert (await office.show(event))["title"] == "Review"
    told = [each for each in await office.told() if each[0] == "updated"]
    assert [cause for _, cause in told] == ["poll", "write"]


@pytest.mark.parametrize("title", ["Theirs", "Review"], ids=["and-more", "guests-alone"])
async def test_outbound_sets_right_who_is_invited(office: Office, title: str):
    world = office.stage.world
    await office.set(sync_direction="outbound")
    event = await office.write(attendees=[{"email": GUEST}, {"email": "Second@Example.com"}])
    world.respond(ADA, event["provider_event_id"], GUEST, "accepted")
    await office.settle()
    there = office.rows()["Review"]["attendees"]
    evil = {"email": "evil@example.com"}
    world.edit_event(ADA, event["provider_event_id"], {"attendees": [there[0], evil], "summary": title})
    mails = len(world.read_mails(GUEST))
    await office.settle()
    found = {each["email"].lower(): each["responseStatus"] for each in office.rows()["Review"]["attendees"]}
    assert found == {GUEST: "accepted", "second@example.com": "needsAction"}
    kinds = [each["kind"] for each in world.read_mails("evil@example.com")]
    assert kinds[-1:] == ["cancellation"]
    assert len(world.read_mails(GUEST)) <= mails + 1


async def test_outbound_leaves_answers_of_guests_alone(office: Office):
    await office.set(sync_direction="outbound")
    event = await office.write(attendees=[{"email": GUEST}, {"email": ADA}])
    world = office.stage.world
    mails = world.read_mails(GUEST)
    world.respond(ADA, event["provider_event_id"], GUEST, "accepted")
    world.reset_counters()
    await office.settle()
    assert world.read_mails(GUEST) == mails
    assert {endpoint for endpoint in world.read_counters() if endpoint.startswith("events.")} == {"events.list"}


async def test_outbound_sets_right_how_the_time_is_shown_and_tells_no_guest(office: Office):
    await office.set(sync_direction="outbound")
    event = await office.write(attendees=[{"email": GUEST}], visibility="private", reminders=[10])
    world = office.stage.world
    mails = world.read_mails(GUEST)
    theirs = {"transparency": "transparent", "visibility": "public", "reminders": {"useDefault": True}}
    world.edit_event(ADA, event["provider_event_id"], theirs)
    await office.settle()
    row = office.rows()["Review"]
    assert (row.get("transparency", "opaque"), row["visibility"]) == ("opaque", "private")
    assert [each["minutes"] for each in row["reminders"]["overrides"]] == [10]
    assert world.read_mails(GUEST) == mails
    # Nothing that settings of today would add was written then, or is set right.
    plain = await office.write(title="Plain", starts_at=office.at(8), ends_at=office.at(9))
    await office.set(event_defaults={"visibility": "private", "reminders": [30]})
    world.edit_event(ADA, plain["provider_event_id"], {"location": "Elsewhere"})
    await office.settle()
    row = office.rows()["Plain"]
    assert (row.get("location"), row.get("visibility", "default")) == (None, "default")
    assert not row.get("reminders", {}).get("overrides")


async def test_both_follows_how_the_time_is_shown(office: Office):
    event = await office.write(visibility="private")
    theirs = {"transparency": "transparent", "visibility": "public"}
    office.stage.world.edit_event(ADA, event["provider_event_id"], theirs)
    await office.settle()
    await office.set(sync_direction="outbound")
    office.stage.world.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    await office.settle()
    row = office.rows()["Review"]
    assert (row["transparency"], row["visibility"]) == ("transparent", "public")


async def test_what_was_hidden_stays_ours_whatever_the_settings_say_later(office: Office):
    """Until it is written again: neither forgotten, nor shown, nor are guests invited whom nobody was to see."""
    world = office.stage.world
    await office.set(event_privacy={"show_title": False, "show_attendees": False})
    event = await office.write(title="Secret", attendees=[{"email": GUEST}])
    await office.set(event_privacy=None)
    world.move_event(ADA, event["provider_event_id"], by_minutes=30)
    await office.settle()
    await office.set(sync_direction="outbound")
    world.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    await office.settle()
    (row,) = office.rows().values()
    assert (row["summary"], row.get("attendees")) == ("Busy", None)
    assert world.read_mails(GUEST) == []
    await office.change(event, title="No secret")
    world.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    await office.settle()
    (row,) = office.rows().values()
    assert (row["summary"], row.get("attendees")) == ("No secret", None)


async def test_guests_are_not_taken_off_because_they_would_be_hidden_today(office: Office):
    await office.set(sync_direction="outbound")
    event = await office.write(attendees=[{"email": GUEST}])
    await office.set(event_privacy={"show_title": False, "show_attendees": False})
    world = office.stage.world
    mails = world.read_mails(GUEST)
    world.respond(ADA, event["provider_event_id"], GUEST, "accepted")
    await office.settle()
    (row,) = office.rows().values()
    assert (row["summary"], [each["email"] for each in row["attendees"]]) == ("Review", [GUEST])
    assert world.read_mails(GUEST) == mails


async def test_outbound_gives_way_to_somebody_who_never_does(office: Office):
    await office.set(sync_direction="outbound")
    event = await office.write()
    for number in range(6):
        office.stage.world.edit_event(ADA, event["provider_event_id"], {"summary": f"Theirs {number}"})
        await office.settle()
    assert list(office.rows()) == ["Theirs 5"]


async def test_both_follows_what_somebody_changed(office: Office):
    event = await office.write()
    office.stage.world.edit_event(ADA, event["provider_event_id"], {"summary": "Theirs"})
    await office.settle()
    assert (await office.show(event))["title"] == "Theirs"
    assert list(office.rows()) == ["Theirs"]


async def test_where_availability_is_validated_nothing_is_written_over_a_busy_time(office: Office):
    await office.write(title="First")
    await office.set(validate_availability=True)
    assert "taken" in (await office.write(409))["detail"]
    assert list(office.rows()) == ["First"]
    await office.write(title="Beside", starts_at=office.at(6), ends_at=office.at(7))
    await office.write(409, title="Too near", starts_at=office.at(7), ends_at=office.at(8), buffer_before=5)
    await office.write(title="Shown only", is_busy=False)
    assert sorted(office.rows()) == ["Beside", "First", "Shown only"]


async def test_an_event_is_not_in_its_own_way(office: Office):
    await office.set(validate_availability=True, sync_buffers_to_calendar=True)
    event = await office.write(buffer_before=30)
    half = await office.call.patch(f"/events/{event['id']}", json={"starts_at": office.at(5.25)})
    assert half.status_code == 200, half.text


async def test_a_connection_that_blocks_no_time_is_in_nobodys_way(office: Office):
    await office.write(title="First")
    await office.set(validate_availability=True, block_busy_time=False)
    await office.write(title="Second")
    assert sorted(office.rows()) == ["First", "Second"]


async def test_calendars_that_block_time_are_asked_for_at_the_provider_where_nobody_has_connected_them(office: Office):
    team = office.stage.world.add_calendar(ADA, "Team")
    office.stage.world.add_meeting(team, "Theirs", in_minutes=5 * 60 + 10)
    await office.set(validate_availability=True, busy_calendars=[team])
    await office.write(409)
    await office.write(starts_at=office.at(7), ends_at=office.at(8))


async def test_guests_get_no_mail_where_the_connection_says_so(office: Office):
    loud = await office.write(attendees=[{"email": GUEST}])
    await office.set(disable_attendee_notification=True)
    silent = await office.write(title="Silent", attendees=[{"email": GUEST}])
    world = office.stage.world
    assert len(world.read_mails(GUEST, loud["provider_event_id"])) == 1
    await office.call.delete(f"/events/{silent['id']}")
    assert world.read_mails(GUEST, silent["provider_event_id"]) == []


async def test_inbound_leaves_what_was_written_before_as_it_is(office: Office):
    await office.set(cancel_if_declined_or_deleted=True, sync_buffers_to_calendar=True)
    declined = await office.write(title="Declined", attendees=[{"email": GUEST}])
    moved = await office.write(title="Moved", starts_at=office.at(7), ends_at=office.at(8), buffer_after=10)
    deleted = await office.write(title="Deleted", starts_at=office.at(9), ends_at=office.at(10), buffer_before=10)
    world = office.stage.world
    buffers = [row for row in world.read_truth(ADA) if row["summary"] == "Buffer"]
    assert len(buffers) == 2
    await office.set(sync_direction="inbound")
    world.respond(ADA, declined["provider_event_id"], GUEST, "declined")
    world.move_event(ADA, moved["provider_event_id"], by_minutes=45)
    world.cancel_event(ADA, deleted["provider_event_id"])
    world.reset_counters()
    afterwards = office.at(7.75)
    await office.settle()
    assert [row for row in world.read_truth(ADA) if row["summary"] == "Buffer"] == buffers
    assert sorted(office.rows()) == ["Buffer", "Declined", "Moved"]
    assert (await office.show(declined))["status"] == "confirmed"
    assert (await office.show(moved))["starts_at"] == afterwards
    assert {endpoint for endpoint in world.read_counters() if endpoint.startswith("events.")} == {"events.list"}
