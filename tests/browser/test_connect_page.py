"""The connect page as a user of Chromium walks it: every provider, well and badly, as a page of its own."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from browser.conftest import Arrive
from browser.neighbourhood import ADA, BEN, PROVIDERS, Neighbourhood
from browser.visitor import Visitor
from radicale_server import PASSWORD, USER

pytestmark = pytest.mark.anyio


def told(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_user_chooses_a_provider_and_comes_back(town: Neighbourhood, arrive: Arrive, provider: str):
    await town.register()
    ada = await arrive()
    await ada.page.goto(await town.link(redirect_url=town.back, state="mine"))
    await ada.choose(provider)
    await ada.decide(email=ADA)
    await ada.page.wait_for_url(f"{town.back}?*")
    arrived = told(ada.page.url)
    (connection,) = await town.connections()
    assert arrived == {
        "success": "true",
        "provider": provider,
        "connection_id": connection["id"],
        "state": "mine",
    }
    assert (connection["email"], connection["provider"]) == (ADA, provider)


async def test_a_user_who_says_no_is_told_to_the_shop(town: Neighbourhood, arrive: Arrive):
    await town.register("microsoft")
    ada = await arrive()
    await ada.page.goto(await town.link(redirect_url=town.back, state="mine"))
    await ada.choose("microsoft")
    await ada.decide("deny")
    await ada.page.wait_for_url(f"{town.back}?*")
    arrived = told(ada.page.url)
    assert (arrived["error"], arrived["code"], arrived["state"]) == ("true", "access_denied", "mine")
    assert await town.connections() == []


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_who_is_sent_nowhere_reads_what_came_of_it(town: Neighbourhood, arrive: Arrive, decision: str):
    await town.register("google")
    ada = await arrive()
    await ada.page.goto(await town.link())
    await ada.choose("google")
    await ada.decide(decision, email=ADA)
    is_connected = decision == "allow"
    assert await ada.outcome() == ("true" if is_connected else "false")
    said = await ada.page.inner_text("main")
    assert (f"Google is connected ({ADA})" in said) is is_connected
    assert (await ada.page.locator("[role=alert]").count() == 0) is is_connected


async def test_a_wrong_password_is_told_beside_the_form_and_the_right_one_connects(town: Neighbourhood, arrive: Arrive):
    await town.register("google")
    ada = await arrive()
    await ada.page.goto(await town.link(redirect_url=town.back))
    await ada.choose("caldav")
    await ada.page.get_by_label("Server").fill(town.radicale.url)
    await ada.page.get_by_label("User name").fill(USER)
    await ada.page.get_by_label("Password").fill("wrong")
    await ada.page.click("#connect")
    alert = ada.page.get_by_role("alert")
    await alert.wait_for()
    assert "password" in (await alert.inner_text()).lower()
    assert await ada.page.get_by_label("Server").input_value() == town.radicale.url
    assert await ada.page.get_by_label("User name").input_value() == USER
    assert await ada.page.get_by_label("Password").input_value() == ""
    assert "wrong" not in await ada.page.content()
    assert await focused(ada) == "password"
    await ada.page.keyboard.type(PASSWORD)
    await ada.page.keyboard.press("Enter")
    await ada.page.wait_for_url(f"{town.back}?*")
    assert told(ada.page.url)["provider"] == "caldav"
    (connection,) = await town.connections()
    assert [each["name"] for each in connection["calendars"]] == ["Work"]


async def test_an_address_of_a_calendar_is_connected(town: Neighbourhood, arrive: Arrive):
    ada = await arrive()
    await ada.page.goto(await town.link())
    await ada.choose("ics")
    await ada.page.get_by_label("Address").fill(town.feeds.url)
    await ada.page.click("#connect")
    assert await ada.outcome() == "true"
    assert town.feeds.url not in ada.page.url
    assert [each["provider"] for each in await town.connections()] == ["ics"]


async def test_a_shop_that_has_moved_to_another_origin_has_its_users_back(town: Neighbourhood, arrive: Arrive):
    await town.register("google")
    ada = await arrive()
    await ada.page.goto(await town.link(redirect_url=f"{town.shop.url}/moved"))
    await ada.choose("ics")
    await ada.page.get_by_label("Address").fill(town.feeds.url)
    await ada.page.click("#connect")
    await ada.page.wait_for_url(f"{town.shop.address}/connected?*")
    assert told(ada.page.url)["provider"] == "ics"


@pytest.mark.parametrize("kind", ["microsoft", "ics"])
async def test_everything_works_without_javascript(town: Neighbourhood, arrive: Arrive, kind: str):
    await town.register()
    ada = await arrive(java_script_enabled=False)
    await ada.page.goto(await town.link(redirect_url=town.back))
    await ada.choose(kind)
    if kind == "ics":
        await ada.page.get_by_label("Address").fill(town.feeds.url)
        await ada.page.click("#connect")
    else:
        await ada.decide(email=ADA)
    await ada.page.wait_for_url(f"{town.back}?*")
    assert told(ada.page.url)["success"] == "true"


async def test_a_keyboard_is_enough(town: Neighbourhood, arrive: Arrive):
    await town.register("google")
    ada = await arrive()
    await ada.page.goto(await town.link())
    await walk_to(ada, "choose-caldav")
    await ada.page.keyboard.press("Enter")
    await ada.page.wait_for_selector("form")
    for text in (town.radicale.url, USER, PASSWORD):
        await ada.page.keyboard.type(text)
        await ada.page.keyboard.press("Tab")
    assert await focused(ada) == "connect"
    await ada.page.keyboard.press("Enter")
    assert await ada.outcome() == "true"


async def focused(visitor: Visitor) -> str:
    return str(await visitor.page.evaluate("document.activeElement.id"))


async def walk_to(visitor: Visitor, element: str) -> None:
    """By the Tab key, and each step can be seen."""
    for _ in range(10):
        await visitor.page.keyboard.press("Tab")
        outline = await visitor.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        if await focused(visitor) == element:
            return
    raise AssertionError(f"the Tab key does not come to {element}")


async def test_who_signs_in_again_is_the_same_connection(town: Neighbourhood, arrive: Arrive):
    await town.register("google", "microsoft")
    ada = await arrive()
    ids = set()
    for again in (False, True):
        wish = {"connection_id": ids.copy().pop()} if again else {}
        await ada.page.goto(await town.link(redirect_url=town.back, **wish))
        assert await ada.page.locator("#choose-microsoft").count() == (0 if again else 1)
        await ada.choose("google")
        await ada.decide(email=ADA)
        await ada.page.wait_for_url(f"{town.back}?success=true&*")
        ids.add(told(ada.page.url)["connection_id"])
    assert len(ids) == 1


async def test_another_account_is_not_the_one_to_be_signed_in_to_again(town: Neighbourhood, arrive: Arrive):
    await town.register("google")
    ada = await arrive()
    await ada.page.goto(await town.link(redirect_url=town.back))
    await ada.choose("google")
    await ada.decide(email=ADA)
    await ada.page.wait_for_url(f"{town.back}?success=true&*")
    connection_id = told(ada.page.url)["connection_id"]
    await ada.page.goto(await town.link(redirect_url=town.back, connection_id=connection_id))
    await ada.choose("google")
    await ada.decide(email=BEN)
    await ada.page.wait_for_url(f"{town.back}?error=true&*")
    assert told(ada.page.url)["code"] == "token_failed"
    assert [each["email"] for each in await town.connections()] == [ADA]
