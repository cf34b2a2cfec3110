"""Writes to the fake Graph: once for each transaction, by version, and who is mailed; extended properties and schedules."""

import pytest
from judged_graph import BARBARA, KAREN, LESLIE, GraphCaller, all_day, guests, timed, weekly

START = "2025-03-25T09:00:00"
EVENTS = "/me/calendar/events"
MARK = "String {00000000-0000-4000-8000-000000000000} Name mark"
MARKED = {"singleValueExtendedProperties": [{"id": MARK, "value": "7"}]}


def filtered(caller, value: str, path: str = EVENTS) -> list[str]:
    condition = f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARK}' and ep/value eq '{value}')"
    return [row["id"] for row in caller.get(path, **{"$filter": condition}).rows]


def mails(world) -> list[tuple[str, str]]:
    return [(mail["kind"], mail["to"]) for mail in world.read_mails()]


def test_an_event_is_found_by_its_extended_property(graph):
    event = graph.call("POST", EVENTS, timed(START, **MARKED)).json
    graph.call("POST", EVENTS, timed(START))
    assert "singleValueExtendedProperties" not in event
    assert filtered(graph, "7") == [event["id"]]
    assert filtered(graph, "8") == []
    graph.call("DELETE", f"{EVENTS}/{event['id']}")
    assert filtered(graph, "7") == []


def test_an_extended_property_has_its_shape(graph):
    wrong = {"singleValueExtendedProperties": [{"name": MARK}]}
    assert graph.call("POST", EVENTS, timed(START, **wrong)).code == "RequestBodyRead"


def test_a_copy_has_no_property_of_the_organizers(graph, leslie):
    graph.call("POST", EVENTS, timed(START, attendees=guests(LESLIE), **MARKED))
    assert len(leslie.get(EVENTS).rows) == 1
    assert filtered(leslie, "7") == []


def test_guests_are_always_told_and_of_a_repeat_once(graph, microsoft):
    body = timed(START, transactionId="t-1", attendees=guests(LESLIE, "far@example.org"))
    event = graph.call("POST", EVENTS, body).json
    graph.call("POST", EVENTS, body)
    assert mails(microsoft) == [("invitation", "far@example.org"), ("invitation", LESLIE)]
    path = f"{EVENTS}/{event['id']}"
    microsoft.mails.clear()
    graph.call("PATCH", path, {"isReminderOn": False, "showAs": "free"})
    assert mails(microsoft) == []
    graph.call("PATCH", path, {"attendees": guests(LESLIE), "subject": "Other"})
    assert mails(microsoft) == [("cancellation", "far@example.org"), ("update", LESLIE)]
    microsoft.mails.clear()
    graph.call("DELETE", path)
    assert mails(microsoft) == [("cancellation", LESLIE)]


def test_a_cancellation_is_mailed_and_a_guest_who_deletes_mails_nobody(graph, leslie, microsoft):
    first, second = (
        graph.call("POST", EVENTS, timed(START, attendees=guests(LESLIE))).json["id"] for _ in range(2)
    )  # fmt: skip
    microsoft.mails.clear()
    (copy, _) = [row["id"] for row in leslie.get(EVENTS).rows]
    assert leslie.call("DELETE", f"{EVENTS}/{copy}").status == 204
    assert mails(microsoft) == []
    assert graph.call("POST", f"{EVENTS}/{second}/cancel", {"comment": "sorry"}).status == 202
    assert mails(microsoft) == [("cancellation", LESLIE)]
    assert graph.get(f"{EVENTS}/{first}").status == 200


def test_one_occurrence_is_called_off(graph, microsoft):
    master = graph.call("POST", EVENTS, weekly(attendees=guests(LESLIE))).json["id"]
    window = {"startDateTime": "2025-03-24T00:00:00Z", "endDateTime": "2025-04-24T00:00:00Z"}
    before = graph.get(f"{EVENTS}/{master}/instances", **window).rows
    microsoft.mails.clear()
    assert graph.call("DELETE", f"{EVENTS}/{before[1]['id']}").status == 204
    assert graph.call("DELETE", f"{EVENTS}/{before[1]['id']}").status == 404
    left = [row["id"] for row in graph.get(f"{EVENTS}/{master}/instances", **window).rows]
    assert left == [row["id"] for row in before if row is not before[1]]
    assert mails(microsoft) == [("cancellation", LESLIE)]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_version_that_no_longer_holds(graph, method):
    event = graph.call("POST", EVENTS, timed(START)).json
    path, headers = f"{EVENTS}/{event['id']}", {"if-match": event["@odata.etag"]}
    graph.call("PATCH", path, {"subject": "Other"})
    body = {"subject": "Mine"} if method == "PATCH" else None
    reply = graph.call(method, path, body, headers=headers)
    assert (reply.status, reply.code) == (412, "ErrorIrresolvableConflict")
    current = {"if-match": graph.get(path).json["@odata.etag"]}
    assert graph.call(method, path, body, headers=current).status in {200, 204}


def test_a_consent_to_reading_alone_cannot_write(graph, microsoft):
    event = graph.call("POST", EVENTS, timed(START)).json["id"]
    for access in microsoft.access_tokens.values():
        access.scopes = ["User.Read", "Calendars.Read"]
    assert graph.call("POST", EVENTS, timed(START)).code == "ErrorAccessDenied"
    assert graph.call("PATCH", f"{EVENTS}/{event}", {"subject": "x"}).status == 403
    assert graph.call("DELETE", f"{EVENTS}/{event}").status == 403
    assert ask(graph, BARBARA).status == 200


def ask(caller, *schedules: str, end: str = "2025-03-26T00:00:00", **more):
    body = {
        "schedules": list(schedules),
        "startTime": {"dateTime": "2025-03-25T00:00:00", "timeZone": "UTC"},
        "endTime": {"dateTime": end, "timeZone": "UTC"},
        **more,
    }
    return caller.call("POST", "/me/calendar/getSchedule", body)


def test_the_schedules_of_mailboxes(graph, leslie):
    graph.call("POST", EVENTS, timed(START, showAs="tentative"))
    leslie.call("POST", EVENTS, timed("2025-03-25T02:00:00", zone="UTC", sensitivity="private"))
    leslie.call("POST", EVENTS, all_day("2025-03-25", "2025-03-26", showAs="workingElsewhere"))
    own, other, stranger = ask(graph, BARBARA, LESLIE, "far@example.org", availabilityViewInterval=60).rows
    assert own["availabilityView"] == "0" * 8 + "1" + "0" * 15
    assert own["scheduleItems"][0]["start"] == {"dateTime": "2025-03-25T08:00:00.0000000", "timeZone": "UTC"}
    assert [(item["status"], item["isPrivate"]) for item in other["scheduleItems"]] == [
        ("workingElsewhere", False), ("busy", True),
    ]  # fmt: skip
    assert stranger["error"]["responseCode"] == "ErrorMailRecipientNotFound"


def test_what_a_schedule_is_not_given_for(graph, microsoft):
    assert ask(graph, BARBARA, end="2025-07-01T00:00:00").status == 400
    assert ask(graph, BARBARA, end="2025-03-25T00:00:00").status == 400
    assert ask(graph).status == 400
    assert ask(graph, BARBARA, availabilityViewInterval=1).status == 400
    microsoft.add_account(KAREN)
    assert ask(GraphCaller(microsoft, KAREN), KAREN).status == 403


def test_writes_fail_by_the_fractions_asked_for(graph, microsoft):
    graph.judging = False
    microsoft.fail_writes(before=0.25, after=0.25, silent=0.25)
    answers = [graph.call("POST", EVENTS, timed(START)).answer for _ in range(200)]
    good = [answer for answer in answers if answer.status == 201 and not answer.cut]
    stored = len(microsoft.find_calendar(BARBARA).records)
    assert 25 < len(good) < 75
    assert 120 < stored < 180
    assert graph.get(EVENTS).status == 200
