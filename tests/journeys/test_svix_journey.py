"""A gateway that hands its webhooks over to Svix: endpoints, messages, portal, faults of the server, on and off again."""

import asyncio
import base64
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import fake_svix
import httpx
import pytest
from fake_svix import TOKEN, FakeSvix
from standardwebhooks import Webhook
from standing_routes import standing_routes
from webhook_receivers import Receiver, answers, floods, listening

from service.__main__ import main
from service.app import create_app
from service.settings import Settings
from service.store.api_keys import create_key
from service.store.database import Database
from service.store.projects import create_project
from simulator.google.world import World
from simulator.server import serve as serve_world
from webhooks import outbox
from webhooks.message import Notice

pytestmark = pytest.mark.anyio
RING = f"test:{base64.b64encode(b'k' * 32).decode()}"


@pytest.fixture
async def svix(anyio_backend: str) -> AsyncIterator[FakeSvix]:
    async with fake_svix.listening(FakeSvix()) as fake:
        yield fake
        assert fake.misuse == []


@pytest.fixture
async def receiver(anyio_backend: str) -> AsyncIterator[Receiver]:
    async with listening(answers(200, b"thanks")) as receiver:
        yield receiver


class Side:
    """A running gateway as its user has it, and its database."""

    def __init__(self, http: httpx.AsyncClient, gateway_url: str, project: UUID, keys: dict[str, str]) -> None:
        self.http = http
        self.database_url = gateway_url
        self.project = project
        self.keys = keys

    async def announce(self, count: int = 1, kind: str = "calendar.active", **fields: Any) -> None:
        async with Database.connect(self.database_url) as database, database.write() as conn:
            now = datetime.now(UTC)
            notices = [Notice(self.project, kind, {"n": n}, now, **fields) for n in range(count)]
            await outbox.put(conn, notices, now=now)

    async def made(self, url: str, **fields: Any) -> dict[str, Any]:
        answer = await self.http.post("/webhooks/endpoints", json={"url": url, **fields})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def shown(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def accepted(self, svix: FakeSvix, count: int) -> None:
        async with asyncio.timeout(120):
            while svix.accepted.total() < count:
                await asyncio.sleep(0.02)
        await svix.idle()
        async with asyncio.timeout(120):
            while any(
                each["status"] == "pending" and each["attempts"] == 0
                for message in (await self.shown("/webhooks/messages"))["data"]
                for each in message["deliveries"]
            ):
                await asyncio.sleep(0.02)


async def people(url: str) -> tuple[UUID, dict[str, str]]:
    """A project, keys of two scopes of it, and one of another project."""
    now = datetime.now(UTC)
    async with Database.connect(url) as database, database.write() as conn:
        mine, other = await create_project(conn, "mine", now), await create_project(conn, "other", now)
        keys = {scope: await create_key(conn, mine, scope, now) for scope in ("write", "admin")}
        return mine, keys | {"stranger": await create_key(conn, other, "admin", now)}


@asynccontextmanager
async def serving(
    url: str, svix: FakeSvix | None, known: tuple[UUID, dict[str, str]], **settings: Any
) -> AsyncIterator[Side]:
    whole = Settings(
        database_url=url,
        allow_networks=(ip_network("127.0.0.0/8"),),
        secret_keys=RING,
        svix_token=TOKEN if svix else None,
        svix_server_url=svix.url if svix else None,
        **settings,
    )
    async with AsyncExitStack() as stack:
        with standing_routes():
            app = await stack.enter_async_context(create_app(whole))
        headers = {"authorization": f"Bearer {known[1]['admin']}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://calgate.test", headers=headers, timeout=30
        ) as http:
            yield Side(http, url, *known)


@pytest.fixture
async def side(database_url: str, svix: FakeSvix) -> AsyncIterator[Side]:
    async with serving(database_url, svix, await people(database_url)) as side:
        yield side


@pytest.fixture
async def lite(sqlite_url: str, svix: FakeSvix) -> AsyncIterator[Side]:
    """The same, where what is tested does not go by the database."""
    async with serving(sqlite_url, svix, await people(sqlite_url)) as side:
        yield side


async def test_an_endpoint_lives_at_svix(side: Side, svix: FakeSvix, receiver: Receiver) -> None:
    """Made, listed, shown, changed, its secret shown and changed, tested, deleted."""
    made = await side.made(receiver.url, event_types=["calendar.*"], description="mine", rate_limit=9)
    path = f"/webhooks/endpoints/{made['id']}"
    [there] = svix.app(str(side.project)).endpoints.values()
    assert (there.uid, there.url, there.throttle_rate) == (made["id"], receiver.url, 9)
    assert "calendar.active" in there.event_types
    assert not any(name.startswith("event.") for name in there.event_types)
    assert made["event_types"] == ["calendar.*"]
    assert made["secret"] == there.secrets[0]
    assert (await side.shown("/webhooks/endpoints"))["data"] == [{n: v for n, v in made.items() if n != "secret"}]
    answer = await side.http.get(path)
    assert answer.json() == {name: value for name, value in made.items() if name != "secret"}
    assert answer.headers["etag"] == f'"{made["version"]}"'

    changed = await side.http.patch(path, json={"event_types": ["*"], "rate_limit": None, "description": None})
    assert (there.event_types, there.throttle_rate, there.description) == (None, None, "")
    assert changed.json()["event_types"] == ["*"]
    assert changed.json()["version"] > made["version"]
    stale = await side.http.patch(path, json={"description": "x"}, headers={"if-match": f'"{made["version"]}"'})
    assert (stale.status_code, there.description) == (412, "")
    defaults = (await side.http.patch(path, json={"event_types": None, "state": "disabled"})).json()
    assert (defaults["event_types"], defaults["state"], there.disabled) == (None, "disabled", True)
    assert (await side.http.post(f"{path}/test")).status_code == 409
    assert (await side.http.patch(path, json={})).json()["state"] == "enabled"

    assert (await side.shown(f"{path}/secret")) == {"secret": made["secret"]}
    rotated = await side.http.post(f"{path}/rotate_secret", json={"grace_seconds": 60})
    assert rotated.status_code == 200, rotated.text
    assert rotated.json()["secret"] == there.secrets[0] != made["secret"]
    assert there.secrets[1:] == [made["secret"]]
    tested = await side.http.post(f"{path}/test")
    assert tested.status_code == 200, tested.text
    assert (tested.json()["status"], tested.json()["answer"], tested.json()["endpoint_id"]) == (
        200,
        "thanks",
        made["id"],
    )
    [request] = receiver.requests
    assert json.loads(request.body)["type"] == "webhook.test"
    Webhook(made["secret"]).verify(request.body, request.headers)
    Webhook(rotated.json()["secret"]).verify(request.body, request.headers)
    assert (await side.shown(path))["success_rate"] == 1.0

    assert (await side.http.delete(path)).status_code == 204
    assert svix.app(str(side.project)).endpoints == {}
    for method, action in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/secret"), ("POST", "/test")):
        body = {"json": {}} if method in ("PATCH", "POST") else {}
        assert (await side.http.request(method, path + action, **body)).status_code == 404


async def test_a_repeated_post_makes_one_endpoint(side: Side, svix: FakeSvix, receiver: Receiver) -> None:
    """Also when the answer of the first was lost on the way here."""
    svix._random.choice = lambda _faults: "lost"  # type: ignore[method-assign,assignment]
    svix._random.random = lambda: 0.0 if svix.calls[-1].path.endswith("/endpoint") else 1.0  # type: ignore[method-assign]
    wish = {"json": {"url": receiver.url}, "headers": {"idempotency-key": "one"}}
    svix.fault_rate = 0.5
    refused = await side.http.post("/webhooks/endpoints", **wish)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert refused.headers["retry-after"]
    svix.fault_rate = 0.0
    first, again = [await side.http.post("/webhooks/endpoints", **wish) for _ in range(2)]
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert len(svix.app(str(side.project)).endpoints) == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"format": "meeting_baas_v1"}, "standard format only"),
        ({"format": "meeting_baas_v2"}, "standard format only"),
        ({"ordering": "fifo"}, "Svix knows no order"),
    ],
)
async def test_what_svix_cannot_do_is_refused(lite: Side, svix: FakeSvix, fields: dict[str, str], says: str) -> None:
    answer = await lite.http.post("/webhooks/endpoints", json={"url": "http://127.0.0.1:9/", **fields})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert says in answer.json()["detail"]
    assert svix.calls == []


async def test_tenants_do_not_see_each_other(lite: Side, svix: FakeSvix, receiver: Receiver) -> None:
    made = await lite.made(receiver.url)
    stranger = {"authorization": f"Bearer {lite.keys['stranger']}"}
    path = f"/webhooks/endpoints/{made['id']}"
    assert (await lite.http.get("/webhooks/endpoints", headers=stranger)).json()["data"] == []
    for method, action in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/secret"), ("POST", "/rotate_secret")):
        body = {"json": {}} if method in ("PATCH", "POST") else {}
        assert (await lite.http.request(method, path + action, headers=stranger, **body)).status_code == 404
    assert len(svix.app(str(lite.project)).endpoints) == 1


async def test_an_endpoint_made_in_the_portal_has_an_id_here_too(
    lite: Side, svix: FakeSvix, receiver: Receiver
) -> None:
    first = await lite.made(receiver.url)
    app = svix.app(str(lite.project))
    there = fake_svix.Endpoint(
        svix.new_id("ep"), fake_svix.wire.EndpointIn(url=receiver.url + "portal"), svix.now(), "whsec_" + "a" * 32
    )
    app.endpoints[there.id] = there
    pages = await lite.shown("/webhooks/endpoints", limit=1)
    assert [each["id"] for each in pages["data"]] == [first["id"]]
    [found] = (await lite.shown("/webhooks/endpoints", limit=1, cursor=pages["next_cursor"]))["data"]
    assert (found["url"], found["event_types"]) == (receiver.url + "portal", ["*"])
    assert UUID(found["id"]).version == 7
    path = f"/webhooks/endpoints/{found['id']}"
    assert (await lite.shown(path))["id"] == found["id"]
    assert (await lite.http.patch(path, json={"description": "found"})).json()["description"] == "found"
    assert there.uid is None
    assert (await lite.http.delete(path)).status_code == 204
    assert there.id not in app.endpoints


async def test_messages_and_what_became_of_them(side: Side, svix: FakeSvix, receiver: Receiver) -> None:
    """Only what an endpoint wants arrives there; failed attempts are shown, sent again, recovered."""
    calendar = uuid4()
    wants = await side.made(receiver.url, event_types=["calendar.active", "event.*"])
    await side.announce(2)
    await side.announce(kind="event.created", calendar_id=calendar)
    await side.announce(kind="calendar.deleted")
    await side.accepted(svix, 4)
    assert [json.loads(request.body)["type"] for request in receiver.requests].count("calendar.active") == 2
    assert len(receiver.requests) == 3
    for request in receiver.requests:
        Webhook(wants["secret"]).verify(request.body, request.headers)
    listed = (await side.shown("/webhooks/messages"))["data"]
    assert [each["type"] for each in listed] == [
        "calendar.deleted",
        "event.created",
        "calendar.active",
        "calendar.active",
    ]
    assert [len(each["deliveries"]) for each in listed] == [0, 1, 1, 1]
    assert {each["deliveries"][0]["endpoint_id"] for each in listed[1:]} == {wants["id"]}
    whole = await side.shown(f"/webhooks/messages/{listed[1]['id']}")
    assert whole["payload"]["data"] == {"n": 0}
    assert whole["deliveries"][0] | {"attempts": 1} == whole["deliveries"][0]
    ours, theirs = (await side.shown(f"/webhooks/messages/{listed[1]['id']}/attempts"))["data"]
    assert (ours["status"], theirs["status"], theirs["answer"]) == (202, 200, "thanks")
    assert theirs["endpoint_id"] == wants["id"]

    receiver.behaviour = answers(500, b"no")
    before = datetime.now(UTC) - timedelta(seconds=1)
    await side.announce(3)
    await side.accepted(svix, 7)
    failed = (await side.shown("/webhooks/messages", state="failed"))["data"]
    assert len(failed) == 3
    assert await side.shown("/webhooks/messages", state="failed", endpoint_id=wants["id"]) == {
        "data": failed,
        "next_cursor": None,
    }
    first = await side.shown("/webhooks/messages", state="failed", limit=2)
    rest = await side.shown("/webhooks/messages", state="failed", limit=2, cursor=first["next_cursor"])
    assert [each["id"] for each in first["data"] + rest["data"]] == [each["id"] for each in failed]
    delivered = (await side.shown("/webhooks/messages", endpoint_id=wants["id"], state="delivered"))["data"]
    assert len(delivered) == 3

    receiver.behaviour = answers()
    again = await side.http.post(f"/webhooks/messages/{failed[0]['id']}/resend", json={"endpoint_id": wants["id"]})
    assert (again.status_code, again.json()) == (202, {"deliveries": 1}), again.text
    await svix.idle()
    path = f"/webhooks/endpoints/{wants['id']}/recover"
    none = await side.http.post(path, json={"since": f"{before:%Y-%m-%dT%H:%M:%SZ}", "event_types": ["event.*"]})
    assert none.json() == {"deliveries": 0}
    recovered = await side.http.post(path, json={"since": f"{before:%Y-%m-%dT%H:%M:%SZ}"})
    assert (recovered.status_code, recovered.json()) == (202, {"deliveries": 2})
    await svix.idle()
    assert (await side.shown("/webhooks/messages", state="failed"))["data"] == []
    nobody = await side.http.post(f"/webhooks/messages/{listed[0]['id']}/resend", json={})
    assert nobody.status_code == 409
    for unknown in ("", "/attempts"):
        assert (await side.http.get(f"/webhooks/messages/{uuid4()}{unknown}")).status_code == 404


async def test_a_message_that_is_not_over_yet_stands_with_the_relay(
    side: Side, svix: FakeSvix, receiver: Receiver
) -> None:
    """Its failed attempts are seen, and sending it again hands it over."""
    await side.made(receiver.url)
    svix.behaviour = lambda writer: answers(500, b"{}")(None, writer)
    await side.announce()
    async with asyncio.timeout(120):
        while not (waiting := (await side.shown("/webhooks/messages"))["data"])[0]["deliveries"][0]["attempts"]:
            await asyncio.sleep(0.02)
    [delivery] = waiting[0]["deliveries"]
    assert (delivery["status"], delivery["attempts"]) == ("pending", 1)
    svix.behaviour = None
    assert [each["id"] for each in (await side.shown("/webhooks/messages", state="pending"))["data"]] == [
        waiting[0]["id"]
    ]
    [attempt] = (await side.shown(f"/webhooks/messages/{waiting[0]['id']}/attempts"))["data"]
    assert (attempt["status"], attempt["error_kind"]) == (500, "status")
    again = await side.http.post(f"/webhooks/messages/{waiting[0]['id']}/resend", json={})
    assert again.json() == {"deliveries": 1}
    await side.accepted(svix, 1)
    assert len(await receiver.until(1)) == 1


async def test_the_portal(side: Side, svix: FakeSvix) -> None:
    answer = await side.http.post("/webhooks/portal")
    assert answer.status_code == 200, answer.text
    assert answer.json()["url"].startswith("https://app.svix.example/login#key=")
    left = datetime.fromisoformat(answer.json()["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    assert svix.app(str(side.project))
    writer = {"authorization": f"Bearer {side.keys['write']}"}
    assert (await side.http.post("/webhooks/portal", headers=writer)).status_code == 403
    keyed = [await side.http.post("/webhooks/portal", headers={"idempotency-key": "p"}) for _ in range(2)]
    assert keyed[0].json() == keyed[1].json()
    acts = (await side.shown("/audit"))["data"]
    assert "portal.opened" in [act["action"] for act in acts]


async def test_types_that_somebody_has_deleted_there_are_told_again(
    lite: Side, svix: FakeSvix, receiver: Receiver
) -> None:
    made = await lite.made(receiver.url)
    path = f"/webhooks/endpoints/{made['id']}"
    for ask in (
        lambda: lite.http.patch(path, json={"event_types": ["event.*"]}),
        lambda: lite.http.post(f"{path}/test"),
    ):
        svix.event_types.clear()
        answer = await ask()
        assert answer.status_code == 200, answer.text
    svix.event_types.clear()
    svix.wants_known_types = True
    await lite.announce(kind="event.created")
    await lite.accepted(svix, 1)
    assert len(svix.event_types) > 10


async def test_without_svix_there_is_no_portal(sqlite_url: str) -> None:
    async with serving(sqlite_url, None, await people(sqlite_url)) as side:
        answer = await side.http.post("/webhooks/portal")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert "CALGATE_SVIX_TOKEN" in answer.json()["detail"]


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answers(200, b"<html>hello</html>"), id="no-json"),
        pytest.param(answers(200, b'{"data": 3, "done": "x"}'), id="something-else"),
        pytest.param(answers(401, b'{"code":"a","detail":"no ' + TOKEN.encode() + b'"}'), id="401"),
        pytest.param(answers(429, b'{"code":"a","detail":"slow"}'), id="429"),
        pytest.param(answers(404, b"<html>who?</html>"), id="404-of-a-proxy"),
        pytest.param(floods, id="huge"),
    ],
)
async def test_a_hostile_server_is_told_as_unavailable(
    lite: Side, svix: FakeSvix, caplog: pytest.LogCaptureFixture, behaviour: Any
) -> None:
    """Never a fault of ours, never the token; readiness does not mind."""
    svix.behaviour = lambda writer: behaviour(None, writer)
    some = f"/webhooks/endpoints/{uuid4()}"
    with caplog.at_level(logging.DEBUG):
        for method, path, body in (
            ("GET", "/webhooks/endpoints", None),
            ("POST", "/webhooks/endpoints", {"url": "http://127.0.0.1:9/"}),
            ("GET", some, None),
            ("PATCH", some, {}),
            ("DELETE", some, None),
            ("GET", f"{some}/secret", None),
            ("POST", f"{some}/rotate_secret", {}),
            ("POST", f"{some}/test", {}),
            ("POST", f"{some}/recover", {"since": "2026-03-01T00:00:00Z"}),
            ("POST", "/webhooks/portal", {}),
        ):
            answer = await lite.http.request(method, path, json=body) if body is not None else await lite.http.get(path)
            assert answer.status_code == 503, (method, path, answer.text)
            assert TOKEN not in answer.text
    assert TOKEN not in caplog.text
    assert (await lite.http.get("/health/ready")).status_code == 200


async def test_on_and_off_again(database_url: str, svix: FakeSvix, receiver: Receiver) -> None:
    """Endpoints of each side stay where they are; news goes to one side only; what waits for Svix waits."""
    known = await people(database_url)
    async with serving(database_url, None, known) as side:
        local = await side.made(receiver.url)
    async with serving(database_url, svix, known) as side:
        assert (await side.shown("/webhooks/endpoints"))["data"] == []
        await side.announce(kind="calendar.error")
        await side.accepted(svix, 1)
        assert receiver.requests == []
        svix.behaviour = lambda writer: answers(503, b"")(None, writer)
        await side.announce(kind="calendar.stale")
        await asyncio.sleep(0.3)
    svix.behaviour = None
    async with serving(database_url, None, known) as side:
        assert [each["id"] for each in (await side.shown("/webhooks/endpoints"))["data"]] == [local["id"]]
        await side.announce(kind="calendar.active")
        [request] = await receiver.until(1)
        assert json.loads(request.body)["type"] == "calendar.active"
        listed = {
            each["type"]: each["deliveries"][0]["status"] for each in (await side.shown("/webhooks/messages"))["data"]
        }
        assert listed["calendar.stale"] == "parked"
        assert svix.accepted.total() == 1
    async with serving(database_url, svix, known) as side:
        await side.accepted(svix, 2)
    assert len(receiver.requests) == 1
    assert [each.event_type for each in svix.app(str(known[0])).messages.values()] == [
        "calendar.error",
        "calendar.stale",
    ]


async def test_a_calendar_that_syncs_is_told_through_svix(sqlite_url: str, svix: FakeSvix, receiver: Receiver) -> None:
    """The whole way: a meeting at Google, a sync, the outbox, Svix, the receiver, verified."""
    world = World(lambda: datetime.now(UTC), seed=3)
    known = await people(sqlite_url)
    async with serve_world(world) as google:
        addresses = {"google_api_url": f"{google}/calendar/v3", "google_token_url": f"{google}/token"}
        async with serving(sqlite_url, svix, known, **addresses) as side:
            credentials = world.connect("ada@example.com")
            world.add_meeting("ada@example.com", "Kick-off")
            wanted = {name: credentials[name] for name in ("client_id", "client_secret", "refresh_token")}
            made = await side.made(receiver.url)
            answer = await side.http.post("/calendars", json={"provider": "google", **wanted})
            assert answer.status_code == 201
            kinds = set()
            async with asyncio.timeout(120):
                while not kinds >= {"calendar.created", "calendar.active", "calendar.sync_events"}:
                    await asyncio.sleep(0.05)
                    kinds = {json.loads(request.body)["type"] for request in receiver.requests}
    for request in receiver.requests:
        Webhook(made["secret"]).verify(request.body, request.headers)
    assert set(svix.accepted.values()) == {1}


def test_svix_is_not_loaded_without_its_token(sqlite_url: str) -> None:
    code = (
        "import asyncio, sys\n"
        "from service.app import create_app\n"
        "from service.settings import Settings\n"
        "async def main():\n"
        f"    async with create_app(Settings(database_url={sqlite_url!r})):\n"
        "        print('svix' in sys.modules, 'webhooks.relay.desk' in sys.modules)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[2]
    shown = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]


class TestCheck:
    """`calgate check`, of the server."""

    @pytest.fixture
    def prepared(self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CALGATE_DATABASE_URL", sqlite_url)
        monkeypatch.setenv("CALGATE_SVIX_TOKEN", TOKEN)
        return monkeypatch

    async def test_it_is_reachable(
        self, prepared: pytest.MonkeyPatch, svix: FakeSvix, capsys: pytest.CaptureFixture[str]
    ) -> None:
        prepared.setenv("CALGATE_SVIX_SERVER_URL", svix.url)
        assert await asyncio.to_thread(main, ["check"]) == 0
        assert "ok  Svix" in capsys.readouterr().out

    async def test_it_refuses_the_token(
        self, prepared: pytest.MonkeyPatch, svix: FakeSvix, capsys: pytest.CaptureFixture[str]
    ) -> None:
        svix.token = "another"
        prepared.setenv("CALGATE_SVIX_SERVER_URL", svix.url)
        assert await asyncio.to_thread(main, ["check"]) == 1
        told = capsys.readouterr()
        assert told.err.count("\n") == 1
        assert "Svix: the server refuses the token (401): set CALGATE_SVIX_TOKEN" in told.err
        assert TOKEN not in told.err + told.out

    async def test_it_is_not_there(self, prepared: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        prepared.setenv("CALGATE_SVIX_SERVER_URL", "http://127.0.0.1:9")
        assert await asyncio.to_thread(main, ["check"]) == 1
        assert "CALGATE_SVIX_SERVER_URL" in capsys.readouterr().err

    async def test_an_address_without_a_token(
        self, prepared: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        prepared.delenv("CALGATE_SVIX_TOKEN")
        prepared.setenv("CALGATE_SVIX_SERVER_URL", "http://127.0.0.1:9")
        assert await asyncio.to_thread(main, ["check"]) == 1
        assert "set both or neither" in capsys.readouterr().err
