"""Google against the provider contract: over real sockets, to the simulator, each request judged by Google's document."""

import asyncio
import json
from datetime import date, datetime, timedelta

import pytest
from contracts.provider_contract import (
    NOW,
    WINDOW,
    ZONE,
    OAuthContract,
    ProviderContract,
    PushContract,
    read_pages,
)
from discovery import JudgedTransport
from loopback import response, serve_script

from service.core.credentials import OAuthClient
from service.errors import TransientFault
from service.providers.google.client import GoogleCalendar
from service.providers.google.push import GooglePush, read_channel
from service.providers.guarded_http import Slots, open_transport
from service.providers.protocol import Access, OpenedChannel, PushNotice
from simulator.google.world import World
from simulator.server import serve

ADA = "ada@example.com"
OUTAGES = {"error": "backend_503", "cut": "lost_answer", "garbage": "html_200", "truncated": "truncated_page"}


class GooglePeer:
    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.calendar_id = ADA
        self.unwatchable_id = world.add_calendar(ADA, "Holidays", kind="holiday")
        self.provider = GoogleCalendar(f"{url}/calendar/v3", f"{url}/token", clock=lambda: NOW)
        self.push = GooglePush()
        self.push_address = ""
        self.listed_zone = ZONE
        self.greetings = 1
        self.unknown_id = "neverheardof"
        self.received: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        known = world.credentials()[0]
        self.client = OAuthClient(client_id=known["client_id"], client_secret=known["client_secret"])
        self.refresh_token = known["refresh_token"]
        self.access: Access
        self.judged: list[str] = []

    async def let_in(self, http) -> None:
        grant = await self.provider.refresh(http, self.client, self.refresh_token, NOW)
        self.access = Access(http=http, token=grant.access_token, client_key="client", user_key="user")

    def add(self, title: str, start: datetime, minutes: int = 60) -> str:
        return self._add(title, start, minutes)

    def add_series(self, title: str, start: datetime, count: int) -> str:
        return self._add(title, start, 60, recurrence=[f"RRULE:FREQ=WEEKLY;COUNT={count}"])

    def _add(self, title: str, start: datetime, minutes: int, **more) -> str:
        end = start + timedelta(minutes=minutes)
        times = {name: {"dateTime": at.isoformat(), "timeZone": "UTC"} for name, at in (("start", start), ("end", end))}
        return self.world.add_event(ADA, {"summary": title, **times, **more})["id"]

    def add_days(self, title: str, first: date, last: date) -> str:
        days = {"start": {"date": first.isoformat()}, "end": {"date": last.isoformat()}}
        return self.world.add_event(ADA, {"summary": title, **days})["id"]

    def rename(self, event_id: str, title: str) -> None:
        self.world.edit_event(ADA, event_id, {"summary": title})

    def move(self, event_id: str, minutes: int) -> None:
        self.world.move_event(ADA, event_id, by_minutes=minutes)

    def cancel(self, event_id: str) -> None:
        self.world.cancel_event(ADA, event_id)

    def add_malformed(self, event_id: str) -> None:
        self.world.add_poison(ADA, {"id": event_id, "status": "confirmed", "start": {"dateTime": "tomorrow"}})

    def make_pages_small(self) -> None:
        self.world.set(largest_page=4, short_pages=True, empty_pages=1)

    def forget_cursors(self) -> None:
        self.world.invalidate_sync_tokens()

    def remove_calendar(self) -> None:
        self.world.delete_calendar(ADA)

    def expire_access(self) -> None:
        self.world.expire_access_tokens()

    def revoke_grant(self) -> None:
        self.world.revoke_consent(ADA)

    def withhold_scope(self) -> None:
        for grant in self.world.grants:
            grant.scopes = ["openid", "email"]

    def break_down(self, how: str) -> None:
        self.world.add_fault(OUTAGES[how], times=None)

    def throttle(self, seconds: int) -> None:
        self.world.add_fault("429_retry_after", seconds=seconds)

    def forbid_watching(self) -> None:
        """A calendar of holidays never could be."""

    async def notices(self, count: int) -> list[PushNotice]:
        """The next `count` notifications that reach us."""
        headers = [await asyncio.wait_for(self.received.get(), 30) for _ in range(count)]
        return [notice for each in headers for notice in self.push.notices(each, b"")]

    async def receive(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        lines = request.decode().split("\r\n")[1:]
        self.received.put_nowait({name.lower(): value for name, _, value in (line.partition(": ") for line in lines)})
        writer.write(response(b"", 204))


@pytest.fixture
async def peer(anyio_backend):
    world = World(lambda: NOW, seed=7)
    world.settings.series_years = 1
    world.connect(ADA, time_zone=ZONE)
    judged: list[str] = []

    def judge(tls, guard):
        transport = JudgedTransport(open_transport(tls, guard), judge_answers=False)
        transport.judged = judged
        return transport

    async with serve(world) as url:
        peer = GooglePeer(world, url)
        peer.judged = judged
        slots = Slots(1, transport_factory=judge)
        async with serve_script(peer.receive) as receiver, slots.borrow() as http:
            peer.push_address = receiver.url
            await peer.let_in(http)
            yield peer
        await slots.aclose()


class TestGoogle(ProviderContract, OAuthContract, PushContract):
    pass


@pytest.mark.anyio
class TestRequests:
    """What Google alone has, beyond the contract."""

    async def test_every_request_is_one_that_google_knows(self, peer):
        series_id = peer.add_series("weekly", NOW, 3)
        pages = await read_pages(peer)
        await read_pages(peer, pages[-1].token)
        await peer.provider.calendars(peer.access)
        assert [item async for item in peer.provider.series(peer.access, ADA, series_id, window=WINDOW, time_zone=ZONE)]
        channel = await peer.provider.open_channel(
            peer.access, ADA, channel_id="c", secret="s", address=peer.push_address, now=NOW
        )
        await peer.provider.close_channel(peer.access, channel_id="c", resource_id=channel.resource_id)
        assert peer.judged == [
            "calendar.events.list",
            "calendar.events.list",
            "calendar.calendarList.list",
            "calendar.events.instances",
            "calendar.events.watch",
            "calendar.channels.stop",
        ]

    async def test_a_sync_token_comes_without_a_window_on_every_page(self, peer):
        pages = await read_pages(peer)
        for number in range(9):
            peer.add(f"meeting {number}", NOW + timedelta(hours=number))
        peer.make_pages_small()
        peer.world.reset_counters()
        await read_pages(peer, pages[-1].token)
        queries = [call["query"] for call in peer.world.read_calls("events.list")]
        assert len(queries) > 2
        for number, query in enumerate(queries):
            assert query["syncToken"] == [pages[-1].token]
            assert not query.keys() & {"timeMin", "timeMax", "showDeleted", "orderBy"}
            assert ("pageToken" in query) is (number > 0)
            assert (query["singleEvents"], query["maxResults"]) == (["true"], ["2500"])

    async def test_a_full_listing_has_its_window_on_every_page(self, peer):
        for number in range(9):
            peer.add(f"meeting {number}", NOW + timedelta(hours=number))
        peer.make_pages_small()
        await read_pages(peer)
        queries = [call["query"] for call in peer.world.read_calls("events.list")]
        assert len(queries) > 2
        assert {(*query["timeMin"], *query["timeMax"]) for query in queries} == {
            ("2026-03-01T09:00:00Z", "2026-04-01T09:00:00Z")
        }

    async def test_a_full_listing_has_nothing_beyond_its_window(self, peer):
        for start in (WINDOW.start - timedelta(hours=3), NOW, WINDOW.end + timedelta(hours=3)):
            peer.add("meeting", start)
        assert [len(page.items) for page in await read_pages(peer)] == [1]

    async def test_a_channel_id_can_be_used_once(self, peer):
        async def watch(channel_id: str) -> OpenedChannel:
            return await peer.provider.open_channel(
                peer.access, ADA, channel_id=channel_id, secret="s", address=peer.push_address, now=NOW
            )

        await watch("c")
        with pytest.raises(TransientFault):
            await watch("c")
        assert not (await watch("d")).is_same

    async def test_pages_that_go_round_in_circles_end(self, peer):
        peer.world.add_fault("custom", times=None, status=200, body={"items": [], "nextPageToken": "again"})
        with pytest.raises(TransientFault, match="do not end"):
            await read_pages(peer)

    @pytest.mark.parametrize("body", [{}, {"items": []}, {"items": None, "nextSyncToken": ""}])
    async def test_a_last_page_without_a_cursor_is_not_believed(self, peer, body):
        peer.world.add_fault("custom", status=200, body=body)
        with pytest.raises(TransientFault, match="no sync token"):
            await read_pages(peer)

    async def test_the_list_of_calendars_names_them_as_the_user_does(self, peer):
        calendar_id = peer.world.add_calendar(ADA, "Team", id="team#1@group.calendar.google.com")
        peer.world.set_list_entry(ADA, calendar_id, summary_override="My team", hidden=True)
        found = {each.id: each for each in await peer.provider.calendars(peer.access)}
        assert (found[calendar_id].name, found[calendar_id].access_role) == ("My team", "owner")
        assert len(await read_pages(peer, calendar_id=calendar_id)) == 1

    async def test_the_life_of_a_channel_is_what_google_grants(self, peer):
        peer.world.set(channel_seconds=3600)
        channel = await peer.provider.open_channel(
            peer.access, ADA, channel_id="c", secret="s", address=peer.push_address, now=NOW
        )
        assert channel.expires_at == NOW + timedelta(hours=1)

    @pytest.mark.parametrize(
        ("body", "expires_at"),
        [
            pytest.param({"resourceId": "r", "expiration": "1772614800000"}, NOW + timedelta(days=2), id="text"),
            pytest.param({"resourceId": "r", "expiration": 1772614800000}, NOW + timedelta(days=2), id="number"),
            pytest.param({"resourceId": "r"}, NOW + timedelta(days=1), id="missing"),
            pytest.param({"resourceId": "r", "expiration": "soon"}, NOW + timedelta(days=1), id="nonsense"),
            pytest.param({"resourceId": "r", "expiration": "9" * 40}, NOW + timedelta(days=1), id="for-ever"),
            pytest.param({"resourceId": "r", "expiration": "1"}, NOW + timedelta(days=1), id="over"),
        ],
    )
    def test_the_expiration_of_a_channel(self, body, expires_at):
        assert read_channel(json.dumps(body).encode(), NOW).expires_at == expires_at

    @pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b'{"resourceId": ""}'])
    def test_what_is_no_channel(self, body):
        with pytest.raises(TransientFault):
            read_channel(body, NOW)
