"""The connect page in a popup: who is told of the outcome, by which origin, and what happens when nobody can be."""

from typing import Any

import pytest
from browser.conftest import Arrive
from browser.neighbourhood import ADA, PROVIDERS, Neighbourhood
from browser.visitor import Visitor
from playwright.async_api import Page

pytestmark = pytest.mark.anyio


async def opened_from(visitor: Visitor, page: str, link: str) -> Page:
    """The popup that a page of the integrator's opens for a link."""
    await visitor.page.goto(page)
    async with visitor.context.expect_page() as opening:
        await visitor.page.evaluate("(url) => { open(url, 'connect', 'width=480,height=720'); }", link)
    popup = await opening.value
    await popup.wait_for_load_state()
    return popup


async def heard(page: Page) -> list[dict[str, Any]]:
    """What a page of the shop was told; waits for the first."""
    await page.wait_for_function("heard.length > 0")
    found: list[dict[str, Any]] = await page.evaluate("heard")
    return found


@pytest.fixture
async def shopper(town: Neighbourhood, arrive: Arrive) -> Visitor:
    await town.register()
    return await arrive()


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_shop_hears_of_an_account_and_the_popup_closes(town: Neighbourhood, shopper: Visitor, provider: str):
    link = await town.link(origin=town.shop.url, state="mine", redirect_url=town.back)
    popup = await opened_from(shopper, town.back, f"{link}?popup=1")
    await popup.click(f"#choose-{provider}")
    async with popup.expect_event("close"):
        await shopper.decide(email=ADA, page=popup)
    (connection,) = await town.connections()
    told = {"type": "calgate.connect", "success": True, "provider": provider, "connection_id": connection["id"]}
    assert await heard(shopper.page) == [{"origin": town.gateway, "data": {**told, "state": "mine"}}]
    assert shopper.page.url == town.back


async def test_the_shop_hears_of_a_form_and_the_popup_closes(town: Neighbourhood, shopper: Visitor):
    link = await town.link(origin=town.shop.url)
    popup = await opened_from(shopper, town.back, f"{link}?popup=1")
    await popup.click("#choose-ics")
    await popup.get_by_label("Address").fill(f"{town.feeds.url}.wrong")
    await popup.click("#connect")
    await popup.get_by_role("alert").wait_for()
    await popup.get_by_label("Address").fill(town.feeds.url)
    async with popup.expect_event("close"):
        await popup.click("#connect")
    (message,) = await heard(shopper.page)
    assert (message["data"]["success"], message["data"]["provider"]) == (True, "ics")


async def test_the_shop_hears_of_a_no(town: Neighbourhood, shopper: Visitor):
    link = await town.link(origin=town.shop.url)
    popup = await opened_from(shopper, town.back, f"{link}?popup=1")
    await popup.click("#choose-google")
    async with popup.expect_event("close"):
        await shopper.decide("deny", page=popup)
    (message,) = await heard(shopper.page)
    assert (message["data"]["success"], message["data"]["code"]) == (False, "access_denied")


async def test_a_page_of_another_origin_hears_nothing(town: Neighbourhood, shopper: Visitor):
    link = await town.link(origin=town.shop.url)
    # The same machine and port by another name: another origin.
    popup = await opened_from(shopper, f"{town.shop.address}/connected", f"{link}?popup=1")
    await popup.click("#choose-google")
    async with popup.expect_event("close"):
        await shopper.decide(email=ADA, page=popup)
    assert len(await town.connections()) == 1
    assert await shopper.page.evaluate("new Promise((done) => setTimeout(() => done(heard.length), 300))") == 0


async def test_a_window_without_an_opener_says_what_came_of_it(town: Neighbourhood, shopper: Visitor):
    link = await town.link(origin=town.shop.url, redirect_url=town.back)
    await shopper.page.goto(f"{link}?popup=1")
    await shopper.choose("google")
    await shopper.decide(email=ADA)
    assert await shopper.outcome() == "true"
    await shopper.page.click("#onward")
    await shopper.page.wait_for_url(f"{town.back}?success=true&*")


async def test_an_opener_that_has_gone_away_keeps_nobody_waiting(town: Neighbourhood, shopper: Visitor):
    link = await town.link(origin=town.shop.url)
    popup = await opened_from(shopper, town.back, f"{link}?popup=1")
    await popup.click("#choose-google")
    await popup.wait_for_selector("button[name=decision]")
    await shopper.page.close()
    await shopper.decide(email=ADA, page=popup)
    assert await shopper.outcome(popup) == "true"


async def test_a_provider_that_cuts_the_popup_off_keeps_nobody_waiting(town: Neighbourhood, shopper: Visitor):
    town.shop.isolates = True
    link = await town.link(origin=town.shop.url)
    popup = await opened_from(shopper, town.back, f"{link}?popup=1")
    await popup.click("#choose-zoom")
    await shopper.decide(email=ADA, page=popup)
    assert await shopper.outcome(popup) == "true"
    assert "close this window" in await popup.inner_text("main")
    assert len(await town.connections()) == 1
