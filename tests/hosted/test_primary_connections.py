"""Of each user's connections to calendars one is primary, however they come, move and go."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hosted.house import ADA, BEN, SHOP, House, come_back, decide, open_house, told

from service.flows.connect import welcome

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(database_url: str, clock: Any) -> AsyncIterator[House]:
    async with open_house(database_url, clock) as house:
        for provider in ("google", "microsoft", "zoom"):
            await house.register(provider)
        yield house


@pytest.fixture
async def browser(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.browser() as browser:
        yield browser


async def connect(house: House, browser: httpx.AsyncClient, email: str, provider: str = "google", **wish: Any) -> str:
    url = await house.url(provider, redirect_url=SHOP, **wish)
    return told(await decide(browser, url, email))["connection_id"]


async def primary(house: House, user_id: str | None) -> str:
    """The user's one primary connection."""
    found = await house.connections()
    (chosen,) = (each["id"] for each in found if each["user_id"] == user_id and each["is_primary"])
    return chosen


async def test_a_connection_that_moves_to_another_user(house: House, browser: httpx.AsyncClient) -> None:
    moving = await connect(house, browser, ADA, user_id="u-A")
    left = await connect(house, browser, ADA, "microsoft", user_id="u-A")
    theirs = await connect(house, browser, BEN, user_id="u-B")
    assert (await primary(house, "u-A"), await primary(house, "u-B")) == (moving, theirs)
    assert await connect(house, browser, ADA, user_id="u-B") == moving
    assert (await primary(house, "u-A"), await primary(house, "u-B")) == (left, theirs)
    assert await connect(house, browser, ADA, user_id="u-C") == moving
    assert await primary(house, "u-C") == moving


async def test_another_takes_the_place_of_one_that_is_deleted(house: House, browser: httpx.AsyncClient) -> None:
    ids = [
        await connect(house, browser, email, provider, user_id="u")
        for email, provider in ((ADA, "google"), (ADA, "microsoft"), (BEN, "google"))
    ]
    assert (await house.api.post(f"/connections/{ids[1]}/set_primary")).status_code == 200
    for gone in (ids[1], ids[0]):
        assert await primary(house, "u") == gone
        assert (await house.api.delete(f"/connections/{gone}")).status_code == 204
    assert await primary(house, "u") == ids[2]
    shown = (await house.api.get(f"/connections/{ids[2]}")).json()
    assert shown["is_primary"] is True


async def test_zoom_is_never_primary(house: House, browser: httpx.AsyncClient) -> None:
    zoom = await connect(house, browser, ADA, "zoom", user_id="u", set_as_primary="true")
    refused = await house.api.post(f"/connections/{zoom}/set_primary")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert not any(each["is_primary"] for each in await house.connections())
    google = await connect(house, browser, ADA, user_id="u")
    assert await primary(house, "u") == google


async def test_who_came_by_credentials_may_be_primary(house: House, browser: httpx.AsyncClient) -> None:
    for email in (ADA, BEN):
        account = house.google.connect(email)
        named = ("client_id", "client_secret", "refresh_token")
        given = {"provider": "google", **{name: account[name] for name in named}}
        assert (await house.api.post("/calendars", json=given)).status_code == 201
    first, second = [each["id"] for each in await house.connections()]
    assert await primary(house, None) == first
    assert await connect(house, browser, BEN, user_id="ben") == second
    assert (await primary(house, None), await primary(house, "ben")) == (first, second)


async def test_a_crash_leaves_one_primary(
    house: House, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: Any, **__: Any) -> None:
        raise AssertionError("the process ends here")

    callback = await come_back(browser, await house.url("google", user_id="u", set_as_primary="true"))
    monkeypatch.setattr(welcome, "prefer", crash)
    assert (await browser.get(callback)).status_code == 500
    (connection,) = await house.connections(user_id="u")
    assert await primary(house, "u") == connection["id"]


async def test_many_who_come_and_go_at_once(house: House, browser: httpx.AsyncClient) -> None:
    emails = [f"{number}@example.com" for number in range(6)]
    for email in emails:
        house.google.add_account(email)
    callbacks = [
        await come_back(browser, await house.url("google", redirect_url=SHOP, user_id=user), email)
        for user, email in zip("aabbab", emails, strict=True)
    ]
    await asyncio.gather(*(browser.get(each) for each in callbacks))
    for _ in range(2):
        going = [await primary(house, "a"), await primary(house, "b")]
        moving = await come_back(browser, await house.url("google", redirect_url=SHOP, user_id="a"), emails[-1])
        await asyncio.gather(browser.get(moving), *(house.api.delete(f"/connections/{each}") for each in going))
    assert await primary(house, "a")
