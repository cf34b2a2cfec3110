"""A real Chromium without a screen, where the machine has one, and the neighbourhood that it walks."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from browser.neighbourhood import Neighbourhood, open_neighbourhood
from browser.visitor import Visitor
from playwright.async_api import Browser, Error, Playwright, async_playwright

OURS = "CALGATE_TEST_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]
"""Whatever the pages say, nothing beyond loopback is asked."""

PATIENCE = 30_000
"""Milliseconds, on a machine that is busy with other tests."""

Arrive = Callable[..., Awaitable[Visitor]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One loop for the folder, so that one browser serves it."""
    return "asyncio"


def executable(playwright: Playwright) -> str | None:
    """The browser: the one that `CALGATE_TEST_BROWSER` names, one on the PATH, or Playwright's own download."""
    if (named := os.environ.get(OURS)) is not None:
        return shutil.which(named)
    found = next((path for path in map(shutil.which, NAMES) if path is not None), None)
    own = playwright.chromium.executable_path
    return found or (own if Path(own).exists() else None)


@pytest.fixture(scope="session")
async def chromium(anyio_backend: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        path = executable(playwright)
        if path is None:
            pytest.skip(
                f"no browser: neither {OURS} nor the PATH has a Chromium, and `playwright install chromium` was not run"
            )
        try:
            browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        except Error as error:
            pytest.skip(f"the browser {path} does not start: {error.message.splitlines()[0]}")
        yield browser
        await browser.close()


@pytest.fixture
async def town(chromium: Browser, sqlite_url: str, clock: Any, tmp_path: Path) -> AsyncIterator[Neighbourhood]:
    async with open_neighbourhood(sqlite_url, clock, tmp_path) as town:
        yield town


@pytest.fixture
async def arrive(chromium: Browser) -> AsyncIterator[Arrive]:
    """Somebody with a browser profile of their own; at the end nobody's page may have been refused anything."""
    visitors: list[Visitor] = []
    async with AsyncExitStack() as stack:

        async def come(**settings: Any) -> Visitor:
            context = await chromium.new_context(**settings)
            stack.push_async_callback(context.close)
            context.set_default_timeout(PATIENCE)
            visitors.append(await Visitor.of(context))
            return visitors[-1]

        yield come
    assert [said for visitor in visitors for said in visitor.refusals] == []
