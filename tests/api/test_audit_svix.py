"""With a Svix server behind the desk the same acts leave the same entries, once the server has done them."""

import dataclasses
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from api.conftest import client_of
from fake_svix import TOKEN, FakeSvix, listening
from flows.stage import Stage
from webhook_receivers import answers
from webhook_receivers import listening as receiving

from service.api.routes import create_api
from service.flows.svix import open_remote
from service.providers.guarded_http import Slots
from service.store import audit
from service.store.audit import Wanted
from webhooks.relay.desk import SvixDesk

pytestmark = pytest.mark.anyio


@pytest.fixture
async def svix(anyio_backend: str) -> AsyncIterator[FakeSvix]:
    async with listening(FakeSvix()) as fake:
        yield fake


@pytest.fixture
async def relayed(stage: Stage, keys: dict[str, str], svix: FakeSvix) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of the project whose webhooks are handed over to Svix."""
    slots = Slots(4)
    settings = msgspec.structs.replace(stage.gateway.settings, svix_token=TOKEN, svix_server_url=svix.url)
    desk = SvixDesk(stage.gateway.database, open_remote(settings, slots), None)
    async with client_of(create_api(dataclasses.replace(stage.gateway, desk=desk)), keys["admin"]) as client:
        yield client
    await slots.aclose()


async def actions(stage: Stage) -> list[tuple[str, str]]:
    async with stage.gateway.database.read() as conn:
        found = await audit.page(conn, stage.project, Wanted(), 100)
        assert (await audit.examine(conn, stage.project)).broken is None
    return [(entry.action, entry.object.id) for entry in found[::-1] if entry.actor.kind == "api_key"]


async def test_acts_upon_endpoints_at_svix(stage: Stage, relayed: httpx.AsyncClient) -> None:
    async with receiving(answers(200, b"")) as receiver:
        made = await relayed.post("/webhooks/endpoints", json={"url": receiver.url})
        assert made.status_code == 201, made.text
        endpoint = made.json()["id"]
        path = f"/webhooks/endpoints/{endpoint}"
        done = [
            await relayed.patch(path, json={"rate_limit": 5}),
            await relayed.get(f"{path}/secret"),
            await relayed.post(f"{path}/rotate_secret", json={}),
            await relayed.post(f"{path}/test", json={}),
            await relayed.post(f"{path}/recover", json={"since": "2026-03-01T00:00:00Z"}),
            await relayed.post("/webhooks/portal", json={}),
            await relayed.delete(path),
        ]
    assert [answer.is_success for answer in done] == [True] * len(done), [answer.text for answer in done]
    whats = ("created", "changed", "secret_revealed", "secret_rotated", "tested", "recovered")
    told = [(f"endpoint.{what}", endpoint) for what in whats]
    told += [("portal.opened", str(stage.project)), ("endpoint.deleted", endpoint)]
    assert await actions(stage) == told


async def test_what_the_server_refuses_leaves_nothing(stage: Stage, relayed: httpx.AsyncClient, svix: FakeSvix) -> None:
    made = (await relayed.post("/webhooks/endpoints", json={"url": "http://127.0.0.1:8999/"})).json()
    before = await actions(stage)
    svix.token = "another"
    path = f"/webhooks/endpoints/{made['id']}"
    refused = [
        await relayed.patch(path, json={"rate_limit": 5}),
        await relayed.get(f"{path}/secret"),
        await relayed.post(f"{path}/rotate_secret", json={}),
        await relayed.post("/webhooks/portal", json={}),
        await relayed.delete(path),
    ]
    assert [answer.is_success for answer in refused] == [False] * len(refused)
    assert await actions(stage) == before
