"""Whatever the OpenAPI document lets one make up is answered, as it says, never with a 5xx, and never with a secret."""

import asyncio
import io
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from flows.stage import Stage
from fuzzing import fuzz
from litestar import Litestar
from test_hostile_rest import served

from service.api.routes import create_document
from service.observability import AccessLog, configure_logging
from simulator.google.world import World

pytestmark = pytest.mark.anyio
CALLS_EACH = int(os.environ.get("FUZZ_CALLS_EACH", "3"))
HEADER = "canary-runner-4f1b9c27"
REVEALS = "/webhooks/endpoints/{endpoint_id}/secret"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root, sink = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    configure_logging("debug", "json", sink)
    yield sink
    root.handlers[:], root.level = before


async def plant(
    call: httpx.AsyncClient, stage: Stage, world: World, credentials: dict[str, Any]
) -> tuple[dict[str, str], dict[str, str]]:
    """A calendar, an endpoint and a bot runner: their secrets by what they are, and ids by what the document calls them."""
    calendar = (await call.post("/calendars", json=credentials)).json()
    await stage.sync()
    endpoint = (await call.post("/webhooks/endpoints", json={"url": "http://127.0.0.1:8999/hook"})).json()
    runner = {"kind": "http", "url": "http://127.0.0.1:8999/bots", "headers": {"authorization": f"Bearer {HEADER}"}}
    assert (await call.put("/bot_runner", json=runner)).status_code in {200, 201}
    (connection,) = (await call.get("/connections")).json()["data"]
    secrets = {
        "a refresh token": credentials["refresh_token"],
        "a client's secret": credentials["client_secret"],
        "a signing secret": endpoint["secret"].removeprefix("whsec_"),
        "a runner's header": HEADER,
        **{f"access token {number}": token for number, token in enumerate(world.access_tokens)},
    }
    ids = {"calendar_id": calendar["id"], "endpoint_id": endpoint["id"], "connection_id": connection["id"]}
    return secrets, ids


async def test_no_made_up_request_is_a_fault_of_ours_or_gets_a_secret(
    api: Litestar,
    call: httpx.AsyncClient,
    stage: Stage,
    world: World,
    keys: dict[str, str],
    credentials: dict[str, Any],
    logged: io.StringIO,
) -> None:
    document = json.loads(create_document())
    secrets, ids = await plant(call, stage, world, credentials)
    canaries = secrets | {f"the key of {name}": key.split("_", 2)[2] for name, key in keys.items()}
    reading = [path for path, item in document["paths"].items() if "get" in item and path != REVEALS]
    told = [await call.get(path.format_map(Known(ids)), params={"wait": 0}) for path in reading]
    async with served(AccessLog(api)) as port:  # type: ignore[arg-type]
        url = f"http://127.0.0.1:{port}"
        fuzzed = await asyncio.to_thread(fuzz, document, url, keys["admin"], CALLS_EACH, 7, canaries)
    assert fuzzed.calls > 100
    assert not fuzzed.faults, sorted(set(fuzzed.faults))[:40]
    assert sum(answer.status_code == 200 for answer in told) > 15
    for what, canary in canaries.items():
        assert canary not in logged.getvalue(), f"{what} in the log"
        assert not [answer.url.path for answer in told if canary in f"{answer.headers} {answer.text}"], what
    assert logged.getvalue().count("calgate.access") >= fuzzed.calls


class Known(dict[str, str]):
    """What parameters of paths are filled with: ids that are there, and else one that is not."""

    def __missing__(self, name: str) -> str:
        return "google" if name == "provider" else "01900000-0000-7000-8000-000000000000"
