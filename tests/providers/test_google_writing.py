"""Google against the contract of writers, each request and answer judged by Google's document; and what Google alone has."""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import pytest
from contracts.provider_contract import NOW, WINDOW, ZONE
from contracts.race_contract import RaceContract
from contracts.writer_contract import WriterContract
from contracts.writing_peer import (
    ALAN,
    AT,
    GRACE,
    KEY,
    OTHER_KEY,
    PLAIN,
    change,
    create,
    event_of,
    listed,
    place_of,
    remove,
    same_as_read,
)
from discovery import JudgedTransport

from service.core.credentials import OAuthClient
from service.core.drafts import Guest, Patch
from service.core.schedule import Window
from service.errors import EventGone, Outdated, ReadOnly, RequestRefused, TransientFault
from service.providers.google.busy import GoogleBusy
from service.providers.google.client import GoogleCalendar
from service.providers.google.writing import GoogleWriter
from service.providers.guarded_http import Slots, open_transport
from service.providers.protocol import Access
from service.providers.writing import Busy, Place, Target
from simulator.google.answers import Answer, Request
from simulator.google.world import World
from simulator.server import serve

ADA = "ada@example.com"
TEAM = "team@example.com"


class GoogleWriterPeer:
    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.now = [NOW]
        self.calendar_id = ADA
        self.read_only_id = "shared@group.calendar.google.com"
        world.add_account(TEAM)
        world.add_calendar(TEAM, "Shared", id=self.read_only_id)
        world.share_calendar(self.read_only_id, ADA, "reader")
        self.provider = GoogleCalendar(f"{url}/calendar/v3", f"{url}/token", clock=lambda: self.now[0])
        self.writer = GoogleWriter(self.provider.api, waits=(0, 0, 0))
        self.conference = "google_meet"
        self.foreign_conference = "microsoft_teams"
        self.always_mails = False
        self.tells = True
        self.has_scopes = True
        self.access: Access
        self.judged: JudgedTransport

    async def let_in(self, http) -> None:
        known = self.world.credentials()[0]
        client = OAuthClient(client_id=known["client_id"], client_secret=known["client_secret"])
        grant = await self.provider.refresh(http, client, known["refresh_token"], NOW)
        self.access = Access(http=http, token=grant.access_token, client_key="client", user_key="user")

    def count(self) -> int:
        records = self.world.calendars[ADA].records.values()
        return sum(1 for record in records if record.master is None and not record.cancelled)

    def told(self) -> list[tuple[str, str]]:
        told = [(mail.kind, mail.to) for mail in self.world.mails]
        self.world.mails.clear()
        return told

    def reminders(self, event_id: str) -> list[int]:
        reminders = self.world.read_event(ADA, event_id)["reminders"]
        assert reminders["useDefault"] is False
        return [each["minutes"] for each in reminders.get("overrides", [])]

    def rename(self, event_id: str, title: str) -> None:
        self.world.edit_event(ADA, event_id, {"summary": title})

    def erase(self, event_id: str) -> None:
        self.world.cancel_event(ADA, event_id)

    def answer(self, event_id: str, email: str) -> None:
        self.world.respond(ADA, event_id, email, "accepted")

    def lose_answer(self) -> None:
        self.world.add_fault("lost_answer", endpoint="writes")

    def refuse_once(self) -> None:
        self.world.add_fault("backend_500", endpoint="writes")

    def before_write(self, act: Callable[[], None]) -> None:
        handle, waiting = self.world.handle, [act]

        def racing(request: Request) -> Answer:
            if waiting and request.method in {"PATCH", "DELETE"}:
                waiting.pop()()
            return handle(request)

        self.world.handle = racing  # type: ignore[method-assign]

    def withhold_writing(self) -> None:
        for grant in self.world.grants:
            grant.scopes = ["https://www.googleapis.com/auth/calendar.readonly"]

    def remove_calendar(self) -> None:
        self.world.delete_calendar(ADA)


@pytest.fixture
async def peer(anyio_backend):
    world = World(lambda: NOW, seed=7)
    world.settings.series_years = 1
    world.connect(ADA, time_zone=ZONE)
    async with serve(world) as url:
        peer = GoogleWriterPeer(world, url)

        def judge(tls, guard):
            peer.judged = JudgedTransport(open_transport(tls, guard))
            return peer.judged

        slots = Slots(1, transport_factory=judge)
        async with slots.borrow() as http:
            await peer.let_in(http)
            yield peer
        await slots.aclose()


class TestGoogleWrites(WriterContract, RaceContract):
    pass


@pytest.mark.anyio
class TestGoogleAlone:
    async def test_the_key_is_the_id_and_the_mark(self, peer):
        written = await create(peer)
        assert written.provider_event_id == KEY
        assert peer.world.read_event(ADA, KEY)["extendedProperties"] == {"private": {"calgate": KEY}}

    async def test_an_id_is_burnt_when_its_event_was_deleted(self, peer):
        await create(peer)
        peer.erase(KEY)
        with pytest.raises(EventGone):
            await create(peer)
        await create(peer, OTHER_KEY)
        assert peer.count() == 1

    async def test_an_id_that_is_somebody_elses(self, peer):
        times = {name: {"dateTime": at.isoformat()} for name, at in (("start", AT), ("end", AT + timedelta(hours=1)))}
        peer.world.add_event(ADA, {"id": KEY, "summary": "Not ours", **times})
        with pytest.raises(RequestRefused, match="somebody else"):
            await create(peer)

    async def test_a_calendar_without_meet_is_not_written_to(self, peer):
        peer.world.set(conference_types=["eventHangout"])
        with pytest.raises(RequestRefused, match="does not offer Google Meet"):
            await create(peer, conference="google_meet")
        assert peer.count() == 0
        written = await create(peer)
        with pytest.raises(RequestRefused, match="does not offer Google Meet"):
            await change(peer, written, conference="google_meet", title="Not written")
        assert (await same_as_read(peer, written)).title == "Planning"

    async def test_a_meet_that_takes_its_time_is_waited_for(self, peer):
        peer.world.set(conference_looks=2)
        written = await create(peer, conference="google_meet")
        assert written.conference is None
        assert (await same_as_read(peer, written)).meeting is not None

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            pytest.param({"conference_pending": True}, "pending", id="pending"),
            pytest.param({"conference_outcome": "failure"}, "failed", id="failed"),
            pytest.param({"conference_looks": 1, "conference_outcome": "failure"}, "failed", id="failed-at-last"),
        ],
    )
    async def test_a_meet_that_does_not_come_is_reported(self, peer, settings, told):
        peer.world.set(**settings)
        written = await create(peer, conference="google_meet")
        assert written.conference == told
        assert (await same_as_read(peer, written)).meeting is None
        written = await change(peer, await create(peer, OTHER_KEY), conference="google_meet")
        assert written.conference == told
        assert (await same_as_read(peer, written)).meeting is None

    async def test_a_meet_can_be_taken_away(self, peer):
        written = await create(peer, conference="google_meet")
        written = await change(peer, written, conference="none")
        assert (await same_as_read(peer, written)).meeting is None

    async def test_several_reminders_and_none_of_its_own(self, peer):
        written = await create(peer, reminders=[10, 60, 10])
        assert peer.reminders(KEY) == [10, 60]
        await change(peer, written, reminders=None)
        assert peer.world.read_event(ADA, KEY)["reminders"] == {"useDefault": True}
        with pytest.raises(RequestRefused):
            await change(peer, written, reminders=[1, 2, 3, 4, 5, 6])

    @pytest.mark.parametrize("endpoint", ["events.insert", "events.delete"])
    async def test_a_condition_that_nobody_made_says_nothing(self, peer, endpoint):
        written = await create(peer)
        peer.world.add_fault("condition_412", endpoint=endpoint)
        with pytest.raises(TransientFault):
            await (create(peer, OTHER_KEY) if "insert" in endpoint else remove(peer, written, strict=False))

    async def test_somebody_who_writes_in_between_is_noticed(self, peer):
        written = await create(peer)
        peer.world.add_fault("condition_412", endpoint="events.patch")
        event = await same_as_read(peer, await change(peer, written, title="Renamed"))
        assert event.title == "Renamed"
        peer.world.add_fault("condition_412", endpoint="events.patch", times=None)
        with pytest.raises(Outdated):
            await change(peer, written, strict=False, title="Again")

    async def test_a_change_that_was_made_is_not_mailed_twice(self, peer):
        written = await create(peer, attendees=[Guest(email=GRACE)])
        peer.told()
        peer.lose_answer()
        with pytest.raises(TransientFault):
            await change(peer, written, title="Renamed")
        await change(peer, written, title="Renamed")
        assert peer.told() == [("update", GRACE)]

    async def test_a_calendar_whose_zone_is_not_known_is_asked(self, peer):
        draft = msgspec.structs.replace(PLAIN, time_zone=None)
        written = await peer.writer.create(peer.access, Place(raw_calendar_id=ADA), draft, key=KEY)
        assert (await same_as_read(peer, written)).time_zone == ZONE

    async def test_the_organizer_stays_whoever_is_invited(self, peer):
        written = await create(peer, attendees=[Guest(email=ADA), Guest(email=GRACE)])
        event = await same_as_read(peer, await change(peer, written, attendees=[Guest(email=ALAN)]))
        assert {each.email: each.organizer for each in event.attendees} == {ADA: True, ALAN: False}

    async def test_an_invitation_is_not_ours_to_change(self, peer):
        times = {name: {"dateTime": at.isoformat()} for name, at in (("start", AT), ("end", AT + timedelta(hours=1)))}
        body = {"summary": "Theirs", **times, "attendees": [{"email": ADA}]}
        event_id = peer.world.add_event(TEAM, body)["id"]
        target = Target(provider_event_id=event_id)
        with pytest.raises(ReadOnly):
            await peer.writer.change(peer.access, place_of(peer), target, Patch(title="Ours"), strict=False)
        own = Patch(reminders=[5], visibility="private")
        await peer.writer.change(peer.access, place_of(peer), target, own, strict=False)
        assert peer.reminders(event_id) == [5]

    async def test_an_event_that_never_was(self, peer):
        target = Target(provider_event_id="neverheardof")
        with pytest.raises(EventGone):
            await peer.writer.read(peer.access, place_of(peer), target)
        with pytest.raises(EventGone):
            await peer.writer.change(peer.access, place_of(peer), target, Patch(title="Ours"), strict=False)
        await peer.writer.remove(peer.access, place_of(peer), target, notify=True, strict=True)

    async def test_a_removal_in_silence(self, peer):
        written = await create(peer, attendees=[Guest(email=GRACE), Guest(email=ALAN)])
        peer.told()
        await remove(peer, written, notify=False)
        assert peer.told() == []


@pytest.mark.anyio
class TestQuickAdd:
    async def add(self, peer, text: str = "Lunch with Sarah tomorrow at 1pm", now: datetime = NOW):
        return await peer.writer.quick_add(peer.access, place_of(peer), text, notify=True, now=now)

    async def test_a_sentence_becomes_an_event(self, peer):
        event = await same_as_read(peer, await self.add(peer))
        assert event.title == "Lunch with Sarah"
        assert event.starts_at == datetime.fromisoformat("2026-03-03T13:00:00+01:00")

    async def test_a_lost_answer_is_looked_for(self, peer):
        await create(peer)
        peer.lose_answer()
        event = await same_as_read(peer, await self.add(peer))
        assert event.title == "Lunch with Sarah"
        assert peer.count() == 2

    async def test_what_was_never_made_is_told_and_made_when_asked_again(self, peer):
        peer.refuse_once()
        with pytest.raises(TransientFault):
            await self.add(peer)
        assert peer.count() == 0
        await self.add(peer)
        assert peer.count() == 1

    async def lose_one(self, peer):
        """Have the sentence made, while nobody can be asked what has become of it."""
        peer.world.add_fault("backend_503", endpoint="events.list")
        peer.lose_answer()
        with pytest.raises(TransientFault):
            await self.add(peer)

    async def test_a_repeat_looks_first(self, peer):
        await self.lose_one(peer)
        await self.add(peer)
        assert peer.count() == 1

    async def test_a_repeat_by_another_process_looks_first(self, peer):
        await self.lose_one(peer)
        peer.writer = GoogleWriter(peer.provider.api)
        peer.now[0] = NOW + timedelta(minutes=2)
        await self.add(peer)
        assert peer.count() == 1

    async def test_the_same_sentence_again_is_another_event(self, peer):
        await self.add(peer)
        await self.add(peer, now=NOW + timedelta(seconds=1))
        assert peer.count() == 2

    async def test_the_same_sentence_half_an_hour_later_is_another_event(self, peer):
        await self.add(peer)
        peer.world.advance(1830)
        peer.now[0] = NOW + timedelta(seconds=1830)
        await self.add(peer, now=NOW + timedelta(seconds=1800))
        assert peer.count() == 2


def hour(number: int) -> str:
    return (NOW + timedelta(hours=number)).isoformat()


@pytest.mark.anyio
class TestBusy:
    async def ask(self, peer, *calendar_ids: str, window: Window = WINDOW):
        return await GoogleBusy(peer.provider.api).busy(peer.access, calendar_ids, window)

    async def test_busy_times_are_merged_and_the_free_left_out(self, peer):
        await create(peer)
        await create(peer, OTHER_KEY, starts_at=AT + timedelta(minutes=30), ends_at=AT + timedelta(hours=2))
        await create(peer, "0" * 32, is_busy=False, starts_at=AT + timedelta(days=1), ends_at=AT + timedelta(days=2))
        assert await self.ask(peer, ADA) == {ADA: [Busy(AT, AT + timedelta(hours=2))]}

    async def test_who_cannot_be_read_is_unknown_and_nobody_else(self, peer):
        found = await self.ask(peer, ADA, "stranger@example.com", peer.read_only_id)
        assert found == {ADA: [], "stranger@example.com": None, peer.read_only_id: []}

    async def test_many_calendars_are_asked_in_batches(self, peer):
        strangers = [f"stranger{number}@example.com" for number in range(70)]
        found = await self.ask(peer, *strangers, ADA)
        assert found == {**dict.fromkeys(strangers), ADA: []}
        assert len(peer.world.read_calls("freebusy.query")) == 2

    async def test_a_range_that_is_too_long_is_halved(self, peer):
        await create(peer, starts_at=NOW + timedelta(days=44, hours=23), ends_at=NOW + timedelta(days=45, hours=1))
        peer.world.set(busy_days=50)
        window = Window(NOW, NOW + timedelta(days=90))
        middle = NOW + timedelta(days=45)
        assert await self.ask(peer, ADA, window=window) == {
            ADA: [Busy(middle - timedelta(hours=1), middle + timedelta(hours=1))]
        }
        assert len(peer.world.read_calls("freebusy.query")) == 3

    async def test_stretches_that_overlap_become_one(self, peer):
        said = [(3, 4), (0, 2), (1, 2), (2, 3), (5, 5)]
        stretches = [{"start": hour(first), "end": hour(last)} for first, last in said]
        body = {"calendars": {ADA: {"busy": stretches}}}
        peer.world.add_fault("custom", endpoint="freebusy.query", status=200, body=body)
        assert await self.ask(peer, ADA) == {ADA: [Busy(NOW, NOW + timedelta(hours=4))]}

    @pytest.mark.parametrize(
        "schedule", [{}, {"busy": None}, {"busy": [{"start": "soon", "end": "late"}]}, {"busy": [], "errors": [{}]}]
    )
    async def test_what_cannot_be_read_is_unknown(self, peer, schedule):
        body = {"calendars": {ADA: schedule}}
        peer.judged.judge_answers = False
        peer.world.add_fault("custom", endpoint="freebusy.query", status=200, body=body)
        assert await self.ask(peer, ADA) == {ADA: None}

    async def test_an_outage_is_no_free_time(self, peer):
        peer.world.add_fault("backend_503")
        with pytest.raises(TransientFault):
            await self.ask(peer, ADA)


@pytest.mark.anyio
async def test_half_of_all_writes_fail_and_each_event_is_made_once(peer):
    peer.world.fail_writes(before=0.2, after=0.2, silent=0.2)
    for number in range(20):
        key, tries = f"{number:032x}", 0
        while True:
            tries += 1
            try:
                await create(peer, key, title=f"meeting {number}")
            except TransientFault:
                assert tries < 30
            else:
                break
    peer.world.clear_faults()
    assert peer.count() == 20
    assert sorted(event.title for event in (await listed(peer)).values()) == sorted(f"meeting {n}" for n in range(20))
    assert event_of(await create(peer, f"{7:032x}", title="meeting 7")).title == "meeting 7"
