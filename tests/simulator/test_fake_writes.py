"""Insert, patch, update and delete through the API, and what guests get of it."""

import uuid

import pytest
from judged_caller import ADA, GRACE, all_day, timed, weekly

START = "2025-03-25T09:00:00+01:00"
EVENTS = "/calendars/primary/events"
MEET = {"conferenceData": {"createRequest": {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}}
BAD_BODIES = [
    pytest.param({"summary": "x", "end": {"date": "2025-03-25"}}, "required", id="no-start"),
    pytest.param({"start": {"date": "2025-03-25"}, "end": {"dateTime": START}}, "invalid", id="mixed"),
    pytest.param(all_day("2025-03-25", "2025-03-25"), "timeRangeEmpty", id="empty-day"),
    pytest.param(timed(START, minutes=-5), "timeRangeEmpty", id="ends-before-start"),
    pytest.param(timed(START, zone="Mars/Olympus"), "invalid", id="zone"),
    pytest.param(timed(START, id="UPPER"), "invalid", id="upper-case-id"),
    pytest.param(timed(START, id="abcd"), "invalid", id="short-id"),
    pytest.param(timed(START, id="wxyzwxyz"), "invalid", id="letters-beyond-v"),
    pytest.param(timed(START, id="abcde", iCalUID="x"), "invalid", id="id-and-uid"),
    pytest.param(timed(START, attendees=[{"email": "nobody"}]), "invalid", id="attendee"),
    pytest.param(timed(START, eventType="party"), "invalid", id="type"),
]


@pytest.mark.parametrize(("body", "reason"), BAD_BODIES)
def test_a_bad_body_is_a_400(google, body, reason):
    google.judging = False
    reply = google.call("POST", EVENTS, body)
    assert (reply.status, reply.reason) == (400, reason)


def test_a_chosen_id_is_taken_for_ever(google):
    body = timed(START, id=uuid.UUID(int=7).hex)
    path = f"{EVENTS}/{body['id']}"
    assert google.call("POST", EVENTS, body).json["id"] == body["id"]
    assert google.call("POST", EVENTS, body).reason == "duplicate"
    assert google.call("DELETE", path, sendUpdates="none").status == 204
    assert google.call("POST", EVENTS, body).status == 409
    assert google.get(path).json["status"] == "cancelled"
    assert google.call("DELETE", path).reason == "deleted"
    assert google.call("PATCH", path, {"summary": "x"}).status == 410
    assert google.call("DELETE", f"{EVENTS}/unknown").status == 404


def test_an_instance_that_is_gone_is_a_410(google, world):
    series = world.add_event(ADA, weekly())
    world.cancel_event(ADA, series["id"])
    path = f"{EVENTS}/{series['id']}_20250331T070000Z"
    assert google.call("DELETE", path).status == 410
    assert set(google.get(path).json) == {"kind", "etag", "id", "status"}


@pytest.mark.parametrize(("version", "linked"), [(None, False), (0, False), (1, True)])
def test_a_conference_needs_its_version(google, version, linked):
    params = {} if version is None else {"conferenceDataVersion": version}
    event = google.call("POST", EVENTS, timed(START, **MEET), **params).json
    assert event.get("hangoutLink", "").startswith("https://meet.google.com/") is linked
    assert ("conferenceData" in event) is linked


def test_a_conference_may_be_pending(google, world):
    world.set(conference_pending=True)
    event = google.call("POST", EVENTS, timed(START, **MEET), conferenceDataVersion=1).json
    assert event["conferenceData"]["createRequest"]["status"] == {"statusCode": "pending"}
    assert "hangoutLink" not in event


def test_a_patch_keeps_the_conference_and_a_repeated_request_is_ignored(google):
    event = google.call("POST", EVENTS, timed(START, **MEET), conferenceDataVersion=1).json
    path = f"{EVENTS}/{event['id']}"
    assert google.call("PATCH", path, {"summary": "x"}).json["hangoutLink"] == event["hangoutLink"]
    again = google.call("PATCH", path, MEET, conferenceDataVersion=1).json
    assert again["conferenceData"] == event["conferenceData"]
    assert "conferenceData" not in google.call("PATCH", path, {"conferenceData": None}, conferenceDataVersion=1).json


def test_a_conference_of_another_vendor_is_refused(google):
    body = {"conferenceData": {"createRequest": {"requestId": "r", "conferenceSolutionKey": {"type": "addOn"}}}}
    assert google.call("POST", EVENTS, timed(START, **body), conferenceDataVersion=1).status == 400


def test_patch_merges_and_put_replaces(google):
    body = timed(START, location="Lyon", attendees=[{"email": GRACE}], extendedProperties={"private": {"a": "1"}})
    event = google.call("POST", EVENTS, body).json
    path = f"{EVENTS}/{event['id']}"
    patched = google.call("PATCH", path, {"extendedProperties": {"private": {"b": "2"}}, "location": None}).json
    assert patched["extendedProperties"] == {"private": {"a": "1", "b": "2"}}
    assert "location" not in patched
    assert patched["attendees"] == event["attendees"]
    replaced = google.call("PUT", path, timed(START, summary="Only this")).json
    assert {"attendees", "extendedProperties"} & set(replaced) == set()
    assert (replaced["iCalUID"], replaced["organizer"]) == (event["iCalUID"], event["organizer"])


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_if_match(google, method):
    event = google.call("POST", EVENTS, timed(START)).json
    path = f"{EVENTS}/{event['id']}"
    body = None if method == "DELETE" else timed("2025-03-26T09:00:00+01:00")
    stale = google.call(method, path, body, {"if-match": '"1"'})
    assert (stale.status, stale.reason) == (412, "conditionNotMet")
    assert google.call(method, path, body, {"if-match": event["etag"]}).status in {200, 204}


def test_sequence_and_updated(google):
    event = google.call("POST", EVENTS, timed(START)).json
    path = f"{EVENTS}/{event['id']}"
    quiet = google.call("PATCH", path, {"colorId": "5"}).json
    assert (quiet["updated"], quiet["sequence"]) == (event["updated"], 0)
    assert quiet["etag"] != event["etag"]
    loud = google.call("PATCH", path, {"summary": "New"}).json
    assert loud["updated"] > event["updated"]
    assert loud["sequence"] == 1


def test_a_patch_that_changes_nothing_moves_nothing(google):
    event = google.call("POST", EVENTS, timed(START)).json
    token = google.events().token
    assert google.call("PATCH", f"{EVENTS}/{event['id']}", {"summary": "Meeting"}).json["etag"] == event["etag"]
    assert google.events(syncToken=token).items == []


def test_a_patch_of_an_instance_makes_an_exception(google):
    series = google.call("POST", EVENTS, weekly()).json
    path = f"{EVENTS}/{series['id']}_20250331T070000Z"
    assert google.call("PATCH", path, {"summary": "Special"}).json["recurringEventId"] == series["id"]
    assert sorted(item["summary"] for item in google.expanded().items) == ["Meeting"] * 5 + ["Special"]
    assert google.call("DELETE", path).status == 204
    assert len(google.expanded().items) == 5


@pytest.mark.parametrize(("role", "status"), [("freeBusyReader", 403), ("reader", 403), ("writer", 200)])
def test_writing_needs_a_role(grace, world, role, status):
    world.share_calendar(ADA, GRACE, role)
    assert grace.call("POST", f"/calendars/{ADA}/events", timed(START)).status == status


def test_an_invitation_follows_its_event(google, grace, world):
    event = google.call("POST", EVENTS, timed(START, attendees=[{"email": ADA}, {"email": GRACE}])).json
    token = grace.events().token
    google.call("PATCH", f"{EVENTS}/{event['id']}", {"summary": "Renamed"})
    (row,) = grace.events(syncToken=token).items
    assert row["summary"] == "Renamed"
    google.call("DELETE", f"{EVENTS}/{event['id']}")
    assert grace.events(syncToken=token).items[0]["status"] == "cancelled"


def test_a_series_and_its_exceptions_are_shared(google, grace, world):
    series = world.add_event(ADA, weekly(attendees=[{"email": ADA}, {"email": GRACE}]))
    world.move_event(ADA, f"{series['id']}_20250331T070000Z", by_minutes=90)
    world.cancel_event(ADA, f"{series['id']}_20250407T070000Z")
    new = world.split_series(ADA, f"{series['id']}_20250414T070000Z", {"summary": "Second half"})
    mine, hers = google.expanded(orderBy="startTime").items, grace.expanded(orderBy="startTime").items
    assert [item["id"] for item in mine] == [item["id"] for item in hers]
    assert [item["summary"] for item in hers] == ["Meeting"] * 2 + ["Second half"] * 3
    world.cancel_event(ADA, new["id"])
    assert len(grace.expanded().items) == 2


def test_an_uninvited_guest_loses_the_event_and_gets_it_back(google, grace, world):
    event = world.add_event(ADA, timed(START, attendees=[{"email": ADA}, {"email": GRACE}]))
    world.edit_event(ADA, event["id"], {"attendees": [{"email": ADA}]})
    assert grace.events().items == []
    world.edit_event(ADA, event["id"], {"attendees": [{"email": ADA}, {"email": GRACE}]})
    assert grace.events().ids == [event["id"]]


def test_a_guest_answers_for_everybody_to_see(google, grace, world):
    event = world.add_event(ADA, timed(START, attendees=[{"email": ADA}, {"email": GRACE}]))
    world.respond(ADA, event["id"], GRACE, "declined")
    for caller in (google, grace):
        answers = {each["email"]: each["responseStatus"] for each in caller.events().items[0]["attendees"]}
        assert answers == {ADA: "needsAction", GRACE: "declined"}


def test_a_guest_answers_one_instance_through_the_api(google, grace, world):
    series = world.add_event(ADA, weekly(attendees=[{"email": ADA}, {"email": GRACE}]))
    second = f"{series['id']}_20250331T070000Z"
    guests = [{"email": ADA}, {"email": GRACE, "responseStatus": "accepted"}]
    grace.call("PATCH", f"{EVENTS}/{second}", {"attendees": guests})
    answers = {each["email"]: each["responseStatus"] for each in google.expanded().rows[second]["attendees"]}
    assert answers[GRACE] == "accepted"


def test_a_guest_who_deletes_declines(google, grace, world):
    event = world.add_event(ADA, timed(START, attendees=[{"email": ADA}, {"email": GRACE}]))
    assert grace.call("DELETE", f"{EVENTS}/{event['id']}").status == 204
    assert google.events().items[0]["attendees"][1]["responseStatus"] == "declined"
    world.edit_event(ADA, event["id"], {"summary": "Renamed"})
    assert grace.events().items == []


def test_a_guest_may_not_change_the_meeting(grace, world):
    event = world.add_event(ADA, timed(START, attendees=[{"email": ADA}, {"email": GRACE}]))
    path = f"{EVENTS}/{event['id']}"
    reply = grace.call("PATCH", path, {"summary": "Mine"})
    assert (reply.status, reply.reason) == (403, "forbiddenForNonOrganizer")
    assert grace.call("PATCH", path, {"transparency": "transparent"}).status == 200


def test_a_guest_keeps_what_is_his_own(google, grace, world):
    event = world.add_event(ADA, timed(START, attendees=[{"email": ADA}, {"email": GRACE}]))
    grace.call("PATCH", f"{EVENTS}/{event['id']}", {"extendedProperties": {"private": {"seen": "1"}}, "colorId": "3"})
    world.edit_event(ADA, event["id"], {"summary": "Renamed"})
    row = grace.events().items[0]
    assert (row["summary"], row["colorId"], row["extendedProperties"]) == ("Renamed", "3", {"private": {"seen": "1"}})
    assert "extendedProperties" not in google.events().items[0]


def test_an_event_of_an_organizer_elsewhere(google, world):
    body = timed(START, organizer={"email": "boss@vendor.example"}, attendees=[{"email": ADA}])
    event = world.add_event(ADA, {**body, "hangoutLink": "https://meet.google.com/abc-defg-hij"})
    row = google.events().items[0]
    assert row["organizer"] == {"email": "boss@vendor.example"}
    assert row["hangoutLink"] == "https://meet.google.com/abc-defg-hij"
    world.respond(ADA, event["id"], ADA, "tentative")
    assert google.events().items[0]["attendees"][0]["responseStatus"] == "tentative"


def test_malformed_json_is_a_parse_error(google, world):
    assert google.call("POST", EVENTS, timed(START)).status == 200
    google.judging = False
    reply = google.call("POST", EVENTS, [1])  # type: ignore[arg-type]
    assert reply.status == 400
