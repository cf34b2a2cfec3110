"""What every place that can be written to has to do with series: whole ones, and single occurrences."""

from datetime import timedelta

import pytest
from contracts.writing_peer import AT, WriterPeer, create, event_of, occurrences, place_of, remove, weekly

from service.core.drafts import Patch
from service.core.event import encode_event
from service.errors import Outdated
from service.providers.writing import Target


@pytest.mark.anyio
class SeriesContract:
    async def test_a_series(self, peer: WriterPeer):
        written = await create(peer, **weekly())
        assert (written.item, written.series_id) == (None, written.provider_event_id)
        found = await occurrences(peer, written.provider_event_id)
        assert [item.event.starts_at for item in found] == [AT + timedelta(weeks=week) for week in range(3)]
        assert {item.event.title for item in found} == {"Planning"}
        again = await create(peer, **weekly())
        assert again.series_id == written.series_id
        assert peer.count() == 1

    async def test_a_series_keeps_its_hour_when_the_clocks_change(self, peer: WriterPeer):
        written = await create(peer, recurrence=["RRULE:FREQ=WEEKLY;COUNT=5"])
        hours = [item.event.starts_at.hour for item in await occurrences(peer, written.provider_event_id)]
        assert hours == [AT.hour] * 4 + [AT.hour - 1]

    async def test_a_whole_series_is_changed(self, peer: WriterPeer):
        written = await create(peer, **weekly())
        series_id = written.provider_event_id
        seen = (await occurrences(peer, series_id))[0]
        target = Target(provider_event_id=series_id, raw=seen.raw, is_series=True)
        patch = Patch(title="Renamed", location="Room 5")
        changed = await peer.writer.change(peer.access, place_of(peer), target, patch, strict=True)
        assert (changed.item, changed.series_id) == (None, series_id)
        found = await occurrences(peer, series_id)
        assert [(item.event.title, item.event.location) for item in found] == [("Renamed", "Room 5")] * 3
        with pytest.raises(Outdated):
            await peer.writer.change(peer.access, place_of(peer), target, Patch(title="Other"), strict=True)

    async def test_one_occurrence_is_changed(self, peer: WriterPeer):
        written = await create(peer, **weekly())
        second = (await occurrences(peer, written.provider_event_id))[1]
        target = Target(provider_event_id=second.event.provider_event_id, raw=second.raw)
        moved = second.event.starts_at + timedelta(hours=2)
        patch = Patch(title="Only this one", starts_at=moved, ends_at=moved + timedelta(minutes=45))
        changed = await peer.writer.change(peer.access, place_of(peer), target, patch, strict=True)
        event = event_of(changed)
        assert (event.title, event.starts_at, event.series_id) == ("Only this one", moved, written.series_id)
        assert (event.is_exception, event.original_starts_at) == (True, second.event.starts_at)
        found = await occurrences(peer, written.provider_event_id)
        assert [item.event.title for item in found] == ["Planning", "Only this one", "Planning"]
        assert encode_event(found[1].event) == encode_event(event)

    async def test_one_occurrence_is_removed(self, peer: WriterPeer):
        written = await create(peer, **weekly())
        second = (await occurrences(peer, written.provider_event_id))[1]
        target = Target(provider_event_id=second.event.provider_event_id, raw=second.raw)
        for _ in range(2):
            await peer.writer.remove(peer.access, place_of(peer), target, notify=True, strict=True)
        found = await occurrences(peer, written.provider_event_id)
        assert [item.event.starts_at for item in found] == [AT, AT + timedelta(weeks=2)]

    async def test_a_whole_series_is_removed(self, peer: WriterPeer):
        written = await create(peer, **weekly())
        await remove(peer, written)
        assert await occurrences(peer, written.provider_event_id) == []
        assert peer.count() == 0
