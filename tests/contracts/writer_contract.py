"""What every place that can be written to has to do, whatever it speaks; run for each against a peer like the real one."""

from datetime import UTC, date, datetime, timedelta

import pytest
from contracts.provider_contract import ZONE
from contracts.series_contract import SeriesContract
from contracts.writing_peer import (
    ALAN,
    AT,
    GRACE,
    KEY,
    OTHER_KEY,
    PLAIN,
    WriterPeer,
    change,
    create,
    draft_with,
    event_of,
    listed,
    place_of,
    remove,
    same_as_read,
    target_of,
)

from service.core.drafts import Draft, Guest
from service.core.event import encode_event
from service.errors import CalendarGone, EventGone, Outdated, ReadOnly, RequestRefused, ScopeMissing, TransientFault


@pytest.mark.anyio
class EventContract:
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

    @pytest.mark.parametrize("minutes", [-60, -30, 0, 30, 60])
    async def test_an_instant_of_the_hour_that_comes_twice_stays_that_instant(self, peer: WriterPeer, minutes: int):
        start = datetime(2026, 10, 25, 1, tzinfo=UTC) + timedelta(minutes=minutes)
        written = await create(peer, starts_at=start, ends_at=start + timedelta(minutes=45))
        assert (event_of(written).starts_at, event_of(written).ends_at) == (start, start + timedelta(minutes=45))
        later = {"starts_at": start + timedelta(minutes=15), "ends_at": start + timedelta(minutes=60)}
        moved = event_of(await change(peer, written, **later))
        assert (moved.starts_at, moved.ends_at) == tuple(later.values())

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


class WriterContract(EventContract, SeriesContract):
    """All that every provider does."""
