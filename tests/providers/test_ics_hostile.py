"""Feeds that were written to harm: each is refused whole or costs its own series; `benchmarks/hostile_icalendar.py` has the costs."""

from collections.abc import AsyncIterator

import hostile_feeds
import pytest
from hostile_feeds import FEEDS
from ics_reader import Reader, open_reader, titles

from service.core.sync import Listed, Malformed, Page
from service.errors import TransientFault
from service.providers.vevent.expansion import MOST_KILLED, UNIT_SECONDS

pytestmark = pytest.mark.anyio

REFUSED = {
    "a gzip bomb": "answer too large",
    "a thousand rules that never come": f"{MOST_KILLED} of its events",
    "nested calendars": "more than 10,000 calendars",
    "nested events": "more than 100,000 events",
    "100,000 UIDs inside the window": "more than 25,000 events about the window",
    "100,001 UIDs": "more than 100,000 events",
}


@pytest.fixture
async def reader(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    monkeypatch.setattr(hostile_feeds, "LARGEST", 2 * 1024 * 1024)
    async with open_reader(unit_seconds=0.5) as reader:
        yield reader


@pytest.mark.parametrize("name", [name for name in FEEDS if name not in REFUSED])
async def test_a_hostile_series_costs_itself(reader: Reader, name: str):
    reader.server.text = FEEDS[name]()
    page = await reader.read()
    assert "Good" in titles(page)
    assert sum(isinstance(item, Malformed) for item in page.items) <= 1


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
async def test_a_hostile_feed_is_refused_whole(reader: Reader, name: str, reason: str):
    reader.server.text = FEEDS[name]()
    if name == "a gzip bomb":
        reader.server.headers["content_encoding"] = "gzip"
    with pytest.raises(TransientFault, match=reason):
        await reader.read()


async def test_two_hostile_series_cost_themselves(reader: Reader):
    rule = "RRULE:FREQ=HOURLY;BYMONTH=2,3;BYMONTHDAY=30;BYDAY=2MO;BYWEEKNO=20"
    bad = [hostile_feeds.vevent(rule, uid=f"bad-{number}") for number in range(2)]
    reader.server.text = hostile_feeds.feed(*bad)
    page: Page = await reader.read()
    assert [item.event.title for item in page.items if isinstance(item, Listed)] == ["Good"]
    assert sum(isinstance(item, Malformed) for item in page.items) == 2


def test_a_series_that_is_killed_leaves_time_for_the_rest():
    assert UNIT_SECONDS <= 1
