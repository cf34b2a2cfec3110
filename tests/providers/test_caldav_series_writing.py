"""Writing series to CalDAV, as a whole and one occurrence at a time: to Radicale."""

from datetime import timedelta

import msgspec
import pytest
from providers.caldav_desk import AT, WEEKLY, Desk, open_desk, slot

from service.errors import EventGone
from service.providers.writing import Target


@pytest.fixture
async def desk(anyio_backend, tmp_path):
    async with open_desk(tmp_path) as desk:
        yield desk


@pytest.mark.anyio
async def test_a_series_is_made_of_occurrences(desk: Desk) -> None:
    written = await desk.create(WEEKLY)
    assert (written.item, written.series_id) == (None, written.provider_event_id)
    rows = await desk.rows()
    assert len(rows) == 6
    assert {each.event.series_id for each in rows.values()} == {written.series_id}


@pytest.mark.anyio
async def test_one_occurrence_is_changed_alone(desk: Desk) -> None:
    made = await desk.create(WEEKLY)
    before = await desk.rows()
    second = slot(AT + timedelta(days=7))
    target = Target(provider_event_id=second, raw=before[second].raw)
    written = await desk.change(
        target, strict=True, title="Moved", starts_at=AT + timedelta(days=8), ends_at=AT + timedelta(days=8, hours=1)
    )
    rows = await desk.rows()
    assert rows == before | {second: written.item}
    event = written.item.event
    assert (event.starts_at, event.original_starts_at, event.is_exception) == (
        AT + timedelta(days=8),
        AT + timedelta(days=7),
        True,
    )
    assert written.series_id == made.series_id
    # Once more, of what is a component of its own now.
    again = await desk.change(Target(provider_event_id=second, raw=written.item.raw), strict=True, title="Again")
    assert (await desk.rows())[second] == again.item
    assert again.item.event.starts_at == AT + timedelta(days=8)
    read = await desk.writer.read(desk.access, desk.place, Target(provider_event_id=second))
    assert read == again


@pytest.mark.anyio
async def test_an_occurrence_after_the_clock_changed_keeps_its_place(desk: Desk) -> None:
    await desk.create(WEEKLY)
    # The fourth: Paris is two hours ahead by then, and the series is at ten there.
    fourth = slot(AT + timedelta(days=21, hours=-1))
    before = await desk.rows()
    written = await desk.change(Target(provider_event_id=fourth), title="Summer")
    assert await desk.rows() == before | {fourth: written.item}
    assert written.item.event.starts_at == before[fourth].event.starts_at


@pytest.mark.anyio
async def test_one_occurrence_is_taken_out(desk: Desk) -> None:
    await desk.create(WEEKLY)
    before = await desk.rows()
    second, third = slot(AT + timedelta(days=7)), slot(AT + timedelta(days=14))
    await desk.change(Target(provider_event_id=third), title="Changed")
    for each in (second, third):
        await desk.remove(Target(provider_event_id=each))
        await desk.remove(Target(provider_event_id=each))
    assert set(await desk.rows()) == set(before) - {second, third}
    assert "Changed" not in desk.text()
    with pytest.raises(EventGone):
        await desk.change(Target(provider_event_id=second), title="Gone")
    with pytest.raises(EventGone):
        await desk.writer.read(desk.access, desk.place, Target(provider_event_id=second))


@pytest.mark.anyio
async def test_a_series_is_renamed_with_its_changed_occurrences_but_for_what_they_say_themselves(desk: Desk) -> None:
    made = await desk.create(WEEKLY)
    second, third = slot(AT + timedelta(days=7)), slot(AT + timedelta(days=14))
    await desk.change(Target(provider_event_id=second), title="Own title")
    await desk.change(Target(provider_event_id=third), location="Own place")
    target = Target(provider_event_id=made.series_id, is_series=True)
    written = await desk.change(target, title="All")
    assert written.item is None
    titles = {name: row.event.title for name, row in (await desk.rows()).items()}
    assert titles[second] == "Own title"
    assert titles[third] == "All"
    assert list(titles.values()).count("All") == 5


@pytest.mark.anyio
async def test_a_series_that_moves_takes_along_what_was_said_of_its_occurrences(desk: Desk) -> None:
    made = await desk.create(WEEKLY)
    named, moved, out = (AT + timedelta(days=7 * n) for n in (1, 2, 5))
    await desk.change(Target(provider_event_id=slot(named)), title="Named")
    await desk.change(
        Target(provider_event_id=slot(moved)),
        starts_at=moved + timedelta(days=1),
        ends_at=moved + timedelta(days=1, hours=1),
    )
    out -= timedelta(hours=1)  # summer
    await desk.remove(Target(provider_event_id=slot(out)))
    target = Target(provider_event_id=made.series_id, is_series=True)
    later = timedelta(hours=2)
    await desk.change(target, starts_at=AT + later, ends_at=AT + later + timedelta(minutes=30))
    rows = {row.event.original_starts_at: row.event for row in (await desk.rows()).values()}
    assert out + later not in rows
    assert len(rows) == 5
    assert (rows[named + later].title, rows[named + later].starts_at) == ("Named", named + later)
    assert rows[named + later].ends_at == named + later + timedelta(minutes=30)
    assert rows[moved + later].starts_at == moved + timedelta(days=1)


@pytest.mark.anyio
async def test_another_rule_forgets_what_was_said_of_single_occurrences(desk: Desk) -> None:
    made = await desk.create(WEEKLY)
    await desk.change(Target(provider_event_id=slot(AT + timedelta(days=7))), title="Own title")
    target = Target(provider_event_id=made.series_id, is_series=True)
    await desk.change(target, recurrence=["RRULE:FREQ=WEEKLY;COUNT=6"], title="Same rule")
    assert "Own title" in {row.event.title for row in (await desk.rows()).values()}
    await desk.change(target, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    assert [row.event.title for row in (await desk.rows()).values()] == ["Same rule"] * 3
    written = await desk.change(target, recurrence=[])
    assert list((await desk.rows()).values()) == [written.item]


@pytest.mark.anyio
async def test_a_single_event_becomes_a_series(desk: Desk) -> None:
    made = await desk.create()
    target = Target(provider_event_id=made.provider_event_id)
    written = await desk.change(target, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    assert (written.item, written.series_id) == (None, made.provider_event_id)
    assert len(await desk.rows()) == 3
    with pytest.raises(EventGone):
        await desk.change(target, title="single no more")
    await desk.remove(msgspec.structs.replace(target, is_series=True))
    assert await desk.rows() == {}
