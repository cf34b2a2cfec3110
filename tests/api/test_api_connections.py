"""Routes of connections through the whole application, with Google's and Microsoft's simulators, on both databases."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from flows.stage import Stage
from sqlalchemy import select, update
from uuid_utils.compat import uuid7

from service.store.audit import AuditEntryRow
from service.store.connection_tables import ConnectionRow
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld

pytestmark = pytest.mark.anyio
ADA = "ada@example.com"
_rows = ConnectionRow.metadata.tables["connections"]
_clients = ConnectionRow.metadata.tables["oauth_clients"]
_audit = AuditEntryRow.metadata.tables["audit_entries"]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def provider() -> str:
    return "google"


@pytest.fixture
def world(clock: Any, provider: str) -> World | MicrosoftWorld:
    return MicrosoftWorld(clock, seed=7) if provider == "microsoft" else World(clock, seed=7)


@pytest.fixture
def credentials(world: World | MicrosoftWorld, provider: str) -> dict[str, Any]:
    given = world.connect(ADA)
    return {"provider": provider, **{name: given[name] for name in ("client_id", "client_secret", "refresh_token")}}


both = pytest.mark.parametrize("provider", ["google", "microsoft"])


async def connected(call: httpx.AsyncClient, credentials: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await call.post("/calendars", json=credentials | more)
    assert answer.status_code in {200, 201}, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def the_connection(call: httpx.AsyncClient) -> dict[str, Any]:
    [found] = (await call.get("/connections")).json()["data"]
    return dict(found)


async def patched(call: httpx.AsyncClient, connection: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    answer = await call.patch(f"/connections/{connection['id']}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def acts(stage: Stage) -> list[tuple[str, Any]]:
    async with stage.gateway.database.read() as conn:
        rows = await conn.execute(select(_audit.c.action, _audit.c.details).order_by(_audit.c.seq))
        return [(row.action, row.details) for row in rows if row.action.startswith(("connection.", "calendar."))]


async def name_user(stage: Stage, user_id: str) -> None:
    """As the hosted flow does for the accounts that its users connect."""
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(_rows).values(user_id=user_id))


@both
async def test_a_calendar_that_was_posted_has_a_connection(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any], provider: str
) -> None:
    calendar = await connected(call, credentials, name="Ada")
    await stage.sync()

    shown = await the_connection(call)
    own = await call.get(f"/connections/{shown['id']}")

    assert own.json() == shown
    assert own.headers["etag"] == f'"{shown["version"]}"'
    assert shown["calendars"] == [
        {"id": calendar["id"], "raw_calendar_id": calendar["raw_calendar_id"], "name": "Ada", "status": "active"}
    ]
    raw_id = calendar["raw_calendar_id"]
    assert {name: value for name, value in shown.items() if name not in {"id", "calendars", "updated_at"}} == {
        "provider": provider,
        "email": ADA,
        "user_id": None,
        "status": "active",
        "is_primary": True,
        "last_sync_at": "2026-03-02T09:00:00Z",
        "error_code": None,
        "error_message": None,
        "settings": {
            "primary_calendar": raw_id,
            "selected_calendars": [raw_id],
            "busy_calendars": [raw_id],
            "block_busy_time": True,
            "validate_availability": False,
            "cancel_if_declined_or_deleted": False,
            "disable_attendee_notification": False,
            "sync_buffers_to_calendar": False,
            "sync_direction": "both",
            "sync_frequency": None,
            "event_defaults": {"visibility": None, "reminders": None},
            "event_privacy": {
                "show_title": True,
                "show_description": True,
                "show_attendees": True,
                "show_location": True,
            },
            "zoom_settings": {
                "join_before_host": None,
                "mute_upon_entry": None,
                "waiting_room": None,
                "auto_recording": None,
            },
        },
        "access": None,
        "scopes": [],
        "version": 1,
        "created_at": "2026-03-02T09:00:00Z",
    }
    for secret in ("refresh_token", "client_secret"):
        assert credentials[secret] not in own.text


@both
async def test_calendars_are_selected_and_deselected(
    call: httpx.AsyncClient, stage: Stage, world: Any, credentials: dict[str, Any]
) -> None:
    first = await connected(call, credentials)
    team = world.add_calendar(ADA, "Team")
    world.add_meeting(team, "Stand-up", in_minutes=60)
    await stage.sync()
    await stage.renew_channels()
    connection = await the_connection(call)
    await stage.subscribe("calendar.*")

    listed = (await call.get(f"/connections/{connection['id']}/calendars")).json()
    assert listed["next_cursor"] is None
    by_id = {each["id"]: each for each in listed["data"]}
    assert set(by_id[team]) == {"id", "name", "is_primary", "can_edit", "selected", "color", "time_zone"}
    assert [(by_id[one]["is_primary"], by_id[one]["selected"]) for one in (first["raw_calendar_id"], team)] == [
        (True, True),
        (False, False),
    ]
    assert by_id[team]["can_edit"] is True

    added = await patched(call, connection, {"selected_calendars": [first["raw_calendar_id"], team]})
    assert [each["raw_calendar_id"] for each in added["calendars"]] == [first["raw_calendar_id"], team]
    assert added["version"] == 2
    again = await patched(call, connection, {"selected_calendars": [team, first["raw_calendar_id"], team]})
    assert again == added, "the same wish again changes nothing"
    await stage.sync()
    new_id = added["calendars"][1]["id"]
    assert [event.title for event in await stage.events(UUID(new_id))] == ["Stand-up"]
    posted = await call.post("/calendars", json=credentials | {"raw_calendar_id": team})
    assert (posted.status_code, posted.json()["id"]) == (200, new_id), "the same calendars as in POST /calendars"

    left = await patched(call, connection, {"selected_calendars": [team]})
    assert [each["id"] for each in left["calendars"]] == [new_id]
    assert left["settings"]["selected_calendars"] == left["settings"]["busy_calendars"] == [team]
    assert (await call.get(f"/calendars/{first['id']}")).status_code == 404
    assert await stage.count("channels") == 0, "push of the calendar that went is stopped"
    told = [(kind, data["calendar_id"]) for kind, data in await stage.messages()]
    assert told[0] == ("calendar.created", new_id)
    assert told[-1] == ("calendar.deleted", first["id"])
    assert [kind for kind, _ in await acts(stage)] == [
        "calendar.created",
        "calendar.created",
        "connection.changed",
        "calendar.reconnected",
        "calendar.deleted",
        "connection.changed",
    ]


async def test_an_account_without_calendars(call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]) -> None:
    """As Zoom's: it has settings, a status of its own, and nothing to select."""
    await connected(call, credentials)
    connection = await the_connection(call)
    path = f"/connections/{connection['id']}"
    await patched(call, connection, {"selected_calendars": []})
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(_rows).values(provider="zoom"))

    assert (await call.get(f"{path}/calendars")).json() == {"data": [], "next_cursor": None}
    refused = await call.patch(path, json={"selected_calendars": ["primary"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "calendar_not_found")
    chosen = await patched(call, connection, {"zoom_settings": {"waiting_room": True}, "selected_calendars": None})
    assert (chosen["provider"], chosen["status"], chosen["calendars"], chosen["last_sync_at"]) == (
        ("zoom", "active", [], None)
    )
    synced = (await call.get(f"{path}/sync")).json()
    assert (synced["calendars"], synced["rate_limited"], synced["next_sync_at"]) == ([], False, None)
    assert (await call.post(f"{path}/resync")).status_code == 202
    assert (await call.delete(path)).status_code == 204


async def test_push_of_a_deselected_calendar_ends_at_the_provider(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    team = world.add_calendar(ADA, "Team")
    await stage.sync()
    await stage.renew_channels()
    world.take_pushes()

    await patched(call, await the_connection(call), {"selected_calendars": [team]})

    world.add_meeting(ADA, "Nobody hears of it", in_minutes=60)
    assert world.take_pushes() == []


async def test_a_connection_stays_without_calendars_when_its_user_wants_that(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    calendar = await connected(call, credentials)
    connection = await the_connection(call)

    emptied = await patched(call, connection, {"selected_calendars": []})
    assert (emptied["calendars"], emptied["status"], emptied["last_sync_at"]) == ([], "active", None)
    assert await the_connection(call) == emptied

    back = await patched(call, connection, {"selected_calendars": None})
    assert back["settings"]["selected_calendars"] == [calendar["raw_calendar_id"]], "the default is the primary one"
    assert (await patched(call, connection, {"selected_calendars": ["primary"]}))["version"] == back["version"]
    await stage.sync()
    assert (await the_connection(call))["last_sync_at"] is not None


async def test_a_project_has_no_more_calendars_than_it_may(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    team, other = (world.add_calendar(ADA, name) for name in ("Team", "Other"))
    connection = await the_connection(call)
    limited = msgspec.structs.replace(stage.gateway.settings, max_calendars_per_project=2)
    object.__setattr__(stage.gateway, "settings", limited)

    full = await call.patch(f"/connections/{connection['id']}", json={"selected_calendars": [ADA, team, other]})
    assert (full.status_code, full.json()["errors"]) == (
        422,
        [{"field": "selected_calendars", "message": "one too many"}],
    )
    assert await the_connection(call) == connection
    await patched(call, connection, {"selected_calendars": [ADA, team]})
    swapped = await patched(call, connection, {"selected_calendars": [other, team]})
    assert set(swapped["settings"]["selected_calendars"]) == {team, other}, "what goes makes room for what comes"


async def test_a_client_that_was_registered_outlives_its_connections(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    async with stage.gateway.database.write() as conn:
        await conn.execute(update(_clients).values(is_registered=True))
        await conn.execute(update(_rows).values(is_kept=True))
    connection = await the_connection(call)
    [calendar] = connection["calendars"]
    assert (await call.delete(f"/calendars/{calendar['id']}")).status_code == 204
    assert (await the_connection(call))["calendars"] == [], "a user has connected the account as such"
    assert (await call.delete(f"/connections/{connection['id']}")).status_code == 204
    assert [await stage.count(table) for table in ("connections", "oauth_clients")] == [0, 1]


@pytest.mark.parametrize("field", ["selected_calendars", "busy_calendars", "primary_calendar"])
async def test_a_calendar_that_the_account_does_not_have(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any], field: str
) -> None:
    calendar = await connected(call, credentials)
    connection = await the_connection(call)
    named = "nobody@example.com"
    wish = {field: named if field == "primary_calendar" else [calendar["raw_calendar_id"], named]}

    refused = await call.patch(f"/connections/{connection['id']}", json=wish | {"sync_frequency": 5})

    assert (refused.status_code, refused.json()["code"]) == (422, "calendar_not_found"), refused.text
    assert refused.json()["errors"] == [{"field": field, "message": f"not found: {named}"}]
    assert await the_connection(call) == connection, "nothing of it was stored"
    assert await stage.count("calendars") == 1


async def test_new_events_cannot_go_to_a_calendar_that_may_only_be_read(
    call: httpx.AsyncClient, world: World, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    world.connect("grace@example.com")
    shared = world.add_calendar("grace@example.com", "Grace's")
    world.share_calendar(shared, ADA, "reader")
    connection = await the_connection(call)

    [raw] = [
        each for each in (await call.get(f"/connections/{connection['id']}/calendars")).json()["data"]
        if each["id"] == shared
    ]  # fmt: skip
    refused = await call.patch(f"/connections/{connection['id']}", json={"primary_calendar": shared})
    looked_at = await patched(call, connection, {"busy_calendars": [shared, shared]})

    assert raw["can_edit"] is False
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "primary_calendar")
    assert looked_at["settings"]["busy_calendars"] == [shared]


async def test_settings_are_changed_in_part_and_brought_back(call: httpx.AsyncClient, credentials: Any) -> None:
    await connected(call, credentials)
    connection = await the_connection(call)

    await patched(call, connection, {"event_defaults": {"visibility": "private"}, "sync_direction": "inbound"})
    await patched(call, connection, {"event_defaults": {"reminders": [10, 60]}, "event_privacy": {"show_title": False}})
    both_set = await patched(call, connection, {"zoom_settings": {"waiting_room": True, "auto_recording": "cloud"}})
    assert both_set["settings"]["event_defaults"] == {"visibility": "private", "reminders": [10, 60]}
    assert both_set["settings"]["event_privacy"]["show_title"] is False
    assert both_set["settings"]["zoom_settings"]["auto_recording"] == "cloud"

    part = await patched(call, connection, {"event_defaults": {"visibility": None}, "zoom_settings": None})
    assert part["settings"]["event_defaults"] == {"visibility": None, "reminders": [10, 60]}
    names = [name for name in part["settings"] if name != "selected_calendars"]
    default = await patched(call, connection, dict.fromkeys(names))
    assert default["settings"] == connection["settings"]
    assert (await patched(call, connection, {}))["version"] == default["version"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"colour": "red"}, "colour", id="unknown"),
        pytest.param({"status": "active"}, "status", id="not a setting"),
        pytest.param({"event_privacy": {"show_all": True}}, "event_privacy.show_all", id="unknown within"),
        pytest.param({"sync_frequency": 0}, "sync_frequency", id="too often"),
        pytest.param({"sync_frequency": 1441}, "sync_frequency", id="too rarely"),
        pytest.param({"sync_frequency": True}, "sync_frequency", id="no number"),
        pytest.param({"sync_direction": "sideways"}, "sync_direction", id="direction"),
        pytest.param({"event_defaults": {"visibility": "secret"}}, "event_defaults.visibility", id="visibility"),
        pytest.param({"event_defaults": {"reminders": [-1]}}, "event_defaults.reminders[0]", id="reminder"),
        pytest.param({"zoom_settings": {"auto_recording": "tape"}}, "zoom_settings.auto_recording", id="recording"),
        pytest.param({"selected_calendars": "primary"}, "selected_calendars", id="no list"),
        pytest.param({"selected_calendars": [""]}, "selected_calendars[0]", id="an empty id"),
        pytest.param({"block_busy_time": "yes"}, "block_busy_time", id="no boolean"),
    ],
)
async def test_settings_that_are_none(
    call: httpx.AsyncClient, credentials: Any, body: dict[str, Any], field: str
) -> None:
    await connected(call, credentials)
    connection = await the_connection(call)
    refused = await call.patch(f"/connections/{connection['id']}", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert [each["field"] for each in refused.json()["errors"]] == [field]
    assert await the_connection(call) == connection


async def test_a_change_is_made_to_the_version_that_was_seen(call: httpx.AsyncClient, credentials: Any) -> None:
    await connected(call, credentials)
    path = f"/connections/{(await the_connection(call))['id']}"
    first = await call.patch(path, json={"sync_frequency": 5}, headers={"if-match": '"1"'})
    assert first.headers["etag"] == '"2"'
    for refused in (
        await call.patch(path, json={"sync_frequency": 6}, headers={"if-match": '"1"'}),
        await call.delete(path, headers={"if-match": '"1"'}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert (await call.get(path)).json()["settings"]["sync_frequency"] == 5
    assert (await call.delete(path, headers={"if-match": '"2"'})).status_code == 204


async def test_two_who_change_at_once_make_one_after_the_other(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    team, other = (world.add_calendar(ADA, name) for name in ("Team", "Other"))
    path = f"/connections/{(await the_connection(call))['id']}"
    await stage.subscribe("calendar.*")

    bodies = [{"selected_calendars": [ADA, team]}, {"selected_calendars": [ADA, other]}, {"sync_frequency": 7}]
    answers = await asyncio.gather(*(call.patch(path, json=body) for body in bodies * 2))

    assert {answer.status_code for answer in answers} == {200}
    shown = (await call.get(path)).json()
    assert shown["settings"]["sync_frequency"] == 7
    assert set(shown["settings"]["selected_calendars"]) in ({ADA, team}, {ADA, other}), "one of the wishes, whole"
    told = [(kind, data["raw_calendar_id"]) for kind, data in await stage.messages()]
    balance = dict.fromkeys((team, other), 0)
    for kind, raw_id in told:
        balance[raw_id] += 1 if kind == "calendar.created" else -1
    assert {one for one, count in balance.items() if count} == set(shown["settings"]["selected_calendars"]) - {ADA}
    tagged = await asyncio.gather(
        *(call.patch(path, json={"sync_frequency": n}, headers={"if-match": f'"{shown["version"]}"'}) for n in (8, 9))
    )
    assert sorted(answer.status_code for answer in tagged) == [200, 412]


async def test_a_connection_goes_with_all_that_it_has(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    team = world.add_calendar(ADA, "Team")
    connection = await the_connection(call)
    await patched(call, connection, {"selected_calendars": [ADA, team]})
    world.add_meeting(team, "Stand-up", in_minutes=60)
    await stage.sync()
    await stage.renew_channels()
    world.take_pushes()
    await stage.subscribe("calendar.*", "integration.*")

    gone = await call.delete(f"/connections/{connection['id']}")

    assert (gone.status_code, gone.content) == (204, b"")
    for table in ("connections", "oauth_clients", "calendars", "channels", "events", "pushes"):
        assert await stage.count(table) == 0, table
    told = await stage.messages()
    assert [kind for kind, _ in told] == ["calendar.deleted", "calendar.deleted", "integration.disconnected"]
    assert told[-1][1] == {
        "connection_id": connection["id"],
        "user_id": None,
        "provider": "google",
        "email": ADA,
        "status": "disconnected",
        "previous_status": "active",
        "error_code": None,
        "error_message": None,
    }
    assert world.grants[-1].revoked is False, "the user's grant is not ours to end"
    world.add_meeting(ADA, "Nobody hears of it", in_minutes=60)
    assert world.take_pushes() == []
    assert (await call.delete(f"/connections/{connection['id']}")).status_code == 404
    assert [kind for kind, _ in await acts(stage)][-3:] == [
        "calendar.deleted",
        "calendar.deleted",
        "connection.deleted",
    ]


async def test_a_connection_is_let_go_while_it_is_read(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    world.add_meeting(ADA, "a", in_minutes=60)
    connection = await the_connection(call)
    await stage.subscribe("calendar.*", "integration.*")
    await stage.syncer.run_due()

    gone = await call.delete(f"/connections/{connection['id']}")
    await stage.syncer.idle()

    assert gone.status_code == 204
    assert [await stage.count(table) for table in ("connections", "calendars", "events")] == [0, 0, 0]
    kinds = [kind for kind, _ in await stage.messages()]
    assert kinds.count("calendar.deleted") == kinds.count("integration.disconnected") == 1
    assert kinds[-1] == "integration.disconnected"


async def test_who_is_connected(call: httpx.AsyncClient, stage: Stage, world: World, credentials: Any) -> None:
    nobody = {"connected": False, "connections": []}
    for query in ("", "?user_id=", "?user_id=42", f"?user_id={'x' * 5000}", "?user_id=%ff"):
        answer = await call.get(f"/connections/status{query}")
        assert (answer.status_code, answer.json()) == (200, nobody), query
    await connected(call, credentials)
    await name_user(stage, "42")
    await stage.sync()

    asked = (await call.get("/connections/status?user_id=42")).json()
    assert asked == {"connected": True, "connections": [await the_connection(call)]}
    assert (await call.get("/connections/status?user_id=4")).json() == nobody

    world.revoke_consent(ADA)
    await call.post(f"/connections/{asked['connections'][0]['id']}/refresh")
    lost = (await call.get("/connections/status?user_id=42")).json()
    assert (lost["connected"], lost["connections"][0]["status"]) == (False, "token_expired")


async def test_what_is_a_strangers_is_unknown(
    call: httpx.AsyncClient, stranger: httpx.AsyncClient, anybody: httpx.AsyncClient, stage: Stage, credentials: Any
) -> None:
    await connected(call, credentials)
    await name_user(stage, "42")
    connection = await the_connection(call)
    for connection_id in (connection["id"], str(uuid7())):
        path = f"/connections/{connection_id}"
        requests = [("GET", path, None), ("DELETE", path, None), ("PATCH", path, {"sync_frequency": 5})]
        requests += [("GET", f"{path}/{each}", None) for each in ("calendars", "sync")]
        requests += [("POST", f"{path}/{each}", None) for each in ("refresh", "resync", "set_primary")]
        for method, where, body in requests:
            answer = await stranger.request(method, where, json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, where)
            assert (await anybody.request(method, where, json=body)).status_code == 401
    assert (await stranger.get("/connections")).json()["data"] == []
    assert (await stranger.get("/connections/status?user_id=42")).json()["connected"] is False
    assert (await anybody.get("/connections/status?user_id=42")).status_code == 401
    assert await the_connection(call) == connection


@both
async def test_a_token_is_renewed_now(
    call: httpx.AsyncClient, stage: Stage, world: Any, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    await stage.sync()
    connection = await the_connection(call)
    path = f"/connections/{connection['id']}"
    await stage.subscribe("integration.*")
    asked = len(world.read_calls("token"))
    fresh = await call.post(f"{path}/refresh")
    assert (fresh.status_code, fresh.json()["status"]) == (200, "active")
    assert len(world.read_calls("token")) == asked + 1, "once, although the old token was still good"

    world.revoke_consent(ADA)
    dead = (await call.post(f"{path}/refresh")).json()
    assert (dead["status"], dead["error_code"]) == ("token_expired", "credentials_rejected")
    assert "sign in again" in dead["error_message"]
    assert (await call.post(f"{path}/refresh")).json()["status"] == "token_expired"
    assert (await call.get(f"{path}/calendars")).json()["code"] == "credentials_rejected"

    renewed = world.connect(ADA)
    await connected(call, credentials | {"refresh_token": renewed["refresh_token"]})
    await stage.sync()
    assert (await the_connection(call))["status"] == "active"
    assert [(kind, data["status"], data["previous_status"]) for kind, data in await stage.messages()] == [
        ("integration.error", "token_expired", "active"),
        ("integration.synced", "active", "token_expired"),
    ]


async def test_an_outage_of_the_token_endpoint_says_nothing_of_the_connection(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    await stage.sync()
    connection = await the_connection(call)
    world.add_fault("backend_500", endpoint="token", times=None)

    answer = await call.post(f"/connections/{connection['id']}/refresh")

    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert (await the_connection(call))["status"] == "active"


async def test_calendars_are_read_now(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    calendar = await connected(call, credentials)
    await stage.sync()
    connection = await the_connection(call)
    path = f"/connections/{connection['id']}/resync"
    stage.clock.advance(1)

    for body, expected in (
        (None, {"full": 0}),
        ({"full_sync": False}, {"full": 0}),
        ({"full_sync": True}, {"full": 1}),
    ):
        answer = await call.post(path, json=body) if body else await call.post(path)
        assert (answer.status_code, answer.json()["id"]) == (202, connection["id"])
        assert await stage.sync() == 1
        assert (await acts(stage))[-1] == ("connection.resynced", expected)
        stage.clock.advance(1)
    assert (await call.post(path, json={"full": True})).status_code == 422

    world.revoke_consent(ADA)
    world.expire_access_tokens(ADA)
    for _ in range(2):
        await stage.sync_again(UUID(calendar["id"]))
        stage.clock.advance(70)
    lost = await call.post(path)
    assert (lost.status_code, lost.json()["code"]) == (409, "conflict")


async def test_how_the_synchronisation_stands(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    calendar = await connected(call, credentials)
    await stage.sync()
    path = f"/connections/{(await the_connection(call))['id']}/sync"
    shown = (await call.get(path)).json()
    own = (await call.get(f"/calendars/{calendar['id']}/sync")).json()
    assert shown["calendars"] == [own | {"calendar_id": calendar["id"], "raw_calendar_id": ADA}]
    assert (shown["rate_limited"], shown["rate_limit_resets_at"]) == (False, None)
    assert (shown["last_sync_at"], shown["next_sync_at"]) == (own["last_synced_at"], own["next_sync_at"])

    world.add_fault("user_rate_limit_403", times=None)
    await stage.sync_again(UUID(calendar["id"]))
    slowed = (await call.get(path)).json()
    assert slowed["rate_limited"] is True
    assert (
        slowed["rate_limit_resets_at"]
        == (await call.get(f"/calendars/{calendar['id']}/sync")).json()["rate_limited_until"]
    )


async def test_one_connection_of_a_user_is_primary(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    for email in ("bob@example.com", "cy@example.com"):
        given = world.connect(email)
        await connected(call, {"provider": "google", **{name: given[name] for name in credentials if name in given}})
    await name_user(stage, "42")
    ids = [each["id"] for each in (await call.get("/connections?user_id=42")).json()["data"]]
    assert len(ids) == 3

    answers = await asyncio.gather(*(call.post(f"/connections/{each}/set_primary") for each in ids))
    assert {answer.status_code for answer in answers} == {200}
    chosen = await call.post(f"/connections/{ids[1]}/set_primary")
    assert chosen.json()["is_primary"] is True
    assert [each["is_primary"] for each in (await call.get("/connections")).json()["data"]] == [False, True, False]
    repeated = await call.post(f"/connections/{ids[1]}/set_primary")
    assert repeated.json()["version"] == chosen.json()["version"]


async def test_connections_are_listed_in_pages_and_by_what_they_are(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> None:
    await connected(call, credentials)
    await name_user(stage, "42")
    given = world.connect("bob@example.com")
    await connected(call, {"provider": "google", **{name: given[name] for name in credentials if name in given}})
    await stage.sync()
    world.revoke_consent("bob@example.com")
    everybody = (await call.get("/connections")).json()["data"]
    await call.post(f"/connections/{everybody[1]['id']}/refresh")

    async def emails(query: str) -> list[str]:
        return [each["email"] for each in (await call.get(f"/connections?{query}")).json()["data"]]

    assert await emails("user_id=42") == [ADA]
    assert await emails("email=BOB@example.com") == ["bob@example.com"]
    assert await emails("status=active") == [ADA]
    assert await emails("status=token_expired") == ["bob@example.com"]
    assert await emails("status=disconnected") == []
    assert await emails("provider=google") == [ADA, "bob@example.com"]
    assert await emails("provider=outlook") == []
    assert (await call.get("/connections?status=broken")).status_code == 422
    page = (await call.get("/connections?limit=1")).json()
    assert [each["email"] for each in page["data"]] == [ADA]
    assert await emails(f"limit=1&cursor={page['next_cursor']}") == ["bob@example.com"]
    assert (await call.get("/connections?cursor=forged")).status_code == 422


@pytest.mark.parametrize(
    ("method", "route", "scope"),
    [("GET", "", "read"), ("GET", "/sync", "read"), ("PATCH", "", "write"), ("DELETE", "", "write")]
    + [("POST", f"/{each}", "write") for each in ("refresh", "resync", "set_primary")],
)
async def test_who_may_do_what(
    call: httpx.AsyncClient, keys: dict[str, str], credentials: Any, method: str, route: str, scope: str
) -> None:
    await connected(call, credentials)
    path = f"/connections/{(await the_connection(call))['id']}{route}"
    body = {"sync_frequency": 5} if method == "PATCH" else None
    answers = {
        held: (
            await call.request(method, path, json=body, headers={"authorization": f"Bearer {keys[held]}"})
        ).status_code
        for held in ("read", "write")
    }
    assert (answers["read"] == 403) is (scope == "write")
    assert answers["write"] < 300
