"""GET and PATCH of the project, and what a calendar may decide itself."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from api.conftest import client_of
from flows.stage import Stage
from litestar import Litestar

pytestmark = pytest.mark.anyio

HOSTS = ["Meet.example.org", {"host": "rooms.example.org", "platform": "bigbluebutton"}, {"host": "calls.example.org"}]


async def test_a_project_shows_what_it_decides(call: httpx.AsyncClient, stage: Stage) -> None:
    answer = await call.get("/project")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
    at = stage.clock().isoformat().replace("+00:00", "Z")
    assert answer.json() == {
        "id": str(stage.project),
        "name": "acme",
        "starting_lead_seconds": [600, 60],
        "link_preference": "structured",
        "meeting_hosts": [],
        "version": 1,
        "created_at": at,
        "updated_at": at,
    }


async def test_a_patch_is_shown_as_it_was_given(call: httpx.AsyncClient, stage: Stage) -> None:
    before = (await call.get("/project")).json()
    stage.clock.advance(60)
    given = {"name": "Acme", "starting_lead_seconds": [0, 86400, 300], "link_preference": "typed"}
    given["meeting_hosts"] = HOSTS
    answer = await call.patch("/project", json=given)
    at = stage.clock().isoformat().replace("+00:00", "Z")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"'), answer.text
    assert answer.json() == before | given | {"version": 2, "updated_at": at}
    assert (await call.get("/project")).json() == answer.json()


async def test_null_and_nothing_at_all(call: httpx.AsyncClient) -> None:
    before = (await call.get("/project")).json()
    given: dict[str, Any] = {"starting_lead_seconds": [], "link_preference": "typed", "meeting_hosts": HOSTS}
    changed = (await call.patch("/project", json=given)).json()
    assert (await call.patch("/project", json={})).json() == changed
    answer = await call.patch("/project", json=dict.fromkeys(given))
    assert answer.json() == before | {"version": 3}


@pytest.mark.parametrize("path", ["/project", "calendar"])
@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        pytest.param({"link_preference": "best"}, "link_preference", "accepted values", id="preference"),
        pytest.param({"meeting_hosts": "meet.example.org"}, "meeting_hosts", "array", id="no-list"),
        pytest.param({"meeting_hosts": [1]}, "meeting_hosts[0]", "", id="number"),
        pytest.param({"meeting_hosts": [""]}, "meeting_hosts[0]", "length", id="empty"),
        pytest.param({"meeting_hosts": ["a.b", "https://a.b"]}, "meeting_hosts[1]", "scheme", id="scheme"),
        pytest.param({"meeting_hosts": ["a.b:443"]}, "meeting_hosts[0]", "port", id="port"),
        pytest.param({"meeting_hosts": ["192.0.2.1"]}, "meeting_hosts[0]", "IP address", id="address"),
        pytest.param({"meeting_hosts": [{"host": "localhost"}]}, "meeting_hosts[0].host", "single label", id="object"),
        pytest.param({"meeting_hosts": ["a.b", {"host": "A.B"}]}, "meeting_hosts[1].host", "twice", id="twice"),
        pytest.param({"meeting_hosts": [{"platform": "jitsi"}]}, "meeting_hosts[0].host", "required", id="no-host"),
        pytest.param({"meeting_hosts": [{"host": "a.b", "platform": "zoom"}]}, "meeting_hosts[0].platform", "", id="platform"),
        pytest.param({"meeting_hosts": [{"host": "a.b", "x": 1}]}, "meeting_hosts[0].x", "", id="unknown-in-host"),
        pytest.param({"meeting_hosts": [f"h{number}.example" for number in range(51)]}, "meeting_hosts", "50", id="many"),
    ],
)  # fmt: skip
async def test_choices_about_links_are_checked(
    call: httpx.AsyncClient, credentials: dict[str, Any], path: str, wrong: dict[str, Any], field: str, says: str
) -> None:
    if path == "calendar":
        refused = await call.post("/calendars", json=credentials | wrong)
        assert (refused.status_code, [each["field"] for each in refused.json()["errors"]]) == (422, [field])
        path = f"/calendars/{(await call.post('/calendars', json=credentials)).json()['id']}"
    before = (await call.get(path)).json()
    answer = await call.patch(path, json=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert says in error["message"]
    assert (await call.get(path)).json() == before


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        pytest.param({"colour": "red"}, "colour", id="unknown"),
        pytest.param({"id": "0199f3a2-5a0d-7e24-8c11-9b3d47a6e0f2"}, "id", id="id"),
        pytest.param({"seq": 7}, "seq", id="column"),
        pytest.param({"name": ""}, "name", id="no-name"),
        pytest.param({"name": None}, "name", id="null-name"),
        pytest.param({"name": "x" * 201}, "name", id="long-name"),
        pytest.param({"name": "a\nb"}, "name", id="two-lines"),
        pytest.param({"name": " a"}, "name", id="space-around"),
        pytest.param({"starting_lead_seconds": 60}, "starting_lead_seconds", id="no-list"),
        pytest.param({"starting_lead_seconds": [-1]}, "starting_lead_seconds[0]", id="negative"),
        pytest.param({"starting_lead_seconds": [60, 86401]}, "starting_lead_seconds[1]", id="more-than-a-day"),
        pytest.param({"starting_lead_seconds": [True]}, "starting_lead_seconds[0]", id="boolean"),
        pytest.param({"starting_lead_seconds": [60.5]}, "starting_lead_seconds[0]", id="fraction"),
        pytest.param({"starting_lead_seconds": [60, 600, 60]}, "starting_lead_seconds", id="twice"),
        pytest.param({"starting_lead_seconds": list(range(11))}, "starting_lead_seconds", id="eleven"),
    ],
)
async def test_what_a_project_cannot_decide(call: httpx.AsyncClient, wrong: dict[str, Any], field: str) -> None:
    before = (await call.get("/project")).json()
    answer = await call.patch("/project", json=wrong)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await call.get("/project")).json() == before


async def test_a_change_of_an_older_version_is_refused(call: httpx.AsyncClient) -> None:
    assert (await call.patch("/project", json={"name": "b"}, headers={"if-match": '"1"'})).status_code == 200
    stale = await call.patch("/project", json={"link_preference": "typed"}, headers={"if-match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert (await call.get("/project")).json()["link_preference"] == "structured"


async def test_a_name_has_one_project(call: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    answer = await call.patch("/project", json={"name": "stranger", "link_preference": "typed"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert [error["field"] for error in answer.json()["errors"]] == ["name"]
    assert (await call.get("/project")).json()["version"] == 1
    assert (await call.patch("/project", json={"name": "acme"})).status_code == 200, "its own is no conflict"
    assert (await stranger.get("/project")).json()["name"] == "stranger"


async def test_a_key_sees_its_own_project_and_needs_the_scope(
    api: Litestar,
    keys: dict[str, str],
    call: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    anybody: httpx.AsyncClient,
) -> None:
    assert (await stranger.get("/project")).json()["id"] != (await call.get("/project")).json()["id"]
    assert (await anybody.get("/project")).status_code == 401
    async with client_of(api, keys["read"]) as reader, client_of(api, keys["write"]) as writer:
        assert (await reader.get("/project")).status_code == 200
        assert (await reader.patch("/project", json={"name": "mine"})).status_code == 403
        assert (await writer.patch("/project", json={"name": "mine"})).status_code == 200
    assert (await stranger.get("/project")).json()["name"] == "stranger"


async def test_a_calendar_shows_what_it_decides_itself(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"link_preference": "typed", "meeting_hosts": HOSTS}
    made = (await call.post("/calendars", json=credentials | given)).json()
    assert {name: made[name] for name in given} == given
    path = f"/calendars/{made['id']}"

    answer = await call.patch(path, json=dict.fromkeys(given))
    assert (answer.status_code, answer.json()["version"]) == (200, 2), answer.text
    assert {name: answer.json()[name] for name in given} == dict.fromkeys(given)
    # What the project decides is not the calendar's own, and no change of it.
    await call.patch("/project", json={"link_preference": "typed", "meeting_hosts": HOSTS})
    assert (await call.get(path)).json() == answer.json() | {"next_sync_at": made["next_sync_at"]}
    row = await stage.calendar(UUID(made["id"]))
    assert row.link_rules["preference"] == "typed"
    assert row.link_rules["hosts"][0] == {"host": "meet.example.org", "platform": None}

    none_at_all = await call.patch(path, json={"meeting_hosts": [], "link_preference": "structured"})
    assert (none_at_all.json()["meeting_hosts"], none_at_all.json()["link_preference"]) == ([], "structured")
    row = await stage.calendar(UUID(made["id"]))
    assert row.link_rules == {"preference": "structured", "hosts": []}


async def test_other_lead_times_are_announced_by(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]
) -> None:
    await call.post("/calendars", json=credentials)
    stage.world.add_meeting("ada@example.com", "soon", in_minutes=120)
    await stage.sync()
    await call.patch("/project", json={"starting_lead_seconds": [3600]})
    await stage.subscribe("meeting.starting")
    stage.clock.advance(hours=1)
    assert await stage.announce() == [("soon", 3600)]
