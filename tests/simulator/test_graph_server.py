"""Both fakes on one port: Microsoft's paths and control, handshakes and deliveries over HTTP, and the greeting."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest
from graph_schema import judge, judge_answer, judge_delta
from judged_caller import ADA, NOW
from judged_graph import BARBARA, WINDOW, timed

from simulator.app import create_app
from simulator.control import MICROSOFT_OPERATIONS
from simulator.microsoft.seed import seeded_microsoft
from simulator.microsoft.world import MicrosoftWorld
from simulator.seed import seeded_world
from simulator.server import introduce, serve
from simulator.wire import WorldTransport

pytestmark = pytest.mark.anyio
START = "2025-03-25T09:00:00"
DELTA = "/v1.0/me/calendar/calendarView/delta"
SPAN = {"startDateTime": WINDOW[0], "endDateTime": WINDOW[1]}


class Receiver:
    """A notification endpoint on a loopback port, which may be told to misbehave."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.statuses: list[int] = []
        self.validated: list[str] = []
        self.pause = 0.0
        self.while_validating = None
        self.url = ""
        self.arrival = asyncio.Event()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.bodies) < count:
                self.arrival.clear()
                await self.arrival.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split(" ", 2)[1]
        lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line]
        headers = {name.lower(): value for name, value in lines}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        query = parse_qs(target.partition("?")[2])
        if "validationToken" in query:
            assert body == b""
            answer, status = await self.validate(query["validationToken"][0]), 200
        else:
            self.bodies.append(json.loads(body))
            self.arrival.set()
            answer, status = b"", self.statuses.pop(0) if self.statuses else 202
        length = f"content-type: text/plain\r\ncontent-length: {len(answer)}\r\nconnection: close"
        writer.write(f"HTTP/1.1 {status} X\r\n{length}\r\n\r\n".encode() + answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def validate(self, token: str) -> bytes:
        self.validated.append(token)
        if self.while_validating is not None:
            await self.while_validating()
        await asyncio.sleep(self.pause)
        return token.encode()


@asynccontextmanager
async def receiving():
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/push"
    async with server:
        yield receiver


@asynccontextmanager
async def serving(microsoft: MicrosoftWorld):
    async with serve(microsoft) as url, httpx.AsyncClient(base_url=url) as client:
        await authorise(client, microsoft)
        yield client


async def authorise(client: httpx.AsyncClient, microsoft: MicrosoftWorld) -> None:
    connection = microsoft.connect(BARBARA)
    form = {name: connection[name] for name in ("client_id", "client_secret", "refresh_token")}
    reply = await client.post("/common/oauth2/v2.0/token", data={**form, "grant_type": "refresh_token"})
    judge(reply.json(), "token")
    client.headers["authorization"] = f"Bearer {reply.json()['access_token']}"


def asked(microsoft: MicrosoftWorld, url: str) -> dict:
    return {
        "changeType": "created,updated,deleted",
        "resource": "me/events",
        "notificationUrl": url,
        "lifecycleNotificationUrl": f"{url}/lifecycle",
        "clientState": "secret",
        "expirationDateTime": (microsoft.now() + timedelta(days=2)).isoformat(),
    }


async def test_both_are_served_on_one_port(world, microsoft):
    google = world.connect(ADA)
    form = {name: google[name] for name in ("client_id", "client_secret", "refresh_token")}
    async with serve(world, microsoft=microsoft) as url, httpx.AsyncClient(base_url=url) as client:
        token = (await client.post("/token", data={**form, "grant_type": "refresh_token"})).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        assert (await client.get("/calendar/v3/users/me/calendarList", headers=headers)).status_code == 200
        await authorise(client, microsoft)
        assert (await client.get("/v1.0/me")).json()["mail"] == BARBARA
        made = await client.post("/simulator/microsoft/add_meeting", json={"calendar_id": BARBARA, "summary": "Both"})
        assert made.json()["result"]["subject"] == "Both"
        assert (await client.get("/simulator/read_counters")).json()["result"] == {
            "token": 1,
            "calendarList.list": 1,
            "total": 2,
        }
        assert (await client.get("/simulator/microsoft/read_counters")).json()["result"] == {
            "token": 1,
            "me.get": 1,
            "total": 2,
        }


async def test_links_lead_back_to_the_server(microsoft):
    microsoft.add_event(BARBARA, timed(START))
    microsoft.add_event(BARBARA, timed(START))
    async with serving(microsoft) as client:
        headers = [("prefer", "odata.maxpagesize=1"), ("prefer", 'IdType="ImmutableId"')]
        first = await client.get(DELTA, params=SPAN, headers=headers)
        second = await client.get(first.json()["@odata.nextLink"], headers=headers)
        for page in (first, second):
            judge_delta(page.json())
            assert [row["id"][:8] for row in page.json()["value"]] == ["AAkALgAA"]
        assert second.json()["@odata.deltaLink"].startswith(str(client.base_url))


async def test_the_handshake_happens_while_the_request_is_pending(microsoft):
    async with receiving() as receiver, serving(microsoft) as client:
        during: list[int] = []

        async def look() -> None:
            during.append((await client.get("/v1.0/me/calendars")).status_code)

        receiver.while_validating = look
        reply = await client.post("/v1.0/subscriptions", json=asked(microsoft, receiver.url))
        judge_answer("POST", "/subscriptions", reply.status_code, reply.content)
        assert reply.status_code == 201
        assert len(set(receiver.validated)) == 2
        assert during == [200, 200]


async def test_many_handshakes_do_not_wait_for_each_other(microsoft):
    async with receiving() as receiver, serving(microsoft) as client:
        receiver.pause = 0.1
        bodies = [
            {**asked(microsoft, receiver.url), "changeType": change}
            for change in ("created", "updated", "deleted", "created,updated", "created,deleted", "updated,deleted")
        ]
        async with asyncio.timeout(30):
            replies = await asyncio.gather(*(client.post("/v1.0/subscriptions", json=body) for body in bodies))
        assert [reply.status_code for reply in replies] == [201] * 6


async def test_a_slow_endpoint_times_out(microsoft):
    microsoft.set(validation_seconds=0.05)
    async with receiving() as receiver, serving(microsoft) as client:
        receiver.pause = 0.3
        reply = await client.post("/v1.0/subscriptions", json=asked(microsoft, receiver.url))
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "ValidationError")
        assert "timed out" in reply.json()["error"]["message"]
        await asyncio.sleep(0.35)  # the endpoint has still to say its piece


async def test_an_endpoint_that_is_not_there(microsoft):
    async with serving(microsoft) as client:
        reply = await client.post("/v1.0/subscriptions", json=asked(microsoft, "http://127.0.0.1:9/"))
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "ValidationError")


async def test_a_transport_asks_through_its_client(microsoft):
    async with receiving() as receiver, httpx.AsyncClient() as outside:
        transport = WorldTransport(microsoft, outside)
        async with httpx.AsyncClient(base_url="https://graph.microsoft.com", transport=transport) as client:
            await authorise(client, microsoft)
            reply = await client.post("/v1.0/subscriptions", json=asked(microsoft, receiver.url))
            assert reply.status_code == 201
    async with httpx.AsyncClient(base_url="https://x", transport=WorldTransport(microsoft)) as client:
        await authorise(client, microsoft)
        microsoft.send_lifecycle("subscriptionRemoved")
        assert (await client.post("/v1.0/subscriptions", json=asked(microsoft, receiver.url))).status_code == 400


async def test_notifications_are_delivered_in_batches(microsoft):
    async with receiving() as receiver, serving(microsoft) as client:
        made = (await client.post("/v1.0/subscriptions", json=asked(microsoft, receiver.url))).json()
        for _ in range(3):
            microsoft.add_event(BARBARA, timed(START))
        await receiver.wait_for(1)
        (body,) = receiver.bodies
        assert len(body["value"]) == 3
        for item in body["value"]:
            judge(item, "changeNotification")
            assert item["subscriptionId"] == made["id"]
        await client.post("/simulator/microsoft/send_lifecycle", json={"event": "missed"})
        await receiver.wait_for(2)
        assert receiver.bodies[1]["value"][0]["lifecycleEvent"] == "missed"


@pytest.mark.parametrize(("statuses", "attempts"), [([503, 500], 3), ([404], 1), ([202], 1), ([502] * 9, 3)])
async def test_some_failures_are_retried(microsoft, statuses, attempts):
    microsoft.set_push(retry_delays=[0.01, 0.01])
    async with receiving() as receiver, serving(microsoft) as client:
        await client.post("/v1.0/subscriptions", json=asked(microsoft, receiver.url))
        receiver.statuses = list(statuses)
        microsoft.add_event(BARBARA, timed(START))
        await receiver.wait_for(attempts)
        await asyncio.sleep(0.1)
        assert len(receiver.bodies) == attempts
        assert microsoft.read_counters()["push"] == attempts


async def test_concurrency_is_limited_over_http(microsoft):
    microsoft.set(latency=0.5)
    async with serving(microsoft) as client:
        replies = await asyncio.gather(*(client.get("/v1.0/me/calendars") for _ in range(8)))
        assert sorted(reply.status_code for reply in replies) == [200] * 4 + [429] * 4
        assert (await client.get("/v1.0/me/calendars")).status_code == 200


async def test_a_client_that_gives_up_frees_its_mailbox(microsoft):
    async with serving(microsoft) as client:
        for _ in range(6):
            microsoft.add_fault("hang", endpoint="calendars.list")
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/v1.0/me/calendars", timeout=httpx.Timeout(30, read=0.1))
        await asyncio.sleep(0.1)
        assert (await client.get("/v1.0/me/calendars")).status_code == 200


async def test_control_lists_its_operations(microsoft):
    transport = httpx.ASGITransport(create_app(microsoft))
    async with httpx.AsyncClient(base_url="http://simulator", transport=transport) as client:
        shown = (await client.get("/simulator/microsoft")).json()["operations"]
        assert [each["name"] for each in shown] == list(MICROSOFT_OPERATIONS)
        assert all(each["does"] or each["name"].startswith(("clear", "read", "reset")) for each in shown)
        for name, arguments, status in [
            ("nonsense", {}, 404),
            ("_enlist", {}, 404),
            ("cancel_event", {"calendar_id": "nobody", "event_id": "x"}, 404),
            ("cancel_event", {"calendar_id": BARBARA, "event_id": "x"}, 400),
            ("cancel_event", {}, 400),
            ("add_event", {"calendar_id": BARBARA, "event": {}}, 400),
            ("set_account", {"email": BARBARA, "mailbox": "tidy"}, 400),
            ("set", {"unknown": 1}, 400),
        ]:
            reply = await client.post(f"/simulator/microsoft/{name}", json=arguments)
            assert reply.status_code == status, name


async def test_a_whole_life_by_control(microsoft):
    transport = httpx.ASGITransport(create_app(microsoft))
    async with httpx.AsyncClient(base_url="http://simulator", transport=transport) as client:

        async def do(name: str, **arguments):
            reply = await client.post(f"/simulator/microsoft/{name}", json=arguments)
            assert reply.status_code == 200, reply.text
            return reply.json()["result"]

        await do("add_account", email="new@fabrikam.example", time_zone="Asia/Tokyo")
        connection = await do("connect", email="new@fabrikam.example")
        assert connection["refresh_token"] in {each["refresh_token"] for each in await do("credentials")}
        calendar = await do("add_calendar", owner="new@fabrikam.example", summary="Second")
        meeting = await do("add_meeting", calendar_id=calendar, summary="Hello", zoom="https://zoom.us/j/123")
        assert meeting["originalStartTimeZone"] == "Tokyo Standard Time"
        moved = await do("move_event", calendar_id=calendar, event_id=meeting["id"], by_minutes=60)
        assert moved["start"]["dateTime"] == "2025-03-24T09:30:00.0000000"
        await do("add_invitation", calendar_id=calendar, uid="a@google.com", event=timed(START))
        reply = await client.get("/simulator/microsoft/read-truth", params={"calendar_id": calendar})
        assert [each["subject"] for each in reply.json()["result"]] == ["Hello", "Meeting"]
        await do("cancel_event", calendar_id=calendar, event_id=meeting["id"])
        assert len(await do("read_truth", calendar_id=calendar)) == 1
        await do("add_fault", preset="application_throttled_429", times=2)
        await do("expire_delta_links")
        await do("advance", seconds=60)
        assert await do("read_subscriptions") == []
        await do("reset")
        assert await do("credentials") == []


async def test_a_seed_makes_the_same_world():
    first, second = seeded_microsoft(5, lambda: NOW), seeded_microsoft(5, lambda: NOW)
    assert first.credentials() == second.credentials()
    for calendar in first.read_calendars():
        assert first.read_truth(calendar["id"], *WINDOW) == second.read_truth(calendar["id"], *WINDOW)
    before = first.read_truth("barbara@contoso.example", *WINDOW)
    first.cancel_event("barbara@contoso.example", before[0]["id"])
    first.reset()
    assert first.read_truth("barbara@contoso.example", *WINDOW) == before
    assert seeded_microsoft(6, lambda: NOW).read_truth("barbara@contoso.example", *WINDOW) != before


async def test_a_seeded_world_is_lifelike_and_valid():
    microsoft = seeded_microsoft(1, lambda: NOW)
    assert len(microsoft.credentials()) == 4
    async with httpx.AsyncClient(base_url="http://simulator", transport=WorldTransport(microsoft)) as client:
        for each in microsoft.credentials():
            form = {name: each[name] for name in ("client_id", "client_secret", "refresh_token")}
            reply = await client.post("/common/oauth2/v2.0/token", data={**form, "grant_type": "refresh_token"})
            headers = {"authorization": f"Bearer {reply.json()['access_token']}", "prefer": "odata.maxpagesize=500"}
            page = (await client.get(DELTA, params=SPAN, headers=headers)).json()
            judge_delta(page)
            rows = page["value"]
            assert {"singleInstance", "seriesMaster", "occurrence"} <= {row["type"] for row in rows}
            assert {True, False} <= {row.get("isOnlineMeeting") for row in rows}
            assert {True, False} <= {row.get("isOrganizer") for row in rows}
            assert any("zoom.us" in row.get("body", {}).get("content", "") for row in rows)
            assert any(row.get("isAllDay") for row in rows)


async def test_the_greeting_has_both():
    text = introduce(seeded_world(1), "http://127.0.0.1:1", seeded_microsoft(1))
    assert "CALGATE_GOOGLE_API_URL=http://127.0.0.1:1/calendar/v3" in text
    assert "CALGATE_MICROSOFT_GRAPH_URL=http://127.0.0.1:1/v1.0\n" in text
    assert "CALGATE_MICROSOFT_LOGIN_URL=http://127.0.0.1:1\n" in text
    assert "tenant         common" in text
    assert "barbara@contoso.example" in text
