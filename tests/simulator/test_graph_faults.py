"""The fake Microsoft under stress: scripted refusals, spoilt answers, throttling, and the call log."""

import asyncio
import base64
import json
from datetime import timedelta

import httpx
import pytest
from judged_graph import BARBARA, LESLIE, GraphCaller, timed

from simulator.microsoft.faults import GRAPH_PRESETS, WITH_RETRY_AFTER
from simulator.wire import WorldTransport

START = "2025-03-25T09:00:00"
DELTA = "/me/calendar/calendarView/delta"


@pytest.mark.parametrize("preset", GRAPH_PRESETS)
def test_every_refusal_can_be_scripted(graph, microsoft, preset):
    microsoft.add_fault(preset, endpoint="calendarView.*", times=2)
    for _ in range(2):
        reply = graph.first()
        assert (reply.status, reply.code) == GRAPH_PRESETS[preset][:2]
        assert reply.status == int(preset.rpartition("_")[2])
        assert ("Retry-After" in reply.headers) is (preset in WITH_RETRY_AFTER)
    assert graph.first().status == 200


def test_a_challenge_carries_its_claims(graph, microsoft):
    microsoft.add_fault("claims_401")
    challenge = graph.first().headers["WWW-Authenticate"]
    assert 'error="insufficient_claims"' in challenge
    claims = challenge.partition('claims="')[2].rstrip('"')
    assert "access_token" in json.loads(base64.b64decode(claims))


def test_retry_after_is_what_the_fault_says(graph, microsoft):
    microsoft.add_fault("service_503", seconds=17)
    assert graph.first().headers["Retry-After"] == "17"
    microsoft.add_fault("service_503")
    assert "Retry-After" not in graph.first().headers
    microsoft.add_fault("activity_limit_429", headers={"Retry-After": "Fri, 28 Mar 2025 00:00:00 GMT"})
    assert graph.first().headers["Retry-After"].endswith("GMT")


def test_a_fault_is_aimed(graph, leslie, microsoft):
    microsoft.add_fault("internal_500", account=LESLIE, times=None)
    assert (graph.first().status, leslie.first().status) == (200, 500)
    microsoft.clear_faults()
    other = microsoft.add_calendar(BARBARA, "Other")
    microsoft.add_fault("internal_500", calendar=BARBARA, skip=1)
    assert [graph.first(each).status for each in (None, other, None, None)] == [200, 200, 500, 200]
    microsoft.add_fault("internal_500", calendar=other)
    assert [graph.first(each).status for each in (None, other)] == [200, 500]
    with pytest.raises(ValueError, match="unknown preset"):
        microsoft.add_fault("meteor")


def test_an_answer_may_be_lost_after_its_effect(graph, microsoft):
    microsoft.add_fault("service_503", endpoint="events.insert", after=True)
    body = timed(START, transactionId="7a1e3f4e-7d8b-4b61-9c2e-3d6a3f0f5f11")
    assert graph.call("POST", "/me/events", body).status == 503
    assert graph.call("POST", "/me/events", body).status == 201
    assert len(microsoft.read_truth(BARBARA)) == 1


def test_answers_of_ones_own(graph, microsoft):
    graph.judging = False
    microsoft.add_fault("custom", status=418, body={"error": "teapot"}, headers={"x-tea": "green"})
    reply = graph.first()
    assert (reply.status, reply.json, reply.headers["x-tea"]) == (418, {"error": "teapot"}, "green")
    microsoft.add_fault("custom", status=502, body="no JSON")
    assert microsoft.read_counters()["calendarView.delta"] == 1


@pytest.mark.parametrize(
    ("preset", "status"),
    [("mailbox_not_enabled_404", 404), ("mailbox_not_hosted_404", 404), ("mailbox_move_503", 503)],
)
def test_a_mailbox_may_be_out_of_reach(graph, microsoft, preset, status):
    microsoft.set_account(BARBARA, mailbox=preset)
    assert graph.get("/me/calendars").status == graph.first().status == status
    assert graph.get("/me").status == 200
    microsoft.set_account(BARBARA, mailbox="ok")
    assert graph.first().status == 200


def test_ten_minutes_have_room_for_so_many_requests(graph, leslie, microsoft, now):
    microsoft.set(per_ten_minutes=2, retry_after=30)
    assert [graph.first().status for _ in range(3)] == [200, 200, 429]
    reply = graph.first()
    assert (reply.code, reply.headers["Retry-After"]) == ("TooManyRequests", "30")
    assert leslie.first().status == 200
    now[0] += timedelta(seconds=601)
    assert graph.first().status == 200


@pytest.mark.anyio
async def test_four_requests_at_once_for_a_mailbox(graph, microsoft):
    leslie = GraphCaller(microsoft, LESLIE)
    microsoft.set(latency=0.05)
    async with httpx.AsyncClient(
        base_url="https://graph.microsoft.com/v1.0", transport=WorldTransport(microsoft)
    ) as http:

        async def ask(caller: GraphCaller) -> httpx.Response:
            return await http.get("/me/calendars", headers={"authorization": f"Bearer {caller.access_token}"})

        replies = await asyncio.gather(*(ask(graph) for _ in range(6)), ask(leslie))
        assert sorted(reply.status_code for reply in replies) == [200] * 5 + [429] * 2
        (refused, _) = (reply for reply in replies if reply.status_code == 429)
        assert refused.json()["error"]["code"] == "ApplicationThrottled"
        assert "MailboxConcurrency" in refused.json()["error"]["message"]
        assert int(refused.headers["retry-after"]) > 0
        again = await asyncio.gather(*(ask(graph) for _ in range(4)))
        assert [reply.status_code for reply in again] == [200] * 4
    assert sum(microsoft.under_way.values()) == 0


@pytest.mark.anyio
async def test_links_lead_back_to_where_the_request_came_from(graph, microsoft):
    async with httpx.AsyncClient(
        base_url="https://graph.microsoft.com/v1.0", transport=WorldTransport(microsoft)
    ) as http:
        window = {"startDateTime": "2025-03-20T00:00:00Z", "endDateTime": "2025-04-20T00:00:00Z"}
        http.headers["authorization"] = f"Bearer {graph.access_token}"
        link = (await http.get(DELTA, params=window)).json()["@odata.deltaLink"]
        assert link.startswith("https://graph.microsoft.com/v1.0/me/")
        assert (await http.get(link)).status_code == 200


@pytest.mark.anyio
async def test_spoilt_answers(graph, microsoft):
    async with httpx.AsyncClient(base_url="http://simulator/v1.0", transport=WorldTransport(microsoft)) as http:
        http.headers["authorization"] = f"Bearer {graph.access_token}"
        for preset, error in [
            ("hang", httpx.ReadTimeout), ("broken_page", httpx.RemoteProtocolError),
            ("lost_answer", httpx.RemoteProtocolError),
        ]:  # fmt: skip
            microsoft.add_fault(preset)
            with pytest.raises(error):
                await http.get("/me/calendars")
        microsoft.add_fault("html_200")
        assert "html" in (await http.get("/me/calendars")).headers["content-type"]
        microsoft.add_fault("huge_page")
        assert len((await http.get("/me/calendars")).content) > 5_000_000
        microsoft.add_fault("truncated_page")
        with pytest.raises(json.JSONDecodeError):
            (await http.get("/me/calendars")).json()
    assert sum(microsoft.under_way.values()) == 0


def test_every_request_is_counted(graph, microsoft):
    microsoft.reset_counters()
    _, link = graph.round()
    graph.follow(link)
    graph.get("/me/events/nonsense")
    graph.refresh()
    assert microsoft.read_counters() == {"calendarView.delta": 2, "events.get": 1, "token": 1, "total": 4}
    calls = microsoft.read_calls("calendarView.delta")
    assert [call["status"] for call in calls] == [200, 200]
    assert calls[1]["query"].keys() == {"$deltatoken"}
    assert {call["account"] for call in microsoft.read_calls()} == {BARBARA}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/me/nonsense"), ("PUT", "/me/events"), ("GET", "/me/messages"), ("POST", "/$batch")],
)
def test_an_unknown_path_is_a_bad_request(graph, method, path):
    reply = graph.call(method, path)
    assert (reply.status, reply.code) == (400, "BadRequest")


@pytest.mark.parametrize("option", ["$filter", "$orderby", "$search"])
def test_what_the_fake_does_not_do_it_refuses(graph, option):
    assert graph.get("/me/events", **{option: "x"}).code == "ErrorInvalidUrlQuery"


def test_a_body_that_is_no_json(graph, microsoft):
    microsoft.settings.validation = False
    for body in ([1], "x"):
        assert graph.call("POST", "/me/events", body).code == "BadRequest"
