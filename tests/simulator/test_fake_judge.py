"""The judge of Calendar API traffic refuses what Google does not know."""

import pytest
from discovery import judge_request, judge_response

ROOT = "https://www.googleapis.com/calendar/v3"
EVENTS = f"{ROOT}/calendars/a%40b.example/events"
GOOD = [
    ("GET", f"{EVENTS}?singleEvents=true&eventTypes=default&eventTypes=focusTime", None, "calendar.events.list"),
    ("GET", f"{EVENTS}?fields=nextPageToken,items(id,start/dateTime,attendees(email))", None, "calendar.events.list"),
    ("GET", f"{ROOT}/users/me/calendarList?maxResults=250", None, "calendar.calendarList.list"),
    ("POST", f"{EVENTS}/watch", {"id": "x", "expiration": "1", "params": {"ttl": "1"}}, "calendar.events.watch"),
    ("PATCH", f"{EVENTS}/abc", {"location": None}, "calendar.events.patch"),
    ("DELETE", f"{EVENTS}/abc?sendUpdates=all", None, "calendar.events.delete"),
    ("POST", f"{ROOT}/channels/stop", {"id": "x", "resourceId": "y"}, "calendar.channels.stop"),
]
BAD = [
    pytest.param("GET", f"{ROOT}/nonsense", None, id="path"),
    pytest.param("PUT", f"{EVENTS}", None, id="verb"),
    pytest.param("GET", f"{EVENTS}?color=red", None, id="parameter"),
    pytest.param("GET", f"{EVENTS}?singleEvents=True", None, id="boolean"),
    pytest.param("GET", f"{EVENTS}?maxResults=0", None, id="minimum"),
    pytest.param("GET", f"{EVENTS}?maxResults=ten", None, id="integer"),
    pytest.param("GET", f"{EVENTS}?orderBy=summary", None, id="enum"),
    pytest.param("GET", f"{EVENTS}?timeMin=2025-01-01T00:00:00", None, id="time-without-offset"),
    pytest.param("GET", f"{EVENTS}?timeMin=2025-01-01", None, id="date-as-time"),
    pytest.param("GET", f"{EVENTS}?q=a&q=b", None, id="repeated"),
    pytest.param("GET", f"{EVENTS}?calendarId=x", None, id="path-parameter-in-query"),
    pytest.param("GET", f"{EVENTS}?fields=items(id,nothing)", None, id="fields-name"),
    pytest.param("GET", f"{EVENTS}?fields=items(id", None, id="fields-bracket"),
    pytest.param("GET", EVENTS, {"x": 1}, id="body-on-get"),
    pytest.param("POST", EVENTS, None, id="no-body"),
    pytest.param("POST", EVENTS, {"summary": "x", "start": {}}, id="required-field"),
    pytest.param("PATCH", f"{EVENTS}/abc", {"title": "x"}, id="body-field"),
    pytest.param("PATCH", f"{EVENTS}/abc", {"start": {"time": "x"}}, id="nested-field"),
    pytest.param("PATCH", f"{EVENTS}/abc", {"summary": 7}, id="body-type"),
    pytest.param("PATCH", f"{EVENTS}/abc", {"attendees": {}}, id="body-array"),
    pytest.param("POST", f"{EVENTS}/watch", {"id": "x", "expiration": 1}, id="int64-is-a-string"),
]
ERROR = {"error": {"code": 404, "message": "m", "errors": [{"domain": "global", "reason": "r", "message": "m"}]}}
BAD_ANSWERS = [
    pytest.param(200, {"items": [{"title": "x"}]}, id="unknown-field"),
    pytest.param(200, {"items": [{"start": {"dateTime": "2025-01-01T00:00:00"}}]}, id="no-offset"),
    pytest.param(200, {"items": [{"start": {"date": "2025-1-1"}}]}, id="date"),
    pytest.param(200, {"nextPageToken": None}, id="null"),
    pytest.param(200, [], id="array"),
    pytest.param(204, None, id="empty"),
    pytest.param(404, {"error": "not_found"}, id="flat-error"),
    pytest.param(403, ERROR, id="other-code"),
    pytest.param(404, {"error": {**ERROR["error"], "errors": []}}, id="no-cause"),
]


@pytest.mark.parametrize(("method", "url", "body", "known"), GOOD)
def test_what_google_knows(method, url, body, known):
    assert judge_request(method, url, body) == known


@pytest.mark.parametrize(("method", "url", "body"), BAD)
def test_what_google_does_not_know(method, url, body):
    with pytest.raises(AssertionError):
        judge_request(method, url, body)


@pytest.mark.parametrize(("status", "body"), BAD_ANSWERS)
def test_what_google_does_not_answer(status, body):
    with pytest.raises((AssertionError, TypeError)):
        judge_response("GET", "/calendar/v3/calendars/x/events", status, body)


def test_what_google_answers():
    judge_response("GET", "/calendar/v3/calendars/x/events", 404, ERROR)
    judge_response("DELETE", "/calendar/v3/calendars/x/events/y", 204, b"")
    judge_response("GET", "/calendar/v3/calendars/x/events?fields=items", 200, b'{"items": [{"id": "x"}]}')
