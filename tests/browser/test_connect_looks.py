"""What everybody needs of the pages: names, language, contrast, a focus to be seen, room on a small screen; and https."""

from pathlib import Path
from typing import Any

import pytest
import trustme
from browser.conftest import Arrive
from browser.neighbourhood import ADA, Neighbourhood, open_neighbourhood
from browser.visitor import Visitor
from playwright.async_api import Browser

pytestmark = pytest.mark.anyio

CONTRAST = """() => {
  const channels = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((one) => one / 255)
      .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const found = getComputedStyle(each).backgroundColor;
      if (channels(found)[3] !== 0) return found;
    }
    return "rgb(255, 255, 255)";
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const texts = [...document.querySelectorAll("main *")].filter((each) => each.innerText?.trim());
  const boxes = [...document.querySelectorAll("button, .choice, input:not([type=hidden])")];
  return {
    text: Math.min(...texts.map((each) => ratio(getComputedStyle(each).color, behind(each)))),
    border: Math.min(9, ...boxes.map((each) => ratio(getComputedStyle(each).borderTopColor, behind(each.parentElement)))),
  };
}"""
"""The least contrast of a text, and of what tells where a button or an input is (WCAG 2.2, 1.4.3 and 1.4.11)."""


OUTLINE = """() => {
  const found = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(found);
  return found === document.body ? null : `${outlineStyle} ${outlineWidth}`;
}"""


async def pages(town: Neighbourhood, visitor: Visitor) -> Any:
    """Each page that there is, one after the other."""
    await town.register()
    link = await town.link(access="write")
    for path in ("", "/apple", "/caldav", "/ics"):
        await visitor.page.goto(f"{link}{path}")
        yield path or "the choice"
    await visitor.page.fill("#url", f"{town.feeds.url}.wrong")
    await visitor.page.click("#connect")
    await visitor.page.get_by_role("alert").wait_for()
    yield "a slip"
    await visitor.page.fill("#url", town.feeds.url)
    await visitor.page.click("#connect")
    await visitor.outcome()
    yield "connected"
    await visitor.page.goto(f"{link}x")
    await visitor.outcome()
    yield "over"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_can_be_read_on_a_small_screen(town: Neighbourhood, arrive: Arrive, scheme: Any):
    visitor = await arrive(color_scheme=scheme, viewport={"width": 320, "height": 640})
    grounds = set()
    async for name in pages(town, visitor):
        contrast = await visitor.page.evaluate(CONTRAST)
        assert contrast["text"] >= 4.5, (name, contrast)
        assert contrast["border"] >= 3, (name, contrast)
        assert await visitor.page.evaluate("document.documentElement.scrollWidth") == 320, name
        grounds.add(await visitor.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == {"rgb(242, 244, 247)" if scheme == "light" else "rgb(17, 22, 29)"}


async def test_every_page_says_what_it_is(town: Neighbourhood, arrive: Arrive):
    visitor = await arrive()
    titles = set()
    async for name in pages(town, visitor):
        page = visitor.page
        assert await page.get_attribute("html", "lang") == "en", name
        assert await page.locator("h1").count() == 1, name
        assert await page.locator("main").count() == 1, name
        titles.add(await page.title())
        for field in await page.locator("input:not([type=hidden])").all():
            assert await field.evaluate("(element) => element.labels.length") == 1, name
        for button in await page.locator("button, a").all():
            assert (await button.inner_text()).strip(), name
            box = await button.bounding_box()
            assert box is not None
            assert box["height"] >= 24, name
        assert await page.locator("[role=alert]").count() == (name in {"a slip", "over"}), name
        described = await page.locator("[aria-describedby]").all()
        assert len(described) == (name == "a slip"), name
    assert len(titles) == 6
    assert "" not in titles


async def test_the_focus_is_seen(town: Neighbourhood, arrive: Arrive):
    visitor = await arrive()
    async for name in pages(town, visitor):
        stops = await visitor.page.locator("button, a, input:not([type=hidden])").count()
        await visitor.page.evaluate("document.activeElement.blur()")
        seen = []
        for _ in range(stops):
            await visitor.page.keyboard.press("Tab")
            seen.append(await visitor.page.evaluate(OUTLINE))
        # With a field that has the focus from the beginning the steps go on from there, and past the end.
        assert seen.count("solid 3px") >= stops - 1, (name, seen)
        assert set(seen) <= {"solid 3px", None}, (name, seen)


async def test_by_https_the_mark_of_a_browser_belongs_to_this_host_alone(
    chromium: Browser, sqlite_url: str, clock: Any, tmp_path: Path, arrive: Arrive
):
    authority = trustme.CA()
    chain = tmp_path / "chain.pem"
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(chain)
    async with open_neighbourhood(sqlite_url, clock, tmp_path, tls={"ssl_certfile": str(chain)}) as town:
        await town.register("google")
        ada = await arrive(ignore_https_errors=True)
        await ada.page.goto(await town.link(redirect_url=town.back))
        await ada.choose("google")
        await ada.decide(email=ADA)
        await ada.page.wait_for_url(f"{town.back}?success=true&*")
        (cookie,) = await ada.context.cookies(town.gateway)
        assert cookie["name"].startswith("__Host-")
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
