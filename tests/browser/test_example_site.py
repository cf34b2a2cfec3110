"""The example of docs/hosted-flow.md is a site that works: its file, as it stands there, with Chromium before it."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browser.conftest import Arrive
from browser.neighbourhood import ADA, Neighbourhood
from browser.visitor import Visitor
from journeys.gateway_process import free_port
from journeys.written_commands import blocks
from playwright.async_api import Page

pytestmark = pytest.mark.anyio


def written() -> str:
    """The file that the document has its reader write."""
    found = [
        re.search(r"^cat > site\.py <<'EOF'\n(.*?)^EOF$", each.text, re.MULTILINE | re.DOTALL)
        for each in blocks("docs/hosted-flow.md")
    ]
    (program,) = (match[1] for match in found if match)
    return program


@pytest.fixture
async def site(town: Neighbourhood, tmp_path: Path) -> AsyncIterator[str]:
    port = free_port()
    site = f"http://localhost:{port}"
    await town.register(back=[f"{site}/connected"])
    program = tmp_path / "site.py"
    program.write_text(written())
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        program,
        env={**os.environ, "GATEWAY": town.gateway, "KEY": town.key, "PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert await process.stdout.readline() == b"the site is listening\n"
    yield site
    process.terminate()
    await process.communicate()


async def says(page: Page, text: str) -> None:
    await page.wait_for_function("(text) => document.body.innerText.includes(text)", arg=text)


async def popup_of(visitor: Visitor, site: str) -> Page:
    """Press the site's button: the gateway's page in a window of its own."""
    await visitor.page.goto(site)
    await says(visitor.page, "It is not connected yet.")
    async with visitor.context.expect_page() as opening:
        await visitor.page.get_by_role("button").click()
    popup = await opening.value
    await popup.wait_for_selector("#choose-google")
    return popup


@pytest.mark.parametrize(
    ("provider", "told"),
    [
        pytest.param("google", "It is connected.", id="google"),
        pytest.param("zoom", "It is not connected yet.", id="zoom has no calendar"),
    ],
)
async def test_a_popup_connects(arrive: Arrive, site: str, provider: str, told: str):
    ada = await arrive()
    popup = await popup_of(ada, site)
    await popup.click(f"#choose-{provider}")
    async with ada.page.expect_response(f"{site}/status"), popup.expect_event("close"):
        await ada.decide(email=ADA, page=popup)
    await says(ada.page, told)


async def test_a_no_is_told(arrive: Arrive, site: str):
    ada = await arrive()
    popup = await popup_of(ada, site)
    await popup.click("#choose-google")
    async with popup.expect_event("close"):
        await ada.decide("deny", page=popup)
    await says(ada.page, "The permission was not given")


@pytest.mark.parametrize("why", ["blocked", "no JavaScript"])
async def test_without_a_popup_it_is_a_page(arrive: Arrive, site: str, why: str):
    ada = await arrive(java_script_enabled=why == "blocked")
    await ada.context.add_init_script("window.open = () => null")
    await ada.page.goto(site)
    await ada.page.get_by_role("button").click()
    await ada.choose("microsoft")
    await ada.decide(email=ADA)
    await ada.page.wait_for_url(f"{site}/connected?*")
    assert await ada.page.inner_text("body") == "Connected."
    answer = await ada.page.reload()
    assert answer is not None
    assert answer.status == 400


async def test_a_message_of_another_origin_is_not_believed(town: Neighbourhood, arrive: Arrive, site: str):
    ada = await arrive()
    popup = await popup_of(ada, site)
    await popup.evaluate("(url) => { location.href = url; }", town.back)
    await popup.wait_for_url(town.back)
    await popup.evaluate(
        "(state) => opener.postMessage({type: 'calgate.connect', success: false, state, message: 'Believe me'}, '*')",
        await ada.page.evaluate("state"),
    )
    await popup.close()
    assert "Believe me" not in await ada.page.evaluate(
        "new Promise((done) => setTimeout(() => done(document.body.innerText), 300))"
    )


async def test_who_has_been_cut_off_is_seen_when_the_site_is_looked_at(town: Neighbourhood, arrive: Arrive, site: str):
    town.shop.isolates = True
    ada = await arrive()
    popup = await popup_of(ada, site)
    await popup.click("#choose-zoom")
    await ada.decide(email=ADA, page=popup)
    assert await ada.outcome(popup) == "true"
    await popup.close()
    status = await ada.page.evaluate("fetch('/status').then((answer) => answer.json())")
    assert [each["provider"] for each in status["connections"]] == ["zoom"]
    await ada.page.evaluate("said.textContent = ''; dispatchEvent(new Event('focus'))")
    await says(ada.page, "It is not connected yet.")  # with Zoom alone
