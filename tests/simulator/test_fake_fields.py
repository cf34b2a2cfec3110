"""Partial responses: what is not asked for is not there."""

import pytest
from judged_caller import ADA, timed

CASES = [
    pytest.param("items", {"items"}, None, id="no-token-unless-asked"),
    pytest.param("items,nextSyncToken", {"items", "nextSyncToken"}, None, id="token"),
    pytest.param("items/id", {"items"}, {"id"}, id="slash"),
    pytest.param("items(id,start/dateTime)", {"items"}, {"id", "start"}, id="brackets"),
    pytest.param("items(id),items(summary)", {"items"}, {"id", "summary"}, id="named-twice"),
    pytest.param("items(id,location)", {"items"}, {"id"}, id="absent-field"),
    pytest.param("nextSyncToken", {"nextSyncToken"}, None, id="token-only"),
    pytest.param("kind,items(attendees(email,responseStatus))", {"kind", "items"}, {"attendees"}, id="nested"),
]
BAD = ["items(", "items)", "items(id", ",items", "items,,kind", "items//id", "nothing", "items(nothing)", "items;id"]


@pytest.mark.parametrize(("expression", "names", "item_names"), CASES)
def test_selections(google, world, expression, names, item_names):
    world.add_event(ADA, timed("2025-03-25T09:00:00+01:00", attendees=[{"email": ADA, "comment": "late"}]))
    answer = google.events(fields=expression).json
    assert set(answer) == names
    if item_names is not None:
        assert set(answer["items"][0]) == item_names
    if "attendees" in (item_names or ()):
        assert set(answer["items"][0]["attendees"][0]) == {"email", "responseStatus"}


def test_everything(google, world):
    world.add_event(ADA, timed("2025-03-25T09:00:00+01:00"))
    assert google.events(fields="*").json.keys() == google.events().json.keys()
    assert google.events(fields="items(*)").items == google.events().items


@pytest.mark.parametrize("expression", BAD)
def test_a_bad_expression_is_a_400(google, expression):
    google.judging = False
    reply = google.events(fields=expression)
    assert (reply.status, reply.reason) == (400, "invalidParameter")
    assert reply.json["error"]["errors"][0]["location"] == "fields"


def test_selections_of_other_answers(google, world):
    event = world.add_event(ADA, timed("2025-03-25T09:00:00+01:00"))
    assert google.get(f"/calendars/primary/events/{event['id']}", fields="id,etag").json.keys() == {"id", "etag"}
    assert google.get("/users/me/calendarList", fields="items(id,primary)").items == [{"id": ADA, "primary": True}]
    assert google.get("/calendars/primary", fields="timeZone").json == {"timeZone": "Europe/Paris"}
