"""The routes that Graph calls: the handshake, and notices without a key."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from flows.stage import Stage

pytestmark = pytest.mark.anyio
ROUTES = ("/push/microsoft", "/push/microsoft/lifecycle")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "token", ["Validation: Testing reachability Request-Id: 7", "<script>alert(1)</script>", "\u00e9 + & %41", ""]
)
async def test_a_validation_token_comes_back_as_plain_text(anybody: httpx.AsyncClient, route: str, token: str) -> None:
    told = await anybody.post(route, params={"validationToken": token}, headers={"content-type": "text/plain"})
    assert (told.status_code, told.text) == (200, token)
    assert told.headers["content-type"].startswith("text/plain")
    assert told.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("route", ROUTES)
async def test_a_validation_asks_no_database(anybody: httpx.AsyncClient, stage: Stage, route: str) -> None:
    async with stage.gateway.database.write():
        # Whoever holds the only writer of SQLite holds up no handshake.
        assert (await anybody.post(route, params={"validationToken": "t"})).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
async def test_a_validation_token_is_bounded(anybody: httpx.AsyncClient, route: str) -> None:
    assert (await anybody.post(route, params={"validationToken": "x" * 4096})).status_code == 200
    assert (await anybody.post(route, params={"validationToken": "x" * 4097})).status_code == 404


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="broken"),
        pytest.param(b'{"value": []}', id="empty"),
        pytest.param(
            json.dumps({"value": [{"subscriptionId": "s", "clientState": f"{uuid4()}:guess"}]}).encode(),
            id="unknown channel",
        ),
    ],
)
async def test_what_is_forged_is_not_found(anybody: httpx.AsyncClient, route: str, content: bytes) -> None:
    told = await anybody.post(route, content=content, headers={"content-type": "application/json"})
    assert (told.status_code, told.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("route", ROUTES)
async def test_a_body_beyond_a_mebibyte_is_not_read(anybody: httpx.AsyncClient, route: str) -> None:
    assert (await anybody.post(route, content=b"x" * (1024 * 1024 + 1))).status_code == 413

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"x" * 2**16

    assert (await anybody.post(route, content=chunks())).status_code == 413


@pytest.mark.parametrize("route", ROUTES)
async def test_only_posts_are_answered(anybody: httpx.AsyncClient, route: str) -> None:
    assert (await anybody.get(route, params={"validationToken": "t"})).status_code == 405
