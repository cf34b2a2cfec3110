"""The fake over HTTP: served, scripted, broken, and with real deliveries."""

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import httpx
import pytest
from discovery import JudgedTransport
from judged_caller import ADA, NOW, timed

from simulator.app import create_app
from simulator.control import OPERATIONS
from simulator.google.world import World
from simulator.seed import seeded_world
from simulator.server import introduce, serve
from simulator.wire import WorldTransport

pytestmark = pytest.mark.anyio
EVENTS = "/calendar/v3/calendars/primary/events"
WINDOW = ("2025-03-20T00:00:00Z", "2025-04-20T00:00:00Z")
START = "2025-03-25T09:00:00+01:00"


class Receiver:
    """Takes push notices on a loopback port, and answers with the statuses it was told."""

    def __init__(self) -> None:
        self.notices: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.url = ""
        self.arrival = asyncio.Event()

    @property
    def numbers(self) -> list[int]:
        return [int(headers["x-goog-message-number"]) for headers, _ in self.notices]

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.notices) < count:
                self.arrival.clear()
                await self.arrival.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line]
        headers = {name.lower(): value for name, value in lines}
        self.notices.append((headers, await reader.readexactly(int(headers.get("content-length", 0)))))
        self.arrival.set()
        status = self.statuses.pop(0) if self.statuses else 204
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def receiving():
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/push"
    async with server:
        yield receiver


@asynccontextmanager
async def serving(world: World):
    """A served world, and a judged client that may speak for Ada."""
    async with (
        serve(world) as url,
        httpx.AsyncClient(base_url=url, transport=JudgedTransport(httpx.AsyncHTTPTransport())) as client,
    ):
        await authorise(client, world)
        yield client


async def authorise(client: httpx.AsyncClient, world: World) -> None:
    connection = world.connect(ADA)
    form = {name: connection[name] for name in ("client_id", "client_secret", "refresh_token")}
    reply = await client.post("/token", data={**form, "grant_type": "refresh_token"})
    client.headers["authorization"] = f"Bearer {reply.json()['access_token']}"


def channel(url: str, number: int = 1) -> dict:
    return {"id": f"channel-{number}", "type": "web_hook", "address": url, "token": "secret"}


async def test_a_served_world_answers_and_is_scripted(world):
    async with serving(world) as client:
        token = (await client.get(EVENTS, params={"singleEvents": "true"})).json()["nextSyncToken"]
        made = await client.post("/simulator/add_event", json={"calendar_id": ADA, "event": timed(START)})
        delta = await client.get(EVENTS, params={"singleEvents": "true", "syncToken": token})
        assert [item["id"] for item in delta.json()["items"]] == [made.json()["result"]["id"]]
        counters = await client.get("/simulator/read_counters")
        assert counters.json()["result"] == {"token": 1, "events.list": 2, "total": 3}


async def test_the_application_needs_no_server(world):
    transport = JudgedTransport(httpx.ASGITransport(create_app(world)))
    async with httpx.AsyncClient(base_url="http://simulator", transport=transport) as client:
        await authorise(client, world)
        assert (await client.get(EVENTS)).status_code == 200
        assert transport.judged == ["calendar.events.list"]


async def test_a_transport_needs_no_application(world):
    transport = JudgedTransport(WorldTransport(world))
    async with httpx.AsyncClient(base_url="http://simulator", transport=transport) as client:
        await authorise(client, world)
        reply = await client.post(EVENTS, json=timed(START))
        assert (await client.delete(f"{EVENTS}/{reply.json()['id']}")).status_code == 204
        assert (await client.get(f"{EVENTS}/unknown")).status_code == 404
        for preset, error in [
            ("hang", httpx.ReadTimeout), ("broken_page", httpx.RemoteProtocolError),
            ("lost_answer", httpx.RemoteProtocolError),
        ]:  # fmt: skip
            world.add_fault(preset)
            with pytest.raises(error):
                await client.get(EVENTS)


@pytest.mark.parametrize(
    ("accepts", "agent", "compressed"),
    [
        ("gzip", "bot (gzip)", True),
        ("gzip", "bot", False),
        ("identity", "bot (gzip)", False),
        ("br, gzip", "gzip", True),
    ],
)
async def test_gzip_needs_the_user_agent_too(world, accepts, agent, compressed):
    async with serving(world) as client:
        headers = {"accept-encoding": accepts, "user-agent": agent}
        reply = await client.get(EVENTS, headers=headers)
        assert (reply.headers.get("content-encoding") == "gzip") is compressed
        assert reply.json()["kind"] == "calendar#events"


@pytest.mark.parametrize("preset", ["broken_page", "lost_answer"])
async def test_a_cut_answer_is_a_protocol_error(world, preset):
    async with serving(world) as client:
        world.add_fault(preset)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(EVENTS)
        assert (await client.get(EVENTS)).status_code == 200


async def test_a_truncated_answer_is_broken_json(world):
    async with serve(world) as url, httpx.AsyncClient(base_url=url) as client:
        await authorise(client, world)
        world.add_fault("truncated_page")
        reply = await client.get(EVENTS)
        assert reply.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            reply.json()


async def test_hang_and_latency(world):
    async with serving(world) as client:
        world.add_fault("hang", endpoint="events.list")
        with pytest.raises(httpx.ReadTimeout):
            await client.get(EVENTS, timeout=httpx.Timeout(30, read=0.1))
        world.add_fault("latency", endpoint="events.list", seconds=0.05)
        reply = await client.get(EVENTS)
        assert reply.elapsed.total_seconds() >= 0.05


async def test_pushes_are_delivered(world):
    async with receiving() as receiver, serving(world) as client:
        reply = await client.post(f"{EVENTS}/watch", json=channel(receiver.url))
        await receiver.wait_for(1)
        world.add_event(ADA, timed(START))
        await receiver.wait_for(2)
        (sync, _), (exists, body) = receiver.notices
        assert (sync["x-goog-resource-state"], exists["x-goog-resource-state"]) == ("sync", "exists")
        assert exists["x-goog-channel-token"] == "secret"
        assert exists["x-goog-resource-id"] == reply.json()["resourceId"]
        assert body == b""


async def test_the_sync_notice_may_come_before_the_answer(world):
    world.set_push(sync_first=True)
    async with receiving() as receiver, serving(world) as client:
        await client.post(f"{EVENTS}/watch", json=channel(receiver.url))
        assert receiver.numbers == [1]


@pytest.mark.parametrize(("statuses", "attempts"), [([503, 500], 3), ([404], 1), ([204], 1), ([502] * 9, 3)])
async def test_some_failures_are_retried(world, statuses, attempts):
    world.set_push(retry_delays=[0.01, 0.01])
    async with receiving() as receiver, serving(world) as client:
        receiver.statuses = statuses
        await client.post(f"{EVENTS}/watch", json=channel(receiver.url))
        await receiver.wait_for(attempts)
        await asyncio.sleep(0.1)
        assert receiver.numbers == [1] * attempts


async def test_a_dead_receiver_never_blocks_the_api(world):
    world.set_push(retry_delays=[0.01])
    async with serving(world) as client:
        for number in range(15):
            await client.post(f"{EVENTS}/watch", json=channel("http://127.0.0.1:9/", number))
        for _ in range(5):
            assert (await client.post(EVENTS, json=timed(START))).status_code == 200


async def test_control_lists_its_operations(world):
    async with serving(world) as client:
        shown = (await client.get("/simulator")).json()["operations"]
        assert [each["name"] for each in shown] == list(OPERATIONS)
        assert all(each["arguments"] for each in shown)


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("nonsense", {}, 404),
        ("_enlist", {}, 404),
        ("cancel_event", {"calendar_id": "nobody", "event_id": "x"}, 404),
        ("cancel_event", {"calendar_id": ADA, "event_id": "x"}, 404),
        ("cancel_event", {}, 400),
        ("cancel_event", [1], 400),
        ("add_event", {"calendar_id": ADA, "event": {}}, 400),
        ("add_fault", {"preset": "meteor"}, 400),
        ("set", {"unknown": 1}, 400),
    ],
)
async def test_control_refuses_what_it_does_not_know(world, name, arguments, status):
    async with httpx.AsyncClient(
        base_url="http://simulator", transport=httpx.ASGITransport(create_app(world))
    ) as client:
        assert (await client.post(f"/simulator/{name}", json=arguments)).status_code == status


async def test_a_whole_life_by_control(world):
    async with httpx.AsyncClient(
        base_url="http://simulator", transport=httpx.ASGITransport(create_app(world))
    ) as client:

        async def do(name: str, **arguments):
            reply = await client.post(f"/simulator/{name}", json=arguments)
            assert reply.status_code == 200, reply.text
            return reply.json()["result"]

        await do("add_account", email="new@example.com", time_zone="Asia/Tokyo")
        connection = await do("connect", email="new@example.com")
        assert connection["refresh_token"] in {each["refresh_token"] for each in await do("credentials")}
        calendar = await do("add_calendar", owner="new@example.com", summary="Second")
        meeting = await do("add_meeting", calendar_id=calendar, summary="Hello", zoom="https://zoom.us/j/123")
        assert meeting["conferenceData"]["entryPoints"][0]["uri"] == "https://zoom.us/j/123"
        moved = await do("move_event", calendar_id=calendar, event_id=meeting["id"], by_minutes=60)
        assert moved["start"]["dateTime"] == "2025-03-24T18:30:00+09:00"
        reply = await client.get("/simulator/read-truth", params={"calendar_id": calendar})
        assert [each["summary"] for each in reply.json()["result"]] == ["Hello"]
        await do("cancel_event", calendar_id=calendar, event_id=meeting["id"])
        assert await do("read_truth", calendar_id=calendar) == []
        await do("add_fault", preset="backend_500", times=2)
        await do("set_push", lose=0.5)
        await do("advance", seconds=60)
        assert await do("expire_access_tokens") == 0
        await do("reset")
        assert await do("credentials") == []


async def test_a_seed_makes_the_same_world():
    first, second = seeded_world(5, lambda: NOW), seeded_world(5, lambda: NOW)
    assert first.credentials() == second.credentials()
    for calendar in first.read_calendars():
        assert first.read_truth(calendar["id"], *WINDOW) == second.read_truth(calendar["id"], *WINDOW)
    before = first.read_truth("ada@example.com", *WINDOW)
    first.cancel_event("ada@example.com", before[0]["id"])
    first.reset()
    assert first.read_truth("ada@example.com", *WINDOW) == before
    assert seeded_world(6, lambda: NOW).read_truth("ada@example.com", *WINDOW) != before


async def test_a_seeded_world_is_lifelike_and_valid():
    world = seeded_world(1, lambda: NOW)
    assert len(world.credentials()) == 4
    transport = JudgedTransport(WorldTransport(world))
    async with httpx.AsyncClient(base_url="http://simulator", transport=transport) as client:
        for each in world.credentials():
            form = {name: each[name] for name in ("client_id", "client_secret", "refresh_token")}
            reply = await client.post("/token", data={**form, "grant_type": "refresh_token"})
            headers = {"authorization": f"Bearer {reply.json()['access_token']}"}
            await client.get("/calendar/v3/users/me/calendarList", headers=headers)
            window = urlencode({"singleEvents": "true", "timeMin": WINDOW[0], "timeMax": WINDOW[1]})
            items = (await client.get(f"{EVENTS}?{window}", headers=headers)).json()["items"]
            kinds = {item.get("conferenceData", {}).get("conferenceSolution", {}).get("name") for item in items}
            assert {"Google Meet", "Zoom Meeting", None} <= kinds


async def test_the_greeting_says_how_to_go_on():
    text = introduce(seeded_world(1), "http://127.0.0.1:1")
    assert "CALGATE_GOOGLE_API_URL=http://127.0.0.1:1/calendar/v3" in text
    assert "CALGATE_GOOGLE_TOKEN_URL=http://127.0.0.1:1/token" in text
    assert "refresh_token  1//" in text
    assert text.count("curl") > 5


async def test_compressed_bodies_are_the_same_every_time(world):
    async with httpx.AsyncClient(base_url="http://simulator", transport=WorldTransport(world)) as client:
        headers = {"accept-encoding": "gzip", "user-agent": "gzip"}
        async with client.stream("GET", "/calendar/v3/nothing", headers=headers) as reply:
            raw = b"".join([chunk async for chunk in reply.aiter_raw()])
        assert json.loads(gzip.decompress(raw))["error"]["code"] == 404
