"""What a browser makes of attempts that are over, used twice, forged, or somebody else's."""

import pytest
from browser.conftest import Arrive
from browser.neighbourhood import ADA, BEN, Neighbourhood
from browser.visitor import Visitor

pytestmark = pytest.mark.anyio


async def callback_of(town: Neighbourhood, visitor: Visitor, link: str, provider: str = "google") -> str:
    """The address by which the provider has sent this browser back, which it has asked for."""
    async with visitor.page.expect_request(f"{town.gateway}/connect/{provider}/callback?*") as asked:
        await visitor.page.goto(link)
        await visitor.choose(provider)
        await visitor.decide(email=ADA)
    return (await asked.value).url


async def test_a_link_that_is_over_says_so(town: Neighbourhood, arrive: Arrive, clock):
    await town.register("google")
    link = await town.link()
    clock.advance(3601)
    ada = await arrive()
    answer = await ada.page.goto(link)
    assert answer is not None
    assert answer.status == 404
    assert await ada.outcome() == "false"
    assert "ask whoever gave it to you" in await ada.page.get_by_role("alert").inner_text()


async def test_a_link_that_is_over_meanwhile_says_so(town: Neighbourhood, arrive: Arrive, clock):
    ada = await arrive()
    await ada.page.goto(f"{await town.link()}/ics")
    await ada.page.get_by_label("Address").fill(town.feeds.url)
    clock.advance(3601)
    await ada.page.click("#connect")
    assert await ada.outcome() == "false"
    assert await town.connections() == []


async def test_a_consent_page_that_was_looked_at_for_too_long(town: Neighbourhood, arrive: Arrive, clock):
    await town.register("google")
    ada = await arrive()
    await ada.page.goto(await town.link(redirect_url=town.back))
    await ada.choose("google")
    await ada.page.wait_for_selector("button[name=decision]")
    clock.advance(601)
    await ada.decide(email=ADA)
    assert await ada.outcome() == "false"
    assert "This attempt is over" in await ada.page.get_by_role("alert").inner_text()
    assert await town.connections() == []


async def test_the_way_back_is_walked_once(town: Neighbourhood, arrive: Arrive):
    await town.register("google")
    ada = await arrive()
    url = await callback_of(town, ada, await town.link(redirect_url=town.back))
    await ada.page.wait_for_url(f"{town.back}?success=true&*")
    answer = await ada.page.goto(url)
    assert answer is not None
    assert answer.status == 400
    assert await ada.outcome() == "false"
    assert ada.page.url == url
    assert len(await town.connections()) == 1


@pytest.mark.parametrize(
    "state", ["", "forged", "x" * 43 + "." + "y" * 43, "%3Cscript%3Ealert(1)%3C/script%3E"], ids=lambda text: text[:6]
)
async def test_a_forged_way_back_leads_nowhere(town: Neighbourhood, arrive: Arrive, state: str):
    await town.register("google")
    ada = await arrive()
    answer = await ada.page.goto(f"{town.gateway}/connect/google/callback?code=4/0A&state={state}")
    assert answer is not None
    assert answer.status == 400
    assert await ada.outcome() == "false"
    assert await ada.page.locator("script").count() == 0
    assert await town.connections() == []


async def test_another_browser_does_not_finish_what_this_one_began(town: Neighbourhood, arrive: Arrive):
    await town.register("google")
    ada, ben = await arrive(), await arrive()
    await ada.page.goto(await town.link(redirect_url=town.back, user_id="ada"))
    await ada.choose("google")
    await ada.page.wait_for_selector("button[name=decision]")
    await ben.page.goto(ada.page.url)
    await ben.decide(email=BEN)
    assert await ben.outcome() == "false"
    assert await town.connections() == []


async def test_a_link_that_two_browsers_follow_connects_both(town: Neighbourhood, arrive: Arrive):
    await town.register("google", "microsoft")
    link = await town.link(redirect_url=town.back)
    for provider in ("google", "microsoft"):
        somebody = await arrive()
        await callback_of(town, somebody, link, provider)
        await somebody.page.wait_for_url(f"{town.back}?success=true&*")
    assert len(await town.connections()) == 2


async def test_no_page_lets_itself_be_framed(town: Neighbourhood, arrive: Arrive):
    ada = await arrive()
    link = await town.link()
    await ada.page.goto(town.back)
    await ada.page.evaluate(
        "(url) => new Promise((done) => { const frame = document.createElement('iframe'); frame.src = url;"
        " frame.onload = done; document.body.append(frame); })",
        link,
    )
    assert [frame.url for frame in ada.page.frames if frame.url.startswith(town.gateway)] == []
    assert "frame-ancestors" in ada.refusals.pop()
