"""PATCH of a calendar: new credentials in each form that it takes, settings, defaults, and what it refuses."""

from typing import Any

import httpx
import pytest
from flows.stage import Stage

pytestmark = pytest.mark.anyio

ADA = "ada@example.com"


async def connected(call: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await call.post("/calendars", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_patch_takes_new_credentials(call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any]) -> None:
    calendar = await connected(call, credentials)
    await stage.sync()
    answer = await call.patch(f"/calendars/{calendar['id']}", json=credentials | {"name": "again"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["name"]) == ("syncing", "again")


@pytest.mark.parametrize(
    "given", [("refresh_token",), ("client_id", "client_secret", "refresh_token"), ("provider", "refresh_token")]
)
async def test_patch_knows_the_provider_and_the_client_of_its_calendar(
    call: httpx.AsyncClient, stage: Stage, credentials: dict[str, Any], given: tuple[str, ...]
) -> None:
    calendar = await connected(call, credentials)
    stage.world.revoke_consent(ADA)
    for _ in range(2):
        stage.clock.advance(hours=2)
        await stage.sync()
    path = f"/calendars/{calendar['id']}"
    assert (await call.get(path)).json()["status"] == "disconnected"
    fresh = {"provider": "google", **stage.world.connect(ADA)}

    answer = await call.patch(path, json={name: fresh[name] for name in given})

    assert (answer.status_code, answer.json().get("status")) == (200, "syncing"), answer.text
    await stage.sync()
    assert (await call.get(path)).json()["status"] == "active"


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        pytest.param({"client_id": "c"}, ["client_secret", "refresh_token"], id="only-a-client-id"),
        pytest.param({"client_id": "c", "refresh_token": "t"}, ["client_secret"], id="no-secret"),
        pytest.param({"client_secret": "s"}, ["client_id", "refresh_token"], id="only-a-secret"),
        pytest.param({"client_id": "c", "client_secret": "s"}, ["refresh_token"], id="no-token"),
        pytest.param({"provider": "outlook", "refresh_token": "t"}, ["provider"], id="provider"),
        pytest.param({"provider": "outlook"}, ["provider"], id="provider-alone"),
        pytest.param({"provider": None}, ["provider"], id="no-provider"),
        pytest.param({"provider": "zoom"}, ["provider"], id="unknown-provider"),
        pytest.param({"refresh_token": None}, ["refresh_token"], id="null"),
        pytest.param({"raw_calendar_id": "x"}, ["raw_calendar_id"], id="another-calendar"),
        pytest.param({"password": "p"}, ["password"], id="a-password"),
        pytest.param({"url": "https://x.example/a.ics", "refresh_token": "t"}, ["url"], id="an-address-too"),
        pytest.param({"tenant_id": "common", "username": "u"}, ["tenant_id", "username"], id="fields-of-two-others"),
    ],
)
async def test_patch_names_the_fields_that_are_missing_or_wrong(
    call: httpx.AsyncClient, credentials: dict[str, Any], wrong: dict[str, Any], fields: list[str]
) -> None:
    calendar = await connected(call, credentials)
    answer = await call.patch(f"/calendars/{calendar['id']}", json=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert (await call.get(f"/calendars/{calendar['id']}")).json() == calendar


async def test_credentials_for_a_calendar_that_is_not_there_are_not_looked_at(
    call: httpx.AsyncClient, stranger: httpx.AsyncClient, credentials: dict[str, Any]
) -> None:
    calendar = await connected(call, credentials)
    for client, path in ((call, f"/calendars/{'0' * 32}"), (stranger, f"/calendars/{calendar['id']}")):
        answer = await client.patch(path, json={"password": "p"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_null_brings_a_setting_back_to_its_default(call: httpx.AsyncClient, credentials: dict[str, Any]) -> None:
    calendar = await connected(call, credentials | {"name": "Ada", "metadata": {"a": 1}, "horizon_days": 60})
    answer = await call.patch(
        f"/calendars/{calendar['id']}", json={"name": None, "metadata": None, "horizon_days": None}
    )
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in ("name", "metadata", "horizon_days")} == {
        "name": None,
        "metadata": {},
        "horizon_days": 30,
    }


async def test_an_empty_patch_changes_nothing(call: httpx.AsyncClient, credentials: dict[str, Any]) -> None:
    calendar = await connected(call, credentials)
    path = f"/calendars/{calendar['id']}"
    for body in ({}, {"provider": "google"}):
        answer = await call.patch(path, json=body)
        assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, calendar, '"1"')
    assert (await call.patch(path, json={}, headers={"if-match": '"2"'})).status_code == 412
