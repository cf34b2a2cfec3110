"""The judge of Graph's answers refuses what Graph does not say."""

import copy
import json

import pytest
from graph_schema import judge, judge_answer, judge_delta
from judged_graph import BARBARA, timed, weekly

PATH = "/me/calendar/calendarView/delta"


@pytest.fixture
def page(graph, microsoft) -> dict:
    microsoft.add_event(BARBARA, timed("2025-03-25T09:00:00", isOnlineMeeting=True))
    microsoft.add_event(BARBARA, weekly())
    return graph.first().json


@pytest.mark.parametrize(
    ("row", "name", "value"),
    [
        pytest.param(0, "title", "x", id="unknown-field"),
        pytest.param(0, "subject", None, id="null"),
        pytest.param(0, "subject", 7, id="type"),
        pytest.param(0, "isAllDay", "false", id="boolean"),
        pytest.param(0, "showAs", "purple", id="enumeration"),
        pytest.param(0, "attendees", {}, id="collection"),
        pytest.param(0, "start", {"dateTime": "2025-03-25T09:00:00Z", "timeZone": "UTC"}, id="time-with-z"),
        pytest.param(0, "start", {"dateTime": "2025-03-25T09:00:00.000", "timeZone": "UTC"}, id="three-decimals"),
        pytest.param(0, "createdDateTime", "2025-03-25T09:00:00", id="stamp-without-z"),
        pytest.param(0, "iCalUId", "abc@google.com", id="global-id"),
        pytest.param(0, "onlineMeeting", {"url": "x"}, id="nested-field"),
        pytest.param(2, "subject", "x", id="occurrence-with-details"),
        pytest.param(2, "seriesMasterId", None, id="occurrence-without-master"),
    ],
)
def test_what_a_row_cannot_be(page, row, name, value):
    judge_delta(page)
    spoilt = copy.deepcopy(page)
    spoilt["value"][row][name] = value
    with pytest.raises(AssertionError):
        judge_delta(spoilt)


@pytest.mark.parametrize("links", [{}, {"@odata.nextLink": "x", "@odata.deltaLink": "y"}])
def test_a_page_has_one_link(links):
    with pytest.raises(AssertionError):
        judge_delta({"@odata.context": "x", "value": [], **links})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(404, {"error": {"code": "x", "message": "y"}}, id="no-inner-error"),
        pytest.param(404, {"error": "not_found"}, id="flat"),
        pytest.param(204, {}, id="body-with-204"),
        pytest.param(200, {"value": []}, id="no-link"),
    ],
)
def test_what_graph_does_not_answer(status, body):
    with pytest.raises(AssertionError):
        judge_answer("GET", PATH, status, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("removed", {"id": "x", "@removed": {"reason": "gone"}}, id="reason"),
        pytest.param("token", {"access_token": "x"}, id="token"),
        pytest.param("loginError", {"error": "invalid_grant", "error_description": "no number"}, id="login-error"),
        pytest.param("changeNotification", {"subscriptionId": "x", "changeType": "renamed"}, id="notification"),
    ],
)
def test_what_is_incomplete(kind, value):
    with pytest.raises(AssertionError):
        judge(value, kind)
