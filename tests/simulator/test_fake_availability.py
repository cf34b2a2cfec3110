"""quickAdd, freeBusy and the mails of the fake Google, judged by Google's document."""

import pytest
from judged_caller import ADA, GRACE, all_day, timed, weekly

EVENTS = "/calendars/primary/events"
START = "2025-03-25T09:00:00+01:00"
WINDOW = {"timeMin": "2025-03-24T00:00:00Z", "timeMax": "2025-04-24T00:00:00Z"}
MEET = {"conferenceData": {"createRequest": {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}}


@pytest.mark.parametrize(
    ("text", "summary", "start", "end"),
    [
        pytest.param("Lunch with Sarah tomorrow at 1pm", "Lunch with Sarah", "2025-03-25T13:00", "2025-03-25T14:00", id="tomorrow"),
        pytest.param("Call at 11:30am", "Call", "2025-03-24T11:30", "2025-03-24T12:30", id="today"),
        pytest.param("Call at 8am", "Call", "2025-03-25T08:00", "2025-03-25T09:00", id="past-is-tomorrow"),
        pytest.param("Review on Friday 3pm-4:30pm", "Review", "2025-03-28T15:00", "2025-03-28T16:30", id="range"),
        pytest.param("Sync next Monday at noon for 30 minutes", "Sync", "2025-03-31T12:00", "2025-03-31T12:30", id="length"),
        pytest.param("Dinner April 2 at 19:00 for 2 hours", "Dinner", "2025-04-02T19:00", "2025-04-02T21:00", id="date"),
    ],
)  # fmt: skip
def test_a_sentence_becomes_an_event(google, text, summary, start, end):
    reply = google.call("POST", f"{EVENTS}/quickAdd", text=text, sendUpdates="none")
    assert reply.status == 200
    assert reply.json["summary"] == summary
    assert (reply.json["start"]["dateTime"][:16], reply.json["end"]["dateTime"][:16]) == (start, end)
    assert google.events().ids == [reply.json["id"]]


def test_a_sentence_without_a_time_is_a_day(google):
    event = google.call("POST", f"{EVENTS}/quickAdd", text="Holiday tomorrow").json
    assert (event["summary"], event["start"], event["end"]) == (
        "Holiday", {"date": "2025-03-25"}, {"date": "2025-03-26"},
    )  # fmt: skip


def test_no_sentence_is_refused(google):
    assert google.call("POST", f"{EVENTS}/quickAdd", text="").reason == "required"


def busy(caller, *ids: str, **window) -> dict:
    reply = caller.call("POST", "/freeBusy", {**WINDOW, **window, "items": [{"id": each} for each in ids]})
    assert reply.status == 200, reply.json
    return reply.json["calendars"]


def test_busy_times_are_merged(google, world):
    world.add_event(ADA, timed(START))
    world.add_event(ADA, timed("2025-03-25T09:30:00+01:00"))
    world.add_event(ADA, timed("2025-03-26T09:00:00+01:00", transparency="transparent"))
    world.add_event(ADA, timed("2025-03-27T09:00:00+01:00", eventType="workingLocation"))
    world.add_event(ADA, all_day("2025-03-30", "2025-03-31"))
    assert busy(google, "primary")["primary"]["busy"] == [
        {"start": "2025-03-25T08:00:00Z", "end": "2025-03-25T09:30:00Z"},
        {"start": "2025-03-29T23:00:00Z", "end": "2025-03-30T22:00:00Z"},
    ]


def test_busy_times_of_a_series_and_of_what_was_declined(google, world):
    world.add_event(ADA, weekly(rule="FREQ=WEEKLY;COUNT=2"))
    invitation = world.add_event(GRACE, timed("2025-03-26T09:00:00+01:00", attendees=[{"email": ADA}]))
    assert len(busy(google, ADA)[ADA]["busy"]) == 3
    world.respond(GRACE, invitation["id"], ADA, "declined")
    assert len(busy(google, ADA)[ADA]["busy"]) == 2


def test_who_may_not_look_hears_nothing(google, world):
    found = busy(google, GRACE, "nobody@example.com")
    assert [each["errors"][0]["reason"] for each in found.values()] == ["notFound", "notFound"]
    world.share_calendar(GRACE, ADA, "freeBusyReader")
    assert busy(google, GRACE)[GRACE] == {"busy": []}


def test_too_many_calendars_and_too_long_a_range(google):
    found = busy(google, *(f"{number}@example.com" for number in range(51)))
    assert found["50@example.com"]["errors"][0]["reason"] == "tooManyCalendarsRequested"
    body = {**WINDOW, "timeMax": "2026-03-24T00:00:00Z", "items": []}
    assert google.call("POST", "/freeBusy", body).reason == "timeRangeTooLong"
    assert google.call("POST", "/freeBusy", {**WINDOW, "timeMax": WINDOW["timeMin"]}).reason == "timeRangeEmpty"


def test_a_consent_to_reading_alone_cannot_write(google, world):
    world.grants[0].scopes = ["https://www.googleapis.com/auth/calendar.readonly"]
    assert google.call("POST", EVENTS, timed(START)).reason == "insufficientPermissions"
    assert google.call("POST", f"{EVENTS}/quickAdd", text="Lunch").reason == "insufficientPermissions"
    assert busy(google, ADA) == {ADA: {"busy": []}}


GUESTS = {"attendees": [{"email": GRACE}, {"email": "far@example.org"}]}


@pytest.mark.parametrize(
    ("updates", "told"),
    [
        pytest.param({"sendUpdates": "all"}, ["far@example.org", GRACE], id="all"),
        pytest.param({"sendNotifications": "true"}, ["far@example.org", GRACE], id="older-word"),
        pytest.param({"sendUpdates": "externalOnly"}, ["far@example.org"], id="external"),
        pytest.param({"sendUpdates": "none"}, [], id="none"),
        pytest.param({}, [], id="silence"),
    ],
)
def test_who_is_told_of_a_new_event(google, world, updates, told):
    google.call("POST", EVENTS, timed(START, **GUESTS), **updates)
    assert [(mail["kind"], mail["to"]) for mail in world.read_mails()] == [("invitation", each) for each in told]


def test_who_is_told_of_a_change_and_of_the_end(google, grace, world):
    path = f"{EVENTS}/{google.call('POST', EVENTS, timed(START, **GUESTS)).json['id']}"
    google.call("PATCH", path, {"attendees": [{"email": GRACE}, {"email": "new@example.org"}]}, sendUpdates="all")
    assert {(mail["kind"], mail["to"]) for mail in world.read_mails()} == {
        ("cancellation", "far@example.org"), ("update", GRACE), ("invitation", "new@example.org"),
    }  # fmt: skip
    grace.call("DELETE", path, sendUpdates="all")
    assert [mail["kind"] for mail in world.read_mails(to=ADA)] == ["answer"]
    google.call("DELETE", path, sendUpdates="all")
    assert [mail["kind"] for mail in world.read_mails(to="new@example.org")] == ["invitation", "cancellation"]


@pytest.mark.parametrize(("outcome", "has_link"), [("success", True), ("failure", False)])
def test_a_conference_takes_some_looks(google, world, outcome, has_link):
    world.set(conference_looks=2, conference_outcome=outcome)
    event = google.call("POST", EVENTS, timed(START, **MEET), conferenceDataVersion=1).json
    path = f"{EVENTS}/{event['id']}"
    states = [google.get(path).json["conferenceData"]["createRequest"]["status"]["statusCode"] for _ in range(3)]
    assert states == ["pending", outcome, outcome]
    assert ("hangoutLink" in google.get(path).json) is has_link


def test_a_calendar_without_meet_refuses_one(google, world):
    world.set(conference_types=["eventHangout"])
    entry = google.get("/users/me/calendarList/primary").json
    assert entry["conferenceProperties"] == {"allowedConferenceSolutionTypes": ["eventHangout"]}
    assert google.call("POST", EVENTS, timed(START, **MEET), conferenceDataVersion=1).status == 400


def test_writes_fail_by_the_fractions_asked_for(google, world):
    google.judging = False
    world.fail_writes(before=0.25, after=0.25, silent=0.25)
    answers = [google.call("POST", EVENTS, timed(START)).answer for _ in range(400)]
    lost = sum(1 for answer in answers if answer.cut)
    failed = sum(1 for answer in answers if answer.status == 500)
    good = len(answers) - lost - failed
    carried_out_and_failed = len(world.calendars[ADA].records) - good - lost
    assert {share for share in (lost, failed / 2, carried_out_and_failed, good) if not 70 < share < 130} == set()
    assert google.get(EVENTS).status == 200
