"""What publishers answer, row by row: what is read, what costs nothing, what is refused, what is bounded."""

import asyncio
import gzip
from asyncio import StreamWriter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from feed_server import PATH, event, feed
from ics_reader import NOW, STANDUP, WEEK, Reader, open_reader, titles
from providers.loopback import response

from service.core.sync import Malformed
from service.errors import AddressRefused, RequestRefused, Throttled, TransientFault
from service.providers.ics import client, fetching

pytestmark = pytest.mark.anyio


@pytest.fixture
async def reader(anyio_backend: str) -> AsyncIterator[Reader]:
    async with open_reader() as reader:
        yield reader


class TestUnchanged:
    async def test_304(self, reader: Reader):
        reader.server.validator = '"one"'
        assert titles(await reader.read()) == ["Standup"]
        page = await reader.read()
        assert (page.items, page.is_listing) == ([], False)
        assert reader.server.conditions == [None, '"one"']
        reader.server.text, reader.server.validator = feed(*WEEK), '"two"'
        assert len((await reader.read()).items) == 20
        assert (await reader.read()).items == []
        assert reader.server.conditions == [None, '"one"', '"one"', '"two"']

    async def test_304_by_last_modified(self, reader: Reader):
        reader.server.headers["last_modified"] = "Mon, 02 Mar 2026 08:00:00 GMT"
        await reader.read()
        await reader.read()
        assert reader.server.asked[1][1]["if-modified-since"] == "Mon, 02 Mar 2026 08:00:00 GMT"

    async def test_304_that_nobody_asked_for(self, reader: Reader):
        reader.server.status = 304
        with pytest.raises(TransientFault, match="http_304"):
            await reader.read()

    @pytest.mark.parametrize(
        "again",
        [
            pytest.param(feed(*WEEK), id="the same text"),
            pytest.param(feed(*WEEK).replace(b"DTSTAMP:20260101", b"DTSTAMP:20260102"), id="DTSTAMP"),
            pytest.param(
                feed(
                    *(
                        each.replace("SUMMARY", "CREATED:20260101T000000Z\r\nLAST-MODIFIED:20260301T000000Z\r\nSUMMARY")
                        for each in WEEK
                    )
                ),
                id="CREATED and LAST-MODIFIED",
            ),
            pytest.param(feed(*reversed(WEEK)), id="another order"),
            pytest.param(feed(*WEEK).replace(b"publisher//EN", b"publisher 2//EN"), id="PRODID"),
            pytest.param(feed(*WEEK).replace(b"\r\n", b"\n"), id="other line ends"),
            pytest.param(b"\xef\xbb\xbf" + feed(*WEEK), id="a byte order mark"),
        ],
    )
    async def test_200_with_the_same_events_is_not_expanded(self, reader: Reader, monkeypatch, again: bytes):
        reader.server.text = feed(*WEEK)
        await reader.read()
        monkeypatch.setattr(reader.provider, "_expander", None)
        reader.server.text = again
        assert (await reader.read()).items == []

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param((b"Day 3", b"Day three"), id="a title"),
            pytest.param((b"DTEND:20260305T10", b"DTEND:20260305T11"), id="an end"),
            pytest.param((b"UID:day-3", b"UID:day-x"), id="a UID"),
            pytest.param((b"SUMMARY:Day 3", b"SUMMARY:Day 3\r\nSTATUS:CANCELLED"), id="a status"),
            pytest.param((b"X-WR-TIMEZONE:Europe/Paris", b"X-WR-TIMEZONE:Asia/Tokyo"), id="the zone"),
        ],
    )
    async def test_200_with_other_events_is_a_listing(self, reader: Reader, change: tuple[bytes, bytes]):
        reader.server.text = feed(*WEEK)
        await reader.read()
        assert change[0] in reader.server.text
        reader.server.text = reader.server.text.replace(*change)
        assert (await reader.read()).is_listing
        assert (await reader.read()).items == []

    async def test_an_unchanged_feed_is_expanded_again_once_a_day(self, reader: Reader):
        reader.server.validator = '"one"'
        await reader.read()
        reader.clock.advance(hours=23)
        assert not (await reader.read()).is_listing
        reader.clock.advance(hours=2)
        page = await reader.read()
        assert (page.is_listing, titles(page)) == (True, ["Standup"])
        assert reader.server.conditions == [None, '"one"', None]

    async def test_a_feed_with_what_cannot_be_read_is_tried_again_after_an_hour(self, reader: Reader):
        reader.server.text = feed(STANDUP, event("bad", "Bad", NOW, "RRULE:FREQ=DAILY;INTERVAL=0"))
        page = await reader.read()
        assert [item.provider_event_id for item in page.items if isinstance(item, Malformed)] == ["bad"]
        assert not (await reader.read()).is_listing
        reader.clock.advance(minutes=61)
        assert (await reader.read()).is_listing


class TestPublishersIntervals:
    @pytest.mark.parametrize(
        ("lines", "headers", "rest"),
        [
            pytest.param((), {}, timedelta(minutes=5), id="nothing said"),
            pytest.param(("REFRESH-INTERVAL;VALUE=DURATION:PT2H",), {}, timedelta(hours=2), id="REFRESH-INTERVAL"),
            pytest.param(("X-PUBLISHED-TTL:PT3H",), {}, timedelta(hours=3), id="X-PUBLISHED-TTL"),
            pytest.param(("X-PUBLISHED-TTL:PT3H", "REFRESH-INTERVAL;VALUE=DURATION:PT1H"), {}, timedelta(hours=1), id="both"),
            pytest.param((), {"cache_control": "private, max-age=1800"}, timedelta(minutes=30), id="max-age"),
            pytest.param(("X-PUBLISHED-TTL:PT1H",), {"cache_control": "max-age=60"}, timedelta(hours=1), id="the feed before its server"),
            pytest.param((), {"cache_control": "no-cache, max-age=0"}, timedelta(minutes=5), id="no-cache"),
            pytest.param((), {"cache_control": "max-age=soon"}, timedelta(minutes=5), id="nonsense"),
            pytest.param(("X-PUBLISHED-TTL:PT1M",), {}, timedelta(minutes=5), id="too often"),
            pytest.param(("X-PUBLISHED-TTL:P4W",), {}, timedelta(hours=24), id="too seldom"),
            pytest.param(("X-PUBLISHED-TTL:-PT5M",), {}, timedelta(minutes=5), id="below zero"),
        ],
    )  # fmt: skip
    async def test_a_feed_rests_as_its_publisher_says(self, reader: Reader, lines, headers, rest: timedelta):
        reader.server.text = feed(STANDUP, lines=lines)
        reader.server.headers = headers
        assert (await reader.read()).rest == rest
        assert (await reader.read()).rest == rest


class TestRefusals:
    @pytest.mark.parametrize("status", [401, 403, 404, 410])
    async def test_a_refused_address(self, reader: Reader, status: int):
        reader.server.status = status
        for ask in (reader.read, reader.calendar, reader.stretch):
            with pytest.raises(AddressRefused, match=f"http_{status}"):
                await ask()

    async def test_429_says_until_when(self, reader: Reader):
        reader.server.status = 429
        reader.server.headers["retry_after"] = "90"
        with pytest.raises(Throttled) as caught:
            await reader.read()
        assert caught.value.retry_at == NOW + timedelta(seconds=90)

    @pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 521, 204, 206])
    async def test_a_bad_moment(self, reader: Reader, status: int):
        reader.server.status = status
        with pytest.raises(TransientFault, match=f"http_{status}"):
            await reader.read()

    async def test_503_says_until_when(self, reader: Reader):
        reader.server.status = 503
        reader.server.headers["retry_after"] = "Mon, 02 Mar 2026 10:00:00 GMT"
        with pytest.raises(TransientFault) as caught:
            await reader.read()
        assert caught.value.retry_at == NOW + timedelta(hours=1)

    @pytest.mark.parametrize("status", [400, 402, 405, 451])
    async def test_a_refusal_that_waiting_does_not_mend(self, reader: Reader, status: int):
        reader.server.status = status
        with pytest.raises(RequestRefused, match=f"http_{status}"):
            await reader.read()


class TestBounds:
    async def test_a_gzipped_feed(self, reader: Reader):
        reader.server.text = gzip.compress(feed(STANDUP))
        reader.server.headers["content_encoding"] = "gzip"
        assert titles(await reader.read()) == ["Standup"]

    @pytest.mark.parametrize("packed", [False, True], ids=["on the wire", "after gunzip"])
    async def test_a_feed_of_more_than_20_megabytes(self, reader: Reader, packed: bool):
        reader.server.text = b"BEGIN:VCALENDAR\r\n" + b" " * (20 * 1024 * 1024)
        if packed:
            reader.server.text = gzip.compress(reader.server.text, 1)
            reader.server.headers["content_encoding"] = "gzip"
        with pytest.raises(TransientFault, match="too large"):
            await reader.read()

    async def test_a_publisher_that_drips(self, reader: Reader, monkeypatch):
        async def drip(writer: StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            for _ in range(1000):
                writer.write(b"B")
                await writer.drain()
                await asyncio.sleep(0.01)

        monkeypatch.setattr(fetching.fetch, "__kwdefaults__", {"deadline": 0.2})
        reader.server.script = drip
        with pytest.raises(TransientFault, match="timeout"):
            await reader.read()

    async def test_redirects_share_one_deadline(self, reader: Reader, monkeypatch):
        async def dawdle(writer: StreamWriter) -> None:
            await asyncio.sleep(0.3)
            writer.write(response(b"", 302, location=PATH))

        monkeypatch.setattr(fetching.fetch, "__kwdefaults__", {"deadline": 0.5})
        reader.server.script = dawdle
        with pytest.raises(TransientFault, match="timeout"):
            await reader.read()
        assert len(reader.server.asked) <= 2


def test_the_bounds_are_those_of_the_providers():
    assert fetching.LARGEST_PAGE == 20 * 1024 * 1024
    assert fetching.DEADLINE == 30
    assert client.READ_AT_ONCE < fetching.LARGEST_PAGE
