"""Events: what can be written, what Exchange makes of it, invitations and their copies, online meetings."""

from copy import deepcopy
from random import Random

import pytest
from judged_graph import BARBARA, KAREN, LESLIE, WINDOW, GraphCaller, all_day, guests, timed, truth, weekly

from simulator.microsoft.identifiers import wrap_uid

START = "2025-03-25T09:00:00"
EVENTS = "/me/calendar/events"
JUNK = [None, 0, -1, 1.5, "", "x", [], {}, [1], {"a": 1}, True, "2025-13-45", "9999-12-31T23:59:59", 10**30, ["monday"]]
FOREIGN = "2ni48lqqkk2n17rhugd3584joq@google.com"


def test_an_event_is_made_read_changed_and_deleted(graph, microsoft):
    made = graph.call("POST", EVENTS, timed(START, location={"displayName": "Room"}))
    assert made.status == 201
    assert made.json["originalStartTimeZone"] == "Romance Standard Time"
    assert made.json["start"] == {"dateTime": "2025-03-25T08:00:00.0000000", "timeZone": "UTC"}
    path = f"/me/events/{made.json['id']}"
    changed = graph.call("PATCH", path, {"subject": "Other", "location": None})
    assert (changed.json["subject"], changed.json["locations"]) == ("Other", [])
    assert changed.json["@odata.etag"] != made.json["@odata.etag"]
    assert graph.get(path).json == changed.json
    assert graph.call("DELETE", path).status == 204
    assert graph.get(path).code == "ErrorItemNotFound"
    assert truth(microsoft) == {}


def test_a_transaction_makes_one_event(graph, microsoft):
    body = timed(START, transactionId="7a1e3f4e-7d8b-4b61-9c2e-3d6a3f0f5f11")
    ids = {graph.call("POST", EVENTS, body).json["id"] for _ in range(3)}
    assert len(ids) == len(truth(microsoft)) == 1
    changed = graph.call("PATCH", f"/me/events/{ids.pop()}", {"transactionId": "other"})
    assert changed.json["transactionId"] == body["transactionId"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"subject": "No times"}, "ErrorPropertyValidationFailure", id="no-times"),
        pytest.param(timed(START, minutes=-5), "ErrorPropertyValidationFailure", id="ends-first"),
        pytest.param(timed(START, zone="Nowhere"), "TimeZoneNotSupportedException", id="zone"),
        pytest.param(timed(START, isAllDay=True), "ErrorInvalidPropertyRequest", id="all-day-at-nine"),
        pytest.param(timed(START, colour="red"), "RequestBodyRead", id="property"),
        pytest.param(timed(START, showAs="asleep"), "RequestBodyRead", id="word"),
        pytest.param(timed(START, attendees=[{}]), "ErrorInvalidRecipients", id="guest"),
        pytest.param(timed(START, recurrence={"pattern": {}}), "ErrorPropertyValidationFailure", id="recurrence"),
        pytest.param(weekly(days=()), "ErrorPropertyValidationFailure", id="weekly-on-no-day"),
        pytest.param(weekly(days=("someday",)), "ErrorPropertyValidationFailure", id="day"),
    ],
)
def test_what_is_refused(graph, body, code):
    reply = graph.call("POST", EVENTS, body)
    assert (reply.status, reply.code) == (400, code)


def places(value, path=()):
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@pytest.mark.parametrize("seed", range(6))
def test_junk_is_refused_or_stored_in_a_form_that_can_be_shown(graph, microsoft, seed):
    random = Random(seed)
    sound = [
        timed(START, attendees=guests("a@b.example"), location={"displayName": "x"}, body={"content": "x"}),
        weekly(),
        all_day("2025-03-25", "2025-03-26"),
    ]
    event = graph.call("POST", EVENTS, timed(START)).json["id"]
    for _ in range(150):
        body = deepcopy(random.choice(sound))
        *way, last = random.choice(list(places(body)))
        spoilt = body
        for key in way:
            spoilt = spoilt[key]
        spoilt[last] = random.choice(JUNK)
        top = way[0] if way else last
        assert graph.call("POST", EVENTS, body).status in {201, 400}
        assert graph.call("PATCH", f"/me/events/{event}", {top: body[top]}).status in {200, 400}
    assert graph.first(window=("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z")).status == 200


def test_an_old_etag_is_a_conflict(graph):
    made = graph.call("POST", EVENTS, timed(START)).json
    path = f"/me/events/{made['id']}"
    match = {"if-match": made["@odata.etag"]}
    assert graph.call("PATCH", path, {"subject": "One"}, match).status == 200
    for method, body in (("PATCH", {"subject": "Two"}), ("DELETE", None)):
        reply = graph.call(method, path, body, match)
        assert (reply.status, reply.code) == (412, "ErrorIrresolvableConflict")


@pytest.mark.parametrize(
    ("pattern", "days"),
    [
        pytest.param({"type": "daily", "interval": 2}, ["2025-01-31", "2025-02-02", "2025-02-04"], id="daily"),
        pytest.param(
            {"type": "weekly", "interval": 2, "daysOfWeek": ["friday", "monday"], "firstDayOfWeek": "monday"},
            ["2025-01-31", "2025-02-10", "2025-02-14"],
            id="weekly",
        ),
        pytest.param(
            {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31},
            ["2025-01-31", "2025-02-28", "2025-03-31"],
            id="last-day-of-short-months",
        ),
        pytest.param(
            {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["friday"], "index": "last"},
            ["2025-01-31", "2025-02-28", "2025-03-28"],
            id="relative-monthly",
        ),
        pytest.param(
            {"type": "absoluteYearly", "interval": 1, "dayOfMonth": 31, "month": 1},
            ["2025-01-31", "2026-01-31", "2027-01-31"],
            id="absolute-yearly",
        ),
        pytest.param(
            {"type": "relativeYearly", "interval": 1, "daysOfWeek": ["friday"], "index": "last", "month": 1},
            ["2025-01-31", "2026-01-30", "2027-01-29"],
            id="relative-yearly",
        ),
    ],
)
def test_patterns(graph, microsoft, pattern, days):
    span = {"type": "numbered", "numberOfOccurrences": 3, "startDate": "2025-01-31"}
    body = timed("2025-01-31T09:00:00", recurrence={"pattern": pattern, "range": span})
    made = graph.call("POST", EVENTS, body).json
    assert made["type"] == "seriesMaster"
    assert made["recurrence"]["range"]["recurrenceTimeZone"] == "Europe/Paris"
    assert [row["occurrenceId"][-10:] for row in microsoft.read_truth(BARBARA)] == days


def test_a_series_keeps_its_wall_time_when_clocks_change(microsoft):
    microsoft.add_event(BARBARA, weekly("2025-03-24T09:00:00", count=2))
    starts = [row["start"]["dateTime"][:16] for row in microsoft.read_truth(BARBARA)]
    assert starts == ["2025-03-24T08:00", "2025-03-31T07:00"]


def test_an_exception_inherits_what_it_does_not_override(graph, microsoft):
    series = graph.call("POST", EVENTS, weekly(count=3)).json["id"]
    second = microsoft.read_truth(BARBARA, *WINDOW)[1]["id"]
    changed = graph.call("PATCH", f"/me/events/{second}", {"location": {"displayName": "Attic"}}).json
    assert (changed["type"], changed["seriesMasterId"], changed["id"]) == ("exception", series, second)
    graph.call("PATCH", f"/me/events/{series}", {"subject": "Renamed"})
    shown = graph.get(f"/me/events/{second}").json
    assert (shown["subject"], shown["location"]["displayName"]) == ("Renamed", "Attic")
    reply = graph.get(f"/me/events/{series}", **{"$expand": "exceptionOccurrences"})
    assert [each["id"] for each in reply.json["exceptionOccurrences"]] == [second]
    graph.call(
        "PATCH",
        f"/me/events/{series}",
        {"start": timed("2025-03-24T10:00:00")["start"], "end": timed("2025-03-24T10:00:00")["end"]},
    )
    assert {row["type"] for row in microsoft.read_truth(BARBARA)} == {"occurrence"}


def test_this_and_following(microsoft):
    microsoft.add_event(BARBARA, weekly(count=6))
    rows = microsoft.read_truth(BARBARA)
    microsoft.move_event(BARBARA, rows[1]["id"], by_minutes=30)
    microsoft.split_series(BARBARA, rows[3]["id"], {"subject": "New form"})
    after = microsoft.read_truth(BARBARA)
    assert [row["subject"] for row in after] == ["Meeting"] * 3 + ["New form"] * 3
    assert [row["type"] for row in after[:3]] == ["occurrence", "exception", "occurrence"]
    assert len({row["uid"] for row in after}) == 2


def test_ids_of_occurrences_name_the_day(microsoft):
    microsoft.add_event(BARBARA, weekly(count=2))
    first, second = microsoft.read_truth(BARBARA)
    assert first["uid"] == second["uid"]
    assert (first["iCalUId"][32:40], second["iCalUId"][32:40]) == ("07E90318", "07E9031F")
    assert first["iCalUId"][:32] + "00000000" + first["iCalUId"][40:] == first["uid"]


@pytest.mark.parametrize("recurring", [False, True])
def test_an_invitation_from_elsewhere_wraps_its_uid(graph, microsoft, recurring):
    event = weekly(count=2) if recurring else timed(START)
    microsoft.add_invitation(BARBARA, FOREIGN, event)
    row = microsoft.read_truth(BARBARA)[0]
    raw = bytes.fromhex(row["iCalUId"])
    assert raw[16:20] == (bytes((7, 0xE9, 3, 24)) if recurring else bytes(4))
    assert raw[40:].startswith(b"vCal-Uid\x01\x00\x00\x00")
    assert raw[52:].rstrip(b"\x00").decode() == FOREIGN
    assert int.from_bytes(raw[36:40], "little") == len(raw) - 40 == 50
    assert (row["isOrganizer"], row["organizer"]["emailAddress"]["address"]) == (False, "host@google.example")
    assert row["responseStatus"]["response"] == "notResponded"


def test_an_invitation_from_another_exchange_keeps_its_uid(graph, leslie, microsoft):
    uid = microsoft.add_event(LESLIE, timed(START))["uid"]
    row = microsoft.add_invitation(BARBARA, uid, timed(START), organizer="host@fabrikam.example")
    assert row["iCalUId"] == row["uid"] == uid
    assert wrap_uid(FOREIGN) != wrap_uid(uid)


def test_what_its_organizer_cancels_stays_with_the_guest(graph, leslie, microsoft):
    made = graph.call("POST", EVENTS, timed(START, attendees=guests(LESLIE))).json
    _, link = leslie.round()
    assert graph.call("POST", f"/me/events/{made['id']}/cancel", {"comment": "Ill"}).status == 202
    (row,) = leslie.round(link)[0]
    assert (row["isCancelled"], row["subject"], row["isOrganizer"]) == (True, "Canceled: Meeting", False)
    assert truth(microsoft) == {}
    assert leslie.call("DELETE", f"/me/events/{row['id']}").status == 204
    assert truth(microsoft, LESLIE) == {}


def test_a_cancelled_occurrence_stays_with_the_guest_as_an_exception(microsoft, leslie):
    microsoft.add_event(BARBARA, weekly(count=3, attendees=guests(LESLIE)))
    victim = microsoft.read_truth(BARBARA)[1]["id"]
    microsoft.cancel_occurrence(BARBARA, victim)
    assert [row["isCancelled"] for row in microsoft.read_truth(LESLIE)] == [False, True, False]
    assert len(microsoft.read_truth(BARBARA)) == 2
    microsoft.edit_event(BARBARA, microsoft.read_truth(BARBARA)[0]["seriesMasterId"], {"subject": "Renamed"})
    assert [row["isCancelled"] for row in microsoft.read_truth(LESLIE)] == [False, True, False]


def test_a_guest_who_is_dropped_or_late(microsoft):
    made = microsoft.add_event(BARBARA, weekly(count=3, attendees=guests(LESLIE)))
    microsoft.edit_event(BARBARA, made["id"], {"attendees": []})
    assert {row["isCancelled"] for row in microsoft.read_truth(LESLIE)} == {True}
    microsoft.cancel_occurrence(BARBARA, microsoft.read_truth(BARBARA)[0]["id"])
    microsoft.add_account("new@contoso.example")
    microsoft.edit_event(BARBARA, made["id"], {"attendees": guests("new@contoso.example")})
    assert len(microsoft.read_truth("new@contoso.example")) == 2


def test_answers_reach_the_organizer(graph, leslie, microsoft):
    made = graph.call("POST", EVENTS, timed(START, attendees=guests(LESLIE, "else@where.example"))).json
    copy = microsoft.read_truth(LESLIE)[0]
    assert copy["showAs"] == "tentative"
    assert leslie.call("POST", f"/me/events/{copy['id']}/accept", {}).status == 202
    organizers = graph.get(f"/me/events/{made['id']}").json
    assert [each["status"]["response"] for each in organizers["attendees"]] == ["accepted", "none"]
    mine = leslie.get(f"/me/events/{copy['id']}").json
    assert (mine["responseStatus"]["response"], mine["showAs"]) == ("accepted", "busy")
    assert graph.call("POST", f"/me/events/{made['id']}/accept", {}).code == "ErrorInvalidRequest"
    assert leslie.call("POST", f"/me/events/{copy['id']}/cancel", {}).code == "ErrorAccessDenied"
    microsoft.respond(BARBARA, made["id"], "else@where.example", "tentative")
    assert graph.get(f"/me/events/{made['id']}").json["attendees"][1]["status"]["response"] == "tentativelyAccepted"


@pytest.mark.parametrize(("preserve", "left"), [(False, []), (True, ["declined"])])
def test_what_is_declined_goes_or_stays(microsoft, preserve, left):
    microsoft.set(preserve_declined=preserve)
    made = microsoft.add_event(BARBARA, timed(START, attendees=guests(LESLIE)))
    microsoft.respond(BARBARA, made["id"], LESLIE, "declined")
    assert [row["responseStatus"]["response"] for row in microsoft.read_truth(LESLIE)] == left
    assert microsoft.read_truth(BARBARA)[0]["attendees"][0]["status"]["response"] == "declined"


def test_an_online_meeting(graph, microsoft, now):
    microsoft.set(join_url_seconds=5)
    body = timed(START, isOnlineMeeting=True, onlineMeetingProvider="teamsForBusiness", body={"content": "a < b"})
    made = graph.call("POST", EVENTS, body).json
    assert (made["onlineMeeting"], made["isOnlineMeeting"]) == (None, True)
    microsoft.advance(5)
    shown = graph.get(f"/me/events/{made['id']}").json
    join_url = shown["onlineMeeting"]["joinUrl"]
    assert join_url.startswith("https://teams.microsoft.com/l/meetup-join/19%3ameeting_")
    assert microsoft.accounts[BARBARA].tenant in join_url
    assert join_url in shown["body"]["content"]
    assert "a &lt; b" in shown["body"]["content"]
    still = graph.call("PATCH", f"/me/events/{made['id']}", {"isOnlineMeeting": False}).json
    assert still["onlineMeeting"]["joinUrl"] == join_url
    gone = graph.call("PATCH", f"/me/events/{made['id']}", {"body": {"content": "Only this"}}).json
    assert (gone["isOnlineMeeting"], gone["onlineMeeting"]) == (False, None)


def test_a_provider_that_is_not_allowed_is_no_provider(graph):
    made = graph.call("POST", EVENTS, timed(START, isOnlineMeeting=True, onlineMeetingProvider="skypeForConsumer"))
    assert (made.status, made.json["onlineMeetingProvider"], made.json["isOnlineMeeting"]) == (201, "unknown", False)


def test_a_personal_account_meets_elsewhere(microsoft):
    caller = GraphCaller(microsoft, KAREN)
    made = caller.call("POST", EVENTS, timed(START, isOnlineMeeting=True)).json
    assert made["onlineMeeting"]["joinUrl"].startswith("https://teams.live.com/meet/9")
    assert "outlook.live.com" in made["webLink"]
    assert caller.get("/me/calendar").json["allowedOnlineMeetingProviders"] == ["skypeForConsumer"]


def test_the_short_form_of_a_meeting(microsoft):
    teams = microsoft.add_meeting(BARBARA, "Review", in_minutes=10)
    zoom = microsoft.add_meeting(BARBARA, "Demo", zoom="https://us02web.zoom.us/j/81234567890", attendees=[LESLIE])
    assert teams["start"]["dateTime"] == "2025-03-24T08:10:00.0000000"
    assert teams["isOnlineMeeting"]
    assert (zoom["isOnlineMeeting"], zoom["location"]["displayName"]) == (
        False,
        "https://us02web.zoom.us/j/81234567890",
    )
    assert [row["subject"] for row in microsoft.read_truth(LESLIE)] == ["Demo"]


def test_bodies_are_html_unless_text_is_preferred(graph):
    made = graph.call("POST", EVENTS, timed(START, body={"contentType": "html", "content": "<p>a &amp; b</p>"})).json
    assert made["body"]["contentType"] == "html"
    assert made["bodyPreview"] == "a & b"
    graph.prefer = 'outlook.body-content-type="text"'
    assert graph.get(f"/me/events/{made['id']}").json["body"] == {"contentType": "text", "content": "a & b"}


def test_a_single_event_becomes_a_series_and_back(graph, microsoft):
    made = graph.call("POST", EVENTS, timed("2025-03-24T09:00:00")).json["id"]
    graph.call("PATCH", f"/me/events/{made}", {"recurrence": weekly(count=2)["recurrence"]})
    assert [row["type"] for row in microsoft.read_truth(BARBARA)] == ["occurrence", "occurrence"]
    graph.call("PATCH", f"/me/events/{made}", {"recurrence": None})
    assert [row["type"] for row in microsoft.read_truth(BARBARA)] == ["singleInstance"]


def test_an_event_is_in_its_calendar_alone(graph, microsoft):
    other = microsoft.add_calendar(BARBARA, "Other")
    made = microsoft.add_event(other, all_day("2025-03-25", "2025-03-27"))
    assert graph.get(f"/me/calendars/{other}/events/{made['id']}").status == 200
    assert graph.get(f"/me/events/{made['id']}").status == 200
    default = microsoft.accounts[BARBARA].default_calendar
    assert graph.get(f"/me/calendars/{default}/events/{made['id']}").code == "ErrorItemNotFound"
    assert [row["id"] for row in graph.get(f"/me/calendars/{other}/events").rows] == [made["id"]]
    assert graph.get("/me/events").rows == []
