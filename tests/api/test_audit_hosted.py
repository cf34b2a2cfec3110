"""Who let us into an account is in the audit log: the integrator's key, or the user whose browser came back."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from api.conftest import client_of
from flows.stage import Stage

from service.api.routes import create_api
from service.core.audit import Entry
from service.core.authorization import scopes_for
from service.core.credentials import OAuthClient, TokenGrant
from service.providers.protocol import Provider
from service.store import audit
from service.store.audit import Wanted
from simulator.google.world import World

pytestmark = pytest.mark.anyio

OWN_PAGE = {"redirect_uri": "https://app.example.com/back"}


class TokensAsCodes:
    """A login whose codes are refresh tokens of the simulated Google."""

    name = "google"
    origin = "https://accounts.example.com"

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def page(self, client: OAuthClient) -> str:
        return f"{self.origin}/auth"

    async def exchange(
        self,
        http: httpx.AsyncClient,
        client: OAuthClient,
        code: str,
        *,
        redirect_uri: str,
        verifier: str | None,
        now: datetime,
    ) -> TokenGrant:
        grant = await self._provider.refresh(http, client, code, now)
        scopes = frozenset(scopes_for("google", "read", []))
        return msgspec.structs.replace(grant, refresh_token=code, scopes=scopes)


@pytest.fixture
def given(world: World) -> dict[str, Any]:
    """An app of Google's, and a refresh token that stands for the code."""
    return dict(world.connect("ada@example.com"))


@pytest.fixture
async def hosted(stage: Stage, keys: dict[str, str], given: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of a project that has registered its app."""
    logins = {"google": TokensAsCodes(stage.gateway.providers["google"])}
    app = create_api(dataclasses.replace(stage.gateway, logins=logins))
    async with client_of(app, keys["admin"]) as client:
        named = {name: given[name] for name in ("client_id", "client_secret")}
        answer = await client.post("/oauth_clients", json={"provider": "google", **named})
        assert answer.status_code == 201, answer.text
        yield client


async def entries(stage: Stage) -> list[Entry]:
    async with stage.gateway.database.read() as conn:
        assert (await audit.examine(conn, stage.project)).broken is None
        return (await audit.page(conn, stage.project, Wanted(), 100))[::-1]


async def test_a_code_that_the_integrator_has_got(
    stage: Stage, hosted: httpx.AsyncClient, given: dict[str, Any]
) -> None:
    for status in (201, 200):
        before = len(await entries(stage))
        body = {"code": given["refresh_token"], "user_id": "user-17", **OWN_PAGE}
        answer = await hosted.post("/connect/google/exchange", json=body)
        assert answer.status_code == status, answer.text
        told = (await entries(stage))[before:]
        actions = ["connection.created", "calendar.created"] if status == 201 else ["connection.renewed"]
        assert [one.action for one in told] == actions
        assert {(one.actor.kind, one.details["provider"], one.request_id) for one in told} == {
            ("api_key", "google", answer.headers["x-request-id"])
        }
        assert told[0].object.id == answer.json()["id"]


async def begun(hosted: httpx.AsyncClient, query: str) -> str:
    """The state of a walk to the consent page."""
    answer = await hosted.get(f"/connect/google/url?{query}")
    assert answer.status_code == 200, answer.text
    (state,) = parse_qs(urlsplit(answer.json()["auth_url"]).query)["state"]
    return state


@pytest.mark.parametrize(
    ("query", "user"),
    [pytest.param("user_id=user-17", "user-17", id="named"), pytest.param("", "unnamed", id="unnamed")],
)
async def test_a_user_whose_browser_comes_back(
    stage: Stage, hosted: httpx.AsyncClient, given: dict[str, Any], query: str, user: str
) -> None:
    before = await entries(stage)
    state = await begun(hosted, query)
    assert await entries(stage) == before, "an address is asked for, and nothing has come of it yet"
    back = {"state": state, "code": given["refresh_token"]}
    answer = await hosted.get("/connect/google/callback", params=back, headers={"authorization": ""})
    assert answer.status_code == 200, answer.text
    told = (await entries(stage))[len(before) :]
    assert [one.action for one in told] == ["connection.created", "calendar.created"]
    assert {(one.actor.kind, one.actor.id, one.address) for one in told} == {("user", user, "127.0.0.1")}
    written = repr(told)
    assert state not in written
    assert given["refresh_token"] not in written


async def test_a_user_who_lets_nobody_in_leaves_nothing(
    stage: Stage, hosted: httpx.AsyncClient, given: dict[str, Any]
) -> None:
    state = await begun(hosted, "")
    before = await entries(stage)
    for back in (
        {"state": "forged", "code": given["refresh_token"]},
        {"state": state, "error": "access_denied"},
        {"state": state, "code": given["refresh_token"]},  # it was good once
        {"state": await begun(hosted, ""), "code": "1//never-given-out"},
    ):
        await hosted.get("/connect/google/callback", params=back)
    wrong = await hosted.post("/connect/google/exchange", json={"code": "1//never-given-out", **OWN_PAGE})
    assert wrong.status_code == 422
    assert await entries(stage) == before
