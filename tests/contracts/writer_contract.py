"""What every place that can be written to has to do, whatever it speaks; run for each against a peer like the real one."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from uuid import UUID

import pytest
from contracts.provider_contract import NOW, WINDOW, ZONE, read_round

from service.core.drafts import Draft, Guest, Patch
from service.core.event import Event, encode_event
from service.core.sync import Listed
from service.errors import CalendarGone, EventGone, Outdated, ReadOnly, RequestRefused, ScopeMissing, TransientFault
from service.providers.protocol import Access, Provider
from service.providers.writing import Place, Target, Writer, Written

KEY, OTHER_KEY = UUID(int=0x1234 << 96 | 7).hex, UUID(int=0x4321 << 96 | 8).hex
AT = NOW + timedelta(days=1, hours=5)
GRACE, ALAN = "grace@example.org", "alan@example.org"
PLAIN = Draft(
    title="Planning",
    description="What comes next",
    location="Room 4",
    starts_at=AT,
    ends_at=AT + timedelta(minutes=45),
    time_zone=ZONE,
)


class WriterPeer(Protocol):
    """The other side: one account with an empty calendar in ZONE that it may write, at the time NOW.

    `read_only_id` is a calendar that it may read alone, `conference` what it can make and `foreign_conference` what not;
    None where there is no such thing. `always_mails` says that guests are told whatever is asked; `tells` that the peer
    knows who was.
    """

    provider: Provider
    writer: Writer
    access: Access
    calendar_id: str
    read_only_id: str | None
    conference: str | None
    foreign_conference: str | None
    always_mails: bool
    tells: bool
    has_scopes: bool

    def count(self) -> int:
        """How many events and series are in the calendar."""
        ...

    def told(self) -> list[tuple[str, str]]:
        """Who was mailed since the last look, as (kind, address): invitation, update, cancellation."""
        ...

    def reminders(self, event_id: str) -> list[int]: ...
    def rename(self, event_id: str, title: str) -> None: ...
    def erase(self, event_id: str) -> None: ...
    def answer(self, event_id: str, email: str) -> None:
        """The guest accepts."""
        ...

    def lose_answer(self) -> None:
        """The next write is carried out, and its answer lost."""
        ...

    def refuse_once(self) -> None:
        """The next write fails, and is not carried out."""
        ...

    def withhold_writing(self) -> None: ...
    def remove_calendar(self) -> None: ...


def place_of(peer: WriterPeer, calendar_id: str | None = None) -> Place:
    return Place(raw_calendar_id=calendar_id or peer.calendar_id, time_zone=ZONE)


def draft_with(**fields) -> Draft:
    return Draft(**{**{name: getattr(PLAIN, name) for name in Draft.__struct_fields__}, **fields})


class RacingPeer(WriterPeer, Protocol):
    """A peer that can have something happen between our reading and our writing."""

    def before_write(self, act: Callable[[], None]) -> None:
        """Do this once, when the next PATCH or DELETE has arrived and before it is carried out."""
        ...


async def create(peer: WriterPeer, key: str = KEY, **fields) -> Written:
    return await peer.writer.create(peer.access, place_of(peer), draft_with(**fields), key=key)


async def change(peer: WriterPeer, written: Written, *, strict: bool = True, **fields) -> Written:
    return await peer.writer.change(peer.access, place_of(peer), target_of(written), Patch(**fields), strict=strict)


async def remove(peer: WriterPeer, written: Written, *, notify: bool = True, strict: bool = True) -> None:
    await peer.writer.remove(peer.access, place_of(peer), target_of(written), notify=notify, strict=strict)


def target_of(written: Written) -> Target:
    raw = written.item.raw if isinstance(written.item, Listed) else None
    return Target(provider_event_id=written.provider_event_id, raw=raw, is_series=written.item is None)


def event_of(written: Written) -> Event:
    assert isinstance(written.item, Listed)
    assert written.item.event.provider_event_id == written.provider_event_id
    return written.item.event


async def listed(peer: WriterPeer) -> dict[str, Event]:
    """What a sync reads."""
    items, _token = await read_round(peer)
    return {item.event.provider_event_id: item.event for item in items if isinstance(item, Listed)}


async def same_as_read(peer: WriterPeer, written: Written) -> Event:
    """The event, which has to be to the byte what the next sync reads: what we wrote is no news."""
    event = event_of(written)
    assert encode_event((await listed(peer))[written.provider_event_id]) == encode_event(event)
    return event


async def occurrences(peer: WriterPeer, series_id: str) -> list[Listed]:
    rows = peer.provider.series(peer.access, peer.calendar_id, series_id, window=WINDOW, time_zone=ZONE)
    found = [item async for item in rows]
    return sorted((item for item in found if isinstance(item, Listed)), key=lambda item: item.event.starts_at)


def weekly(**fields) -> dict:
    return {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"], **fields}


@pytest.mark.anyio
class WriterContract:
    async def test_an_event_is_made_as_it_was_asked_for(self, peer: WriterPeer):
        event = await same_as_read(peer, await create(peer))
        assert (event.title, event.location) == ("Planning", "Room 4")
        assert "What comes next" in (event.description or "")
        assert (event.starts_at, event.ends_at, event.time_zone) == (AT, AT + timedelta(minutes=45), ZONE)
        assert (event.is_all_day, event.is_busy, event.visibility) == (False, True, "default")
        assert event.series_id is None
        assert peer.count() == 1

    async def test_an_event_with_nothing_but_its_time(self, peer: WriterPeer):
        draft = Draft(starts_at=AT, ends_at=AT + timedelta(hours=1))
        written = await peer.writer.create(peer.access, place_of(peer), draft, key=KEY)
        assert (await same_as_read(peer, written)).starts_at == AT

    async def test_a_day_is_a_day(self, peer: WriterPeer):
        first, last = date(2026, 3, 5), date(2026, 3, 7)
        event = await same_as_read(
            peer, await create(peer, starts_at=None, ends_at=None, start_date=first, end_date=last)
        )
        assert (event.is_all_day, event.start_date, event.end_date) == (True, first, last)
        assert event.starts_at == datetime(2026, 3, 4, 23, tzinfo=UTC)

    async def test_asked_twice_with_one_key_it_is_made_once(self, peer: WriterPeer):
        first, second = await create(peer), await create(peer)
        assert event_of(first) == event_of(second)
        assert peer.count() == 1
        other = await create(peer, OTHER_KEY)
        assert other.provider_event_id != first.provider_event_id
        assert peer.count() == 2

    async def test_a_lost_answer_makes_no_second_event(self, peer: WriterPeer):
        peer.lose_answer()
        with pytest.raises(TransientFault):
            await create(peer)
        assert peer.count() == 1
        await same_as_read(peer, await create(peer))
        assert peer.count() == 1

    async def test_a_write_that_failed_is_made_when_it_is_asked_again(self, peer: WriterPeer):
        peer.refuse_once()
        with pytest.raises(TransientFault):
            await create(peer)
        assert peer.count() == 0
        await create(peer)
        assert peer.count() == 1

    async def test_guests_are_invited_and_told(self, peer: WriterPeer):
        guests = [Guest(email=GRACE, name="Grace"), Guest(email=ALAN, optional=True)]
        event = await same_as_read(peer, await create(peer, attendees=guests))
        invited = {each.email: each for each in event.attendees}
        assert {GRACE, ALAN} <= invited.keys()
        assert (invited[GRACE].optional, invited[ALAN].optional) == (False, True)
        if peer.tells:
            assert peer.told() == [("invitation", ALAN), ("invitation", GRACE)]

    async def test_guests_are_not_told_where_that_was_asked(self, peer: WriterPeer):
        guests = [Guest(email=GRACE)]
        if peer.always_mails:
            with pytest.raises(RequestRefused, match="mails"):
                await create(peer, attendees=guests, notify=False)
            assert peer.count() == 0
        else:
            await create(peer, attendees=guests, notify=False)
            assert peer.count() == 1
        assert peer.told() == []

    @pytest.mark.parametrize("visibility", ["default", "private", "confidential"])
    async def test_visibility(self, peer: WriterPeer, visibility: str):
        written = await create(peer, visibility=visibility)
        assert (await same_as_read(peer, written)).visibility == visibility

    async def test_time_that_is_free(self, peer: WriterPeer):
        written = await create(peer, is_busy=False)
        assert (await same_as_read(peer, written)).is_busy is False
        assert (await same_as_read(peer, await change(peer, written, is_busy=True))).is_busy is True

    async def test_reminders(self, peer: WriterPeer):
        written = await create(peer, reminders=[25])
        assert peer.reminders(written.provider_event_id) == [25]
        written = await change(peer, written, reminders=[5])
        assert peer.reminders(written.provider_event_id) == [5]
        written = await change(peer, written, reminders=[])
        assert peer.reminders(written.provider_event_id) == []

    async def test_a_conference_is_in_the_answer(self, peer: WriterPeer):
        if peer.conference is None:
            pytest.skip("this provider makes no conferences")
        written = await create(peer, conference=peer.conference)
        event = await same_as_read(peer, written)
        assert event.meeting is not None
        assert event.meeting.platform == peer.conference
        assert written.conference is None
        assert "What comes next" in (event.description or "")

    async def test_a_conference_can_be_added_and_is_kept(self, peer: WriterPeer):
        if peer.conference is None:
            pytest.skip("this provider makes no conferences")
        written = await change(peer, await create(peer), conference=peer.conference)
        meeting = (await same_as_read(peer, written)).meeting
        assert meeting is not None
        written = await change(peer, written, title="Moved", description="Another text")
        event = await same_as_read(peer, written)
        assert event.meeting == meeting
        assert "Another text" in (event.description or "")
        assert event_of(await change(peer, written, conference=peer.conference)).meeting == meeting

    async def test_a_conference_of_somebody_else_is_refused(self, peer: WriterPeer):
        if peer.foreign_conference is None:
            pytest.skip("this provider refuses no conference")
        with pytest.raises(RequestRefused):
            await create(peer, conference=peer.foreign_conference)
        assert peer.count() == 0

    async def test_a_change_leaves_the_rest_alone(self, peer: WriterPeer):
        written = await create(peer, attendees=[Guest(email=GRACE)], visibility="private", is_busy=False)
        before = event_of(written)
        event = await same_as_read(peer, await change(peer, written, title="Renamed"))
        assert event.title == "Renamed"
        assert (event.description, event.location, event.attendees) == (
            before.description, before.location, before.attendees,
        )  # fmt: skip
        assert (event.starts_at, event.visibility, event.is_busy) == (before.starts_at, "private", False)

    async def test_texts_can_be_taken_away(self, peer: WriterPeer):
        written = await change(peer, await create(peer), description=None, location=None)
        event = await same_as_read(peer, written)
        assert not event.location
        assert "next" not in (event.description or "")
        assert event.title == "Planning"

    async def test_an_event_is_moved(self, peer: WriterPeer):
        later = AT + timedelta(days=1, minutes=30)
        written = await change(peer, await create(peer), starts_at=later, ends_at=later + timedelta(hours=2))
        event = await same_as_read(peer, written)
        assert (event.starts_at, event.ends_at, event.time_zone) == (later, later + timedelta(hours=2), ZONE)

    async def test_a_meeting_becomes_a_day_and_a_meeting_again(self, peer: WriterPeer):
        day, next_day = date(2026, 3, 9), date(2026, 3, 10)
        written = await change(peer, await create(peer), start_date=day, end_date=next_day)
        event = await same_as_read(peer, written)
        assert (event.is_all_day, event.start_date, event.end_date) == (True, day, next_day)
        written = await change(peer, written, starts_at=AT, ends_at=AT + timedelta(hours=1))
        event = await same_as_read(peer, written)
        assert (event.is_all_day, event.starts_at, event.ends_at) == (False, AT, AT + timedelta(hours=1))

    async def test_who_stays_invited_keeps_the_answer(self, peer: WriterPeer):
        written = await create(peer, attendees=[Guest(email=GRACE), Guest(email=ALAN)])
        peer.answer(written.provider_event_id, GRACE)
        peer.told()
        written = await change(
            peer, written, strict=False, attendees=[Guest(email=GRACE), Guest(email="new@example.org")]
        )
        event = await same_as_read(peer, written)
        answers = {each.email: each.response_status for each in event.attendees if not each.organizer}
        assert answers.keys() == {GRACE, "new@example.org"}
        assert answers[GRACE] == "accepted"
        if peer.tells:
            assert set(peer.told()) == {("cancellation", ALAN), ("invitation", "new@example.org"), ("update", GRACE)}

    async def test_a_change_of_another_version_is_refused(self, peer: WriterPeer):
        written = await create(peer)
        peer.rename(written.provider_event_id, "Renamed by somebody")
        with pytest.raises(Outdated):
            await change(peer, written, location="Room 5")
        event = await same_as_read(peer, await change(peer, written, strict=False, location="Room 5"))
        assert (event.title, event.location) == ("Renamed by somebody", "Room 5")

    async def test_a_change_whose_answer_was_lost_is_not_taken_for_somebody_elses(self, peer: WriterPeer):
        written = await create(peer)
        patch = {"title": "Renamed", "starts_at": AT + timedelta(hours=1), "ends_at": AT + timedelta(hours=2)}
        peer.lose_answer()
        with pytest.raises(TransientFault):
            await change(peer, written, **patch)
        event = await same_as_read(peer, await change(peer, written, **patch))
        assert (event.title, event.starts_at) == ("Renamed", AT + timedelta(hours=1))

    async def test_a_change_of_nothing_is_a_success(self, peer: WriterPeer):
        written = await create(peer)
        assert event_of(await change(peer, written)) == event_of(written)

    async def test_a_removal(self, peer: WriterPeer):
        written = await create(peer)
        await remove(peer, written)
        assert peer.count() == 0
        assert await listed(peer) == {}

    async def test_what_is_gone_is_removed_with_success(self, peer: WriterPeer):
        written = await create(peer)
        for strict in (False, False, True):
            await remove(peer, written, strict=strict)
        await remove(peer, written, notify=False)
        assert peer.count() == 0

    async def test_a_removal_of_another_version_is_refused(self, peer: WriterPeer):
        written = await create(peer)
        peer.rename(written.provider_event_id, "Renamed by somebody")
        with pytest.raises(Outdated):
            await remove(peer, written)
        assert peer.count() == 1
        await remove(peer, written, strict=False)
        assert peer.count() == 0

    async def test_a_removal_whose_answer_was_lost(self, peer: WriterPeer):
        written = await create(peer)
        peer.lose_answer()
        with pytest.raises(TransientFault):
            await remove(peer, written)
        await remove(peer, written)
        assert peer.count() == 0

    async def test_guests_hear_of_a_removal(self, peer: WriterPeer):
        written = await create(peer, attendees=[Guest(email=GRACE)])
        peer.told()
        await remove(peer, written)
        if peer.tells:
            assert peer.told() == [("cancellation", GRACE)]

    async def test_what_is_gone_cannot_be_changed_or_read(self, peer: WriterPeer):
        written = await create(peer)
        peer.erase(written.provider_event_id)
        for strict in (True, False):
            with pytest.raises(EventGone):
                await change(peer, written, strict=strict, title="Renamed")
        with pytest.raises(EventGone):
            await peer.writer.read(peer.access, place_of(peer), target_of(written))

    async def test_what_the_provider_holds_can_be_read(self, peer: WriterPeer):
        written = await create(peer)
        peer.rename(written.provider_event_id, "Renamed by somebody")
        found = await peer.writer.read(peer.access, place_of(peer), target_of(written))
        assert (await same_as_read(peer, found)).title == "Renamed by somebody"

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

    async def test_a_calendar_that_may_only_be_read(self, peer: WriterPeer):
        if peer.read_only_id is None:
            pytest.skip("this peer has no such calendar")
        with pytest.raises(ReadOnly):
            await peer.writer.create(peer.access, place_of(peer, peer.read_only_id), PLAIN, key=KEY)

    async def test_a_consent_to_reading_alone(self, peer: WriterPeer):
        if not peer.has_scopes:
            pytest.skip("this provider has no scopes")
        written = await create(peer)
        peer.withhold_writing()
        with pytest.raises(ScopeMissing):
            await create(peer, OTHER_KEY)
        with pytest.raises(ScopeMissing):
            await change(peer, written, title="Renamed")
        with pytest.raises(ScopeMissing):
            await remove(peer, written)
        assert peer.count() == 1

    async def test_a_calendar_that_is_gone(self, peer: WriterPeer):
        written = await create(peer)
        peer.remove_calendar()
        with pytest.raises(CalendarGone):
            await create(peer, OTHER_KEY)
        with pytest.raises(CalendarGone):
            await change(peer, written, title="Renamed")

    async def test_what_was_made_is_withdrawn(self, peer: WriterPeer):
        draft = draft_with()
        await peer.writer.withdraw(peer.access, place_of(peer), draft, key=KEY)
        await create(peer, OTHER_KEY)
        await create(peer)
        for _ in range(2):
            await peer.writer.withdraw(peer.access, place_of(peer), draft, key=KEY)
            assert peer.count() == 1

    async def test_what_may_have_been_made_is_withdrawn(self, peer: WriterPeer):
        peer.lose_answer()
        with pytest.raises(TransientFault):
            await create(peer)
        await peer.writer.withdraw(peer.access, place_of(peer), PLAIN, key=KEY)
        assert peer.count() == 0

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({"starts_at": None}, id="no-start"),
            pytest.param({"ends_at": None}, id="no-end"),
            pytest.param({"time_zone": "Mars/Olympus"}, id="no-zone"),
            pytest.param({"recurrence": ["RRULE:FREQ=SOMETIMES"]}, id="no-rule"),
        ],
    )
    async def test_what_makes_no_sense_is_refused(self, peer: WriterPeer, fields: dict):
        with pytest.raises(RequestRefused):
            await create(peer, **fields)
        assert peer.count() == 0

    async def test_writes_that_fail_halfway_come_to_what_was_asked(self, peer: WriterPeer):
        """Each write is asked for until it is answered, as its flow does; what then stands is what was asked for."""
        meant = {}
        for number in range(12):
            peer.lose_answer() if number % 3 else peer.refuse_once()
            written = await self._persist(lambda key=f"{number:032x}": create(peer, key, title=f"meeting {key}"))
            (peer.lose_answer if number % 2 else peer.refuse_once)()
            if number % 4 == 3:
                await self._persist(lambda written=written: remove(peer, written))
                continue
            changed = await self._persist(lambda written=written: change(peer, written, title="changed"))
            meant[changed.provider_event_id] = encode_event(event_of(changed))
        assert {event_id: encode_event(event) for event_id, event in (await listed(peer)).items()} == meant
        assert peer.count() == len(meant) == 9

    async def _persist(self, act):
        for _ in range(5):
            try:
                return await act()
            except TransientFault:
                continue
        raise AssertionError("it never comes to an end")


@pytest.mark.anyio
class RaceContract:
    """Somebody else writes after we have read, and before we write."""

    async def test_a_strict_change_loses(self, peer: RacingPeer):
        written = await create(peer)
        peer.before_write(lambda: peer.rename(written.provider_event_id, "Renamed by somebody"))
        with pytest.raises(Outdated):
            await change(peer, written, title="Ours")
        assert (await listed(peer))[written.provider_event_id].title == "Renamed by somebody"

    async def test_any_other_change_is_made_upon_what_is_there(self, peer: RacingPeer):
        written = await create(peer, attendees=[Guest(email=GRACE)])
        peer.before_write(lambda: peer.answer(written.provider_event_id, GRACE))
        guests = [Guest(email=GRACE), Guest(email=ALAN)]
        event = await same_as_read(peer, await change(peer, written, strict=False, attendees=guests))
        assert {each.email: each.response_status for each in event.attendees}[GRACE] == "accepted"

    async def test_a_strict_removal_loses(self, peer: RacingPeer):
        written = await create(peer)
        peer.before_write(lambda: peer.rename(written.provider_event_id, "Renamed by somebody"))
        with pytest.raises(Outdated):
            await remove(peer, written)
        assert peer.count() == 1

    async def test_a_change_of_what_is_just_deleted(self, peer: RacingPeer):
        written = await create(peer)
        peer.before_write(lambda: peer.erase(written.provider_event_id))
        with pytest.raises(EventGone):
            await change(peer, written, title="Ours")

    async def test_a_removal_of_what_is_just_deleted(self, peer: RacingPeer):
        written = await create(peer)
        peer.before_write(lambda: peer.erase(written.provider_event_id))
        await remove(peer, written)
        assert peer.count() == 0
