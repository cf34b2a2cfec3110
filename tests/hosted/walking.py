"""A user's steps through the pages behind a connect link."""

import re
from html import unescape
from typing import Any

import httpx
from hosted.house import House


async def link(house: House, **wish: Any) -> str:
    """A new link's address."""
    answer = await house.api.post("/connect/links", json=wish)
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    return url


async def press(browser: httpx.AsyncClient, page: str, /, **fields: str) -> httpx.Response:
    """Send a form of a page."""
    return await browser.post(page, data=fields or {"popup": ""})


async def connect_by_form(
    house: House, browser: httpx.AsyncClient, page: str, kind: str, **fields: str
) -> dict[str, Any]:
    """The newest connection, once the form of this kind has been sent."""
    done = await press(browser, f"{page}/{kind}", **fields)
    assert done.status_code == 200, text_of(done)
    return (await house.connections())[-1]


def onward(answer: httpx.Response) -> str:
    """Where a page that answers a form goes on to by itself."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'<meta http-equiv="refresh" content="0; url=([^"]+)">', answer.text)
    assert found is not None, answer.text
    return unescape(found[1])


def text_of(answer: httpx.Response) -> str:
    """What a page says."""
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", answer.text, flags=re.DOTALL))
