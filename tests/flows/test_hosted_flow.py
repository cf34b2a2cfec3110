"""Walks through consent pages, as a gateway begins them and forgets them."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from flows.stage import Stage
from uuid_utils.compat import uuid7

from service.core.audit import GATEWAY
from service.core.hosted import Wish
from service.errors import GatewayError
from service.flows.connect import clients, hosted
from service.flows.housekeeping import tidy

pytestmark = pytest.mark.anyio


async def registered(stage: Stage) -> None:
    new = clients.NewClient(provider="google", client_id="c", client_secret="s", redirect_urls=["https://shop.test/"])
    await clients.register(stage.gateway, stage.project, new, uuid7(), GATEWAY)


async def test_a_walk_that_is_over_is_forgotten(stage: Stage) -> None:
    await registered(stage)
    begun = await hosted.begin(
        stage.gateway, stage.project, "google", Wish(state="mine"), own_url="https://calgate.test"
    )
    assert begun.expires_at == stage.clock() + timedelta(minutes=10)
    assert parse_qs(urlsplit(begun.auth_url).query)["client_id"] == ["c"]
    await tidy(stage.gateway)
    assert await stage.count("oauth_states") == 1
    stage.clock.advance(hours=2)
    await tidy(stage.gateway)
    assert await stage.count("oauth_states") == 0


@pytest.mark.parametrize(
    ("provider", "wish", "own_url", "status", "says"),
    [
        pytest.param("ics", Wish(), "https://x.test", 404, "POST /calendars", id="no consent page"),
        pytest.param("google", Wish(), None, 409, "CALGATE_PUBLIC_URL", id="no address"),
        pytest.param("zoom", Wish(), "https://x.test", 409, "POST /oauth_clients", id="no client"),
        pytest.param(
            "google", Wish(redirect_url="https://shop.test"), "https://x.test", 422, "redirect", id="redirect"
        ),
        pytest.param("google", Wish(connection_id=uuid7()), "https://x.test", 422, "connection", id="connection"),
    ],
)
async def test_walks_that_are_not_begun(
    stage: Stage, provider: str, wish: Wish, own_url: str | None, status: int, says: str
) -> None:
    await registered(stage)
    with pytest.raises(GatewayError) as refused:
        await hosted.begin(stage.gateway, stage.project, provider, wish, own_url=own_url)
    assert (refused.value.status, says in refused.value.detail) == (status, True)
    assert await stage.count("oauth_states") == 0
