"""The connect page as a user of Chromium walks it: every provider, well and badly, as a page of its own."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from browser.conftest import Arrive
from browser.neighbourhood import ADA, PROVIDERS, Neighbourhood

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
