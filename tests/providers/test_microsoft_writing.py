"""Microsoft Graph against the contract of writers, over real sockets, each answer judged by Graph's types; and what it alone has."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import httpx
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
    listed,
    occurrences,
    place_of,
    remove,
    same_as_read,
    target_of,
)
from graph_schema import judge_answer

from service.core.credentials import OAuthClient
from service.core.drafts import Guest, Patch
from service.core.schedule import Window
from service.errors import EventGone, Outdated, RequestRefused, TransientFault
from service.providers.guarded_http import Slots, open_transport
from service.providers.microsoft.busy import MicrosoftBusy
from service.providers.microsoft.client import MicrosoftCalendar
from service.providers.microsoft.writing import MicrosoftWriter
from service.providers.protocol import Access
from service.providers.writing import Busy, Place, Target
from simulator.google.answers import Answer, Request
from simulator.microsoft.world import MicrosoftWorld
from simulator.server import serve

ADA = "ada@contoso.example"
TEAM = "team@contoso.example"


class JudgedGraph(httpx.AsyncBaseTransport):
    """Wraps a transport: each answer about events must be what Graph's types allow."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.inner.handle_async_request(request)
        if "/events" not in request.url.path and "getSchedule" not in request.url.path:
            return response
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
        await response.aclose()
        judged = httpx.Response(response.status_code, headers=response.headers, content=raw)
        path = request.url.path.removeprefix("/v1.0")
        judge_answer(request.method, path, judged.status_code, judged.content, selected="$select" in request.url.params)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=httpx.ByteStream(raw), request=request
        )

    async def aclose(self) -> None:
        await self.inner.aclose()


class MicrosoftWriterPeer:
    def __init__(self, world: MicrosoftWorld, url: str, email: str = ADA) -> None:
        self.world = world
        self.email = email
        self.known = world.connect(email, time_zone=ZONE)
        self.calendar_id = world.find_calendar(email).id
        world.add_account(TEAM)
        self.read_only_id = world.add_calendar(TEAM, "Shared")
        world.share_calendar(self.read_only_id, email, "reader")
        self.provider = MicrosoftCalendar(f"{url}/v1.0", url, clock=world.now)
        self.writer = MicrosoftWriter(self.provider.graph, waits=(0, 0))
        self.conference = "microsoft_teams"
        self.foreign_conference = "google_meet"
        self.always_mails = True
        self.tells = True
        self.has_scopes = True
        self.access: Access

    async def let_in(self, http) -> None:
        client = OAuthClient(
            client_id=self.known["client_id"], client_secret=self.known["client_secret"], tenant="common"
        )
        grant = await self.provider.refresh(http, client, self.known["refresh_token"], NOW)
        self.access = Access(
            http=http, token=grant.access_token, client_key="client", user_key="user", email=self.email
        )

    def count(self) -> int:
        return sum(1 for record in self.world.find_calendar(self.email).records.values() if record.master is None)

    def told(self) -> list[tuple[str, str]]:
        told = [(mail.kind, mail.to) for mail in self.world.mails]
        self.world.mails.clear()
        return told

    def reminders(self, event_id: str) -> list[int]:
        event = self.world.read_event(self.email, event_id)
        return [event["reminderMinutesBeforeStart"]] if event["isReminderOn"] else []

    def rename(self, event_id: str, title: str) -> None:
        self.world.edit_event(self.email, event_id, {"subject": title})

    def erase(self, event_id: str) -> None:
        self.world.cancel_event(self.email, event_id)

    def answer(self, event_id: str, email: str) -> None:
        self.world.respond(self.email, event_id, email, "accepted")

    def lose_answer(self) -> None:
        self.world.add_fault("lost_answer", endpoint="writes")

    def refuse_once(self) -> None:
        self.world.add_fault("internal_500", endpoint="writes")

    def before_write(self, act: Callable[[], None]) -> None:
        handle, waiting = self.world.handle, [act]

        def racing(request: Request) -> Answer:
            if waiting and request.method in {"PATCH", "DELETE"}:
                waiting.pop()()
            return handle(request)

        self.world.handle = racing  # type: ignore[method-assign]

    def withhold_writing(self) -> None:
        for access in self.world.access_tokens.values():
            access.scopes = ["User.Read", "Calendars.Read"]

    def remove_calendar(self) -> None:
        self.world.delete_calendar(self.email)


@pytest.fixture
def email() -> str:
    return ADA


@pytest.fixture
async def peer(anyio_backend, email):
    world = MicrosoftWorld(lambda: NOW, seed=7)
    world.settings.series_years = 1
    async with serve(world) as url:
        peer = MicrosoftWriterPeer(world, url, email)
        slots = Slots(1, transport_factory=lambda tls, guard: JudgedGraph(open_transport(tls, guard)))
        async with slots.borrow() as http:
            await peer.let_in(http)
            yield peer
        await slots.aclose()


class TestMicrosoftWrites(WriterContract, RaceContract):
    pass


@pytest.mark.anyio
class TestOutlookAlone:
    async def test_a_repeat_carries_the_same_transaction(self, peer):
        written = await create(peer)
        event = peer.world.read_event(ADA, written.provider_event_id)
        assert event["transactionId"].replace("-", "") == KEY

    async def test_a_transaction_that_graph_refuses_is_looked_up(self, peer):
        written = await create(peer)
        body = {"error": {"code": "ErrorDuplicateTransactionId", "message": "It exists.", "innerError": INNER}}
        peer.world.add_fault("custom", endpoint="events.insert", status=409, body=body, times=2)
        assert (await create(peer)).provider_event_id == written.provider_event_id
        peer.erase(written.provider_event_id)
        with pytest.raises(EventGone):
            await create(peer)

    @pytest.mark.parametrize("email", ["karen@outlook.example"])
    async def test_a_calendar_without_teams_is_not_written_to(self, peer):
        with pytest.raises(RequestRefused, match="does not offer Microsoft Teams"):
            await create(peer, conference="microsoft_teams")
        assert peer.count() == 0

    async def test_an_address_that_takes_its_time_is_reported(self, peer):
        peer.world.set(join_url_seconds=30)
        written = await create(peer, conference="microsoft_teams")
        assert written.conference == "pending"
        peer.world.advance(60)
        found = await peer.writer.read(peer.access, place_of(peer), target_of(written))
        assert (await same_as_read(peer, found)).meeting is not None

    async def test_a_teams_meeting_cannot_be_taken_off(self, peer):
        written = await create(peer, conference="microsoft_teams")
        with pytest.raises(RequestRefused, match="cannot take the Teams meeting off"):
            await change(peer, written, conference="none")

    @pytest.mark.parametrize("text", ["Plain & simple\nsecond line", "<p>With <b>marks</b></p>", ""])
    async def test_a_new_text_keeps_the_way_in(self, peer, text):
        written = await create(peer, conference="microsoft_teams")
        meeting = (await same_as_read(peer, written)).meeting
        written = await change(peer, written, description=text)
        event = await same_as_read(peer, written)
        assert event.meeting == meeting
        assert "What comes next" not in (event.description or "")
        assert (event.description or "").count("Join the meeting now") == 1
        again = await change(peer, written, description=event.description)
        assert (await same_as_read(peer, again)).meeting == meeting

    async def test_own_matters_of_a_meeting_mail_nobody(self, peer):
        written = await create(peer, attendees=[Guest(email=GRACE)])
        peer.told()
        written = await change(peer, written, notify=False, reminders=[5], is_busy=False, visibility="private")
        assert peer.told() == []
        with pytest.raises(RequestRefused, match="mails"):
            await change(peer, written, notify=False, title="Renamed")
        with pytest.raises(RequestRefused, match="mails"):
            await remove(peer, written, notify=False)
        assert peer.told() == []

    async def test_an_event_without_guests_is_changed_and_removed_in_silence(self, peer):
        written = await change(peer, await create(peer), notify=False, title="Renamed")
        await remove(peer, written, notify=False)
        assert peer.count() == 0

    @pytest.mark.parametrize("endpoint", ["events.insert", "events.delete"])
    async def test_a_condition_that_nobody_made_says_nothing(self, peer, endpoint):
        written = await create(peer)
        peer.world.add_fault("conflict_412", endpoint=endpoint)
        with pytest.raises(TransientFault):
            await (create(peer, OTHER_KEY) if "insert" in endpoint else remove(peer, written, strict=False))

    async def test_somebody_who_writes_in_between_is_noticed(self, peer):
        written = await create(peer)
        peer.world.add_fault("conflict_412", endpoint="events.patch")
        assert (await same_as_read(peer, await change(peer, written, title="Renamed"))).title == "Renamed"
        peer.world.add_fault("conflict_409", endpoint="events.patch", times=None)
        with pytest.raises(Outdated):
            await change(peer, written, strict=False, title="Again")

    async def test_public_is_as_visible_as_the_calendar(self, peer):
        written = await create(peer, visibility="public")
        assert (await same_as_read(peer, written)).visibility == "default"

    async def test_two_reminders_are_refused(self, peer):
        with pytest.raises(RequestRefused, match="one reminder"):
            await create(peer, reminders=[5, 10])

    async def test_a_zone_that_outlook_has_no_name_for(self, peer):
        written = await create(peer, time_zone="America/Toronto")
        assert (await same_as_read(peer, written)).time_zone == "America/New_York"

    async def test_a_place_without_a_zone(self, peer):
        draft = msgspec.structs.replace(PLAIN, time_zone=None)
        place = Place(raw_calendar_id=peer.calendar_id)
        written = await peer.writer.create(peer.access, place, draft, key=KEY)
        assert written.item is not None

    async def test_a_series_of_days(self, peer):
        days = {"starts_at": None, "ends_at": None, "start_date": date(2026, 3, 5), "end_date": date(2026, 3, 6)}
        written = await create(peer, **days, recurrence=["RRULE:FREQ=WEEKLY;BYDAY=TH;UNTIL=20260319"])
        found = await occurrences(peer, written.provider_event_id)
        assert [item.event.start_date for item in found] == [date(2026, 3, day) for day in (5, 12, 19)]

    async def test_a_series_is_moved_to_another_day(self, peer):
        written = await create(peer, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
        target = Target(provider_event_id=written.provider_event_id, is_series=True)
        later = AT + timedelta(days=1)
        patch = Patch(starts_at=later, ends_at=later + timedelta(minutes=30))
        await peer.writer.change(peer.access, place_of(peer), target, patch, strict=True)
        found = await occurrences(peer, written.provider_event_id)
        assert [item.event.starts_at for item in found] == [later + timedelta(weeks=week) for week in range(3)]

    async def test_a_series_becomes_one_event(self, peer):
        written = await create(peer, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
        target = Target(provider_event_id=written.provider_event_id, is_series=True)
        changed = await peer.writer.change(peer.access, place_of(peer), target, Patch(recurrence=[]), strict=True)
        assert changed.series_id is None
        assert (await same_as_read(peer, changed)).starts_at == AT


@pytest.mark.anyio
class TestSchedules:
    async def ask(self, peer, *calendar_ids: str, window: Window = WINDOW):
        return await MicrosoftBusy(peer.provider.graph).busy(peer.access, calendar_ids, window)

    async def test_busy_times_of_the_own_mailbox(self, peer):
        await create(peer)
        await create(peer, OTHER_KEY, starts_at=AT + timedelta(minutes=30), ends_at=AT + timedelta(hours=2))
        await create(peer, "0" * 32, is_busy=False, starts_at=AT + timedelta(days=1), ends_at=AT + timedelta(days=2))
        assert await self.ask(peer, peer.calendar_id) == {peer.calendar_id: [Busy(AT, AT + timedelta(hours=2))]}

    async def test_a_further_calendar_and_a_stranger_are_unknown(self, peer):
        further = peer.world.add_calendar(ADA, "Team")
        found = await self.ask(peer, further, peer.calendar_id, "stranger@example.org", TEAM)
        assert found == {further: None, peer.calendar_id: [], "stranger@example.org": None, TEAM: []}

    async def test_a_long_range_is_asked_in_pieces(self, peer):
        middle = NOW + timedelta(days=60)
        await create(peer, starts_at=middle - timedelta(hours=1), ends_at=middle + timedelta(hours=1))
        found = await self.ask(peer, peer.calendar_id, window=Window(NOW, NOW + timedelta(days=150)))
        assert found == {peer.calendar_id: [Busy(middle - timedelta(hours=1), middle + timedelta(hours=1))]}
        assert len(peer.world.read_calls("calendar.getSchedule")) == 3

    @pytest.mark.parametrize("email", ["karen@outlook.example"])
    async def test_a_personal_account_has_no_schedules(self, peer):
        assert await self.ask(peer, peer.calendar_id) == {peer.calendar_id: None}

    async def test_an_outage_is_no_free_time(self, peer):
        peer.world.add_fault("service_503", endpoint="calendar.getSchedule")
        with pytest.raises(TransientFault):
            await self.ask(peer, peer.calendar_id)


@pytest.mark.anyio
async def test_half_of_all_writes_fail_and_each_event_is_made_once(peer):
    peer.world.fail_writes(before=0.2, after=0.2, silent=0.2)
    for number in range(20):
        key, tries = f"{number:032x}", 0
        while True:
            tries += 1
            try:
                await create(peer, key, title=f"meeting {number}", attendees=[Guest(email=ALAN)])
            except TransientFault:
                assert tries < 30
            else:
                break
    peer.world.clear_faults()
    assert sorted(event.title for event in (await listed(peer)).values()) == sorted(f"meeting {n}" for n in range(20))
    assert peer.told() == [("invitation", ALAN)] * 20


INNER = {"date": datetime(2026, 3, 2).isoformat(), "request-id": "r", "client-request-id": "c"}  # noqa: DTZ001
