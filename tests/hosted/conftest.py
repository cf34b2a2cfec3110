"""A house for the hosted flow, on the usual database; the store's races run on both."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hosted.house import House, open_house


@pytest.fixture
async def house(usual_url: str, clock: Any) -> AsyncIterator[House]:
    async with open_house(usual_url, clock) as house:
        yield house


@pytest.fixture
async def browser(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.browser() as browser:
        yield browser
