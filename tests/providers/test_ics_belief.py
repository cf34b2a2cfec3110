"""Feeds that are not to be believed: broken, suddenly empty, and with UIDs that change; they delete nothing."""

from asyncio import StreamWriter
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest
from feed_server import event, feed
from forked_expander import ForkedExpander
from ics_reader import NOW, PAGE, STANDUP, WEEK, WINDOW, Reader, ids, open_reader, titles
from providers.loopback import response

from service.errors import TransientFault

pytestmark = pytest.mark.anyio


@pytest.fixture
async def reader(anyio_backend: str) -> AsyncIterator[Reader]:
    async with open_reader() as reader:
        yield reader


class TestBroken:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(PAGE, id="HTML"),
            pytest.param(b"", id="empty"),
            pytest.param(b" \r\n\r\n", id="white space"),
            pytest.param(feed(STANDUP, *WEEK)[:700], id="truncated"),
            pytest.param(feed(STANDUP, *WEEK).replace(b"END:VCALENDAR", b""), id="without its end"),
            pytest.param(feed(STANDUP) + feed(*WEEK)[:400], id="the second of two truncated"),
            pytest.param(b"\x1f\x8b\x08\x00" + bytes(range(256)), id="not text"),
            pytest.param(b"%PDF-1.7 BEGIN:VCALENDAR END:VCALENDAR", id="another kind of file"),
            pytest.param(b"Warning: mysql gone\r\n" + feed(STANDUP), id="a warning before it"),
        ],
    )
    async def test_200_that_is_no_feed_deletes_nothing(self, reader: Reader, body: bytes):
        await reader.read()
        before = reader.token
        reader.server.text = body
        with pytest.raises(TransientFault):
            await reader.read()
        with pytest.raises(TransientFault):
            await reader.stretch()
        reader.server.text = feed(STANDUP)
        assert reader.token == before
        assert (await reader.read()).items == []

    async def test_200_that_is_cut_off_on_the_way(self, reader: Reader):
        async def cut(writer: StreamWriter) -> None:
            writer.write(response(feed(*WEEK))[:500])
            writer.close()

        reader.server.script = cut
        with pytest.raises(TransientFault):
            await reader.read()

    async def test_a_feed_that_cannot_be_read_to_its_end_deletes_nothing(self, reader: Reader):
        async with ForkedExpander(size=1, job_seconds=0) as hasty:
            reader.provider._expander = hasty
            with pytest.raises(TransientFault, match="takes longer"):
                await reader.read()

    async def test_more_events_than_a_calendar_has(self, reader: Reader):
        reader.server.text = feed("BEGIN:VEVENT\r\nEND:VEVENT\r\n" * 100_001)
        with pytest.raises(TransientFault, match="100,000"):
            await reader.read()


class TestSuddenlyEmpty:
    async def test_valid_but_empty_is_believed_the_second_time(self, reader: Reader):
        await reader.read()
        reader.server.text = feed()
        doubtful = await reader.read()
        assert (doubtful.items, doubtful.is_listing, doubtful.is_unsure) == ([], False, True)
        assert doubtful.rest == timedelta(minutes=5)
        believed = await reader.read()
        assert (believed.items, believed.is_listing, believed.is_unsure) == ([], True, False)

    async def test_valid_but_empty_for_a_moment_changes_nothing(self, reader: Reader):
        await reader.read()
        for _ in range(2):
            reader.server.text = feed()
            assert (await reader.read()).is_unsure
            reader.server.text = feed(STANDUP)
            page = await reader.read()
            assert (page.items, page.is_listing, page.is_unsure) == ([], False, False)

    async def test_a_doubtful_answer_is_not_made_sure_by_its_own_304(self, reader: Reader):
        reader.server.validator = '"full"'
        await reader.read()
        reader.server.text, reader.server.validator = feed(), '"empty"'
        assert (await reader.read()).is_unsure
        assert (await reader.read()).is_listing
        assert reader.server.conditions == [None, '"full"', None]
        assert (await reader.read()).items == []
        assert reader.server.conditions[-1] == '"empty"'

    @pytest.mark.parametrize(
        ("left", "is_unsure"),
        [
            pytest.param(3, True, id="85 % lost"),
            pytest.param(4, False, id="80 % lost"),
            pytest.param(10, False, id="half lost"),
        ],
    )
    async def test_a_feed_that_has_lost_most_of_its_events(self, reader: Reader, left: int, is_unsure: bool):
        reader.server.text = feed(*WEEK)
        await reader.read()
        reader.server.text = feed(*WEEK[:left])
        assert (await reader.read()).is_unsure is is_unsure
        if is_unsure:
            assert len((await reader.read()).items) == left

    async def test_a_small_feed_may_lose_most(self, reader: Reader):
        reader.server.text = feed(*WEEK[:10])
        await reader.read()
        reader.server.text = feed(*WEEK[:1])
        assert titles(await reader.read()) == ["Day 0"]

    async def test_a_feed_that_empties_between_two_requests(self, reader: Reader):
        reader.server.text = feed(event("far", "Far", WINDOW.end + timedelta(hours=1)))
        await reader.read()
        assert await reader.stretch() == ["far"]
        reader.server.text = feed()
        with pytest.raises(TransientFault):
            await reader.stretch()


class TestChangingUids:
    def bookings(self, generation: int, *more: str) -> bytes:
        days = [date(2026, 3, day) for day in (4, 9, 20)]
        return feed(*(event(f"{generation}-{day}@host", "Reserved", day) for day in days), *more)

    async def test_from_the_first_reading_where_the_connecting_saw_it(self, reader: Reader):
        for generation in range(3):
            reader.server.text = self.bookings(generation)
            if generation == 0:
                await reader.calendar()
                continue
            page = await reader.read()
            assert [each[:8] for each in ids(page)] == ["content-"] * 3
        known = ids(page)
        reader.server.text = self.bookings(7, event("x", "Reserved", date(2026, 3, 25)))
        assert set(known) < set(ids(await reader.read()))

    async def test_from_the_second_reading_otherwise_and_for_good(self, reader: Reader):
        found = []
        for generation in range(4):
            reader.server.text = self.bookings(generation)
            found.append(ids(await reader.read()))
        assert [each.partition("-")[0] for each in found[0]] == ["0", "0", "0"]
        assert found[1] == found[2] == found[3]
        reader.server.text = self.bookings(3, STANDUP)
        assert set(found[3]) < set(ids(await reader.read()))

    async def test_a_stretch_calls_them_the_same(self, reader: Reader):
        far = WINDOW.end - timedelta(minutes=30)
        for generation in range(2):
            reader.server.text = feed(event(f"{generation}", "Reserved", far, minutes=180))
            page = await reader.read()
        assert await reader.stretch() == ids(page)

    async def test_other_events_under_other_uids_are_other_events(self, reader: Reader):
        await reader.read()
        reader.server.text = feed(*(event(f"new-{number}", f"New {number}", NOW) for number in range(3)))
        assert ids(await reader.read()) == ["new-0", "new-1", "new-2"]

    async def test_a_large_feed_with_some_new_uids(self, reader: Reader):
        many = [event(f"u{number}", f"Event {number}", NOW + timedelta(minutes=number)) for number in range(300)]
        reader.server.text = feed(*many)
        await reader.read()
        half = [each.replace("UID:u", "UID:v") for each in many[:150]]
        reader.server.text = feed(*half, *many[150:])
        assert set(ids(await reader.read())) == {f"{'v' if number < 150 else 'u'}{number}" for number in range(300)}

    async def test_what_is_kept_stays_small(self, reader: Reader):
        reader.server.validator = '"' + "e" * 32 + '"'
        reader.server.text = feed(*(event(f"u{number}", f"Event {number}", NOW) for number in range(2000)))
        await reader.read()
        assert reader.token is not None
        assert len(reader.token) < 1024
