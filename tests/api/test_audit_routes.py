"""Every route that changes something leaves exactly one entry in the audit log, or has a reason why it leaves none."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import msgspec
import pytest
from api.conftest import client_of
from flows.stage import Stage
from litestar import Litestar
from sqlalchemy import Engine, event, select
from webhook_receivers import answers, listening

from service.api.audit_log import AuditEntryView
from service.core.audit import ACTIONS, Entry, hash_of
from service.store import api_keys, audit
from service.store.audit import Wanted
from service.store.tables import Table

pytestmark = pytest.mark.anyio

ADA = "ada@example.com"


class Case(NamedTuple):
    """What a request leaves; braces in its `body` and in `object` name what `Scene` has."""

    action: str
    object: str
    details: Mapping[str, Any] = MappingProxyType({})
    body: Any = None
    status: int = 200
    before: tuple[str, ...] = ()
    """Actions of the entries that come before it, where an act is several."""


AUDITED: dict[str, Case] = {
    "PATCH /project": Case(
        "project.changed",
        "{project}",
        {"fields": ["name", "starting_lead_seconds"]},
        {"name": "canary-project", "starting_lead_seconds": [60], "link_preference": "structured"},
    ),
    "POST /calendars": Case("calendar.created", "{made}", {"provider": "google"}, "{other}", status=201),
    "PATCH /calendars/{calendar}": Case(
        "calendar.changed",
        "{calendar}",
        {"fields": ["name", "metadata"]},
        {"name": "canary-name", "metadata": {"a": "canary"}},
    ),
    "DELETE /calendars/{calendar}": Case("calendar.deleted", "{calendar}", {"provider": "google"}, status=204),
    "POST /calendars/{calendar}/resync": Case(
        "calendar.resynced", "{calendar}", {"full": 1}, {"full": True}, status=202
    ),
    "POST /calendars/resync": Case("project.resynced", "{project}", {"full": 0}, {}, status=202),
    "PATCH /connections/{connection}": Case(
        "connection.changed", "{connection}", {"fields": ["validate_availability"]}, {"validate_availability": True}
    ),
    "DELETE /connections/{connection}": Case(
        "connection.deleted", "{connection}", {"provider": "google"}, status=204, before=("calendar.deleted",)
    ),
    "POST /connections/{connection}/refresh": Case("connection.refreshed", "{connection}"),
    "POST /connections/{connection}/resync": Case(
        "connection.resynced", "{connection}", {"full": 1}, {"full_sync": True}, status=202
    ),
    "POST /connections/{connection}/set_primary": Case("connection.chosen", "{connection}"),
    "POST /oauth_clients": Case("client.registered", "{made}", {"provider": "google"}, "{other_client}", status=201),
    "PATCH /oauth_clients/{client}": Case(
        "client.changed",
        "{client}",
        {"fields": ["client_secret", "redirect_urls"]},
        {"client_secret": "canary-secret", "redirect_urls": ["https://canary.example.com/"]},
    ),
    "DELETE /oauth_clients/{client}": Case("client.deleted", "{client}", {"provider": "zoom"}, status=204),
    "PUT /bot_runner": Case(
        "bot_runner.set",
        "{project}",
        {"runner": "http"},
        {"kind": "http", "url": "{hook}", "headers": {"authorization": "Bearer canary"}},
    ),
    "DELETE /bot_runner": Case("bot_runner.removed", "{project}", status=204),
    "POST /webhooks/endpoints": Case("endpoint.created", "{made}", {}, {"url": "{hook}"}, status=201),
    "PATCH /webhooks/endpoints/{endpoint}": Case(
        "endpoint.changed", "{endpoint}", {"fields": ["rate_limit", "state"]}, {"rate_limit": 5, "state": "disabled"}
    ),
    "DELETE /webhooks/endpoints/{endpoint}": Case("endpoint.deleted", "{endpoint}", status=204),
    "GET /webhooks/endpoints/{endpoint}/secret": Case("endpoint.secret_revealed", "{endpoint}"),
    "POST /webhooks/endpoints/{endpoint}/rotate_secret": Case("endpoint.secret_rotated", "{endpoint}", {}, {}),
    "POST /webhooks/endpoints/{endpoint}/test": Case("endpoint.tested", "{endpoint}", {}, {}),
    "POST /webhooks/endpoints/{endpoint}/recover": Case(
        "endpoint.recovered", "{endpoint}", {}, {"since": "2026-03-01T00:00:00Z"}, status=202
    ),
    "POST /webhooks/messages/{message}/resend": Case("message.resent", "{message}", {}, {}, status=202),
    "POST /meeting-baas/calendars": Case("calendar.created", "{made}", {"provider": "google"}, "{other_v1}"),
    "PATCH /meeting-baas/calendars/{calendar}": Case("calendar.reconnected", "{calendar}", {}, "{given_v1}"),
    "DELETE /meeting-baas/calendars/{calendar}": Case("calendar.deleted", "{calendar}", {"provider": "google"}),
    "POST /meeting-baas/calendars/resync_all": Case("project.resynced", "{project}", {"full": 0}),
    "POST /meeting-baas/v2/calendars": Case(
        "calendar.created", "{made}", {"provider": "google"}, "{other_v2}", status=201
    ),
    "PATCH /meeting-baas/v2/calendars/{calendar}": Case("calendar.reconnected", "{calendar}", {}, "{given_v2}"),
    "DELETE /meeting-baas/v2/calendars/{calendar}": Case("calendar.deleted", "{calendar}", {"provider": "google"}),
    "POST /meeting-baas/v2/calendars/{calendar}/sync": Case("calendar.resynced", "{calendar}", {"full": 1}),
    "POST /meeting-baas/v2/calendars/{calendar}/resubscribe": Case("calendar.resubscribed", "{calendar}"),
}
"""By method and path, whose parameters are called as in `Scene.named`."""

ELSEWHERE: dict[str, str] = {
    "POST /webhooks/portal": "api/test_audit_svix.py",
    "POST /connect/{provider}/exchange": "api/test_audit_hosted.py",
    "GET /connect/{provider}/callback": "api/test_audit_hosted.py",
    "POST /connect/links": "hosted/test_links_audited.py",
    "POST /connect/links/{token}/{kind}": "hosted/test_links_audited.py",
}
"""Routes whose entries are looked at by another file, which needs another scene: its path in tests/."""

_LOOK = "asks the provider and stores nothing"
_PUSH = "comes from a provider, who is nobody's actor; it makes a calendar due"
_PLAN = "is ordinary use: plans say when they were made and changed, and `bot.*` webhooks tell of it"
_WRITING = "is ordinary use: `GET /changes` and the event's history have it, with the cause `write`"
UNWRITTEN: dict[str, str] = {
    "POST /calendars/raw": _LOOK,
    "POST /meeting-baas/calendars/raw": _LOOK,
    "POST /meeting-baas/v2/calendars/list-raw": _LOOK,
    "POST /meeting_links/explain": "computes and stores nothing",
    "POST /push/google/{}": _PUSH,
    "POST /push/microsoft": _PUSH,
    "POST /push/microsoft/lifecycle": _PUSH,
    "POST /calendars/{}/events": _WRITING,
    "POST /calendars/{}/events/quick_add": _WRITING,
    "POST /connections/{}/events": _WRITING,
    "PATCH /events/{}": _WRITING,
    "DELETE /events/{}": _WRITING,
    "PUT /events/{}/bot": _PLAN,
    "DELETE /events/{}/bot": _PLAN,
    "PUT /series/{}/bot": _PLAN,
    "DELETE /series/{}/bot": _PLAN,
    **{f"{method} /meeting-baas/calendar_events/{{}}/bot": _PLAN for method in ("POST", "PATCH", "DELETE")},
    **{f"{method} /meeting-baas/calendars/{{}}/events/{{}}/record": _PLAN for method in ("POST", "PATCH", "DELETE")},
    **{f"{method} /meeting-baas/v2/calendars/{{}}/bots": _PLAN for method in ("POST", "PATCH", "DELETE")},
}
"""Routes with another method than GET that leave no entry, each with its reason."""


class Scene:
    """A project with one of everything, and the names by which cases speak of it."""

    def __init__(self, stage: Stage, call: httpx.AsyncClient, named: dict[str, Any]) -> None:
        self.stage, self.call, self.named = stage, call, named

    async def entries(self) -> list[Entry]:
        """The log, oldest first."""
        async with self.stage.gateway.database.read() as conn:
            return (await audit.page(conn, self.stage.project, Wanted(), 1000))[::-1]

    async def ask(self, route: str, body: Any = None, **more: Any) -> httpx.Response:
        method, path = route.split(" ")
        content = {} if body is None else {"json": self.filled(body)}
        return await self.call.request(method, path.format(**self.named), **content, **more)

    def filled(self, body: Any) -> Any:
        if isinstance(body, dict):
            return {name: self.filled(value) for name, value in body.items()}
        whole = re.fullmatch(r"\{(\w+)}", body) if isinstance(body, str) else None
        return self.named[whole[1]] if whole else body


@pytest.fixture
async def scene(
    stage: Stage,
    call: httpx.AsyncClient,
    credentials: dict[str, Any],
    given_v1: dict[str, Any],
    given_v2: dict[str, Any],
) -> AsyncIterator[Scene]:
    async with listening(answers(200, b"")) as receiver:
        calendar = (await call.post("/calendars", json=credentials)).json()["id"]
        await stage.sync()
        await stage.renew_channels()
        hook = receiver.url
        endpoint = (await call.post("/webhooks/endpoints", json={"url": hook})).json()["id"]
        assert (await call.post(f"/webhooks/endpoints/{endpoint}/test", json={})).status_code == 200
        message = (await call.get("/webhooks/messages")).json()["data"][0]["id"]
        assert (await call.put("/bot_runner", json={"kind": "http", "url": hook})).status_code == 200
        named = {"project": str(stage.project), "calendar": calendar, "endpoint": endpoint, "message": message}
        given = stage.world.connect("grace@example.com")
        other = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
        prefixed = {f"oauth_{name}": value for name, value in other.items()}
        named |= {"hook": hook, "credentials": credentials, "given_v1": given_v1, "given_v2": given_v2}
        named |= {"other": {"provider": "google", **other}}
        named["connection"] = (await call.get("/connections")).json()["data"][0]["id"]
        app = {"client_id": "canary", "client_secret": "canary-secret", "redirect_urls": []}
        named["client"] = (await call.post("/oauth_clients", json={"provider": "zoom", **app})).json()["id"]
        named["other_client"] = {"provider": "google", **app}
        named |= {"other_v1": given_v1 | prefixed, "other_v2": given_v2 | prefixed}
        yield Scene(stage, call, named)


@pytest.fixture
def late() -> Iterator[list[str]]:
    """Statements that write something else after an entry, in its transaction: the head is to be what is locked last."""
    found: list[str] = []

    def see(conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        words = statement.split()
        if words[:3] == ["INSERT", "INTO", "audit_entries"]:
            conn.info["has_entry"] = True
        elif conn.info.get("has_entry") and words[0] in {"INSERT", "UPDATE", "DELETE"} and "audit_" not in statement:
            found.append(statement)

    def end(conn: Any) -> None:
        conn.info.pop("has_entry", None)

    heard = (("before_cursor_execute", see), ("commit", end), ("rollback", end))
    for name, listener in heard:
        event.listen(Engine, name, listener)
    yield found
    for name, listener in heard:
        event.remove(Engine, name, listener)


def shape(route: str) -> str:
    """A method and a path without the names and kinds of its parameters."""
    return re.sub(r"\{[^}]*}", "{}", route).rstrip("/")


def test_every_route_that_changes_something_is_in_the_table(api: Litestar) -> None:
    """A new route needs an entry, or a reason: that is what this is here to ask for."""
    changing = {
        shape(f"{method} {route.path}")
        for route in api.routes
        for method in route.methods  # type: ignore[union-attr]
        if method in {"POST", "PUT", "PATCH", "DELETE"}
    }
    audited = [shape(route) for route in (*AUDITED, *ELSEWHERE) if not route.startswith("GET ")]
    placed = [*audited, *map(shape, UNWRITTEN)]
    assert changing == set(placed)
    assert len(placed) == len(set(placed)), "a route has one place"


@pytest.mark.parametrize("route", AUDITED)
async def test_an_act_leaves_exactly_its_entry(scene: Scene, keys: dict[str, str], late: list[str], route: str) -> None:
    case = AUDITED[route]
    before = await scene.entries()
    answer = await scene.ask(route, case.body)
    assert answer.status_code == case.status, answer.text
    assert late == []
    after = await scene.entries()
    assert after[: len(before)] == before
    *others, entry = after[len(before) :]
    assert tuple(one.action for one in others) == case.before
    if "made" in case.object:
        found = answer.json()
        made = found.get("data", found)
        made = made.get("calendar", made)
        scene.named["made"] = next(made[name] for name in ("id", "uuid", "calendar_id") if name in made)
    async with scene.stage.gateway.database.read() as conn:
        principal = await api_keys.find(conn, keys["admin"])
    assert principal is not None
    assert (entry.actor.kind, entry.actor.id) == ("api_key", str(principal.key_id))
    assert (entry.action, entry.object.id) == (case.action, case.object.format(**scene.named))
    assert entry.object.kind == case.action.partition(".")[0]
    assert entry.details == case.details
    assert entry.request_id == answer.headers["x-request-id"]
    assert entry.address == "127.0.0.1"
    assert entry.at == scene.stage.clock()


async def test_a_calendar_that_is_connected_again_is_reconnected(scene: Scene) -> None:
    before = len(await scene.entries())
    answer = await scene.call.post("/calendars", json=scene.named["credentials"] | {"name": "mine"})
    assert answer.status_code == 200
    again = await scene.ask("PATCH /calendars/{calendar}", scene.named["credentials"])
    assert again.status_code == 200, again.text
    told = [(entry.action, entry.object.id, entry.details) for entry in (await scene.entries())[before:]]
    calendar = scene.named["calendar"]
    assert told == [("calendar.reconnected", calendar, {"fields": ["name"]}), ("calendar.reconnected", calendar, {})]


async def test_what_changes_nothing_leaves_nothing(scene: Scene) -> None:
    before = await scene.entries()
    old = {"if-match": '"77"'}
    unknown = {
        **scene.named,
        "calendar": str(uuid4()),
        "endpoint": str(uuid4()),
        "message": str(uuid4()),
        "connection": str(uuid4()),
        "client": str(uuid4()),
    }
    gone = Scene(scene.stage, scene.call, unknown)
    revoked = scene.named["other"] | {"refresh_token": "1//never-given-out"}
    refused = [
        await scene.ask("POST /calendars", revoked),
        await scene.ask("POST /meeting-baas/v2/calendars", "{given_v2}"),
        *[await scene.ask(f"PATCH /{one}", {"name": "x"}, headers=old) for one in ("calendars/{calendar}", "project")],
        await scene.ask("PATCH /webhooks/endpoints/{endpoint}", {"rate_limit": 3}, headers=old),
        await scene.ask("DELETE /calendars/{calendar}", headers=old),
        *[
            await gone.ask(route, case.body)
            for route, case in AUDITED.items()
            if re.search("calendar}|point}|sage}|client}|connection}", route)
        ],
        await scene.ask("PATCH /project", {"name": "stranger"}),
    ]
    assert {answer.status_code for answer in refused} <= {404, 409, 412, 422, 400}, [one.text for one in refused]
    done = [
        await scene.ask("PATCH /project", {}),
        await scene.ask("PATCH /calendars/{calendar}", {}),
        await scene.ask("PATCH /webhooks/endpoints/{endpoint}", {}),
        await scene.ask("POST /calendars/raw", "{credentials}"),
    ]
    assert {answer.status_code for answer in done} == {200}
    assert await scene.entries() == before


async def test_a_repeated_request_leaves_one_entry(scene: Scene) -> None:
    before = len(await scene.entries())
    for route in (
        "POST /webhooks/endpoints",
        "POST /webhooks/endpoints/{endpoint}/rotate_secret",
        "POST /calendars",
        "POST /calendars/{calendar}/resync",
        "POST /webhooks/endpoints/{endpoint}/test",
        "POST /meeting-baas/calendars/resync_all",
    ):
        answers = [await scene.ask(route, AUDITED[route].body, headers={"idempotency-key": route}) for _ in range(3)]
        assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true", "true"]
        after = await scene.entries()
        assert [entry.action for entry in after[before:]] == [AUDITED[route].action], route
        before = len(after)


async def test_no_secret_and_nothing_personal_is_in_the_log(scene: Scene) -> None:
    for route, case in sorted(AUDITED.items(), key=lambda pair: "DELETE" in pair[0]):
        await scene.ask(route, case.body)
    table = Table.metadata.tables["audit_entries"]
    async with scene.stage.gateway.database.read() as conn:
        rows = (await conn.execute(select(table))).all()
    assert len(rows) > len(AUDITED)
    written = repr(rows).lower()
    secrets = [*scene.named["credentials"].values(), *scene.named["other"].values()]
    for word in {*secrets, "canary", ADA, "grace", "whsec", "cgk_", scene.named["hook"]} - {"google"}:
        assert str(word).lower() not in written, word


async def test_the_log_is_shown_newest_first_in_pages(scene: Scene) -> None:
    whole = (await scene.call.get("/audit?limit=250")).json()
    assert whole["next_cursor"] is None
    entries = [msgspec.convert(each, AuditEntryView) for each in whole["data"]]
    assert [entry.seq for entry in entries] == list(range(len(entries), 0, -1))
    assert len(entries) >= 6
    assert all(entry.hash == hash_of(entry) for entry in entries), "what is shown is enough to check it"
    read, cursor = [], ""
    while cursor is not None:
        page = (await scene.call.get("/audit?limit=2" + (f"&cursor={cursor}" if cursor else ""))).json()
        read += page["data"]
        cursor = page["next_cursor"]
        await scene.ask("POST /calendars/resync", {})  # what comes meanwhile does not move a page
    assert read == whole["data"]


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        pytest.param("action=endpoint.tested", ["endpoint.tested"], id="action"),
        pytest.param("object_id={calendar}", ["calendar.created"], id="object"),
        pytest.param("actor=system", ["key.created", "key.created", "key.created", "project.created"], id="kind"),
        pytest.param("actor={key}&object_id={endpoint}", ["endpoint.tested", "endpoint.created"], id="actor"),
        pytest.param("until=2026-03-02T08:00:00Z", [], id="until"),
        pytest.param("since=2026-03-02T09:00:00Z&action=calendar.created", ["calendar.created"], id="since"),
    ],
)
async def test_filters(scene: Scene, keys: dict[str, str], query: str, actions: list[str]) -> None:
    async with scene.stage.gateway.database.read() as conn:
        principal = await api_keys.find(conn, keys["admin"])
    assert principal is not None
    answer = await scene.call.get("/audit?" + query.format(**scene.named, key=principal.key_id))
    assert [each["action"] for each in answer.json()["data"]] == actions


@pytest.mark.parametrize(
    ("query", "field"),
    [
        pytest.param("action=calendar.vanished", "action", id="action"),
        pytest.param("since=yesterday", "since", id="since"),
        pytest.param("limit=0", "limit", id="limit"),
        pytest.param("cursor=abc", "cursor", id="cursor"),
        pytest.param("actor=" + "x" * 256, "actor", id="actor"),
    ],
)
async def test_what_the_list_refuses(call: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await call.get(f"/audit?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_the_log_is_for_admins_of_its_project(scene: Scene, api: Litestar, keys: dict[str, str]) -> None:
    for scope in ("read", "write"):
        async with client_of(api, keys[scope]) as client:
            assert (await client.get("/audit")).status_code == 403
    async with client_of(api, keys["stranger"]) as client:
        shown = (await client.get("/audit")).json()["data"]
    assert [each["action"] for each in shown] == ["key.created", "project.created"]


async def test_an_address_that_is_none_is_left_out(scene: Scene, api: Litestar, keys: dict[str, str]) -> None:
    """What a proxy passes on may be anything."""
    for client in (("\0; DROP", 1), None):
        transport = httpx.ASGITransport(api, client=client)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://calgate.test") as http:
            answer = await http.post("/calendars/resync", json={}, headers={"x-api-key": keys["write"]})
        assert answer.status_code == 202
        assert (await scene.entries())[-1].address is None


def test_every_action_is_looked_for_by_a_test() -> None:
    """Here, or in another file that reads the log: an action that nothing leaves has no place in the list."""
    tests = Path(__file__).parent.parent
    read = [path.read_text() for path in tests.rglob("test_*.py") if path.parent.name != "core"]
    read = [source for source in read if "audit" in source]
    unseen = [action for action in ACTIONS if not any(f'"{action}"' in source for source in read)]
    assert unseen == []


@pytest.mark.parametrize("path", sorted(set(ELSEWHERE.values())))
def test_those_who_are_to_look_at_entries_do(path: str) -> None:
    assert "audit" in (Path(__file__).parent.parent / path).read_text()
